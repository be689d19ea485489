import { Undelivered } from './transport.ts'

export interface Post {
  /** Of the provider, for errors. */
  name: string
  url: string
  headers: Record<string, string>
  body: BodyInit
  /** @default fetch */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined
}

const timeout = 15_000
const longestAnswer = 64 * 1024

/**
 * Posts to a provider's API, for 15 seconds at most, and reads what it says of it. Redirects are not followed: the key
 * would go with them.
 *
 * @throws {Undelivered} final for what the provider will refuse again: 4xx but for a wrong key, a conflict, a timeout and
 * too many requests.
 */
export async function post({
  name,
  url,
  headers,
  body,
  fetch: by,
}: Post): Promise<{ headers: Headers; json: Record<string, unknown> }> {
  const init: RequestInit = {
    method: 'POST',
    headers,
    body,
    redirect: 'manual',
    signal: AbortSignal.timeout(timeout),
  }
  let response: Response
  let json: Record<string, unknown>
  try {
    response = await (by ? by(url, init) : fetch(url, init))
    json = await jsonOf(response)
  } catch (cause) {
    throw new Undelivered(
      `${name} could not be reached: ${cause instanceof Error ? cause.name : 'error'}`,
    )
  }
  if (response.ok) return { headers: response.headers, json }
  const { status } = response
  throw new Undelivered(`${name} answered ${status}${said(json)}`, {
    final: status >= 400 && status < 500 && ![401, 403, 408, 409, 425, 429].includes(status),
    retryAfter: Number(response.headers.get('retry-after')) || undefined,
  })
}

async function jsonOf(response: Response): Promise<Record<string, unknown>> {
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  let text = ''
  for (let size = 0; reader; ) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.length
    if (size > longestAnswer) {
      await reader.cancel()
      break
    }
    text += decoder.decode(value, { stream: true })
  }
  try {
    const json = JSON.parse(text)
    return json !== null && typeof json === 'object' ? json : {}
  } catch {
    return {}
  }
}

/** The provider's own words, where they stand in each one's answer; short, for the log and the outbox. */
function said(json: Record<string, unknown>): string {
  const [first] = Array.isArray(json.errors) ? json.errors : []
  const words = json.message ?? json.Message ?? first?.message
  return typeof words === 'string' ? `: ${words.replace(/\s+/g, ' ').slice(0, 200)}` : ''
}

/** The address of an API, without a slash at its end. @throws {TypeError} */
export function originOf(where: string, origin: string): string {
  const url = URL.parse(origin)
  const loopback = url !== null && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)
  if (
    !url ||
    url.username ||
    (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback))
  )
    throw new TypeError(
      `${where}: \`origin\` must be an https: address, such as https://api.example`,
    )
  return origin.replace(/\/+$/, '')
}
