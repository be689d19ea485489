import { env } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import { sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { Hono } from 'hono'
import { auth } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { cookies, sessions } from 'leanto/auth/parts'
import { data, expose } from 'leanto/data'
import { beforeEach, describe, expect, it } from 'vitest'
import { asker, clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import {
  impersonated,
  isAdmin,
  makeUsers,
  type People,
  part,
  people,
  reason,
  running,
} from './impersonation-world.ts'
import { makeInbox } from './inbox.ts'
import { withFactor } from './mfa-world.ts'
import { stockClient } from './stock.ts'
import {
  type Asker,
  claimsOf,
  expectStatus,
  getUser,
  makeAuth,
  mountAuth,
  post,
  refresh,
  rows,
  signIn,
} from './world.ts'

/* Whoever acts for a user, as other modules, the host's own routes and stock clients see them. */

const notes = sqliteTable('notes', { id: text().primaryKey(), ownerId: text('owner_id').notNull() })
const hostSql = ['CREATE TABLE notes (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL)']

const base = makeBase()
function world(
  options: Parameters<typeof makeUsers>[0] = {},
  more: Parameters<typeof makeUsers>[1] = {},
) {
  const made = makeUsers(options, more, base)
  const store = data(base, {
    identity: made.users,
    tables: {
      notes: expose(notes, {
        select: (who) => eq(notes.ownerId, who.id),
        insert: (who) => eq(notes.ownerId, who.id),
        // As the documentation has it: whoever acts for a user does not delete.
        delete: (who) => (who.claims.act ? false : eq(notes.ownerId, who.id)),
        defaults: { ownerId: (who) => who.id },
      }),
    },
  })
  const app = new Hono()
    .route('/auth/v1', made.users.routes)
    .route('/rest/v1', store.routes)
    .get('/me', made.users.signedIn, (c) => c.json(c.var.principal.claims.act ?? null, 200))
    .post('/buy', made.users.signedIn, (c) => c.text('bought', 200))
  return { ...made, store, ask: asker(app) }
}

async function fresh(...args: Parameters<typeof world>) {
  const made = world(...args)
  await freshDatabase([made.users, made.store], hostSql)
  return { ...made, who: await people(made.ask) }
}

let ask: Asker
let who: People
beforeEach(async () => {
  ;({ ask, who } = await fresh())
})

const insert = (token: string, id: string) => ask('/rest/v1/notes', { body: { id }, token })

describe('in another module', () => {
  it('is the user, and a policy sees who acts', async () => {
    const { access_token: token } = await impersonated(ask, who.ada, who.ann)
    expect((await insert(token, 'a')).status).toBe(201)
    expect(await rows('SELECT * FROM notes')).toEqual([{ id: 'a', owner_id: who.ann.user.id }])
    const list = await expectStatus(await ask('/rest/v1/notes', { token }), 200)
    expect(list).toEqual([{ id: 'a', owner_id: who.ann.user.id }])
    const remove = (by: string) => ask('/rest/v1/notes?id=eq.a', { method: 'DELETE', token: by })
    await remove(token)
    expect(await rows('SELECT * FROM notes')).toHaveLength(1)
    await remove(who.ann.access_token)
    expect(await rows('SELECT * FROM notes')).toEqual([])
  })

  it('only reads, if that was asked for', async () => {
    const { access_token: token } = await impersonated(ask, who.ada, who.ann, { readonly: true })
    expect(claimsOf(token).readonly).toBe(true)
    const refused = await insert(token, 'a')
    expect(refused.status).toBe(403)
    expect(await refused.json()).toMatchObject({ code: 'impersonation_read_only' })
    for (const method of ['PATCH', 'PUT', 'DELETE'])
      expect((await ask('/rest/v1/notes?id=eq.a', { method, body: {}, token })).status).toBe(403)
    expect((await ask('/buy', { method: 'POST', token })).status).toBe(403)
    expect((await ask('/rest/v1/notes', { token })).status).toBe(200)
    expect((await ask('/rest/v1/notes', { method: 'HEAD', token })).status).toBe(200)
    expect(await (await ask('/me', { token })).json()).toEqual({ sub: who.ada.user.id })
    expect(await rows('SELECT * FROM notes')).toEqual([])
  })

  it('only reads wherever the host says so, whatever is asked for', async () => {
    const strict = world({ readonly: true })
    const session = await impersonated(strict.ask, who.ada, who.ann, { readonly: false })
    expect(claimsOf(session.access_token).readonly).toBe(true)
    // It stays so, also after the host has changed its mind.
    const again = await expectStatus(await refresh(ask, session.refresh_token), 200)
    expect(claimsOf(again.access_token).readonly).toBe(true)
    expect((await insert(again.access_token, 'a')).status).toBe(403)
  })

  it('is out the moment it has ended, though its token is good (case 12)', async () => {
    const { access_token: token } = await impersonated(ask, who.ada, who.ann)
    expect((await ask('/me', { token })).status).toBe(200)
    await post(ask, '/logout', {}, { token: who.ada.access_token })
    for (const path of ['/me', '/rest/v1/notes']) {
      const response = await ask(path, { token })
      expect(response.status).toBe(401)
      expect(await response.text()).toMatch(/no longer does/)
    }
  })

  it('costs one trip more, and nobody else any', async () => {
    const { access_token: token } = await impersonated(ask, who.ada, who.ann)
    const { users } = world()
    const cost = async (by: string) => {
      const request = new Request('https://app.example/', {
        headers: { authorization: `Bearer ${by}` },
      })
      const executionCtx = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} }
      const scope = base.scope({ env, executionCtx, req: { raw: request } } as never)
      // The keys first, so that they are in memory.
      await users.principal(scope, request)
      const before = { ...scope.cost }
      await users.principal(scope, request)
      return [scope.cost.trips - before.trips, scope.cost.rowsRead - before.rowsRead]
    }
    expect(await cost(token)).toEqual([1, 1])
    expect(await cost(who.ann.access_token)).toEqual([0, 0])
  })
})

describe('a token', () => {
  it('says who acts of those alone of whom it is so, whatever the host’s hook says', async () => {
    const hooked = world(
      {},
      { before: { accessToken: () => ({ act: { sub: 'nobody' }, readonly: true }) } },
    )
    const own = await expectStatus(await signIn(hooked.ask, 'ann@example.com'), 200)
    expect(claimsOf(own.access_token).act).toBeUndefined()
    const acted = await impersonated(hooked.ask, who.ada, who.ann)
    expect(claimsOf(acted.access_token).act).toEqual({ sub: who.ada.user.id })
  })

  it('is not to be had any more where the part was taken out', async () => {
    const session = await impersonated(ask, who.ada, who.ann)
    const without = mountAuth(makeAuth())
    const gone = await refresh(without, session.refresh_token)
    expect(gone.status).toBe(403)
    const put = { method: 'PUT', body: { data: { a: 1 } }, token: session.access_token }
    expect((await without('/auth/v1/user', put)).status).toBe(403)
    expect((await refresh(without, who.ann.refresh_token)).status).toBe(200)
  })

  it('is as sure of its user as the admin’s was, where second factors are enforced (case 17)', async () => {
    const strict = await fresh({}, { with: [mfa({ enforce: true })] })
    await withFactor(strict.ask, strict.who.ann)
    const weak = await impersonated(strict.ask, strict.who.ada, strict.who.ann)
    expect((await strict.ask('/me', { token: weak.access_token })).status).toBe(401)
    const { session: ada } = await withFactor(strict.ask, strict.who.ada)
    const sure = await impersonated(strict.ask, ada, strict.who.ann)
    expect(claimsOf(sure.access_token).aal).toBe('aal2')
    expect((await strict.ask('/me', { token: sure.access_token })).status).toBe(200)
  })
})

describe('where a user has one session at most', () => {
  it('takes it from nobody, and gives way to the user', async () => {
    const users = auth(base, { site, with: [part(), admin(), sessions({ single: true })] })
    await freshDatabase([users])
    const single = mountAuth(users)
    const they = await people(single)
    const session = await impersonated(single, they.ada, they.ann)
    expect((await getUser(single, they.ann.access_token)).status).toBe(200)
    await expectStatus(await signIn(single, 'ann@example.com'), 200)
    expect((await getUser(single, session.access_token)).status).toBe(403)
    expect(await running()).toEqual([])
  })
})

describe('in cookies', () => {
  const own = { 'sec-fetch-site': 'same-origin' }
  it('comes only if asked for, and may change as little', async () => {
    const made = await fresh({}, { with: [cookies()] })
    const path = `/admin/users/${made.who.ann.user.id}/impersonate`
    const by = { token: made.who.ada.access_token }
    const plain = await post(made.ask, path, { reason }, by)
    expect(plain.headers.get('set-cookie')).toBe(null)
    const headers = { ...own, prefer: 'session=cookie' }
    const response = await post(made.ask, path, { reason }, { ...by, headers })
    expect(await response.clone().json()).not.toHaveProperty('access_token')
    const cookie = response.headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; ')
    const browser = (path: string, method: string, body?: object) =>
      made.ask(path, { method, body, headers: { ...own, cookie } })
    expect(await (await browser('/me', 'GET')).json()).toEqual({ sub: made.who.ada.user.id })
    const put = await browser('/auth/v1/user', 'PUT', { password: 'another good passphrase' })
    expect(put.status).toBe(403)
    expect((await browser('/auth/v1/cookie', 'POST')).status).toBe(200)
    expect((await browser('/auth/v1/impersonation/stop', 'POST', {})).status).toBe(204)
    expect((await browser('/me', 'GET')).status).toBe(401)
  })
})

describe('the stock client', () => {
  it('takes the session, goes on with it, and signs out of it alone', async () => {
    const { access_token, refresh_token } = await impersonated(ask, who.ada, who.ann)
    const client = await stockClient(ask)
    const set = await client.setSession({ access_token, refresh_token })
    expect(set.error).toBe(null)
    const { data } = await client.getUser()
    expect(data.user?.id).toBe(who.ann.user.id)
    clock.advance(600)
    const again = await client.refreshSession()
    expect(again.error).toBe(null)
    expect(claimsOf(again.data.session?.access_token ?? '').act).toEqual({ sub: who.ada.user.id })
    const changed = await client.updateUser({ password: 'another good passphrase' })
    expect(changed.error).toMatchObject({ status: 403, code: 'no_authorization' })
    expect((await client.getSession()).data.session).not.toBe(null)
    expect((await client.signOut()).error).toBe(null)
    expect(await running()).toEqual([])
    expect((await getUser(ask, who.ann.access_token)).status).toBe(200)
  })
})

describe('the user’s mailbox', () => {
  const inbox = makeInbox()
  const proven = { mailer: inbox.mailer, autoconfirm: true }
  beforeEach(() => inbox.clear())

  it('hears of it if the host wants that, and not of the reason', async () => {
    const made = await fresh({ notify: true }, proven)
    await impersonated(made.ask, made.who.ada, made.who.ann, { expires_in: 600 })
    expect(inbox.mails).toHaveLength(1)
    const { to, subject, text } = inbox.last('ann@example.com')
    expect(to).toBe('ann@example.com')
    expect(subject).toBe('Our staff has opened your account')
    expect(text).toContain('for at most 10 minutes')
    expect(text).not.toContain(reason)
  })

  it('reads what the host has written', async () => {
    const mails = {
      impersonated: ({ subject, minutes }: { subject: string; minutes: number }) => ({
        subject: 'Support',
        text: `${subject}, ${minutes} minutes`,
      }),
    }
    const made = await fresh({ notify: true }, { ...proven, mails })
    await impersonated(made.ask, made.who.ada, made.who.ann)
    expect(inbox.last('ann@example.com').text).toBe(`${reason}, 60 minutes`)
  })

  it('hears nothing unless it is proven and the host wants it', async () => {
    const quiet = await fresh({}, proven)
    await impersonated(quiet.ask, quiet.who.ada, quiet.who.ann)
    const made = await fresh({ notify: true }, proven)
    await rows('UPDATE leanto_auth_users SET email_confirmed_at = NULL')
    await impersonated(made.ask, made.who.ada, made.who.ann)
    expect(inbox.mails).toEqual([])
  })
})

describe('the host’s own code', () => {
  it('starts, lists and ends by verbs', async () => {
    const { acting, scope, settled, who: they, ask: asked } = await fresh()
    const { session_id: sessionId } = claimsOf(they.ada.access_token)
    const actor = { userId: they.ada.user.id, sessionId }
    const userId = they.ann.user.id
    const session = await acting.start(scope(), { userId, actor, reason, seconds: 60 })
    expect(session.expires_in).toBe(60)
    const named = await acting.start(scope(), { userId, actor: 'bot', reason, readonly: true })
    expect(claimsOf(named.access_token)).toMatchObject({ act: { sub: 'bot' }, readonly: true })
    const { impersonations, total } = await acting.list(scope(), { page: 1, perPage: 1, userId })
    expect(total).toBe(2)
    expect(impersonations).toHaveLength(1)
    for (const { access_token } of [session, named])
      await acting.stop(scope(), { id: claimsOf(access_token).session_id })
    expect(await running()).toEqual([])
    expect((await getUser(asked, named.access_token)).status).toBe(403)
    // Someone who is no admin, with their own session.
    const eve = { userId: they.eve.user.id, sessionId: claimsOf(they.eve.access_token).session_id }
    await expect(acting.start(scope(), { userId, actor: eve, reason })).rejects.toMatchObject({
      code: 'not_admin',
    })
    // And an admin's id with a session that is not theirs.
    const forged = { ...actor, sessionId: eve.sessionId }
    await expect(acting.start(scope(), { userId, actor: forged, reason })).rejects.toMatchObject({
      code: 'session_not_found',
    })
    await settled()
  })

  it.each([
    ['admins', {}],
    ['admins', { admins: ['ada'] }],
    ['seconds', { admins: isAdmin, seconds: 59 }],
    ['seconds', { admins: isAdmin, seconds: 86_401 }],
    ['days', { admins: isAdmin, days: 0 }],
    ['limit.max', { admins: isAdmin, limit: { max: 0, seconds: 1 } }],
    ['limit.seconds', { admins: isAdmin, limit: { max: 1 } }],
    ['readonly', { admins: isAdmin, readonly: 1 }],
    ['notify', { admins: isAdmin, notify: 'yes' }],
    ['secondFactor', { admins: isAdmin, secondFactor: null }],
  ])('is told of a wrong option: %s %j', (option, options) => {
    expect(() => part({ admins: undefined, ...options } as never)).toThrow(
      new RegExp(`^impersonation: \`${option.replace('.', '\\.')}\` must be`),
    )
  })

  it('is told of a part that is in no auth, or in two', async () => {
    const acting = part()
    const start = () => acting.start({} as never, { userId: '', actor: 'bot', reason })
    expect(start).toThrow(/must be listed in the `with` of auth first/)
    makeAuth({ with: [acting] })
    expect(() => makeAuth({ with: [acting] })).toThrow(/one auth only/)
  })

  it.each([[undefined], ['yes'], [null]])(
    'lets nobody act where `admins` says %s',
    async (said) => {
      const odd = world({ admins: (() => said) as never })
      const response = await post(
        odd.ask,
        `/admin/users/${who.ann.user.id}/impersonate`,
        { reason },
        { token: who.ada.access_token },
      )
      expect(response.status).toBe(500)
      expect(await running()).toEqual([])
    },
  )
})

it('forgets what is past after its days, and never what is running', async () => {
  const { users, scope, who: they, ask: asked } = await fresh({ days: 1 })
  await impersonated(asked, they.ada, they.ann)
  clock.advance(86_400)
  await users.scheduled(scope())
  expect(await running()).toEqual([])
  const kept = () => rows('SELECT ended_at, expires_at FROM leanto_auth_impersonations')
  const [{ ended_at, expires_at }] = await kept()
  expect(ended_at).toBe(expires_at)
  clock.advance(1)
  await users.scheduled(scope())
  expect(await kept()).toEqual([])
})
