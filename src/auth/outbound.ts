import type { Scope } from '../core/scope.ts'

/*
 * What is asked of other servers: those that the host has named, and nobody whom a request names.
 */

/** Milliseconds that one may take; the browser is waiting. */
export const patience = 10_000
/** Bytes of an answer; a profile is a few hundred. */
const mostBytes = 256 * 1024

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]|[\w-]+\.localhost)$/

/** Plain HTTP is for a server on this very machine, and only while developing. */
const mayBePlain = (scope: Scope, url: string): boolean =>
  scope.local && loopback.test(URL.parse(url)?.hostname ?? '')

/** @throws unless the URL is `https:`, or may be plain. */
export function checkUrl(scope: Scope, url: string): string {
  if (URL.parse(url)?.protocol === 'https:' || mayBePlain(scope, url)) return url
  throw new Error(`leanto: ${JSON.stringify(url)} must be https`)
}

/** Which servers may be called. Each answers the URL, or throws why not. */
export interface Reach {
  /** By what the URL says itself. */
  readonly allow: (scope: Scope, url: string) => string
  /** Right before a call. */
  readonly check: (scope: Scope, url: string) => string | Promise<string>
}

/** Of what the host has named. */
export const declared: Reach = { allow: checkUrl, check: checkUrl }

/** Asks for JSON, following no redirect: what a provider says about someone comes from the provider (case 61). */
export async function getJson(
  scope: Scope,
  url: string,
  headers: Readonly<Record<string, string>> = {},
  { check }: Reach = declared,
): Promise<Record<string, unknown>> {
  const response = await fetch(await check(scope, url), {
    // GitHub answers 403 to a request without a user agent, and Workers send none.
    headers: { accept: 'application/json', 'user-agent': 'leanto', ...headers },
    redirect: 'manual',
    signal: AbortSignal.timeout(patience),
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`leanto: ${new URL(url).host} answered ${response.status}`)
  }
  return readObject(response)
}

/** @returns The object or array of a JSON body. @throws if it is anything else, or too long. */
export async function readObject(response: Response): Promise<Record<string, unknown>> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > mostBytes) throw new Error('leanto: another server answered too much')
    chunks.push(chunk)
  }
  const text = await new Blob(chunks as never).text()
  // The parser's own message would quote what may be half a token (case 74).
  const refuse = () => new Error('leanto: another server answered no JSON object')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw refuse()
  }
  if (typeof value !== 'object' || value === null) throw refuse()
  return value as Record<string, unknown>
}
