import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { apiKeys } from 'leanto'
import type { Auth } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { mfa, movedFactors } from 'leanto/auth/mfa'
import { type MovingOptions, moving } from 'leanto/auth/moving'
import { movedPasskeys, passkeys } from 'leanto/auth/passkeys'
import { bcrypt, betterAuth, firebase, pbkdf2, scrypt } from 'leanto/auth/passwords'
import { expect } from 'vitest'
import { type Ask, site, testSecret } from '../kit/world.ts'
import { type Answers, fake } from './oauth-world.ts'
import { type Asker, type Json, makeAuth } from './world.ts'

/* An app that users move to and from. */

export const otherSecret = 'another-secret-that-is-used-by-the-tests-alone-9876543210'

/** What the fake provider says of whoever comes back with a code. */
export const answers: Answers = {}

export const makeMoving = (
  options: Parameters<typeof makeAuth>[0] = {},
  base: Parameters<typeof makeAuth>[1] = {},
  given: MovingOptions = {},
): Auth =>
  makeAuth(
    {
      password: { formats: [bcrypt, scrypt, betterAuth, firebase, pbkdf2] },
      limits: { guesses: false, signIns: false },
      with: [
        mfa(),
        passkeys(),
        admin({ audit: false }),
        fake('google', answers),
        moving({ parts: [movedFactors, movedPasskeys], ...given }),
      ],
      ...options,
    },
    base,
  )

export const ndjson = (lines: readonly unknown[]): string =>
  lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('')

export const parseLines = (text: string): Json[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

const service = async (secret: string): Promise<Record<string, string>> => ({
  apikey: (await apiKeys(secret)).secret,
})

export interface Imported {
  /** What became of each line. */
  lines: Json[]
  progress: Json[]
  done: Json
  error: Json
}

export function readAnswer(text: string): Imported {
  const all = parseLines(text)
  return {
    lines: all.filter(({ line }) => line !== undefined),
    progress: all.flatMap(({ progress }) => progress ?? []),
    done: all.find(({ done }) => done)?.done,
    error: all.find(({ error }) => error)?.error,
  }
}

/** Brings these. @param query Such as `?existing=update`. */
export async function bring(
  ask: Asker,
  lines: readonly unknown[],
  query = '',
  secret = testSecret,
): Promise<Imported> {
  const response = await ask(`/auth/v1/admin/users/import${query}`, {
    method: 'POST',
    headers: { ...(await service(secret)), 'content-type': 'application/x-ndjson' },
    body: ndjson(lines),
  } satisfies Ask)
  const text = await response.text()
  expect(response.status, text).toBe(200)
  return readAnswer(text)
}

/** Takes all along. */
export async function take(ask: Asker, query = '', secret = testSecret): Promise<Json[]> {
  const response = await ask(`/auth/v1/admin/users/export${query}`, {
    headers: await service(secret),
  })
  const text = await response.text()
  expect(response.status, text).toBe(200)
  return parseLines(text)
}

export const results = ({ lines }: Imported): string[] =>
  lines.map(({ result, code }) => code ?? result)

/** Every table that users move with, as it is, but for what stays behind. */
export async function tables(db = env.DB): Promise<Json> {
  const all = async (table: string) =>
    (await db.prepare(`SELECT * FROM leanto_auth_${table} ORDER BY 1`).all<Json>()).results
  return {
    users: (await all('users')).map((row) => ({
      ...row,
      app_metadata: JSON.parse(row.app_metadata),
      user_metadata: JSON.parse(row.user_metadata),
    })),
    identities: (await all('identities')).map((row) => ({ ...row, data: JSON.parse(row.data) })),
    factors: await all('factors'),
    recovery_codes: await all('recovery_codes'),
    passkeys: await all('passkeys'),
  }
}

export const user = (i: number, more: object = {}): Json => ({
  foreign_id: `old|${i}`,
  email: `user${i}@example.com`,
  email_confirmed_at: '2025-01-02T03:04:05.000Z',
  created_at: '2024-01-02T03:04:05.678Z',
  user_metadata: { name: `User ${i}` },
  ...more,
})

export const many = (count: number, from = 1): Json[] =>
  Array.from({ length: count }, (_, i) => user(from + i))

/** Sends bytes as they come; the answer as it comes. */
export async function send(users: Auth, body: BodyInit | null, query = ''): Promise<Response> {
  const ctx = createExecutionContext()
  const request = new Request(`${site}/admin/users/import${query}`, {
    method: 'POST',
    headers: await service(testSecret),
    body,
  })
  const response = await users.routes.fetch(request, env as never, ctx as never)
  await waitOnExecutionContext(ctx as never)
  return response
}

export const bcryptHash = '$2b$05$LAwy47Buq3B7ehujA/b/yu5XBYNCMaskVLTCIv4UJwjpVL18u0pT.'

/** Of P-256: the base point, as COSE. */
export const publicKey =
  'pQECAyYgASFYIGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWIlggT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU'
