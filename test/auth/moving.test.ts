import { env } from 'cloudflare:workers'
import { admin } from 'leanto/auth/admin'
import { bcrypt } from 'leanto/auth/passwords'
import { beforeEach, describe, expect, it } from 'vitest'
import { isCurrent } from '../../src/auth/password.ts'
import { freshDatabase, makeBase } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import { type Answers, fake, profile, signInBy } from './oauth-world.ts'
import { stockAdmin, stockClient } from './stock.ts'
import { type Asker, claimsOf, count, type Json, makeAuth, mountAuth, rows } from './world.ts'

/*
 * Users and identities of a Supabase project, moved by SQL alone: its rows as `supabase db dump --data-only` has them, in
 * two tables of their own, and one INSERT … SELECT for each of ours.
 */

const ids = {
  ada: '5b1c2b1e-9d0a-4c55-8f0e-2f3f1d6f7a10',
  bob: '0d7f8d0e-6f0c-4c5b-9a58-2f5a2d0a8f11',
  cat: '7c0b1f8e-3b55-4bb0-8a3c-1f2e3d4c5b12',
  dan: 'c2c0a8d4-1d6c-4e55-9d2b-9a8b7c6d5e13',
  eve: 'f1e2d3c4-b5a6-4978-8c9d-0e1f2a3b4c14',
} as const

const dump = [
  `CREATE TABLE supabase_users (id, email, phone, encrypted_password, raw_app_meta_data, raw_user_meta_data,
     email_confirmed_at, phone_confirmed_at, is_anonymous, last_sign_in_at, banned_until, deleted_at,
     created_at, updated_at)`,
  `CREATE TABLE supabase_identities (id, provider, provider_id, user_id, identity_data, last_sign_in_at,
     created_at, updated_at)`,
  // With a password and, of the same person, Google; by Google alone; by phone; banned; never confirmed.
  `INSERT INTO supabase_users VALUES
     ('${ids.ada}', 'ada@example.com', NULL, '$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a',
      '{"provider": "email", "providers": ["email", "google"], "plan": "gold"}', '{"name": "Ada"}',
      '2024-05-01 10:00:00.123456+00', NULL, 'f', '2026-01-01 00:00:00+00', NULL, NULL,
      '2024-05-01 09:59:00.5+00', '2024-05-01 10:00:00+00'),
     ('${ids.bob}', 'bob@example.com', NULL, '', '{"provider": "google", "providers": ["google"]}', '{}',
      '2024-05-02 10:00:00+00', NULL, 'f', NULL, NULL, NULL, '2024-05-02 10:00:00+00', '2024-05-02 10:00:00+00'),
     ('${ids.cat}', NULL, '4917012345678', '', '{"provider": "phone", "providers": ["phone"]}', '{}',
      NULL, '2024-05-03 10:00:00+00', 'f', NULL, NULL, NULL, '2024-05-03 10:00:00+00', '2024-05-03 10:00:00+00'),
     ('${ids.dan}', 'dan@example.com', '', '$2b$05$LAwy47Buq3B7ehujA/b/yu5XBYNCMaskVLTCIv4UJwjpVL18u0pT.',
      '{"provider": "email", "providers": ["email"]}', '{}', '2024-05-04 10:00:00+00', NULL, 'f', NULL,
      '2099-01-01 00:00:00+00', NULL, '2024-05-04 10:00:00+00', '2024-05-04 10:00:00+00'),
     ('${ids.eve}', 'eve@example.com', NULL, '$2b$05$LAwy47Buq3B7ehujA/b/yu5XBYNCMaskVLTCIv4UJwjpVL18u0pT.',
      '{"provider": "email", "providers": ["email"]}', '{}', NULL, NULL, 'f', NULL, NULL, NULL,
      '2024-05-05 10:00:00+00', '2024-05-05 10:00:00+00')`,
  `INSERT INTO supabase_identities VALUES
     ('11111111-1111-4111-8111-111111111111', 'email', '${ids.ada}', '${ids.ada}',
      '{"sub": "${ids.ada}", "email": "ada@example.com", "email_verified": true}', NULL, '2024-05-01 09:59:00+00', '2024-05-01 09:59:00+00'),
     ('22222222-2222-4222-8222-222222222222', 'google', '110', '${ids.ada}',
      '{"sub": "110", "iss": "https://accounts.google.com", "email": "ada@example.com", "email_verified": true}', NULL, '2024-05-01 10:00:00+00', '2024-05-01 10:00:00+00'),
     ('33333333-3333-4333-8333-333333333333', 'google', '220', '${ids.bob}',
      '{"sub": "220", "email": "bob@example.com", "email_verified": true}', NULL, '2024-05-02 10:00:00+00', '2024-05-02 10:00:00+00'),
     ('44444444-4444-4444-8444-444444444444', 'phone', '${ids.cat}', '${ids.cat}', '{"sub": "${ids.cat}"}', NULL, '2024-05-03 10:00:00+00', '2024-05-03 10:00:00+00'),
     ('55555555-5555-4555-8555-555555555555', 'email', '${ids.dan}', '${ids.dan}', '{"sub": "${ids.dan}", "email": "dan@example.com"}', NULL, '2024-05-04 10:00:00+00', '2024-05-04 10:00:00+00'),
     ('66666666-6666-4666-8666-666666666666', 'email', '${ids.eve}', '${ids.eve}', '{"sub": "${ids.eve}", "email": "eve@example.com"}', NULL, '2024-05-05 10:00:00+00', '2024-05-05 10:00:00+00')`,
]

/** A time of Postgres in milliseconds. */
const ms = (column: string) => `unixepoch(substr(${column}, 1, 19)) * 1000`

const move = [
  `INSERT INTO leanto_auth_users (id, email, phone, password, app_metadata, user_metadata,
     email_confirmed_at, phone_confirmed_at, is_anonymous, last_sign_in_at, banned_until, created_at, updated_at)
   SELECT id, lower(nullif(email, '')), nullif(phone, ''), nullif(encrypted_password, ''),
     coalesce(raw_app_meta_data, '{}'), coalesce(raw_user_meta_data, '{}'),
     ${ms('email_confirmed_at')}, ${ms('phone_confirmed_at')}, 0, ${ms('last_sign_in_at')},
     ${ms('banned_until')}, ${ms('created_at')}, ${ms('updated_at')}
   FROM supabase_users WHERE deleted_at IS NULL AND is_anonymous = 'f'`,
  `INSERT INTO leanto_auth_identities (id, provider, subject, user_id, email, data, last_sign_in_at,
     created_at, updated_at)
   SELECT id, provider, provider_id, user_id, identity_data ->> 'email', identity_data,
     ${ms('last_sign_in_at')}, ${ms('created_at')}, ${ms('updated_at')}
   FROM supabase_identities WHERE user_id IN (SELECT id FROM leanto_auth_users)`,
]

const inbox = makeInbox()
const answers: Answers = {
  ada: profile('110', 'ada@example.com'),
  bob: profile('220', 'bob@example.com'),
  stranger: profile('330', 'stranger@example.com'),
}
const make = () =>
  makeAuth(
    {
      mailer: inbox.mailer,
      sms: inbox.sms,
      password: { formats: [bcrypt] },
      with: [admin(), fake('google', answers)],
    },
    { now: Date.now },
  )
let users = make()
let ask: Asker
beforeEach(async () => {
  inbox.clear()
  users = make()
  ask = mountAuth(users)
  await freshDatabase([users], dump)
  await env.DB.batch(move.map((sql) => env.DB.prepare(sql)))
})

const old = 'pässwörd of a stranger'

describe('people who were moved from Supabase by SQL', () => {
  it('sign in by password, which becomes one of ours', async () => {
    const auth = await stockClient(ask)
    const email = 'ada@example.com'
    const wrong = await auth.signInWithPassword({ email, password: 'a wrong one' })
    expect(wrong.error?.code).toBe('invalid_credentials')
    const { data, error } = await auth.signInWithPassword({ email, password: 'U*U*U' })
    expect(error).toBeNull()
    expect(data.user).toMatchObject({
      id: ids.ada,
      created_at: '2024-05-01T09:59:00.000Z',
      email_confirmed_at: '2024-05-01T10:00:00.000Z',
      app_metadata: { provider: 'email', providers: ['email', 'google'], plan: 'gold' },
      user_metadata: { name: 'Ada' },
    })
    const [now] = await rows('SELECT password FROM leanto_auth_users WHERE id = ?', ids.ada)
    expect(isCurrent(now.password)).toBe(true)
    // The session is whole: it is read, refreshed, changed and ended.
    expect((await auth.getUser()).data.user?.id).toBe(ids.ada)
    expect((await auth.refreshSession()).error).toBeNull()
    expect((await auth.updateUser({ password: 'a new password' })).error).toBeNull()
    expect((await auth.signOut()).error).toBeNull()
  })

  it('sign in by the identity of their provider, whose accounts stay theirs', async () => {
    for (const [code, id] of [
      ['ada', ids.ada],
      ['bob', ids.bob],
    ] as const) {
      const { access_token } = await signInBy(ask, 'google', code)
      expect(claimsOf(access_token as string).sub).toBe(id)
    }
    const stranger = await signInBy(ask, 'google', 'stranger')
    expect(Object.values(ids)).not.toContain(claimsOf(stranger.access_token as string).sub)
    expect([await count('users'), await count('identities')]).toEqual([6, 7])
  })

  it('list and unlink their identities', async () => {
    const { access_token, refresh_token } = await signInBy(ask, 'google', 'ada')
    const auth = await stockClient(ask)
    await auth.setSession({ access_token, refresh_token } as never)
    const { data } = await auth.getUserIdentities()
    expect(data?.identities.map(({ provider, id }) => [provider, id])).toEqual([
      ['email', ids.ada],
      ['google', '110'],
    ])
    const google = data?.identities[1] as Json
    expect((await auth.unlinkIdentity(google)).error).toBeNull()
    expect((await auth.getUser()).data.user?.app_metadata.providers).toEqual(['email'])
  })

  it('sign in by a link, a code and a text message', async () => {
    const auth = await stockClient(ask)
    for (const [email, id] of [
      ['ada@example.com', ids.ada],
      ['bob@example.com', ids.bob],
    ] as const) {
      expect((await auth.signInWithOtp({ email })).error).toBeNull()
      const shown = { type: 'magiclink', token_hash: inbox.token(email) } as const
      expect((await auth.verifyOtp(shown)).data.user?.id).toBe(id)
      expect((await auth.resetPasswordForEmail(email)).error).toBeNull()
      const code = { type: 'recovery', email, token: inbox.code(email) } as const
      expect((await auth.verifyOtp(code)).data.user?.id).toBe(id)
    }
    expect((await auth.signInWithOtp({ phone: '+4917012345678' })).error).toBeNull()
    const token = inbox.code('4917012345678')
    const texted = await auth.verifyOtp({ type: 'sms', phone: '+4917012345678', token })
    expect(texted.data.user).toMatchObject({ id: ids.cat, phone: '4917012345678' })
    expect(await count('users')).toBe(5)
  })

  it('who were banned, or had not proven their mailbox, are still', async () => {
    const auth = await stockClient(ask)
    const banned = await auth.signInWithPassword({ email: 'dan@example.com', password: old })
    expect(banned.error?.code).toBe('user_banned')
    const unproven = await auth.signInWithPassword({ email: 'eve@example.com', password: old })
    expect(unproven.error?.code).toBe('email_not_confirmed')
    // Case 3: the first proof by someone who did not set that password drops it.
    await auth.signInWithOtp({ email: 'eve@example.com' })
    const shown = { type: 'magiclink', token_hash: inbox.token('eve@example.com') } as const
    expect((await auth.verifyOtp(shown)).data.user?.id).toBe(ids.eve)
    const squatted = await auth.signInWithPassword({ email: 'eve@example.com', password: old })
    expect(squatted.error?.code).toBe('invalid_credentials')
  })

  it('are all seen by the server, and no upkeep takes any away', async () => {
    const api = await stockAdmin(ask)
    const { data } = await api.listUsers()
    expect(data.users.map(({ id }) => id).sort()).toEqual(Object.values(ids).sort())
    await users.scheduled(makeBase({ now: Date.now }).scope({ env }))
    expect([await count('users'), await count('identities')]).toEqual([5, 6])
  })
})
