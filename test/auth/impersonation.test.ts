import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  audited,
  freshPeople,
  impersonate,
  impersonated,
  makeUsers,
  type People,
  reason,
  running,
  service,
  setRole,
} from './impersonation-world.ts'
import {
  type Asker,
  claimsOf,
  expectStatus,
  getUser,
  issuer,
  post,
  refresh,
  rows,
  signIn,
} from './world.ts'

let ask: Asker
let who: People
beforeEach(async () => {
  const made = makeUsers()
  ask = made.ask
  who = await freshPeople(made)
})

const from = { headers: { 'cf-connecting-ip': '203.0.113.9' } }
const stop = (token: string) => post(ask, '/impersonation/stop', {}, { token })
const code = (response: Response) => response.headers.get('x-sb-error-code')

describe('an admin who acts for a user', () => {
  it('gets a session of theirs whose tokens say who it is', async () => {
    const session = await impersonated(ask, who.ada, who.ann)
    expect(session.user.id).toBe(who.ann.user.id)
    expect(session.expires_in).toBe(3600)
    const claims = claimsOf(session.access_token)
    expect(claims).toMatchObject({
      iss: issuer,
      sub: who.ann.user.id,
      act: { sub: who.ada.user.id },
      amr: [{ method: 'impersonation', timestamp: clock.now() / 1000 }],
      aal: 'aal1',
    })
    expect(claims.readonly).toBeUndefined()
    const user = await expectStatus(await getUser(ask, session.access_token), 200)
    expect(user).toEqual(session.user)
    const again = await expectStatus(await refresh(ask, session.refresh_token), 200)
    expect(claimsOf(again.access_token)).toMatchObject({
      act: { sub: who.ada.user.id },
      session_id: claims.session_id,
    })
  })

  it('leaves no trace of a sign-in, nor of their own device', async () => {
    const [before] = await rows('SELECT * FROM leanto_auth_users WHERE id = ?', who.ann.user.id)
    clock.advance(60)
    const session = await impersonated(ask, who.ada, who.ann)
    await refresh(ask, session.refresh_token)
    const [after] = await rows('SELECT * FROM leanto_auth_users WHERE id = ?', who.ann.user.id)
    expect(after).toEqual(before)
    const [row] = await rows(
      `SELECT user_agent, ip FROM leanto_auth_sessions WHERE tag = 'impersonation'`,
    )
    expect(row).toEqual({ user_agent: null, ip: null })
    // The user's own session goes on.
    expect((await refresh(ask, who.ann.refresh_token)).status).toBe(200)
  })

  it('is seen by the user, who can end it', async () => {
    const session = await impersonated(ask, who.ada, who.ann)
    const { access_token: token } = who.ann
    const list = await expectStatus(await ask('/auth/v1/sessions', { token }), 200)
    expect(list.map(({ impersonated, current }: never) => ({ impersonated, current }))).toEqual([
      { impersonated: true, current: false },
      { impersonated: false, current: true },
    ])
    const path = `/auth/v1/sessions/${list[0].id}`
    expect((await ask(path, { method: 'DELETE', token })).status).toBe(204)
    expect((await getUser(ask, session.access_token)).status).toBe(403)
    expect((await refresh(ask, session.refresh_token)).status).toBe(400)
  })

  it('does so for as long as was asked, and no token or refresh lasts longer', async () => {
    const session = await impersonated(ask, who.ada, who.ann, { expires_in: 300 })
    expect(session.expires_in).toBe(300)
    clock.advance(200)
    const again = await expectStatus(await refresh(ask, session.refresh_token), 200)
    expect(again.expires_in).toBe(100)
    expect(claimsOf(again.access_token).exp).toBe(clock.now() / 1000 + 100)
    clock.advance(100)
    expect((await getUser(ask, again.access_token)).status).toBe(403)
    const late = await refresh(ask, again.refresh_token)
    expect(code(late)).toBe('session_expired')
  })

  it.each([
    [{ expires_in: 59 }],
    [{ expires_in: 3601 }],
    [{ expires_in: 60.5 }],
    [{ expires_in: '300' }],
    [{ reason: '' }],
    [{ reason: '  ' }],
    [{ reason: 'a\nb' }],
    [{ reason: 'x'.repeat(501) }],
    [{ reason: ['a'] }],
    [{ readonly: 'yes' }],
    [{ actor: 'someone else' }],
  ])('is refused with %j', async (body) => {
    const response = await impersonate(ask, who.ada, who.ann, body)
    expect(response.status).toBe(400)
    expect(code(response)).toBe('validation_failed')
    expect(await running()).toEqual([])
  })

  it('ends it by stopping, and by signing out in whichever way', async () => {
    for (const path of ['/impersonation/stop', '/logout', '/logout?scope=local']) {
      const { access_token: token, refresh_token } = await impersonated(ask, who.ada, who.ann)
      expect((await post(ask, path, {}, { token })).status).toBe(204)
      expect(await running()).toEqual([])
      expect((await getUser(ask, token)).status).toBe(403)
      expect((await refresh(ask, refresh_token)).status).toBe(400)
    }
    // None of it was a sign-out of the user's.
    expect((await refresh(ask, who.ann.refresh_token)).status).toBe(200)
    const { access_token: token } = await impersonated(ask, who.ada, who.ann)
    expect((await post(ask, '/logout?scope=others', {}, { token })).status).toBe(403)
    await expectStatus(await stop(token), 204)
    expect((await stop(token)).status).toBe(404)
    expect((await stop(who.ann.access_token)).status).toBe(400)
  })
})

describe('who may act, and for whom (case 18)', () => {
  it('is no other user', async () => {
    const response = await impersonate(ask, who.eve, who.ann)
    expect(response.status).toBe(403)
    expect(code(response)).toBe('not_admin')
    // Not even whether there is such a user.
    const nobody = { user: { ...who.ann.user, id: crypto.randomUUID() } } as never
    expect(await (await impersonate(ask, who.eve, nobody)).text()).toBe(await response.text())
    expect((await impersonate(ask, who.ada, nobody)).status).toBe(404)
    expect(await running()).toEqual([])
  })

  it('is no admin for another admin, nor for themselves', async () => {
    for (const whom of [who.abe, who.ada]) {
      const response = await impersonate(ask, who.ada, whom)
      expect(response.status).toBe(403)
      expect(code(response)).toBe('impersonation_not_allowed')
    }
    const path = `/admin/users/${who.abe.user.id}/impersonate`
    const byServer = await post(ask, path, { reason, actor: 'root' }, service)
    expect(code(byServer)).toBe('impersonation_not_allowed')
    expect(await running()).toEqual([])
  })

  it('is nobody for those who are banned or deleted', async () => {
    const path = `/auth/v1/admin/users/${who.ann.user.id}`
    const put = (body: object) => ask(path, { method: 'PUT', body, ...service })
    await expectStatus(await put({ ban_duration: '1h' }), 200)
    expect(code(await impersonate(ask, who.ada, who.ann))).toBe('user_banned')
    await expectStatus(await put({ ban_duration: 'none' }), 200)
    const soft = { should_soft_delete: true }
    await expectStatus(await ask(path, { method: 'DELETE', body: soft, ...service }), 200)
    expect((await impersonate(ask, who.ada, who.ann)).status).toBe(404)
    expect(await running()).toEqual([])
  })

  it('asks for a second factor where the host does', async () => {
    const strict = makeUsers({ secondFactor: true })
    const response = await impersonate(strict.ask, who.ada, who.ann)
    expect(response.status).toBe(403)
    expect(code(response)).toBe('insufficient_aal')
    await rows(`UPDATE leanto_auth_sessions SET aal = 'aal2'`)
    // The token still says what it said.
    expect((await impersonate(strict.ask, who.ada, who.ann)).status).toBe(403)
    const raised = await expectStatus(await refresh(ask, who.ada.refresh_token), 200)
    const session = await impersonated(strict.ask, raised, who.ann)
    expect(claimsOf(session.access_token).aal).toBe('aal2')
  })

  it('is the server in the name of someone', async () => {
    const path = `/admin/users/${who.ann.user.id}/impersonate`
    expect((await post(ask, path, { reason }, service)).status).toBe(400)
    const body = { reason, actor: 'support:anna' }
    const session = await expectStatus(await post(ask, path, body, service), 200)
    expect(claimsOf(session.access_token).act).toEqual({ sub: 'support:anna' })
  })

  it('is bounded in number, and what is past it is not even logged', async () => {
    const few = makeUsers({ limit: { max: 2, seconds: 600 } })
    for (let i = 0; i < 2; i++)
      expect((await impersonate(few.ask, who.eve, who.ann)).status).toBe(403)
    const late = await impersonate(few.ask, who.eve, who.ann)
    expect(late.status).toBe(429)
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await audited()).toHaveLength(2)
    expect((await impersonate(few.ask, who.ada, who.ann)).status).toBe(200)
  })
})

describe('it ends at once', () => {
  const ends = async (token: string) => {
    expect(await running()).toEqual([])
    expect((await getUser(ask, token)).status).toBe(403)
    const [row] = await rows('SELECT ended_at FROM leanto_auth_impersonations')
    expect(row.ended_at).not.toBe(null)
  }
  const admin = (path: string, method: string, body: object = {}) =>
    ask(`/auth/v1/admin/users/${path}`, { method, body, ...service })

  it.each([
    ['the admin signs out', () => post(ask, '/logout', {}, { token: who.ada.access_token })],
    ['the admin is signed out', () => admin(`${who.ada.user.id}/logout`, 'POST')],
    ['the admin is banned', () => admin(who.ada.user.id, 'PUT', { ban_duration: '1h' })],
    ['the admin is deleted', () => admin(who.ada.user.id, 'DELETE')],
    ['the admin is none any more', () => setRole(ask, who.ada.user.id, 'user')],
    ['the user becomes an admin', () => setRole(ask, who.ann.user.id, 'admin')],
    ['the user signs out', () => post(ask, '/logout', {}, { token: who.ann.access_token })],
    ['the user is banned', () => admin(who.ann.user.id, 'PUT', { ban_duration: '1h' })],
    ['the user is deleted', () => admin(who.ann.user.id, 'DELETE')],
    [
      'the user chooses a new password',
      () =>
        ask('/auth/v1/user', {
          method: 'PUT',
          body: { password: 'another good passphrase' },
          token: who.ann.access_token,
        }),
    ],
  ] as const)('when %s', async (_, happens) => {
    const { access_token: token } = await impersonated(ask, who.ada, who.ann)
    expect((await happens()).status).toBeLessThan(300)
    await ends(token)
  })

  it('when the admin’s refresh token is found stolen', async () => {
    const { access_token: token } = await impersonated(ask, who.ada, who.ann)
    await expectStatus(await refresh(ask, who.ada.refresh_token), 200)
    clock.advance(60)
    expect((await refresh(ask, who.ada.refresh_token)).status).toBe(400)
    await ends(token)
  })

  it('with the admin’s own session, which may end before', async () => {
    const short = makeUsers({}, { refreshToken: { absolute: 3600, idle: 3600 } })
    const ada = await expectStatus(await signIn(short.ask, 'ada@example.com'), 200)
    clock.advance(3000)
    expect((await impersonated(short.ask, ada, who.ann)).expires_in).toBe(600)
  })

  it('and not when someone else’s role or session changes', async () => {
    const { access_token: token } = await impersonated(ask, who.ada, who.ann)
    await setRole(ask, who.eve.user.id, 'admin')
    await setRole(ask, who.abe.user.id, 'user')
    await post(ask, '/logout', {}, { token: who.abe.access_token })
    // The same value again is no change.
    await setRole(ask, who.ada.user.id, 'admin')
    await refresh(ask, who.ada.refresh_token)
    expect((await getUser(ask, token)).status).toBe(200)
  })
})

describe('what is kept of it', () => {
  it('is listed for admins and the server, with who and why', async () => {
    const { access_token: token } = await impersonated(ask, who.ada, who.ann, { readonly: true })
    clock.advance(1)
    await impersonated(ask, who.abe, who.eve, { expires_in: 60 })
    await stop(token)
    clock.advance(60)
    await impersonated(ask, who.ada, who.eve)
    const path = '/auth/v1/admin/impersonations'
    const response = await ask(path, service)
    expect(response.headers.get('x-total-count')).toBe('3')
    const list = await expectStatus(response, 200)
    expect(list.map(({ running, user_id }: never) => [running, user_id])).toEqual([
      [true, who.eve.user.id],
      [false, who.eve.user.id],
      [false, who.ann.user.id],
    ])
    expect(list[2]).toEqual({
      id: claimsOf(token).session_id,
      user_id: who.ann.user.id,
      actor: who.ada.user.id,
      reason,
      readonly: true,
      network: null,
      started_at: new Date(clock.now() - 61_000).toISOString(),
      expires_at: new Date(clock.now() + 3_539_000).toISOString(),
      ended_at: new Date(clock.now() - 60_000).toISOString(),
      running: false,
    })
    const mine = await ask(`${path}?user_id=${who.ann.user.id}`, { token: who.abe.access_token })
    expect(await expectStatus(mine, 200)).toEqual([list[2]])
    expect((await ask(path, { token: who.ann.access_token })).status).toBe(403)
    expect((await ask(path, { token })).status).toBe(403)
    expect((await ask(path)).status).toBe(401)
    expect(await expectStatus(await ask(`${path}?user_id=x`, service), 200)).toEqual([])
  })

  it('can be ended by any admin, and by nobody else', async () => {
    const { access_token: token } = await impersonated(ask, who.ada, who.ann)
    const path = `/auth/v1/admin/impersonations/${claimsOf(token).session_id}`
    const end = (as: object) => ask(path, { method: 'DELETE', ...as })
    expect((await end({ token: who.eve.access_token })).status).toBe(403)
    expect((await end({ token })).status).toBe(403)
    expect(await running()).toHaveLength(1)
    expect((await end({ token: who.abe.access_token })).status).toBe(204)
    expect(await running()).toEqual([])
    expect((await end(service)).status).toBe(404)
    // A session of the user's own is none of it.
    const own = claimsOf(who.ann.access_token).session_id
    const theirs = await ask(`/auth/v1/admin/impersonations/${own}`, {
      method: 'DELETE',
      ...service,
    })
    expect(theirs.status).toBe(404)
    expect((await getUser(ask, who.ann.access_token)).status).toBe(200)
  })

  it('is in the audit log: who, for whom, why, from where', async () => {
    const { user } = who.ann
    const path = `/admin/users/${user.id}/impersonate`
    const ada = { token: who.ada.access_token, ...from }
    const session = await expectStatus(await post(ask, path, { reason }, ada), 200)
    const token = session.access_token
    clock.advance(1)
    const put = { method: 'PUT', body: { password: 'another good passphrase' }, token, ...from }
    expect((await ask('/auth/v1/user', put)).status).toBe(403)
    clock.advance(1)
    await post(ask, '/impersonation/stop', {}, { token, ...from })
    clock.advance(1)
    await post(ask, path, { reason }, { token: who.eve.access_token, ...from })
    const common = { actor: who.ada.user.id, user_id: user.id, network: '203.0.113.9' }
    const id = claimsOf(token).session_id
    expect(await audited()).toEqual([
      {
        ...common,
        action: 'impersonation_started',
        reason,
        impersonation_id: id,
        readonly: false,
        seconds: 3600,
      },
      { ...common, action: 'impersonation_refused', method: 'PUT', path: '/auth/v1/user' },
      { ...common, action: 'impersonation_stopped', impersonation_id: id, by: 'itself' },
      {
        ...common,
        action: 'impersonation_refused',
        actor: who.eve.user.id,
        reason,
        error: 'not_admin',
      },
    ])
    const actors = await rows(
      `SELECT user_id FROM leanto_auth_audit WHERE action LIKE 'impersonation%' ORDER BY id`,
    )
    const { user: admin } = who.ada
    expect(actors.map(({ user_id }) => user_id)).toEqual([
      admin.id,
      admin.id,
      admin.id,
      who.eve.user.id,
    ])
  })
})
