import { safe } from '../print.ts'
import { Refusal } from '../refusal.ts'

/** The `auth` of an app, and the key that it takes. */
export interface Place {
  /** Without a slash at its end, such as `https://my.app/auth/v1`. */
  readonly url: string
  readonly key: string
}

const howToSet =
  'Set LEANTO_KEY to the secret API key of that app (`npx leanto keys` prints it for a LEANTO_SECRET). It is not taken as an ' +
  'option: every program on this machine could read it in the list of processes.'

/** @throws {Refusal} if the address or the key is none. */
export function placeOf(option: string, text: string | undefined, env = process.env): Place {
  if (text === undefined)
    throw new Refusal(`${option} is missing: where auth is, such as https://my.app/auth/v1`, 2)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username)
    throw new Refusal(`${option} must be a URL such as https://my.app/auth/v1`, 2)
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    throw new Refusal(`${option} must be https: the key and every password’s hash go there.`, 2)
  const key = env.LEANTO_KEY
  if (!key) throw new Refusal(howToSet, 2)
  if (key.startsWith('sb_publishable_'))
    throw new Refusal('LEANTO_KEY is the publishable key; it must be the secret one.', 2)
  return { url: url.href.replace(/\/+$/, ''), key }
}

const isLoopback = (host: string) =>
  host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127\./.test(host)

/** What may be asked for again. */
export class Interrupted extends Error {
  /** In milliseconds, as the server asks. */
  readonly after: number | undefined

  constructor(message: string, after?: number) {
    super(message)
    this.after = after
  }
}

/** In milliseconds without a byte. */
const patience = 120_000

/**
 * Asks, and answers the lines of the answer as they come.
 *
 * @throws {Interrupted} if nobody answers, or only later, or the answer breaks off.
 * @throws {Refusal} if the answer is no, with what can be done.
 */
export async function* ask(
  { url, key }: Place,
  path: string,
  signal: AbortSignal,
  body?: string,
): AsyncGenerator<string> {
  // Of this request alone: what `AbortSignal.timeout` and `any` hold is held until the time is over.
  const request = new AbortController()
  const stop = () => request.abort(signal.reason)
  signal.addEventListener('abort', stop)
  const timer = setTimeout(() => request.abort(new Error('no answer in time')), patience)
  try {
    const response = await fetch(url + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        apikey: key,
        ...(body === undefined ? {} : { 'content-type': 'application/x-ndjson' }),
      },
      ...(body === undefined ? {} : { body }),
      // Elsewhere the key is nobody's business.
      redirect: 'manual',
      signal: request.signal,
    })
    if (!response.ok) throw await refusal(url, response)
    const decoder = new TextDecoder()
    let held = ''
    for await (const chunk of response.body ?? []) {
      timer.refresh()
      const lines = (held + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
      held = lines.pop() as string
      yield* lines
    }
    // What has no end is no line.
    if (held !== '') throw new Interrupted('the answer broke off')
  } catch (error) {
    if (signal.aborted || error instanceof Interrupted || error instanceof Refusal) throw error
    throw new Interrupted(`${url} does not answer (${causeOf(error)})`)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
    request.abort()
  }
}

async function refusal(url: string, response: Response): Promise<Error> {
  const { status } = response
  const said = await sayingOf(response)
  if (status === 429 || status >= 500)
    return new Interrupted(`${url} answers ${status}${said}`, afterOf(response))
  return new Refusal(`${url} answers ${status}${said}${hints[status] ?? ''}`)
}

const hints: Readonly<Record<number, string>> = {
  401: '\nIs LEANTO_KEY the secret API key of that app?',
  403: '\nIs LEANTO_KEY the secret API key of that app?',
  404: '\nIs it where auth is mounted, and is moving() of leanto/auth/moving in its `with`?',
}

const causeOf = (error: unknown): string => {
  const { message, cause } = error as Error
  return (cause as Error | undefined)?.message || message
}

async function sayingOf(response: Response): Promise<string> {
  try {
    const { msg, message } = JSON.parse(await response.text())
    return `: ${safe(String(msg ?? message))}`
  } catch {
    return ''
  }
}

function afterOf({ headers }: Response): number | undefined {
  const seconds = Number(headers.get('retry-after') ?? '')
  return seconds > 0 && seconds <= 3600 ? seconds * 1000 : undefined
}

/** Does it again where it was interrupted, after 1, 2, 4 … seconds; `work` says whether it got anywhere, which starts anew. */
export async function persevere(
  work: (progressed: () => void) => Promise<void>,
  { tries, signal, told }: { tries: number; signal: AbortSignal; told: (why: string) => void },
): Promise<void> {
  let failed = 0
  for (;;)
    try {
      await work(() => {
        failed = 0
      })
      return
    } catch (error) {
      if (!(error instanceof Interrupted) || signal.aborted) throw error
      if (failed++ >= tries) throw new Refusal(`Gave up: ${error.message}.`)
      const wait = error.after ?? 1000 * 2 ** (failed - 1)
      told(`${error.message}; again in ${Math.ceil(wait / 1000)} s`)
      await pause(wait, signal)
    }
}

const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, milliseconds)
    signal.addEventListener('abort', stop, { once: true })
  })
