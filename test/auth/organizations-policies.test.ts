import { env } from 'cloudflare:workers'
import { and, eq, inArray, type SQL } from 'drizzle-orm'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { Hono } from 'hono'
import { migrate } from 'leanto'
import { authMembers, organizations } from 'leanto/auth/organizations'
import { trust } from 'leanto/auth/parts'
import { data, expose, type Policy } from 'leanto/data'
import { service, services } from 'leanto/services'
import { describe, expect, it } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { asker, clock, freshDatabase, makeBase, mount } from '../kit/world.ts'
import {
  activate,
  call,
  join,
  newOrganization,
  ok,
  organizationsWorld,
  type Person,
  refreshed,
  type World,
} from './organizations-world.ts'
import { claimsOf, type Json, makeAuth, signUp } from './world.ts'

/* Two organisations in one table: whoever is in one sees what is its own, by what their token says or by what is so now. */

const notes = sqliteTable('notes', {
  id: integer('id').primaryKey(),
  orgId: text('org_id').notNull(),
  teamId: text('team_id'),
  title: text('title').notNull(),
})
const hostSql = [
  'CREATE TABLE notes (id INTEGER PRIMARY KEY, org_id TEXT NOT NULL, team_id TEXT, title TEXT NOT NULL)',
]

const options = { roles: { editor: ['notes:write'], member: [] } } as const
const parts = organizations(options)

/** Each policy in the ways in which it can be said. */
const ways: Record<string, { read: Policy; write: Policy }> = {
  'who.orgs': {
    read: (who) =>
      inArray(
        notes.orgId,
        who.orgs.map(({ id }) => id),
      ),
    write: (who) =>
      inArray(
        notes.orgId,
        who.orgs.filter(({ role }) => role !== 'member').map(({ id }) => id),
      ),
  },
  idsOf: {
    read: (who) => inArray(notes.orgId, parts.idsOf(who)),
    write: (who) => inArray(notes.orgId, parts.idsOf(who, 'notes:write')),
  },
  isMember: {
    read: (who) => parts.isMember(notes.orgId, who),
    write: (who) => parts.isMember(notes.orgId, who, 'notes:write'),
  },
}

let world: World
let ann: Person
let bob: Person
let acme: string
let ajax: string

/** An app with organisations and a store of notes; some in each of two organisations. */
async function storeWorld(policy: { read: Policy; write: Policy }, fresh = false) {
  world = await organizationsWorld({ ...options, fresh })
  await env.DB.batch(hostSql.map((sql) => env.DB.prepare(sql)))
  const base = makeBase()
  const store = data(base, {
    identity: world.users,
    tables: {
      notes: expose(notes, {
        select: policy.read,
        insert: policy.write,
        update: policy.write,
        delete: policy.write,
      }),
    },
  })
  await migrate(env.DB as never, [store])
  const ask = mount({ '/auth/v1': world.users, '/rest/v1': store })
  ann = await world.person('ann')
  bob = await world.person('bob')
  acme = (await newOrganization(world, ann)).id
  ajax = (await newOrganization(world, bob)).id
  await env.DB.batch(
    [acme, acme, ajax].map((org, i) =>
      env.DB.prepare('INSERT INTO notes VALUES (?, ?, NULL, ?)').bind(i + 1, org, `note ${i + 1}`),
    ),
  )
  await refreshed(world, ann)
  await refreshed(world, bob)
  return { ask, store, base }
}

type Store = Awaited<ReturnType<typeof storeWorld>>
const titles = async ({ ask }: Store, who?: Person): Promise<string[]> =>
  (await ok(ask('/rest/v1/notes?order=id', who ? { token: who.token } : {}))).map(
    ({ title }: Json) => title,
  )
const write = ({ ask }: Store, who: Person, org_id: string) =>
  ask('/rest/v1/notes', { body: { id: 9, org_id, title: 'mine' }, token: who.token })

describe.each(Object.keys(ways))('a policy by %s', (way) => {
  it('shows each their own organisation’s, and lets them write there alone', async () => {
    const store = await storeWorld(ways[way] as (typeof ways)[string])
    expect(await titles(store, ann)).toEqual(['note 1', 'note 2'])
    expect(await titles(store, bob)).toEqual(['note 3'])
    expect(await titles(store)).toEqual([])
    expect(await titles(store, await world.person('eve'))).toEqual([])
    expect((await write(store, ann, ajax)).status).toBe(403)
    expect((await write(store, ann, acme)).status).toBe(201)
    const moved = await store.ask(`/rest/v1/notes?id=eq.9`, {
      method: 'PATCH',
      body: { org_id: ajax },
      token: ann.token,
    })
    expect(moved.status).toBe(403)
    const gone = await store.ask('/rest/v1/notes?id=gt.0', { method: 'DELETE', token: bob.token })
    expect(gone.status).toBe(204)
    expect(await titles(store, ann)).toEqual(['note 1', 'note 2', 'mine'])
    expect(await titles(store, bob)).toEqual([])
  })

  it('asks for what the role may do', async () => {
    const store = await storeWorld(ways[way] as (typeof ways)[string])
    await join(world, ann, bob, acme)
    await refreshed(world, bob)
    expect(await titles(store, bob)).toEqual(['note 1', 'note 2', 'note 3'])
    expect((await write(store, bob, acme)).status).toBe(403)
    await ok(
      call(world, ann, 'PATCH', `/organizations/${acme}/members/${bob.id}`, { role: 'editor' }),
    )
    await refreshed(world, bob)
    expect((await write(store, bob, acme)).status).toBe(201)
  })

  it.each([false, true])('after a removal says what is promised (fresh: %s)', async (fresh) => {
    const store = await storeWorld(ways[way] as (typeof ways)[string], fresh)
    await join(world, ann, bob, acme)
    await refreshed(world, bob)
    await ok(call(world, ann, 'DELETE', `/organizations/${acme}/members/${bob.id}`), 204)
    // The token is still good. What it says of organisations counts until it ends, unless the database is asked.
    const stale = fresh || way === 'isMember' ? ['note 3'] : ['note 1', 'note 2', 'note 3']
    expect(await titles(store, bob)).toEqual(stale)
    await refreshed(world, bob)
    expect(await titles(store, bob)).toEqual(['note 3'])
  })

  it('is part of the one trip', async () => {
    const store = await storeWorld(ways[way] as (typeof ways)[string])
    const { cost, response } = await measurer(store.base, store.store)('/notes', {
      token: ann.token,
    })
    expect(response.status).toBe(200)
    expect(cost.trips).toBe(1)
    // With `fresh` it is one more.
    const asked = await storeWorld(ways[way] as (typeof ways)[string], true)
    const more = await measurer(asked.base, asked.store)('/notes', { token: ann.token })
    expect(more.cost.trips).toBe(2)
  })
})

it('the active organisation bounds a policy, and nothing is active for who has chosen none', async () => {
  const active: Policy = (who) => eq(notes.orgId, who.org.id)
  const store = await storeWorld({ read: active, write: (who) => and(active(who) as SQL) })
  expect(await titles(store, ann)).toEqual([])
  expect(await titles(store)).toEqual([])
  const session = await ok(activate(world, ann, acme))
  expect(await titles(store, { ...ann, token: session.access_token })).toEqual(['note 1', 'note 2'])
  expect((await write(store, { ...ann, token: session.access_token }, ajax)).status).toBe(403)
})

it('the service passes', async () => {
  const store = await storeWorld(ways['who.orgs'] as (typeof ways)[string])
  expect(await ok(store.ask('/rest/v1/notes', { key: 'secret' }))).toHaveLength(3)
})

it('the host’s own queries join the tables', async () => {
  await storeWorld(ways['who.orgs'] as (typeof ways)[string])
  const { drizzle } = await import('drizzle-orm/d1')
  const found = await drizzle(env.DB as never)
    .select({ title: notes.title })
    .from(notes)
    .innerJoin(authMembers, eq(authMembers.organizationId, notes.orgId))
    .where(eq(authMembers.userId, bob.id))
  expect(found).toEqual([{ title: 'note 3' }])
})

it('in the host’s handlers the principal says where they are', async () => {
  await storeWorld(ways['who.orgs'] as (typeof ways)[string])
  const app = new Hono().get('/me', world.users.identify as never, (c) => {
    const { orgs, org } = c.get('principal' as never) as Json
    return c.json({ orgs, org, can: parts.can({ id: '', orgs }, acme, 'notes:write') })
  })
  const ask = asker(app)
  const session = await ok(activate(world, ann, acme))
  const place = { id: acme, role: 'owner', teams: [] }
  expect(await ok(ask('/me', { token: session.access_token }))).toEqual({
    orgs: [place],
    org: place,
    can: true,
  })
  expect(await ok(ask('/me'))).toEqual({ can: false })
  expect(await ok(ask('/me', { token: bob.token }))).toMatchObject({ can: false })
})

it('another issuer’s claims of that name are nobody’s', async () => {
  const secret = 'a secret of the project before, which is long enough'
  const elsewhere = 'https://old.example/auth/v1'
  const { SignJWT } = await import('jose')
  const orgs = organizations()
  const users = makeAuth({ with: [orgs, trust([{ issuer: elsewhere, secret }])] })
  await freshDatabase([users])
  const { user } = await signUp(mount({ '/auth/v1': users }), 'ann@example.com')
  const token = await new SignJWT({
    role: 'authenticated',
    orgs: { x: { role: 'owner' } },
    org: { id: 'x' },
  })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer(elsewhere)
    .setAudience('authenticated')
    .setSubject(user.id)
    .setIssuedAt(Math.floor(clock.now() / 1000))
    .setExpirationTime(Math.floor(clock.now() / 1000) + 60)
    .sign(new TextEncoder().encode(secret))
  const request = new Request('https://app.example/', {
    headers: { authorization: `Bearer ${token}` },
  })
  const who = await users.principal(makeBase().scope({ env, req: { raw: request } }), request)
  expect(who.id).toBe(user.id)
  expect([who.orgs, who.org]).toEqual([undefined, undefined])
})

it('the quotas of `services` count the active organisation by themselves', async () => {
  world = await organizationsWorld()
  const base = makeBase()
  const gateway = services(base, {
    identity: world.users,
    services: {
      echo: service({
        origin: 'https://paid.example',
        auth: { header: 'x-key', value: () => 'k' },
        allow: [{ method: 'GET', path: '/now' }],
        quota: { organisation: { requests: { day: 2 } } },
        fetch: async () => new Response('ok'),
      }),
    },
  })
  await migrate(env.DB as never, [gateway])
  const ask = mount({ '/services': gateway })
  const owner = await world.person('owner')
  const mate = await world.person('mate')
  const { id } = await newOrganization(world, owner)
  await join(world, owner, mate, id)
  const tokens = await Promise.all(
    [owner, mate].map(async (who) => (await ok(activate(world, who, id))).access_token),
  )
  expect(claimsOf(tokens[0]).org.id).toBe(id)
  const statuses = []
  for (const token of [tokens[0], tokens[1], tokens[0]])
    statuses.push((await ask('/services/echo/now', { token })).status)
  expect(statuses).toEqual([200, 200, 429])
  // Who has chosen none spends nothing of it.
  expect((await ask('/services/echo/now', { token: owner.token })).status).toBe(200)
})
