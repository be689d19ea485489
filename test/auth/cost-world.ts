import { env } from 'cloudflare:workers'
import { apiKeys } from 'leanto'
import { type Auth, auth } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { issuedKeys, sessions } from 'leanto/auth/parts'
import { expect } from 'vitest'
import { type Measured, measurer } from '../kit/measure.ts'
import { type Ask, clock, freshDatabase, makeBase, site, testSecret } from '../kit/world.ts'
import { makeInbox, member } from './inbox.ts'
import { type Answers, fake, profile } from './oauth-world.ts'
import { type Asker, type Json, mountAuth } from './world.ts'

/* What each route costs, among users, sessions and identities enough that a scan would show in the rows. */

export const inbox = makeInbox()
const answers: Answers = {}
const base = makeBase()
export const email = 'ann@example.com'

export interface World {
  users: Auth
  ask: Asker
  session: Json
  /** As the owner. */
  token: string
  /** Whatever a row has prepared. */
  made: Json
}

export async function costWorld(
  audit: false | { days: number } = false,
  more: Parameters<typeof auth>[1]['with'] = [],
): Promise<World> {
  inbox.clear()
  answers.it = profile('g', 'other@example.com')
  const users = auth(base, {
    site,
    mailer: inbox.mailer,
    sms: inbox.sms,
    anonymous: true,
    with: [
      mfa({ phone: true }),
      admin({ audit }),
      sessions(),
      issuedKeys(),
      fake('google', answers),
      ...more,
    ],
  })
  await freshDatabase([users])
  const ask = mountAuth(users)
  const session = await member(ask, inbox, email)
  await crowd()
  clock.advance(1)
  return { users, ask, session, token: session.access_token, made: undefined }
}

async function crowd() {
  const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)'
  const now = clock.now()
  await env.DB.batch(
    [
      `users (id, email, app_metadata, user_metadata, email_confirmed_at, created_at, updated_at)
         SELECT 'u' || i, 'u' || i || '@example.com', '{}', '{}', 1, i, 1 FROM n`,
      `identities (id, provider, subject, user_id, email, data, created_at, updated_at)
         SELECT 'i' || i, 'google', 's' || i, 'u' || i, NULL, '{}', 1, 1 FROM n`,
      `sessions (id, user_id, created_at) SELECT 's' || i, 'u' || i, 1 FROM n`,
      `refresh_tokens (hash, session_id, expires_at) SELECT 't' || i, 's' || i, ${now + 1e9} FROM n`,
      `factors (id, user_id, type, name, status, created_at, updated_at)
         SELECT 'f' || i, 'u' || i, 'totp', '', 'verified', 1, 1 FROM n`,
      `flows (id, kind, created_at, expires_at) SELECT 'w' || i, 'oauth', 1, ${now + 1e9} FROM n`,
      `tokens (hash, kind, user_id, target, code_expires_at, data, created_at, expires_at)
         SELECT 'k' || i, 'magiclink', 'u' || i, 'x', 1, '{}', 1, ${now + 1e9} FROM n`,
      `api_keys SELECT 'h' || i, 'a' || i, 'secret', '', '[]', 'x', 1, NULL FROM n`,
    ].map((sql) => env.DB.prepare(sql.replace(/^(\w+)/, `${many} INSERT INTO leanto_auth_$1`))),
  )
}

export interface Row {
  name: string
  prepare?: (world: World) => Promise<unknown>
  ask: (world: World) => [path: string, ask?: Ask & { service?: true }]
  status?: number
  /** Trips, statements, rows read, rows written. A list for rows read: from, to, beside random hashes. */
  cost: [number, number, number | [number, number], number]
}

/** Asks once and says what it cost; whoever counts has nothing of it in memory but the keys. */
export async function measured(world: World, row: Row): Promise<Measured> {
  const [path, { service, ...ask } = {}] = row.ask(world)
  const headers: Record<string, string> = service
    ? { apikey: (await apiKeys(testSecret)).secret }
    : {}
  const found = await measurer(base, world.users)(path, {
    ...ask,
    headers: { ...headers, ...ask.headers },
  })
  expect(found.response.status, await found.response.clone().text()).toBe(row.status ?? 200)
  return found
}

export function expectCost({ cost }: Measured, [trips, statements, read, written]: Row['cost']) {
  const { rowsRead, ...exact } = cost
  expect(exact).toEqual({ trips, statements, rowsWritten: written })
  const [least, most] = typeof read === 'number' ? [read, read] : read
  expect(rowsRead).toBeGreaterThanOrEqual(least)
  expect(rowsRead).toBeLessThanOrEqual(most)
}
