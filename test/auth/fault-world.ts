import type { Session } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { customProviders } from 'leanto/auth/custom-providers'
import { mfa } from 'leanto/auth/mfa'
import { oauthServer } from 'leanto/auth/oauth-server'
import { devices } from 'leanto/auth/oauth-server/device'
import { dpop } from 'leanto/auth/oauth-server/dpop'
import { organizations } from 'leanto/auth/organizations'
import { cookies, issuedKeys, sessions } from 'leanto/auth/parts'
import { passkeys } from 'leanto/auth/passkeys'
import { scim } from 'leanto/auth/scim'
import { wallets } from 'leanto/auth/wallets'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { d1Error, faulty } from '../kit/faulty.ts'
import { freshDatabase } from '../kit/world.ts'
import { resolve } from './custom-world.ts'
import { part } from './impersonation-world.ts'
import { makeInbox } from './inbox.ts'
import { serverOptions } from './oauth-server-world.ts'
import { type Answers, fake } from './oauth-world.ts'
import {
  type Asker,
  claimsOf,
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  rows,
  signIn,
  signUp,
} from './world.ts'

/*
 * For every endpoint, each of its database trips fails once before it is made, and once after it was committed with the
 * answer lost. Whatever is left must be whole, and the client's next try must work.
 */

/** What stands between the module and the database. Armed, it fails the trip at `failAt` (from 1). */
const line = {
  armed: false,
  trips: 0,
  failAt: 0,
  mode: true as boolean | 'after',
  /** `POST /token`: what was asked while armed. */
  asked: [] as string[],
}

/** Does what is no part of the call under test: nothing of it fails. */
export async function aside<T>(work: () => Promise<T>): Promise<T> {
  const { armed } = line
  line.armed = false
  try {
    return await work()
  } finally {
    line.armed = armed
  }
}

/** What the call answers if its trip `failAt` is never made. */
export async function failing(failAt: number, call: () => Promise<Response>): Promise<Response> {
  Object.assign(line, { armed: true, trips: 0, failAt, mode: true })
  const response = await call()
  line.armed = false
  return response
}

const inbox = makeInbox()
/** What the fake provider says of whoever comes back with a code. */
export const answers: Answers = {}

export interface World {
  ask: Asker
  session: Session
  inbox: typeof inbox
  /** The newest link's token, and the code beside it. */
  mailed: () => { token: string; code: string }
  made: Json
}

const options = (autoconfirm: boolean) => ({
  autoconfirm,
  anonymous: true,
  reauthentication: true,
  with: [
    mfa({ attempts: { max: 1000, seconds: 300 } }),
    admin(),
    sessions(),
    issuedKeys(),
    cookies(),
    passkeys(),
    wallets(),
    part(),
    customProviders({ resolve }),
    organizations(),
    scim(),
    oauthServer({ ...serverOptions, with: [devices(), dpop()] }),
    fake('google', answers),
  ],
  mailer: inbox.mailer,
  sms: inbox.sms,
})

const make = (autoconfirm: boolean) =>
  makeAuth(options(autoconfirm), {
    db: (bound) =>
      faulty(bound.DB as never, () => {
        if (!line.armed) return false
        line.trips += 1
        return line.trips === line.failAt ? line.mode : false
      }),
  })

/** Every endpoint, its parameters all called `:id`, as the rows' names have it. */
export const endpoints = (): string[] =>
  make(true).table.map(({ method, path }) => `${method} ${path.replace(/:\w+/g, ':id')}`)

/** `POST /factors/:id/verify` of `POST /factors/:id/verify, the first time`. */
export const endpointOf = ({ name }: Row): string =>
  name.match(/^[A-Z]+ \/[\w/:.-]+/)?.[0] ?? `none in ${name}`

const asks = (endpoint: string, asked: string): boolean =>
  new RegExp(`^${endpoint.replaceAll('.', '\\.').replaceAll(':id', '[\\w:.-]+')}$`).test(asked)

export const email = 'ann@example.com'
export const token = ({ session }: World) => ({ token: session.access_token })

export interface Row {
  /** The endpoint, then the case: `PUT /user, password`. */
  name: string
  /** Whether it has no trip that could fail. @default false */
  idle?: boolean
  /** The error code that it answers when nothing fails, where there is nothing that it could do. */
  refused?: string
  /** Whether sign-ups are confirmed by themselves. @default true */
  autoconfirm?: boolean
  /** Makes what the call needs, in `world.made`. */
  prepare?: (world: World) => Promise<unknown>
  call: (world: World) => Promise<Response>
  /** What the client does next; a lost answer may ask for another way than the same call. @default `call` */
  retry?: (world: World) => Promise<Response>
  /** What the retry may answer. @default [200] */
  answers?: readonly number[]
  /** What must hold of the failed answer. */
  failed?: (response: Response) => void
  /** What must hold in the end, however often it took. */
  end?: (world: World) => Promise<void>
}

const oauthTables = ['oauth_codes', 'oauth_consents', 'oauth_sessions']

/** Nothing is half there. */
async function expectWhole() {
  const none = async (sql: string) => expect(await rows(sql), sql).toEqual([])
  await none(`SELECT u.id FROM leanto_auth_users u WHERE u.is_anonymous = 0 AND u.deleted_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM leanto_auth_identities i WHERE i.user_id = u.id)`)
  await none(`SELECT u.id FROM leanto_auth_users u WHERE u.is_anonymous = 1
    AND NOT EXISTS (SELECT 1 FROM leanto_auth_sessions s WHERE s.user_id = u.id)`)
  for (const table of [
    ...['identities', 'sessions', 'factors', 'passkeys', 'tokens', 'members'],
    ...oauthTables,
  ])
    await none(`SELECT * FROM leanto_auth_${table} WHERE user_id NOT IN (
      SELECT id FROM leanto_auth_users WHERE deleted_at IS NULL)`)
  // A session can be gone on with, by exactly one token, and says no more than was shown.
  await none(`SELECT s.id FROM leanto_auth_sessions s WHERE 1 <> (
    SELECT count(*) FROM leanto_auth_refresh_tokens t WHERE t.session_id = s.id AND t.used_at IS NULL)`)
  await none(`SELECT id FROM leanto_auth_sessions
    WHERE (aal = 'aal2') <> EXISTS (SELECT 1 FROM json_each(amr) WHERE value ->> 'method' IN
      ('totp', 'mfa/phone', 'mfa/webauthn', 'mfa/recovery_code')) AND factor_id IN (SELECT id FROM leanto_auth_factors)`)
  // Whoever acts for a user is known, as long as they do.
  await none(`SELECT s.id FROM leanto_auth_sessions s WHERE (s.tag IS 'impersonation') <> EXISTS (
    SELECT 1 FROM leanto_auth_impersonations i WHERE i.id = s.id AND i.ended_at IS NULL)`)
  await none(`SELECT id FROM leanto_auth_impersonations
    WHERE ended_at IS NULL AND id NOT IN (SELECT id FROM leanto_auth_sessions)`)
  // A client's session is of a user who has agreed to it.
  await none(`SELECT o.session_id FROM leanto_auth_oauth_sessions o
    JOIN leanto_auth_sessions s ON s.id = o.session_id WHERE NOT EXISTS (
      SELECT 1 FROM leanto_auth_oauth_consents n
      WHERE n.user_id = o.user_id AND n.client_id = o.client_id AND s.user_id = o.user_id)`)
  // Marks of a batch are of that batch alone.
  await none('SELECT * FROM leanto_auth_tokens WHERE taken IS NOT NULL')
  await none('SELECT * FROM leanto_auth_flows WHERE taken IS NOT NULL')
  await none('SELECT * FROM leanto_auth_recovery_codes WHERE taken IS NOT NULL')
  await none(`SELECT * FROM leanto_auth_recovery_codes
    WHERE factor_id NOT IN (SELECT id FROM leanto_auth_factors)`)
  await none(`SELECT f.id FROM leanto_auth_factors f WHERE f.type = 'recovery_code' AND NOT EXISTS (
    SELECT 1 FROM leanto_auth_factors o WHERE o.user_id = f.user_id
      AND o.type <> 'recovery_code' AND o.status = 'verified')`)
}

export async function freshWorld({
  autoconfirm = true,
  prepare,
}: Pick<Row, 'autoconfirm' | 'prepare'>): Promise<World> {
  Object.assign(line, { armed: false, trips: 0, failAt: 0, asked: [] })
  inbox.clear()
  for (const code of Object.keys(answers)) delete answers[code]
  const users = make(autoconfirm)
  await freshDatabase([users])
  const mounted = mountAuth(users)
  const ask: Asker = (path, more = {}) => {
    const method = more.method ?? (more.body === undefined ? 'GET' : 'POST')
    if (line.armed) line.asked.push(`${method} ${path.split('?')[0]?.replace('/auth/v1', '')}`)
    return mounted(path, more)
  }
  const mailed = () => {
    const { text } = inbox.mails.at(-1) as { text: string }
    const link = new URL(text.match(/https:\S+/)?.[0] as string)
    const token = link.searchParams.get('token') as string
    return { token, code: text.match(/code (\d{6})/)?.[1] as string }
  }
  if (!autoconfirm) {
    await post(ask, '/signup', { email, password })
    await post(ask, '/verify', { type: 'signup', token_hash: mailed().token })
    inbox.clear()
  }
  const session = autoconfirm
    ? await signUp(ask, email)
    : await expectStatus(await signIn(ask, email), 200)
  const world = { ask, session, inbox, mailed, made: {} }
  await prepare?.(world)
  return world
}

/** A browser that is led back with an error has failed, whatever its status. */
const isFailure = (response: Response): boolean =>
  response.status >= 400 || /[?&#]error=/.test(response.headers.get('location') ?? '')

/** Whoever was given a session can use it: nothing hands out half of one. */
async function expectUsable({ ask }: World, response: Response, text: string) {
  const { hash } = new URL(response.headers.get('location') ?? 'none:')
  const given =
    new URLSearchParams(hash.slice(1)).get('access_token') ??
    (text.startsWith('{') ? JSON.parse(text).access_token : undefined)
  if (!given) return
  const { client_id, session_id, cnf } = claimsOf(given)
  // A client's own is nobody's, and what it has of a user's shows who that is; what is bound to a key says so by its proof.
  if ((client_id && !session_id) || cnf) return
  const token = { token: given }
  const used = client_id ? ask('/auth/v1/oauth/userinfo', token) : getUser(ask, given)
  expect((await used).status).toBe(200)
}

const silent = (said: string) => {
  expect(said).not.toContain(d1Error.slice(0, 9))
  expect(said).not.toContain('secret_table')
}

/** All that is logged. */
const logged: string[] = []
const levels = ['log', 'info', 'warn', 'error', 'debug', 'trace'] as const
const textOf = (value: unknown): string =>
  value instanceof Error ? `${value.stack} ${textOf(value.cause)}` : (JSON.stringify(value) ?? '')

/** Tokens, keys and codes, as they look in answers, cookies, mails and what a row keeps. */
const secretsIn = (text: string): string[] => [
  ...(text.match(/[\w-]{24,}/g) ?? []).filter(
    (one) => /\d/.test(one) && /[a-z]/i.test(one) && !/^[\da-f]{8}(-[\da-f]{4}){3}-/.test(one),
  ),
  ...(text.match(/\b\d{6}\b/g) ?? []),
]

/** Whatever has failed, the log holds no secret (case 74). */
async function expectSilentLog({ made, session }: World, ...answers: Response[]) {
  const seen = [JSON.stringify([made, session, inbox])]
  for (const response of answers)
    seen.push(await response.clone().text(), JSON.stringify([...response.headers]))
  const log = logged.join('\n')
  for (const secret of [password, 'a new password', ...seen.flatMap(secretsIn)])
    expect(log).not.toContain(secret)
}

/** Fails each trip of each row's call, one after the other, and tries again as its client would. */
export function faultRun(table: readonly Row[]) {
  beforeEach(() => {
    logged.length = 0
    // What fails here is logged each time, as it should be.
    for (const level of levels)
      vi.spyOn(console, level).mockImplementation(
        (...values: unknown[]) => void logged.push(values.map(textOf).join(' ')),
      )
  })

  afterEach(() => {
    vi.restoreAllMocks()
  })

  describe.each([
    ['before it', true],
    ['after it is committed', 'after'],
  ] as const)('a database that fails a trip %s', (_, mode) => {
    it.each(table.map((row) => [row.name, row] as const))('at %s', async (_name, row) => {
      const answers = row.answers ?? [200]
      for (let failAt = 1; ; failAt++) {
        logged.length = 0
        const world = await freshWorld(row)
        Object.assign(line, { armed: true, failAt, mode })
        const response = await row.call(world)
        line.armed = false
        await expectSilentLog(world, response)
        const text = await response.text()
        silent(text)
        silent(decodeURIComponent(response.headers.get('location') ?? '').replaceAll('+', ' '))
        await expectWhole()
        if (line.trips < failAt) {
          // Nothing is left to fail: as without a fault.
          expect(isFailure(response), text).toBe(row.refused !== undefined)
          expect(response.headers.get('x-sb-error-code') ?? undefined).toBe(row.refused)
          expect(failAt > 1, `${failAt - 1} trips`).toBe(!row.idle)
          expect(line.asked.filter((asked) => asks(endpointOf(row), asked))).not.toEqual([])
          await expectUsable(world, response, text)
          await row.end?.(world)
          return
        }
        // The trips of upkeep after the answer may fail without anyone's notice.
        if (!isFailure(response)) {
          await expectUsable(world, response, text)
          await row.end?.(world)
          continue
        }
        if (response.status !== 303) expect(response.status, text).toBe(500)
        row.failed?.(response)
        // Whoever runs the app sees what it was.
        expect(logged.join('\n')).toContain(d1Error)
        const next = await (row.retry ?? row.call)(world)
        await expectSilentLog(world, next)
        const told = await next.text()
        const said = `after trip ${failAt}: ${told} ${next.headers.get('location') ?? ''}`
        expect(answers, said).toContain(next.status)
        if (next.status < 400) {
          expect(isFailure(next), said).toBe(false)
          await expectUsable(world, next, told)
        }
        await expectWhole()
        await row.end?.(world)
      }
    })
  })
}
