import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, makeBase, site } from '../kit/world.ts'
import { withFactor } from './mfa-world.ts'
import { comeBack, departed, fragment } from './oauth-world.ts'
import {
  ann,
  bob,
  device,
  errorOf,
  inbox,
  type Moved,
  seconds,
  setUpMove,
  signOld,
} from './trust-world.ts'
import {
  type Asker,
  claimsOf,
  count,
  expectStatus,
  getUser,
  issuer,
  type Json,
  post,
  refresh,
  rows,
  signIn,
} from './world.ts'

/*
 * `auth`'s own routes by a token that another issuer has signed: its session is in no table of ours, and it is never more
 * than it says.
 */

let ask: Asker
let users: Moved['users']
const setUp = async (...of: Parameters<typeof setUpMove>) => {
  ;({ ask, users } = await setUpMove(...of))
}
beforeEach(() => setUp())

const put = (token: string, body: object) => ask('/auth/v1/user', { method: 'PUT', body, token })
const logout = (token: string, scope: string) =>
  ask(`/auth/v1/logout?scope=${scope}`, { method: 'POST', token })
const ours = async (email = 'ann@example.com'): Promise<Json> =>
  expectStatus(await signIn(ask, email), 200)

describe('a trusted token at auth’s own routes', () => {
  it('is its user, as they are here', async () => {
    const user = await expectStatus(await getUser(ask, await signOld()), 200)
    expect(user).toMatchObject({ id: ann, email: 'ann@example.com' })
    const upper = await signOld({ sub: ann.toUpperCase() })
    expect((await expectStatus(await getUser(ask, upper), 200)).id).toBe(ann)
    await expectStatus(await put(await signOld(), { data: { name: 'Ann' } }), 200)
    expect(
      (await expectStatus(await getUser(ask, await signOld()), 200)).user_metadata,
    ).toMatchObject({ name: 'Ann' })
    // It has made no session of ours.
    expect(await count('sessions')).toBe(0)
  })

  it.each([
    ['is of nobody here', { sub: device(9) }, '', 'user_not_found'],
    ['is of someone banned', {}, 'UPDATE leanto_auth_users SET banned_until = 9e15', 'user_banned'],
    ['is of someone deleted', {}, 'UPDATE leanto_auth_users SET deleted_at = 1', 'user_not_found'],
    ['is of someone who is gone', {}, 'DELETE FROM leanto_auth_users', 'user_not_found'],
    ['was signed by nobody we know', { secret: 'x'.repeat(40) }, '', 'bad_jwt'],
    ['is over', { claims: { exp: 1 } }, '', 'bad_jwt'],
    ['is for others', { claims: { aud: 'others' } }, '', 'bad_jwt'],
    ['is the project’s anon key', { claims: { role: 'anon' } }, '', 'bad_jwt'],
    ['says it is the service', { claims: { role: 'service_role' } }, '', 'bad_jwt'],
    ['names no user', { sub: 'service_role' }, '', 'bad_jwt'],
  ])('opens nothing if it %s', async (_, more, sql, error) => {
    const token = await signOld(more)
    if (sql) await env.DB.prepare(sql).run()
    const before = await rows('SELECT * FROM leanto_auth_users')
    const all = [
      await getUser(ask, token),
      await put(token, { data: { a: 1 } }),
      await put(token, { password: 'another good passphrase' }),
      await post(ask, '/factors', { factor_type: 'totp' }, { token }),
      await ask('/auth/v1/reauthenticate', { token }),
    ]
    for (const response of all) expect(await errorOf(response, 403)).toBe(error)
    expect(await rows('SELECT * FROM leanto_auth_users')).toEqual(before)
    expect(inbox.mails).toEqual([])
  })

  it('answers no route with a bug, and no admin route at all', async () => {
    for (const { method, path } of users.table) {
      if (path === '/logout') continue
      const token = await signOld()
      const at = `/auth/v1${path.replace(/:\w+/g, device(5))}`
      const body = ['GET', 'DELETE'].includes(method) ? undefined : {}
      const response = await ask(at, { method, token, body })
      expect(response.status, `${method} ${path}`).toBeLessThan(500)
      if (path.startsWith('/admin/') || path === '/invite')
        // What is not there is not there for anyone.
        expect([403, 404], `${method} ${path}`).toContain(response.status)
    }
    expect(await count('users')).toBe(2)
  })

  it('is never looked at as one of ours, whatever session it names', async () => {
    const session = await ours()
    const { session: raised } = await withFactor(ask, session)
    const { session_id } = claimsOf(raised.access_token)
    // Our session is aal2; the token that names it is not.
    const token = await signOld({ session: session_id, since: seconds() + 1 })
    expect(await errorOf(await put(token, { password: 'another good passphrase' }), 401)).toBe(
      'insufficient_aal',
    )
    expect((await logout(token, 'local')).status).toBe(204)
    await expectStatus(await getUser(ask, raised.access_token), 200)
  })

  it('of our own issuer is verified by our keys alone, whatever the host has listed', async () => {
    await setUp({}, { issuer })
    const session = await ours()
    await expectStatus(await getUser(ask, session.access_token), 200)
    const forged = await signOld({ claims: { iss: issuer } })
    expect(await errorOf(await getUser(ask, forged), 403)).toBe('bad_jwt')
    const request = new Request(site, { headers: { authorization: `Bearer ${forged}` } })
    await expect(users.principal(makeBase().scope({ env }), request)).rejects.toMatchObject({
      status: 401,
    })
  })
})

describe('what it changes is asked for as surely as ever', () => {
  const body = { password: 'another good passphrase' }

  it('a new password ends the other sessions, here and there (case 11)', async () => {
    const here = await ours()
    const [own, other] = [await signOld(), await signOld({ session: device(1) })]
    const stranger = await signOld({ sub: bob, session: device(2) })
    await expectStatus(await put(own, body), 200)
    expect(await count('sessions')).toBe(0)
    await expectStatus(await refresh(ask, here.refresh_token), 400)
    await expectStatus(await getUser(ask, own), 200)
    expect(await errorOf(await getUser(ask, other), 403)).toBe('session_not_found')
    // Nor a fresh token of that session, but of one that began afterwards.
    clock.advance(60)
    const since = seconds() - 120
    const fresh = await signOld({ session: device(1), since })
    expect(await errorOf(await getUser(ask, fresh), 403)).toBe('session_not_found')
    const late = await signOld({ session: device(3), since: seconds() })
    await expectStatus(await getUser(ask, late), 200)
    await expectStatus(await getUser(ask, stranger), 200)
    // Whose sign-in has no time might be any session.
    const timeless = await signOld({ session: device(4), since: null })
    expect(await errorOf(await getUser(ask, timeless), 403)).toBe('session_not_found')
  })

  it('and so does one that is chosen by a session of ours, or by the server', async () => {
    const here = await ours()
    const token = await signOld()
    await expectStatus(await put(here.access_token, body), 200)
    expect(await errorOf(await getUser(ask, token), 403)).toBe('session_not_found')
    const theirs = await signOld({ sub: bob })
    await expectStatus(await getUser(ask, theirs), 200)
    const admin = { method: 'PUT', key: 'secret', body } as const
    await expectStatus(await ask(`/auth/v1/admin/users/${bob}`, admin), 200)
    expect(await errorOf(await getUser(ask, theirs), 403)).toBe('session_not_found')
  })

  it('a second factor that they have here is asked for', async () => {
    await withFactor(ask, await ours())
    clock.advance(60)
    const low = await signOld({ since: seconds() })
    const high = await signOld({ since: seconds(), aal: 'aal2' })
    for (const change of [body, { email: 'new@example.com' }, { phone: '+15550100100' }])
      expect(await errorOf(await put(low, change), 401)).toBe('insufficient_aal')
    expect(
      await errorOf(await post(ask, '/factors', { factor_type: 'totp' }, { token: low }), 403),
    ).toBe('insufficient_aal')
    const odd = await signOld({ since: seconds(), aal: 'aal3' })
    expect(await errorOf(await put(odd, body), 401)).toBe('insufficient_aal')
    await expectStatus(await put(high, body), 200)
  })

  it('a code is asked for unless its user has just signed in', async () => {
    await setUp({ reauthentication: true })
    for (const since of [seconds() - 86_401, null])
      expect(await errorOf(await put(await signOld({ since }), body), 400)).toBe(
        'reauthentication_needed',
      )
    const old = await signOld({ since: seconds() - 86_401 })
    await expectStatus(await ask('/auth/v1/reauthenticate', { token: old }), 200)
    const nonce = inbox.code('ann@example.com')
    await expectStatus(await put(old, { ...body, nonce }), 200)
    await setUp({ reauthentication: true })
    await expectStatus(await put(await signOld(), body), 200)
  })
})

describe('identities', () => {
  it('are linked by it, with a session of ours for an answer', async () => {
    const token = await signOld()
    const body = { provider: 'google', id_token: 'it', link_identity: true }
    const session = await expectStatus(
      await post(ask, '/token?grant_type=id_token', body, { token }),
      200,
    )
    expect(session.user.id).toBe(ann)
    expect(session.user.identities).toHaveLength(2)
    expect(claimsOf(session.access_token)).toMatchObject({ iss: issuer, aal: 'aal1' })
    const [{ id }] = await rows(`SELECT id FROM leanto_auth_identities WHERE provider = 'google'`)
    const unlink = { method: 'DELETE', token } as const
    await expectStatus(await ask(`/auth/v1/user/identities/${id}`, unlink), 200)
  })

  it('are linked by redirect, unless its session has ended here meanwhile', async () => {
    const start = async (token: string) => {
      const path = '/auth/v1/user/identities/authorize?provider=google&skip_http_redirect=true'
      const response = await ask(path, { token })
      return departed(response, (await expectStatus(response.clone(), 200)).url)
    }
    const [own, other] = [await signOld(), await signOld({ session: device(1) })]
    const [first, second] = [await start(own), await start(other)]
    await logout(own, 'local')
    expect(fragment(await comeBack(ask, first, 'it')).error_code).toBe('session_not_found')
    expect(await count('identities')).toBe(2)
    const linked = fragment(await comeBack(ask, second, 'it'))
    expect(claimsOf(linked.access_token as string).sub).toBe(ann)
  })
})
