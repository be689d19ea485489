import { env } from 'cloudflare:workers'
import { type Auth, type AuthOptions, auth, type Session } from 'leanto/auth'
import { expect } from 'vitest'
import { type Ask, type asker, type Env, makeBase, mount, site } from '../kit/world.ts'

export const issuer = `${site}/auth/v1`
export const password = 'correct horse battery staple'

/** An auth module over the tests' bindings. */
export const makeAuth = (
  options: Partial<AuthOptions<Env>> = {},
  base: Parameters<typeof makeBase>[0] = {},
) => auth(makeBase(base), { site, ...options })

export const mountAuth = (users: Auth, origin = site) => mount({ '/auth/v1': users }, origin)

export type Asker = ReturnType<typeof asker>
// biome-ignore lint/suspicious/noExplicitAny: a test looks at what came, whatever it is.
export type Json = any

export const json = async (response: Response): Promise<Json> => response.json()

/** Asks, and wants this status. */
export async function expectStatus(response: Response, status: number): Promise<Json> {
  const text = await response.text()
  expect(response.status, text).toBe(status)
  return text === '' ? undefined : JSON.parse(text)
}

export const post = (ask: Asker, path: string, body: unknown, more: Ask = {}) =>
  ask(`/auth/v1${path}`, { method: 'POST', body, ...more })

export const signUp = async (ask: Asker, email: string, more: object = {}): Promise<Session> =>
  expectStatus(await post(ask, '/signup', { email, password, ...more }), 200)

export const signIn = (ask: Asker, email: string, secret = password, more: Ask = {}) =>
  post(ask, '/token?grant_type=password', { email, password: secret }, more)

export const refresh = (ask: Asker, token: unknown, more: Ask = {}) =>
  post(ask, '/token?grant_type=refresh_token', { refresh_token: token }, more)

export const getUser = (ask: Asker, token?: string, more: Ask = {}) =>
  ask('/auth/v1/user', { token, ...more })

export const rows = async (sql: string, ...values: unknown[]): Promise<Json[]> =>
  (
    await env.DB.prepare(sql)
      .bind(...values)
      .all()
  ).results

export const count = async (table: string, db = env.DB): Promise<number> =>
  Number(await db.prepare(`SELECT count(*) AS n FROM leanto_auth_${table}`).first('n'))

export const claimsOf = (token: string): Json =>
  JSON.parse(atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')))

/** Everything that auth stores, to see that nothing has changed. */
export const snapshot = async (): Promise<string> =>
  JSON.stringify(
    await Promise.all(
      ['users', 'identities', 'sessions', 'refresh_tokens', 'tokens', 'flows'].map((table) =>
        rows(`SELECT * FROM leanto_auth_${table} ORDER BY 1`),
      ),
    ),
  )
