import { env } from 'cloudflare:workers'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, makeBase } from '../kit/world.ts'
import {
  answer,
  authorizeQuery,
  begin,
  codeFor,
  credentials,
  exchange,
  expectError,
  granted,
  ledTo,
  look,
  makeClient,
  type Place,
  place,
  publicClient,
  redirectUri,
  refreshed,
  resource,
  submit,
} from './oauth-server-world.ts'
import {
  claimsOf,
  expectStatus,
  getUser,
  issuer,
  type Json,
  json,
  signIn,
  signUp,
} from './world.ts'

let at: Place
beforeEach(async () => {
  at = await place()
})

const keys = async () =>
  createLocalJWKSet(await json(await at.ask('/auth/v1/.well-known/jwks.json')))
const userinfo = (token?: string, method = 'GET') =>
  at.ask('/auth/v1/oauth/userinfo', { token, method })

describe('the code flow', () => {
  it('asks the user, and gives a client what was agreed to', async () => {
    const client = await makeClient(at.ask)
    const id = await begin(at.ask, client, { nonce: 'n-1' })
    const details = await expectStatus(await look(at, id), 200)
    expect(details).toEqual({
      authorization_id: id,
      redirect_uri: redirectUri,
      client: { id: client.client_id, name: 'Reader', uri: '', logo_uri: '' },
      user: { id: at.session.user.id, email: 'ann@example.com' },
      scope: 'openid email notes',
    })
    const { redirect_url } = await expectStatus(await answer(at, id), 200)
    const back = new URL(redirect_url)
    expect(back.origin + back.pathname).toBe(redirectUri)
    expect(Object.fromEntries(back.searchParams)).toEqual({
      code: expect.stringMatching(/^[\w-]{43}$/),
      state: 'some state',
      iss: issuer,
    })
    const tokens = await expectStatus(
      await exchange(at.ask, client, back.searchParams.get('code') as string),
      200,
    )
    expect(tokens).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'openid email notes',
      refresh_token: expect.stringMatching(/^[\w-]{43}$/),
      id_token: expect.any(String),
    })
    const access = await jwtVerify(tokens.access_token, await keys(), {
      issuer,
      audience: 'authenticated',
      typ: 'at+jwt',
      currentDate: new Date(clock.now()),
    })
    expect(access.payload).toMatchObject({
      sub: at.session.user.id,
      client_id: client.client_id,
      scope: 'openid email notes',
      email: 'ann@example.com',
      role: 'authenticated',
      aal: 'aal1',
    })
    expect(access.payload).not.toHaveProperty('user_metadata')
    expect(access.payload).not.toHaveProperty('phone')
    const { payload } = await jwtVerify(tokens.id_token, await keys(), {
      issuer,
      audience: client.client_id,
      currentDate: new Date(clock.now()),
    })
    expect(payload).toMatchObject({
      sub: at.session.user.id,
      nonce: 'n-1',
      auth_time: Math.floor(clock.now() / 1000),
      email: 'ann@example.com',
      email_verified: true,
      amr: ['password'],
    })
    expect(payload).not.toHaveProperty('name')
    expect(await expectStatus(await userinfo(tokens.access_token), 200)).toEqual({
      sub: at.session.user.id,
      email: 'ann@example.com',
      email_verified: true,
    })
    expect((await userinfo(tokens.access_token, 'POST')).status).toBe(200)
  })

  it('tells the client of a denial, and that was the end of it', async () => {
    const client = await makeClient(at.ask)
    const id = await begin(at.ask, client)
    const { redirect_url } = await expectStatus(await answer(at, id, 'deny'), 200)
    expect(Object.fromEntries(new URL(redirect_url).searchParams)).toEqual({
      error: 'access_denied',
      error_description: 'User denied the request',
      state: 'some state',
      iss: issuer,
    })
    await expectStatus(await answer(at, id), 404)
    await expectStatus(await look(at, id), 404)
  })

  it('asks once: what was agreed to before needs no answer, and anything more does', async () => {
    const client = await makeClient(at.ask)
    await granted(at, client)
    const again = await expectStatus(await look(at, await begin(at.ask, client)), 200)
    expect(Object.keys(again)).toEqual(['redirect_url'])
    const more = { scope: 'openid email notes phone' }
    const looked = await expectStatus(await look(at, await begin(at.ask, client, more)), 200)
    expect(looked.scope).toBe('openid email notes phone')
    const place = { resource }
    expect(await json(await look(at, await begin(at.ask, client, place)))).toHaveProperty('client')
    for (const prompt of ['consent', 'select_account'])
      expect(await json(await look(at, await begin(at.ask, client, { prompt })))).toHaveProperty(
        'client',
      )
  })

  it('asks each time where another app could stand in for it (RFC 8252, 8.6)', async () => {
    const uri = 'com.example.reader:/cb'
    const client = await publicClient(at.ask, { redirect_uris: [uri] })
    const asked = { redirect_uri: uri }
    await granted(at, client, asked, asked)
    expect(await json(await look(at, await begin(at.ask, client, asked)))).toHaveProperty('client')
  })

  it('is one user’s from the first look on (case 42)', async () => {
    const client = await makeClient(at.ask)
    const id = await begin(at.ask, client)
    await expectStatus(await look(at, id), 200)
    const eve = { ask: at.ask, session: await signUp(at.ask, 'eve@example.com') }
    await expectStatus(await look(eve, id), 404)
    await expectStatus(await answer(eve, id), 404)
    await expectStatus(await answer(eve, id, 'deny'), 404)
    await expectStatus(await answer(at, id), 200)
  })

  it('is not a guest’s to answer', async () => {
    const guests = await place({}, { anonymous: true })
    const client = await makeClient(guests.ask)
    const session = await expectStatus(await guests.ask('/auth/v1/signup', { body: {} }), 200)
    const guest = { ask: guests.ask, session }
    const id = await begin(guests.ask, client)
    const refused = await expectStatus(await look(guest, id), 400)
    expect(refused.error_code).toBe('reauthentication_needed')
    await expectStatus(await answer(guest, id), 400)
  })

  it.each([
    ['response_type', { response_type: 'token' }, 'unsupported_response_type'],
    ['response_mode', { response_mode: 'fragment' }, 'invalid_request'],
    ['no challenge', { code_challenge: undefined }, 'invalid_request'],
    ['a plain challenge (case 29)', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['no method, which would be plain', { code_challenge_method: undefined }, 'invalid_request'],
    ['a short challenge', { code_challenge: 'x' }, 'invalid_request'],
    ['a scope of nothing known', { scope: 'admin' }, 'invalid_scope'],
    ['an undeclared resource', { resource: 'https://evil.example/' }, 'invalid_target'],
    ['a prompt', { prompt: 'create' }, 'invalid_request'],
    ['none with another prompt', { prompt: 'none login' }, 'invalid_request'],
    ['max_age', { max_age: '-1' }, 'invalid_request'],
    ['a request object', { request: 'x.y.z' }, 'request_not_supported'],
    ['a state that is too long', { state: 'x'.repeat(3000) }, 'invalid_request'],
  ])('tells the client what is wrong with %s', async (_, fields, error) => {
    const client = await makeClient(at.ask)
    const query = await authorizeQuery(client, fields)
    const url = ledTo(await at.ask(`/auth/v1/oauth/authorize?${query}`))
    expect(url.origin + url.pathname).toBe(redirectUri)
    expect(url.searchParams.get('error')).toBe(error)
    expect(url.searchParams.get('iss')).toBe(issuer)
    expect(url.searchParams.get('state')).toBe('state' in fields ? fields.state : 'some state')
  })

  it('leaves out scopes that nobody knows, and says what is left', async () => {
    const client = await makeClient(at.ask)
    const tokens = await granted(at, client, { scope: 'openid offline_access admin email' })
    expect(tokens.scope).toBe('openid email')
    expect(claimsOf(tokens.access_token).scope).toBe('openid email')
  })

  it('keeps a client to the scopes that it may ask for', async () => {
    const client = await makeClient(at.ask, { scope: 'openid email' })
    const query = await authorizeQuery(client)
    const url = ledTo(await at.ask(`/auth/v1/oauth/authorize?${query}`))
    expect(url.searchParams.get('error')).toBe('invalid_scope')
  })

  it('gives no refresh token to a client that may not refresh', async () => {
    const client = await makeClient(at.ask, { grant_types: ['authorization_code'] })
    const tokens = await granted(at, client)
    expect(tokens).not.toHaveProperty('refresh_token')
    expect((await userinfo(tokens.access_token)).status).toBe(200)
    clock.advance(3601)
    await at.users.scheduled({ ...scopeOf(), now: clock.now } as never)
    const [{ n }] = await rowsOf('SELECT count(*) AS n FROM leanto_auth_oauth_sessions')
    expect(n).toBe(0)
  })
})

const scopeOf = () => makeBase().scope({ env, executionCtx: { waitUntil: () => {} } as never })
const rowsOf = async (sql: string): Promise<Json[]> => (await env.DB.prepare(sql).all()).results

describe('when a user has signed in', () => {
  it('wants a fresh sign-in for prompt=login and max_age', async () => {
    const client = await makeClient(at.ask)
    await granted(at, client)
    clock.advance(100)
    for (const fields of [{ prompt: 'login' }, { max_age: '60' }]) {
      const id = await begin(at.ask, client, fields)
      const refused = await expectStatus(await look(at, id), 400)
      expect(refused.error_code).toBe('reauthentication_needed')
      expect((await answer(at, id)).status).toBe(400)
      clock.advance(1)
      const session = await expectStatus(await signIn(at.ask, 'ann@example.com'), 200)
      const anew = { ask: at.ask, session }
      const { redirect_url } = await expectStatus(await look(anew, id), 200)
      const code = new URL(redirect_url).searchParams.get('code') as string
      const tokens = await expectStatus(await exchange(at.ask, client, code), 200)
      expect(claimsOf(tokens.id_token).auth_time).toBe(Math.floor(clock.now() / 1000))
      clock.advance(100)
    }
    expect((await look(at, await begin(at.ask, client, { max_age: '999' }))).status).toBe(200)
  })

  it('asks nobody with prompt=none', async () => {
    const client = await makeClient(at.ask)
    const query = await authorizeQuery(client, { prompt: 'none' })
    const silently = async (more: object = {}) =>
      ledTo(await at.ask(`/auth/v1/oauth/authorize?${query}`, more)).searchParams
    const signed = { headers: { cookie: `__Host-auth-access=${at.session.access_token}` } }
    expect((await silently()).get('error')).toBe('login_required')
    expect((await silently(signed)).get('error')).toBe('consent_required')
    await granted(at, client)
    const code = (await silently(signed)).get('code')
    await expectStatus(await exchange(at.ask, client, code as string), 200)
    expect(await rowsOf('SELECT id FROM leanto_auth_oauth_requests')).toEqual([])
  })
})

describe('the refresh of a client’s tokens', () => {
  it('rotates, keeps to what was granted, and may give less', async () => {
    const client = await publicClient(at.ask)
    const first = await granted(at, client)
    clock.advance(60)
    const second = await expectStatus(await refreshed(at.ask, client, first.refresh_token), 200)
    expect(second.refresh_token).not.toBe(first.refresh_token)
    expect(second.scope).toBe('openid email notes')
    const { sub, sid, auth_time } = claimsOf(first.id_token)
    expect(claimsOf(second.id_token)).toMatchObject({ sub, sid, auth_time })
    expect(claimsOf(second.id_token)).not.toHaveProperty('nonce')
    const less = { scope: 'email' }
    const third = await expectStatus(
      await refreshed(at.ask, client, second.refresh_token, less),
      200,
    )
    expect(third.scope).toBe('email')
    expect(third).not.toHaveProperty('id_token')
    const more = { scope: 'email phone' }
    await expectError(
      await refreshed(at.ask, client, third.refresh_token, more),
      400,
      'invalid_scope',
    )
    const target = { resource }
    await expectError(
      await refreshed(at.ask, client, third.refresh_token, target),
      400,
      'invalid_target',
    )
    // Neither has used it up.
    const all = await expectStatus(await refreshed(at.ask, client, third.refresh_token), 200)
    expect(all.scope).toBe('openid email notes')
  })

  it('ends the grant when a used token is shown after the grace (case 15)', async () => {
    const client = await publicClient(at.ask)
    const first = await granted(at, client)
    const second = await expectStatus(await refreshed(at.ask, client, first.refresh_token), 200)
    const same = await expectStatus(await refreshed(at.ask, client, first.refresh_token), 200)
    expect(same.refresh_token).toBe(second.refresh_token)
    clock.advance(11)
    await expectError(await refreshed(at.ask, client, first.refresh_token), 400, 'invalid_grant')
    await expectError(await refreshed(at.ask, client, second.refresh_token), 400, 'invalid_grant')
    await expectError(await userinfo(second.access_token), 401, 'invalid_token')
    // Ann herself goes on.
    expect((await getUser(at.ask, at.session.access_token)).status).toBe(200)
  })

  it('authenticates the client, and is that client’s alone (case 15)', async () => {
    const [client, other] = [await makeClient(at.ask), await makeClient(at.ask)]
    const { refresh_token } = await granted(at, client)
    await expectError(await refreshed(at.ask, other, refresh_token), 400, 'invalid_grant')
    const bare = { client_id: client.client_id }
    await expectError(await refreshed(at.ask, bare, refresh_token), 401, 'invalid_client')
    // `/token` of auth authenticates no client.
    const there = await at.ask('/auth/v1/token?grant_type=refresh_token', {
      body: { refresh_token },
    })
    expect(await expectStatus(there, 400)).toMatchObject({ error_code: 'refresh_token_not_found' })
    // None of that has used it up: past the grace it is as good as before.
    clock.advance(60)
    await expectStatus(await refreshed(at.ask, client, refresh_token), 200)
    // Nor is Ann's own a client's.
    await expectError(
      await refreshed(at.ask, client, at.session.refresh_token),
      400,
      'invalid_grant',
    )
    await expectStatus(await getUser(at.ask, at.session.access_token), 200)
  })
})

describe('a token for a resource', () => {
  it('is good there, at UserInfo if it says who, and nowhere else', async () => {
    const client = await makeClient(at.ask)
    const target = { resource }
    const tokens = await granted(at, client, { ...target, scope: 'openid notes' }, target)
    expect(claimsOf(tokens.access_token).aud).toEqual([resource, issuer])
    expect((await userinfo(tokens.access_token)).status).toBe(200)
    expect((await getUser(at.ask, tokens.access_token)).status).toBe(403)
    const bare = await granted(at, client, { ...target, scope: 'notes' })
    expect(claimsOf(bare.access_token).aud).toBe(resource)
    await expectError(await userinfo(bare.access_token), 401, 'invalid_token')
  })

  it('cannot be had for one that was not asked for', async () => {
    const client = await makeClient(at.ask)
    const code = await codeFor(at, client)
    await expectError(await exchange(at.ask, client, code, { resource }), 400, 'invalid_target')
    await expectStatus(await exchange(at.ask, client, code), 200)
  })
})

describe('a machine', () => {
  const machine = (fields: object = {}) =>
    makeClient(at.ask, {
      grant_types: ['client_credentials'],
      redirect_uris: undefined,
      scope: 'notes:read',
      ...fields,
    })
  const own = (client: Json, fields: object = {}) =>
    submit(at.ask, 'token', { grant_type: 'client_credentials', ...credentials(client), ...fields })

  it('has a token of its own, with the scopes that it was given and no user', async () => {
    const client = await machine()
    const tokens = await expectStatus(await own(client), 200)
    expect(tokens).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'notes:read',
    })
    expect(claimsOf(tokens.access_token)).toMatchObject({
      sub: client.client_id,
      client_id: client.client_id,
      aud: 'authenticated',
    })
    expect(claimsOf(tokens.access_token)).not.toHaveProperty('role')
    expect((await getUser(at.ask, tokens.access_token)).status).toBe(401)
    await expectError(await userinfo(tokens.access_token), 401, 'invalid_token')
  })

  it('may ask for less, never for more, and of nothing has nothing', async () => {
    const client = await machine({ scope: 'notes notes:read' })
    expect(await json(await own(client, { scope: 'notes' }))).toMatchObject({ scope: 'notes' })
    await expectError(await own(client, { scope: 'openid' }), 400, 'invalid_scope')
    const none = await machine({ scope: undefined })
    expect(await json(await own(none))).toMatchObject({ scope: '' })
    await expectError(await own(none, { scope: 'notes' }), 400, 'invalid_scope')
  })
})
