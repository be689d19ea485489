import type { Api } from './api.ts'

/** What a module says that has no client of its own: problem+json (RFC 9457). */
export interface Refusal {
  code?: string
  status: number
  message: string
  /** When to come back, in seconds. */
  retryAfter?: number
}

interface Answer<Data> {
  data: Data
  headers: Headers
}

/**
 * Posts JSON as whoever is signed in.
 *
 * @throws {Refusal}
 */
export async function ask<Data>(
  api: Api,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<Data>> {
  const { data, error } = await api.auth.getSession()
  if (error) throw error
  const response = await fetch(path, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${data.session?.access_token ?? ''}`,
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(body),
  })
  const answer = await response.json().catch(() => ({}))
  if (response.ok) return { data: answer as Data, headers: response.headers }
  const { code, title = '' } = answer as { code?: string; title?: string }
  const retryAfter = Number(response.headers.get('retry-after'))
  throw {
    status: response.status,
    message: title,
    ...(code ? { code } : {}),
    ...(retryAfter > 0 ? { retryAfter } : {}),
  } satisfies Refusal
}
