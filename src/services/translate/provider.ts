import { coreFaults } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import type { Setting } from '../definition.ts'
import { servicesFaults } from '../faults.ts'
import { pass } from '../stream.ts'
import { type Outgoing, reach, type Target, timeoutOf } from '../upstream.ts'

export interface ProviderInput {
  texts: readonly string[]
  /** A language as in BCP 47; without it, the provider finds out. */
  source: string | undefined
  target: string
  /** Whether the texts are HTML, whose tags must come back as they are. */
  html: boolean
}

export interface ProviderAnswer {
  /** As many as were asked, in the same order. */
  texts: string[]
  /** The language that was found, where none was given. */
  source?: string
}

/** Who translates. Any object of this shape is one. */
export interface Provider {
  /** In answers, and in the log. */
  readonly name: string
  /** The most texts of one call. */
  readonly batch: number
  /** Whether it finds out the language of a text by itself. */
  readonly detects: boolean
  /** Whether it takes HTML. */
  readonly html: boolean
  /** What a million characters cost, in the currency that you think in. @default 0 */
  readonly perMillion?: number
  /**
   * @throws {Fault} `bad_request` if it does not know one of the languages; any other one if it fails. In both cases the
   * next provider is asked.
   */
  translate(scope: Scope, input: ProviderInput): Promise<ProviderAnswer>
}

export interface ProviderOptions<Env> {
  /** What a million characters cost. @default 0 */
  perMillion?: number
  /** In milliseconds. @default 30_000 */
  timeout?: number
  /** Reaches the service. For a service binding, or a test. @default fetch */
  fetch?: (request: Request, env: Env) => Promise<Response>
}

export const settingOf = <Env>(scope: Scope, setting: Setting<Env>): string =>
  typeof setting === 'function' ? setting(scope.env as Env) : setting

/** In bytes: some times of what a call can ask for. */
const answerLimit = 4 * 1024 * 1024

/**
 * Posts JSON and reads JSON.
 *
 * @throws {Fault} `bad_request` where the service says that it is asked wrongly: for it, a language that it does not know.
 */
export async function post<Env>(
  scope: Scope,
  target: Target<Env>,
  { path, body, name }: { path: string; body: unknown; name: string },
): Promise<unknown> {
  const outgoing: Outgoing = {
    method: 'POST',
    path,
    query: {},
    headers: new Headers({ 'content-type': 'application/json', accept: 'application/json' }),
    body: JSON.stringify(body),
    safe: false,
  }
  const { response, secrets } = await reach(scope, target, outgoing, name)
  if (!response.ok) {
    response.body?.cancel().catch(() => {})
    const cause = `${name} answered ${response.status}`
    if (response.status === 400 || response.status === 422)
      throw coreFaults.bad_request({ message: 'These languages are not translated here', cause })
    throw servicesFaults.service_unavailable({ cause, headers: { 'retry-after': '30' } })
  }
  try {
    const limited = pass(response.body as ReadableStream<Uint8Array>, {
      limit: answerLimit,
      hide: secrets,
      keep: 0,
      idle: timeoutOf(target),
      ended: () => {},
    })
    return JSON.parse(await new Response(limited).text())
  } catch (error) {
    throw unusable(`${name}: ${error}`)
  }
}

export const unusable = (cause: string) =>
  servicesFaults.upstream_failed({ cause, headers: { 'retry-after': '5' } })

/** @throws {Fault} `upstream_failed` unless there is one text for each. */
export function answerOf(
  name: string,
  wanted: number,
  { texts, source }: { texts: unknown; source: unknown },
): ProviderAnswer {
  if (
    !Array.isArray(texts) ||
    texts.length !== wanted ||
    !texts.every((text) => typeof text === 'string')
  )
    throw unusable(`${name} did not answer ${wanted} texts`)
  return { texts, ...(typeof source === 'string' ? { source: source.toLowerCase() } : {}) }
}
