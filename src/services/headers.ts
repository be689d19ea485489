import { hideIn } from './hide.ts'

/*
 * Headers pass by allow-list, both ways. Nothing is copied and then taken away: what a `Connection` header lists, or a
 * name that nobody thought of, is never there to be forgotten.
 */

const requestDefaults = ['accept', 'accept-language', 'content-type']
const answerDefaults = ['content-language', 'content-type']

const hopByHop =
  'connection|keep-alive|te|trailer|transfer-encoding|upgrade|content-length|content-encoding|proxy-.+'

/** What no host can let through to a service: who the user is to the app, and where they come from. */
const neverSent = new RegExp(
  `^(?:${hopByHop}|cookie2?|authorization|apikey|x-api-key|host|origin|referer|forwarded|x-forwarded-.+|x-real-ip|true-client-ip|cf-.+|x-d1-bookmark|sec-.+|accept-encoding)$`,
)

/** What no service can set for the app's origin. */
const neverAnswered = new RegExp(
  `^(?:${hopByHop}|set-cookie2?|www-authenticate|location|refresh|link|alt-svc|access-control-.+|content-security-policy.*|strict-transport-security|clear-site-data|service-worker-allowed|cache-control|vary|x-ratelimit-.+|x-d1-bookmark|x-content-type-options|cross-origin-.+|permissions-policy|report.*|nel)$`,
)

const name = /^[a-z0-9-]+$/

/** @returns The first name that cannot be let through. */
export const wrongHeader = (names: readonly string[], way: 'request' | 'answer') =>
  names.find(
    (one) =>
      !name.test(one.toLowerCase()) ||
      (way === 'request' ? neverSent : neverAnswered).test(one.toLowerCase()),
  )

function pick(from: Headers, names: readonly string[]): Headers {
  const picked = new Headers()
  for (const one of names) {
    const value = from.get(one)
    if (value !== null) picked.set(one, value)
  }
  return picked
}

export const requestHeaders = (from: Headers, more: readonly string[] = []): Headers =>
  pick(from, [...requestDefaults, ...more])

export function answerHeaders(
  from: Headers,
  more: readonly string[] = [],
  secrets: readonly string[] = [],
): Headers {
  const headers = pick(from, [...answerDefaults, ...more])
  for (const [one, value] of [...headers]) headers.set(one, hideIn(value, secrets))
  // It is shown under the app's own origin: whatever it is, it is no page of the app.
  headers.set('content-security-policy', "default-src 'none'; sandbox")
  return headers
}
