import { env } from 'cloudflare:workers'
import { faults } from 'leanto'
import { oauthServer } from 'leanto/auth/oauth-server'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, makeBase } from '../kit/world.ts'
import {
  credentials,
  expectError,
  granted,
  makeClient,
  makeProvider,
  type Place,
  place,
  publicClient,
  redirectUri,
  refreshed,
  submit,
} from './oauth-server-world.ts'
import { refused as corpus } from './redirect-corpus.ts'
import { count, expectStatus, issuer, type Json, json, mountAuth, rows } from './world.ts'

let at: Place
beforeEach(async () => {
  at = await place()
})

const register = (body: object, ask = at.ask, headers = {}) =>
  ask('/auth/v1/oauth/clients/register', { body, headers })
const manage = (id: string, more: object = {}, path = '') =>
  at.ask(`/auth/v1/admin/oauth/clients/${id}${path}`, { key: 'secret', ...more })

describe('registration (RFC 7591)', () => {
  it('makes a client for anyone, where the host has opened it', async () => {
    const made = await expectStatus(
      await register({ redirect_uris: [redirectUri], client_name: 'Notes reader', extra: true }),
      201,
    )
    expect(made).toEqual({
      client_id: expect.stringMatching(/^[\da-f-]{36}$/),
      client_id_issued_at: Math.floor(clock.now() / 1000),
      client_name: 'Notes reader',
      client_secret: expect.stringMatching(/^[\w-]{43}$/),
      client_secret_expires_at: 0,
      client_type: 'confidential',
      token_endpoint_auth_method: 'client_secret_basic',
      registration_type: 'dynamic',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      require_pushed_authorization_requests: false,
      dpop_bound_access_tokens: false,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    })
    await granted(at, made)
    const open = await json(
      await register({ redirect_uris: [redirectUri], token_endpoint_auth_method: 'none' }),
    )
    expect(open).not.toHaveProperty('client_secret')
    expect(open).not.toHaveProperty('client_secret_expires_at')
  })

  it('is closed unless the host opens it, and then not found in the metadata', async () => {
    const closed = await place({ registration: false })
    const refused = await register({ redirect_uris: [redirectUri] }, closed.ask)
    await expectError(refused, 403, 'oauth_dynamic_client_registration_disabled')
    expect(await count('oauth_clients')).toBe(0)
    const found = await json(await closed.ask('/auth/v1/.well-known/oauth-authorization-server'))
    expect(found).not.toHaveProperty('registration_endpoint')
  })

  const unsafe = [
    ...corpus.filter((uri) => !uri.startsWith('https://') || /[@\\#]/.test(uri)),
    'javascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'http://client.example/cb',
    'https://client.example/cb#fragment',
    'https://client.example/*',
    'https://*.client.example/cb',
    'https://CLIENT.example/cb',
    'https://client.example:443/cb',
    'https://client.example/a/../cb',
    'https://client.example/a b',
    'http://2130706433/cb',
    'http://127.1/cb',
    'http://localhost.evil.example/cb',
    'myapp:/cb',
    'intent://x#Intent;end',
    'ms-settings:x',
    '',
  ]

  it.each(unsafe)('refuses to lead anyone to %j, on every path there is (case 25)', async (uri) => {
    const body = { client_name: 'x', redirect_uris: [redirectUri, uri] }
    await expectError(await register(body), 400, 'invalid_redirect_uri')
    const made = await at.ask('/auth/v1/admin/oauth/clients', { key: 'secret', body })
    expect((await expectStatus(made, 400)).error_code).toBe('validation_failed')
    expect(await count('oauth_clients')).toBe(0)
    const { client_id } = await makeClient(at.ask)
    const change = { method: 'PUT', body: { redirect_uris: [uri] } }
    await expectStatus(await manage(client_id, change), 400)
    expect((await json(await manage(client_id))).redirect_uris).toEqual([redirectUri])
  })

  it.each([
    'https://client.example/cb',
    'https://client.example',
    'https://client.example:8443/cb?a=b',
    'http://127.0.0.1:3000/cb',
    'http://[::1]/cb',
    'http://localhost:3000/cb',
    'com.example.app:/cb',
    'cursor://anysphere.cursor-mcp/oauth/callback',
  ])('lets an app be led to %j', async (uri) => {
    await expectStatus(await register({ redirect_uris: [uri] }), 201)
  })

  it.each([
    ['no redirect', { redirect_uris: [] }, 'invalid_redirect_uri'],
    ['too many', { redirect_uris: Array(11).fill(redirectUri) }, 'invalid_redirect_uri'],
    ['a response type', { response_types: ['token'] }, 'invalid_client_metadata'],
    ['a method', { token_endpoint_auth_method: 'private_key_jwt' }, 'invalid_client_metadata'],
    ['a machine', { grant_types: ['client_credentials'] }, 'invalid_client_metadata'],
    ['no grant', { grant_types: [] }, 'invalid_client_metadata'],
    ['a name with a line', { client_name: 'a\nb' }, 'invalid_client_metadata'],
    ['a name that turns round', { client_name: 'a\u202eb' }, 'invalid_client_metadata'],
    ['a long name', { client_name: 'x'.repeat(201) }, 'invalid_client_metadata'],
    ['a script for a home', { client_uri: 'javascript:alert(1)' }, 'invalid_client_metadata'],
    ['a script for a logo', { logo_uri: 'data:image/svg+xml,x' }, 'invalid_client_metadata'],
    ['a number (case 22)', { client_name: 1 }, 'invalid_client_metadata'],
    ['a word for a list (case 22)', { redirect_uris: redirectUri }, 'invalid_client_metadata'],
    [
      'two kinds',
      { client_type: 'public', token_endpoint_auth_method: 'client_secret_post' },
      'invalid_client_metadata',
    ],
  ])('refuses %s', async (_, fields, error) => {
    await expectError(await register({ redirect_uris: [redirectUri], ...fields }), 400, error)
    expect(await count('oauth_clients')).toBe(0)
  })

  it('gives, of what is asked for, what there is for anyone', async () => {
    const asked = {
      redirect_uris: [redirectUri, redirectUri],
      grant_types: ['authorization_code', 'client_credentials', 'implicit'],
      scope: 'openid notes admin',
    }
    expect(await expectStatus(await register(asked), 201)).toMatchObject({
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code'],
      scope: 'openid notes',
    })
    // As clients of MCP do, whose servers' scopes may be none of ours: it may still ask for what there is.
    const other = await json(await register({ ...asked, scope: 'mcp:tools' }))
    expect(other).not.toHaveProperty('scope')
  })

  it('goes by the host’s policy on every path (case 29)', async () => {
    const { not_ours } = faults({ not_ours: [403, 'Not here'] })
    const seen: unknown[] = []
    const { users } = makeProvider({
      before: {
        client: (_, client, change) => {
          seen.push([change, client.client_name])
          expect(client).not.toHaveProperty('client_secret')
          if (client.client_name === 'Evil') throw not_ours()
        },
      },
    })
    const ask = mountAuth(users)
    const evil = { client_name: 'Evil', redirect_uris: [redirectUri] }
    const dynamic = await register(evil, ask)
    expect([dynamic.status, (await json(dynamic)).error]).toEqual([403, 'invalid_request'])
    const admin = { key: 'secret', body: evil } as const
    const made = await ask('/auth/v1/admin/oauth/clients', admin)
    expect((await expectStatus(made, 403)).error_code).toBe('not_ours')
    expect(await count('oauth_clients')).toBe(0)
    const good = await makeClient(ask, { client_name: 'Good' })
    const path = `/auth/v1/admin/oauth/clients/${good.client_id}`
    const change = await ask(path, { method: 'PUT', key: 'secret', body: { client_name: 'Evil' } })
    expect(change.status).toBe(403)
    expect(await rows('SELECT name FROM leanto_auth_oauth_clients')).toEqual([{ name: 'Good' }])
    expect(seen).toEqual([
      ['registered', 'Evil'],
      ['created', 'Evil'],
      ['created', 'Good'],
      ['updated', 'Evil'],
    ])
  })
})

describe('the server’s clients', () => {
  it('are listed, the newest first, a page at a time', async () => {
    for (const client_name of ['One', 'Two', 'Three']) {
      await makeClient(at.ask, { client_name })
      clock.advance(1)
    }
    const listed = await at.ask('/auth/v1/admin/oauth/clients?page=1&per_page=2', { key: 'secret' })
    const { clients } = await expectStatus(listed, 200)
    expect(clients.map(({ client_name }: Json) => client_name)).toEqual(['Three', 'Two'])
    expect(JSON.stringify(clients)).not.toContain('secret"')
    expect(listed.headers.get('x-total-count')).toBe('3')
    expect(listed.headers.get('link')).toContain('rel="next"')
  })

  it('change as far as is said', async () => {
    const made = await makeClient(at.ask, { scope: 'openid' })
    clock.advance(1)
    const body = { client_name: 'Writer', logo_uri: 'https://client.example/logo.png' }
    const changed = await expectStatus(await manage(made.client_id, { method: 'PUT', body }), 200)
    const { client_secret: _, ...rest } = made
    expect(changed).toEqual({ ...rest, ...body, updated_at: new Date(clock.now()).toISOString() })
    await expectStatus(await manage(made.client_id, { method: 'PUT', body: {} }), 400)
    // A machine's secret is not lost by a change.
    await expectError(
      await submit(at.ask, 'token', {
        grant_type: 'refresh_token',
        refresh_token: 'x',
        ...credentials(made),
      }),
      400,
      'invalid_grant',
    )
  })

  it('lose their secret, and get one, as they change their kind', async () => {
    const made = await makeClient(at.ask)
    const kind = (token_endpoint_auth_method: string) =>
      manage(made.client_id, { method: 'PUT', body: { token_endpoint_auth_method } })
    clock.advance(1)
    const open = await expectStatus(await kind('none'), 200)
    expect(open.client_type).toBe('public')
    expect(open).not.toHaveProperty('client_secret')
    const refused = await manage(made.client_id, { method: 'POST' }, '/regenerate_secret')
    await expectStatus(refused, 400)
    clock.advance(1)
    const closed = await expectStatus(await kind('client_secret_post'), 200)
    expect(closed.client_secret).toMatch(/^[\w-]{43}$/)
    expect(closed.client_secret).not.toBe(made.client_secret)
    await granted(at, closed)
  })

  it('get a new secret, and the old one is dead at once', async () => {
    const made = await makeClient(at.ask)
    const { refresh_token } = await granted(at, made)
    const path = '/regenerate_secret'
    const fresh = await expectStatus(await manage(made.client_id, { method: 'POST' }, path), 200)
    expect(fresh.client_secret).not.toBe(made.client_secret)
    await expectError(await refreshed(at.ask, made, refresh_token), 401, 'invalid_client')
    await expectStatus(await refreshed(at.ask, fresh, refresh_token), 200)
    const shown = await json(await manage(made.client_id))
    expect(shown).not.toHaveProperty('client_secret')
  })

  it('are found by their id alone', async () => {
    for (const [method, path] of [
      ['GET', ''],
      ['PUT', ''],
      ['DELETE', ''],
      ['POST', '/regenerate_secret'],
    ] as const) {
      const more = { method, ...(method === 'PUT' ? { body: { client_name: 'x' } } : {}) }
      const none = await manage(crypto.randomUUID(), more, path)
      expect((await expectStatus(none, 404)).error_code).toBe('oauth_client_not_found')
      await expectStatus(await manage('x', more, path), 400)
    }
  })

  it('refuse what no client may be', async () => {
    const make = (fields: object) =>
      at.ask('/auth/v1/admin/oauth/clients', {
        key: 'secret',
        body: { client_name: 'x', redirect_uris: [redirectUri], ...fields },
      })
    for (const fields of [
      { client_name: '' },
      { grant_types: ['password'] },
      { grant_types: ['client_credentials'], token_endpoint_auth_method: 'none' },
      { scope: 'unknown' },
      { dpop_bound_access_tokens: true },
    ])
      expect((await expectStatus(await make(fields), 400)).error_code).toBe('validation_failed')
  })
})

describe('discovery (case 29)', () => {
  it('says what there is, the same in both documents', async () => {
    const one = await at.ask('/auth/v1/.well-known/oauth-authorization-server')
    const metadata = await expectStatus(one, 200)
    expect(one.headers.get('cache-control')).toBe('public, max-age=600')
    expect(metadata).toMatchObject({
      issuer,
      authorization_endpoint: `${issuer}/oauth/authorize`,
      token_endpoint: `${issuer}/oauth/token`,
      registration_endpoint: `${issuer}/oauth/clients/register`,
      pushed_authorization_request_endpoint: `${issuer}/oauth/par`,
      userinfo_endpoint: `${issuer}/oauth/userinfo`,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      id_token_signing_alg_values_supported: ['ES256'],
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
      scopes_supported: ['openid', 'profile', 'email', 'phone', 'notes', 'notes:read'],
      authorization_response_iss_parameter_supported: true,
    })
    // No signature is `none`, of which OpenID Connect speaks too.
    const algorithms = Object.entries(metadata).filter(([name]) => name.includes('alg'))
    expect(JSON.stringify(algorithms)).not.toContain('none')
    const openid = await json(await at.ask('/auth/v1/.well-known/openid-configuration'))
    expect(openid).toEqual(metadata)
    // Each endpoint is there.
    const routes = at.users.table.map(({ path }) => path)
    for (const [name, url] of Object.entries(metadata))
      if (name.endsWith('_endpoint') || name === 'jwks_uri')
        expect(routes).toContain(String(url).replace(issuer, ''))
  })

  it('is found from the root of the origin (RFC 8414, 3.1)', async () => {
    const ask = (path: string) => at.provider.wellKnown.request(`https://app.example${path}`)
    // Without the bindings of a request: those come with the app.
    expect((await ask('/other')).status).toBe(404)
    expect(at.provider.wellKnown.routes.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /.well-known/oauth-authorization-server/*',
      'GET /.well-known/openid-configuration/*',
      'GET /.well-known/oauth-protected-resource',
      'GET /.well-known/oauth-protected-resource/*',
    ])
  })
})

describe('the upkeep', () => {
  it('forgets clients that registered themselves and were never used', async () => {
    const used = await json(await register({ redirect_uris: [redirectUri] }))
    await register({ redirect_uris: [redirectUri] })
    await publicClient(at.ask)
    await granted(at, used)
    clock.advance(91 * 86_400)
    const executionCtx = { waitUntil() {} }
    await at.users.scheduled(makeBase().scope({ env, executionCtx } as never))
    const left = await rows(
      'SELECT id, registration FROM leanto_auth_oauth_clients ORDER BY registration',
    )
    expect(left).toEqual([
      { id: used.client_id, registration: 'dynamic' },
      { id: expect.any(String), registration: 'manual' },
    ])
    for (const table of ['requests', 'codes', 'sessions'])
      expect(await count(`oauth_${table}`)).toBe(0)
  })
})

describe('the options', () => {
  it.each([
    [{ consentPage: 'https://evil.example' }, 'consentPage'],
    [{ signInPage: '//evil.example' }, 'signInPage'],
    [{ scopes: { 'a b': 'x' } }, 'scopes'],
    [{ scopes: { openid: 'x' } }, 'scopes'],
    [{ scopes: { notes: '' } }, 'scopes'],
    [{ resources: { mcp: {} } }, 'resources'],
    [{ resources: { '/mcp': { scopes: ['x'] } } }, 'resources'],
    [{ schemes: ['javascript'] }, 'schemes'],
    [{ schemes: ['my app'] }, 'schemes'],
    [{ registration: { max: 0, seconds: 1 } }, 'registration'],
    [{ with: [1] }, 'with'],
  ])('that are wrong are refused by name: %j', (options, name) => {
    expect(() => oauthServer(options as never)).toThrow(`oauthServer: \`${name}\``)
  })

  it('are of one auth', () => {
    const { provider } = makeProvider()
    expect(() => provider.routes?.({} as never)).toThrow('one part is for one auth')
  })
})
