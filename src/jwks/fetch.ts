import type { JWK } from 'jose'
import { unavailable } from './faults.ts'

/** In milliseconds, the body included. */
const timeout = 5_000
/** In bytes. The largest sets of real issuers have some 10 KB. */
const bodyLimit = 256 * 1024

/**
 * Fetches a JWK Set (RFC 7517, 5). A redirect is an error: the address was checked, where it leads to was not.
 *
 * @throws {Fault} `identity_unavailable` (503), with the reason as its private cause.
 */
export async function fetchKeys(
  url: string,
  fetcher: (url: string, init: RequestInit) => Promise<Response>,
): Promise<JWK[]> {
  try {
    const response = await fetcher(url, {
      headers: { accept: 'application/jwk-set+json, application/json' },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    })
    if (!response.ok) {
      await response.body?.cancel()
      throw new Error(`${url} answered ${response.status}`)
    }
    return keysOf(JSON.parse(await text(response)))
  } catch (cause) {
    throw unavailable(cause)
  }
}

/** Reads the body up to the limit: `Content-Length` is a claim. */
async function text(response: Response): Promise<string> {
  const decoder = new TextDecoder()
  let read = ''
  let size = 0
  const reader = response.body?.getReader()
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true }
    if (done || !value) return read + decoder.decode()
    size += value.byteLength
    if (size > bodyLimit) {
      await reader?.cancel()
      throw new Error(`the body is larger than ${bodyLimit} bytes`)
    }
    read += decoder.decode(value, { stream: true })
  }
}

function keysOf(document: unknown): JWK[] {
  const keys = (document as { keys?: unknown } | null)?.keys
  if (!Array.isArray(keys)) throw new Error('the document has no array `keys`')
  // A key that is not even an object is passed over, as RFC 7517, 5 says of keys that are not understood.
  return keys.filter((key) => typeof key === 'object' && key !== null)
}
