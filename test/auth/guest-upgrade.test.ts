import { env } from 'cloudflare:workers'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase } from '../kit/world.ts'
import { makeInbox, verify } from './inbox.ts'
import { enroll, stepUp, withFactor } from './mfa-world.ts'
import {
  type Answers,
  comeBack,
  departed,
  fake,
  fragment,
  profile,
  worldOf,
} from './oauth-world.ts'
import { stockClient } from './stock.ts'
import {
  type Asker,
  claimsOf,
  count,
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  refresh,
  rows,
  signIn,
} from './world.ts'

/*
 * Case 16: what a session was before its user became another one, or surer, must not go on as what it is afterwards. The
 * attacker of each test has planted a guest's session in somebody's browser, and so has all of its tokens.
 */

let ask: Asker
const inbox = makeInbox()
const answers: Answers = { it: profile('g', 'victim@example.com') }
const guest = async (): Promise<Json> => expectStatus(await post(ask, '/signup', {}), 200)
const put = (token: string, body: object) => ask('/auth/v1/user', { method: 'PUT', body, token })
const errorOf = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code

async function setUp(autoconfirm: boolean) {
  inbox.clear()
  const { mailer, sms } = inbox
  const parts = [fake('google', answers), mfa(), admin()]
  ask = (await worldOf({ mailer, sms, autoconfirm, anonymous: true, with: parts })).ask
}

/** Nothing of a session works any more. */
async function expectDead({ access_token: token, refresh_token }: Json) {
  expect(await errorOf(await getUser(ask, token), 403)).toBe('session_not_found')
  expect((await put(token, { data: { a: 1 } })).status).toBe(403)
  expect((await refresh(ask, refresh_token)).status).toBe(400)
}

describe('a guest whose address counts at once', () => {
  const victim = { email: 'victim@example.com', password }
  beforeEach(() => setUp(true))

  it('goes on with the session, which is all that the client has', async () => {
    const session = await guest()
    const user = await expectStatus(await put(session.access_token, victim), 200)
    expect(user).toMatchObject({ id: session.user.id, is_anonymous: false, email: victim.email })
    // As a stock client does: it reads its user, changes what it wrote, refreshes, signs out.
    await expectStatus(await getUser(ask, session.access_token), 200)
    await expectStatus(await put(session.access_token, { data: { name: 'Vic' } }), 200)
    const next = await expectStatus(await refresh(ask, session.refresh_token), 200)
    expect(claimsOf(session.access_token).is_anonymous).toBe(true)
    expect(claimsOf(next.access_token)).toMatchObject({
      is_anonymous: false,
      email: victim.email,
      amr: [{ method: 'anonymous' }],
    })
    clock.advance(60)
    // The refresh token from before is dead.
    expect(await errorOf(await refresh(ask, session.refresh_token), 400)).toBe(
      'refresh_token_already_used',
    )
    await expectStatus(await signIn(ask, victim.email), 200)
  })

  it('ends the guest’s other sessions', async () => {
    const session = await guest()
    await env.DB.batch(
      [
        `INSERT INTO leanto_auth_sessions (id, user_id, created_at) SELECT 'other', user_id, 1 FROM leanto_auth_sessions`,
        `INSERT INTO leanto_auth_refresh_tokens (hash, session_id, expires_at) VALUES ('h', 'other', 9e15)`,
      ].map((sql) => env.DB.prepare(sql)),
    )
    for (const body of [{ email: victim.email }, { password }])
      await expectStatus(await put(session.access_token, body), 200)
    expect(await rows('SELECT id FROM leanto_auth_sessions')).toEqual([
      { id: claimsOf(session.access_token).session_id },
    ])
  })

  it('leaves whoever planted the session with nothing to take the account by', async () => {
    const planted = await guest()
    await expectStatus(await put(planted.access_token, victim), 200)
    const stolen = await expectStatus(await refresh(ask, planted.refresh_token), 200)
    answers.evil = profile('e', 'evil@example.com')
    for (const token of [planted.access_token, stolen.access_token]) {
      for (const body of [
        { password: 'the attacker’s passphrase' },
        { email: 'evil@example.com' },
        { phone: '+15550100666' },
        { ...victim, password: 'the attacker’s passphrase' },
      ])
        expect(await errorOf(await put(token, body), 400)).toBe('reauthentication_needed')
      const factor = await post(ask, '/factors', { factor_type: 'totp' }, { token })
      expect(await errorOf(factor, 400)).toBe('reauthentication_needed')
      const link = await ask('/auth/v1/user/identities/authorize?provider=google', { token })
      expect(await errorOf(link, 400)).toBe('reauthentication_needed')
      const body = { provider: 'google', id_token: 'evil', link_identity: true }
      const grant = await post(ask, '/token?grant_type=id_token', body, { token })
      expect(await errorOf(grant, 400)).toBe('reauthentication_needed')
    }
    expect(await rows('SELECT provider FROM leanto_auth_identities')).toEqual([
      { provider: 'email' },
    ])
    // The owner, who has signed in by what they chose, changes all of that.
    const own = await expectStatus(await signIn(ask, victim.email), 200)
    await expectStatus(await put(own.access_token, { password: 'the owner’s new passphrase' }), 200)
    await expectDead(stolen)
    await enroll(ask, own.access_token)
  })

  it('nor by a link that was begun before', async () => {
    const planted = await guest()
    const path = '/auth/v1/user/identities/authorize?provider=google&skip_http_redirect=true'
    const response = await ask(path, { token: planted.access_token })
    const flow = departed(response, (await expectStatus(response.clone(), 200)).url)
    await expectStatus(
      await put(planted.access_token, { ...victim, email: 'other@example.com' }),
      200,
    )
    expect(fragment(await comeBack(ask, flow, 'it')).error_code).toBe('session_not_found')
    expect(await rows('SELECT provider FROM leanto_auth_identities')).toEqual([
      { provider: 'email' },
    ])
  })

  it('can be given its first password, as the client’s documentation has it, and no second', async () => {
    const { access_token: token } = await guest()
    await expectStatus(await put(token, { email: victim.email }), 200)
    await expectStatus(await put(token, { password }), 200)
    expect(await errorOf(await put(token, { password: 'another passphrase' }), 400)).toBe(
      'reauthentication_needed',
    )
    await expectStatus(await signIn(ask, victim.email), 200)
  })

  it('becomes one user, of 50 parallel calls with 50 addresses', async () => {
    const { access_token: token } = await guest()
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => put(token, { email: `v${i}@example.com`, password })),
    )
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(await count('identities')).toBe(1)
    const [{ email }] = await rows('SELECT email FROM leanto_auth_users')
    const winner = await all.find(({ status }) => status === 200)?.json<Json>()
    expect(email).toBe(winner.email)
    expect(winner.new_email).toBeUndefined()
  })
})

describe('a guest whom the server makes a user', () => {
  const change = (session: Json, body: object) =>
    ask(`/auth/v1/admin/users/${session.user.id}`, { method: 'PUT', key: 'secret', body })
  const given = { email: 'victim@example.com', email_confirm: true }

  it('by a password has no session left', async () => {
    await setUp(true)
    const session = await guest()
    await expectStatus(await change(session, { ...given, password }), 200)
    await expectDead(session)
  })

  it('by an address alone keeps the session, which chooses no password for the mailbox’s owner', async () => {
    await setUp(false)
    const session = await guest()
    await expectStatus(await change(session, given), 200)
    await expectStatus(await getUser(ask, session.access_token), 200)
    const next = await expectStatus(await refresh(ask, session.refresh_token), 200)
    for (const body of [{ password }, { email: 'evil@example.com' }])
      expect(await errorOf(await put(next.access_token, body), 400)).toBe('reauthentication_needed')
  })
})

describe('a guest who shows what they will be known by', () => {
  beforeEach(() => setUp(false))

  it('by mail gets a new session, and no other one is left', async () => {
    const session = await guest()
    await expectStatus(
      await put(session.access_token, { email: 'victim@example.com', password }),
      200,
    )
    const shown = { type: 'email_change', token_hash: inbox.token('victim@example.com') }
    const next = await expectStatus(await verify(ask, shown), 200)
    expect(claimsOf(next.access_token)).toMatchObject({ is_anonymous: false })
    await expectDead(session)
    await expectStatus(await getUser(ask, next.access_token), 200)
    await enroll(ask, next.access_token)
  })

  it('keeps no password that somebody else has set with another address', async () => {
    const planted = await guest()
    const evil = { email: 'evil@example.com', password: 'the attacker’s passphrase' }
    await expectStatus(await put(planted.access_token, evil), 200)
    await expectStatus(await put(planted.access_token, { email: 'victim@example.com' }), 200)
    const shown = { type: 'email_change', token_hash: inbox.token('victim@example.com') }
    await expectStatus(await verify(ask, shown), 200)
    expect((await signIn(ask, 'victim@example.com', evil.password)).status).toBe(400)
    expect((await signIn(ask, 'evil@example.com', evil.password)).status).toBe(400)
  })

  it.each(['by redirect', 'by redirect and PKCE', 'by ID token'])(
    'by a provider gets a new session, and no other one is left: %s',
    async (how) => {
      const session = await guest()
      const token = session.access_token
      const verifier = 'v'.repeat(43)
      let next: Json
      if (how === 'by ID token') {
        const body = { provider: 'google', id_token: 'it', link_identity: true }
        next = await expectStatus(
          await post(ask, '/token?grant_type=id_token', body, { token }),
          200,
        )
      } else {
        const pkce = `&code_challenge=${verifier}&code_challenge_method=plain`
        const path = '/auth/v1/user/identities/authorize?provider=google&skip_http_redirect=true'
        const response = await ask(path + (how.includes('PKCE') ? pkce : ''), { token })
        const flow = departed(response, (await expectStatus(response.clone(), 200)).url)
        const url = await comeBack(ask, flow, 'it')
        await expectDead(session)
        const auth_code = url.searchParams.get('code')
        next = auth_code
          ? await expectStatus(
              await post(ask, '/token?grant_type=pkce', { auth_code, code_verifier: verifier }),
              200,
            )
          : fragment(url)
      }
      expect(claimsOf(next.access_token)).toMatchObject({
        sub: session.user.id,
        is_anonymous: false,
        amr: [{ method: 'oauth' }],
      })
      await expectDead(session)
      await expectStatus(await getUser(ask, next.access_token), 200)
      expect(await count('sessions')).toBe(1)
    },
  )
})

describe('a session that is raised', () => {
  beforeEach(() => setUp(true))

  it('is not raised for the tokens from before', async () => {
    const session = await expectStatus(
      await post(ask, '/signup', { email: 'ann@example.com', password }),
      200,
    )
    const { factor, session: raised } = await withFactor(ask, session)
    // The same session, by the token that was there before: no surer than it says.
    expect(claimsOf(raised.access_token).session_id).toBe(claimsOf(session.access_token).session_id)
    expect((await refresh(ask, session.refresh_token)).status).toBe(400)
    expect(
      await errorOf(await put(session.access_token, { password: 'a new passphrase' }), 401),
    ).toBe('insufficient_aal')
    const remove = { method: 'DELETE', token: session.access_token } as const
    expect(await errorOf(await ask(`/auth/v1/factors/${factor.id}`, remove), 422)).toBe(
      'insufficient_aal',
    )
    const codes = { token: session.access_token }
    expect(await errorOf(await post(ask, '/factors/recovery-codes', {}, codes), 403)).toBe(
      'insufficient_aal',
    )
    expect(await count('factors')).toBe(1)
    await expectStatus(await put(raised.access_token, { data: { a: 1 } }), 200)
    await stepUp(ask, raised, factor)
    await expectStatus(
      await ask(`/auth/v1/factors/${factor.id}`, { method: 'DELETE', token: raised.access_token }),
      200,
    )
  })
})

it('the stock client goes on as if nothing had happened', async () => {
  // Its own clock decides when it refreshes.
  const users = makeAuth({ anonymous: true }, { now: Date.now })
  await freshDatabase([users])
  const auth = await stockClient(mountAuth(users))
  const events: string[] = []
  auth.onAuthStateChange((event) => void events.push(event))
  const { data } = await auth.signInAnonymously()
  const upgraded = await auth.updateUser({ email: 'ann@example.com', password })
  expect([upgraded.error, upgraded.data.user?.is_anonymous]).toEqual([null, false])
  expect((await auth.getUser()).data.user?.email).toBe('ann@example.com')
  expect((await auth.updateUser({ data: { name: 'Ann' } })).error).toBeNull()
  const refreshed = await auth.refreshSession()
  expect([refreshed.error, refreshed.data.user?.id]).toEqual([null, data.user?.id])
  expect((await auth.getClaims()).data?.claims.is_anonymous).toBe(false)
  expect(events).not.toContain('SIGNED_OUT')
  const refused = await auth.updateUser({ password: 'another good passphrase' })
  expect(refused.error?.code).toBe('reauthentication_needed')
  expect((await auth.getSession()).data.session).not.toBeNull()
  const again = await auth.signInWithPassword({ email: 'ann@example.com', password })
  expect(again.error).toBeNull()
  expect((await auth.updateUser({ password: 'another good passphrase' })).error).toBeNull()
})
