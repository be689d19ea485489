import { env } from 'cloudflare:workers'
import { and, eq, or, sql } from 'drizzle-orm'
import { sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { Hono } from 'hono'
import { SignJWT } from 'jose'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { sessions } from 'leanto/auth/parts'
import { passkeys } from 'leanto/auth/passkeys'
import { data, expose } from 'leanto/data'
import { beforeEach, describe, expect, it } from 'vitest'
import { asker, freshDatabase, makeBase } from '../kit/world.ts'
import {
  credentials,
  expectError,
  granted,
  makeClient,
  makeProvider,
  place,
  publicClient,
  refreshed,
  resource,
  submit,
} from './oauth-server-world.ts'
import {
  type Asker,
  claimsOf,
  expectStatus,
  issuer,
  type Json,
  json,
  rows,
  signUp,
} from './world.ts'

/* What a client's token opens, and what it does not. */

const notes = sqliteTable('notes', {
  id: text().primaryKey(),
  ownerId: text('owner_id').notNull(),
  text: text().notNull(),
})
const hostSql = [
  'CREATE TABLE notes (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL, text TEXT NOT NULL)',
]

let ask: Asker
let session: Json
let machineId = ''
let world: ReturnType<typeof makeProvider>

beforeEach(async () => {
  const hook = { accessToken: () => ({ plan: 'gold', client_id: 'of the host' }) }
  world = makeProvider({}, { before: hook, with: [mfa(), admin(), sessions(), passkeys()] })
  const { users, provider } = world
  const store = data(makeBase(), {
    identity: users,
    tables: {
      notes: expose(notes, {
        select: (who) =>
          or(
            eq(notes.ownerId, who.id),
            machineId !== '' && who.claims.client_id === machineId ? sql`1` : sql`0`,
          ),
        update: (who) =>
          and(eq(notes.ownerId, who.id), who.claims.client_id === undefined ? sql`1` : sql`0`),
      }),
    },
  })
  await freshDatabase([users, store], hostSql)
  const app = new Hono()
  app.route('/auth/v1', users.routes)
  app.route('/rest/v1', store.routes)
  app.route('/', provider.wellKnown)
  app.get('/me', users.signedIn, (c) => c.json({ id: c.var.principal.id }, 200))
  app.get('/mcp', provider.protects('/mcp'), (c) =>
    c.json({ id: c.var.principal.id, by: c.var.principal.claims.client_id }, 200),
  )
  app.get('/mcp/write', provider.protects('/mcp', { scopes: ['notes', 'notes:read'] }), (c) =>
    c.json({}, 200),
  )
  ask = asker(app)
  session = await signUp(ask, 'ann@example.com')
  machineId = ''
  await rows("INSERT INTO notes VALUES ('1', ?, 'mine')", session.user.id)
})

const at = () => ({ ask, session })
const read = (token: string) => ask('/rest/v1/notes', { token })

describe('a client that only learns who someone is', () => {
  it('reaches nothing of the host’s, and nothing of theirs', async () => {
    const { access_token: token } = await granted(at(), await makeClient(ask), {
      scope: 'openid email profile phone',
    })
    for (const path of ['/rest/v1/notes', '/me']) {
      const refused = await ask(path, { token })
      expect(refused.status).toBe(403)
      expect((await json(refused)).code).toBe('insufficient_scope')
    }
    const claims = claimsOf(token)
    for (const claim of ['plan', 'app_metadata', 'user_metadata', 'phone'])
      expect(claims).not.toHaveProperty(claim)
  })
})

describe('a client that was granted a scope of the host’s', () => {
  it('acts for the user as far as policies go, which can tell it from them', async () => {
    const client = await makeClient(ask)
    const { access_token: token } = await granted(at(), client)
    expect(claimsOf(token)).toMatchObject({ plan: 'gold', client_id: client.client_id })
    expect(await expectStatus(await read(token), 200)).toEqual([
      { id: '1', owner_id: session.user.id, text: 'mine' },
    ])
    expect(await expectStatus(await ask('/me', { token }), 200)).toEqual({ id: session.user.id })
    const change = { method: 'PATCH', body: { text: 'other' } }
    await ask('/rest/v1/notes?id=eq.1', { ...change, token })
    expect(await rows('SELECT text FROM notes')).toEqual([{ text: 'mine' }])
    await ask('/rest/v1/notes?id=eq.1', { ...change, token: session.access_token })
    expect(await rows('SELECT text FROM notes')).toEqual([{ text: 'other' }])
  })

  it('changes nothing of the account, by no route of auth (case 18)', async () => {
    const { access_token: token } = await granted(at(), await makeClient(ask))
    const before = await rows('SELECT * FROM leanto_auth_users')
    const own = ['/user', '/factors', '/passkeys', '/reauthenticate', '/logout', '/sessions']
    const asked = world.users.table
      .filter(
        ({ path }) =>
          own.some((one) => path.startsWith(one)) || path.startsWith('/oauth/authorizations'),
      )
      // How anyone signs in.
      .filter(({ path }) => !path.startsWith('/passkeys/authentication'))
    expect(asked.length).toBeGreaterThan(15)
    for (const { method, path } of asked) {
      const id = '00000000-0000-7000-8000-000000000000'
      const url = `/auth/v1${path.replaceAll(/:\w+/g, id)}`
      const refused = await ask(url, { method, token, ...(method === 'GET' ? {} : { body: {} }) })
      expect([method, path, refused.status]).toEqual([method, path, 403])
      expect(refused.headers.get('x-sb-error-code')).toBe('insufficient_scope')
    }
    const page = await ask('/auth/v1/oauth/consent?authorization_id=x', { token })
    expect(page.status).toBe(401)
    for (const path of ['/admin/users', '/admin/oauth/clients', '/admin/audit'])
      expect((await ask(`/auth/v1${path}`, { token })).status).toBe(403)
    expect(await rows('SELECT * FROM leanto_auth_users')).toEqual(before)
  })

  it('is known by what was signed, not by what the host’s hook says', async () => {
    expect(claimsOf(session.access_token)).not.toHaveProperty('client_id')
    expect((await read(session.access_token)).status).toBe(200)
  })
})

describe('a machine', () => {
  const own = async (fields: object = {}) => {
    const client = await makeClient(ask, {
      grant_types: ['client_credentials'],
      redirect_uris: undefined,
      scope: 'notes:read',
    })
    const asked = { grant_type: 'client_credentials', ...credentials(client), ...fields }
    const { access_token: token } = await expectStatus(await submit(ask, 'token', asked), 200)
    return { client, token }
  }

  it('is a guest, but for what a policy gives to its client_id', async () => {
    const { client, token } = await own()
    expect(await expectStatus(await read(token), 200)).toEqual([])
    expect((await ask('/me', { token })).status).toBe(401)
    machineId = client.client_id
    expect(await expectStatus(await read(token), 200)).toHaveLength(1)
  })

  it('comes to a resource as itself', async () => {
    const { client, token } = await own({ resource })
    expect(await expectStatus(await ask('/mcp', { token }), 200)).toEqual({
      id: null,
      by: client.client_id,
    })
    // And nowhere else.
    expect((await read(token)).status).toBe(401)
  })
})

describe('a resource', () => {
  const challenge = (response: Response) => response.headers.get('www-authenticate')
  const metadata = 'https://app.example/.well-known/oauth-protected-resource/mcp'

  it('says where to get a token (RFC 9728)', async () => {
    const refused = await ask('/mcp')
    expect(refused.status).toBe(401)
    expect(challenge(refused)).toBe(`Bearer scope="notes", resource_metadata="${metadata}"`)
    expect(await expectStatus(await ask(new URL(metadata).pathname), 200)).toEqual({
      resource,
      authorization_servers: [issuer],
      scopes_supported: ['notes'],
      bearer_methods_supported: ['header'],
      resource_name: 'Notes for assistants',
    })
    expect((await ask('/.well-known/oauth-protected-resource')).status).toBe(404)
    expect((await ask('/.well-known/oauth-protected-resource/other')).status).toBe(404)
  })

  it('and its issuer are found from the root of the origin (RFC 8414, 3.1)', async () => {
    const metadata = await json(await ask('/auth/v1/.well-known/openid-configuration'))
    for (const name of ['oauth-authorization-server', 'openid-configuration']) {
      const found = await ask(`/.well-known/${name}/auth/v1`)
      expect(await expectStatus(found, 200)).toEqual(metadata)
      expect(found.headers.get('access-control-allow-origin')).toBe('*')
      for (const other of ['', '/auth', '/auth/v1/', '/auth/v2'])
        expect((await ask(`/.well-known/${name}${other}`)).status).toBe(404)
    }
  })

  it('takes tokens that were asked for by its name alone (cases 32 and 33)', async () => {
    const client = await publicClient(ask)
    const elsewhere = await granted(at(), client)
    for (const token of [
      elsewhere.access_token,
      elsewhere.id_token,
      session.access_token,
      'nonsense',
    ]) {
      const refused = await ask('/mcp', { token })
      expect(refused.status).toBe(401)
      expect(challenge(refused)).toContain('error="invalid_token"')
    }
    const { access_token: token } = await granted(at(), client, { resource })
    expect(await expectStatus(await ask('/mcp', { token }), 200)).toEqual({
      id: session.user.id,
      by: client.client_id,
    })
    const lacking = await ask('/mcp/write', { token })
    expect(lacking.status).toBe(403)
    expect(challenge(lacking)).toBe(
      `Bearer error="insufficient_scope", scope="notes notes:read", resource_metadata="${metadata}"`,
    )
    const both = await granted(at(), client, { resource, scope: 'notes notes:read' })
    expect((await ask('/mcp/write', { token: both.access_token })).status).toBe(200)
  })

  it('must be one that is declared', () => {
    expect(() => world.provider.protects('/other')).toThrow('oauthServer: `resources` must have')
  })
})

describe('tokens that look like a client’s', () => {
  it('are nothing unless our keys have signed them', async () => {
    const sub = '00000000-0000-4000-8000-000000000000'
    const forged = await new SignJWT({ client_id: sub, scope: 'notes' })
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
      .setIssuer(issuer)
      .setAudience('authenticated')
      .setSubject(sub)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode('x'.repeat(32)))
    expect((await read(forged)).status).toBe(401)
    expect((await ask('/mcp', { token: forged })).status).toBe(401)
    expect((await ask('/auth/v1/oauth/userinfo', { token: forged })).status).toBe(401)
  })

  it('bound to a key are nobody’s to take where no part asks for the key', async () => {
    const jkt = 'k'.repeat(43)
    const binding = async () => ({ cnf: { jkt }, jkt, tokenType: 'DPoP' })
    const bound = await place({ with: [{ name: 'test', binding }] })
    const client = await publicClient(bound.ask)
    const tokens = await granted(bound, client)
    expect(tokens.token_type).toBe('DPoP')
    expect(claimsOf(tokens.access_token).cnf).toEqual({ jkt })
    const { users } = bound
    const request = new Request('https://app.example/', {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    const scope = makeBase().scope({ env })
    await expect(users.principal(scope, request)).rejects.toMatchObject({ code: 'bad_token' })
    const info = await bound.ask('/auth/v1/oauth/userinfo', { token: tokens.access_token })
    expect(info.status).toBe(401)
    // Its refresh token is the key's as well, for no secret stands for this client.
    await rows('UPDATE leanto_auth_oauth_sessions SET jkt = ?', 'j'.repeat(43))
    await expectError(
      await refreshed(bound.ask, client, tokens.refresh_token),
      400,
      'invalid_grant',
    )
  })
})
