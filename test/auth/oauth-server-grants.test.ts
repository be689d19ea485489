import { faults } from 'leanto'
import type { AuthPart } from 'leanto/auth'
import { mfa } from 'leanto/auth/mfa'
import { trust } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import { withFactor } from './mfa-world.ts'
import {
  answer,
  authorizeQuery,
  begin,
  codeFor,
  credentials,
  exchange,
  expectError,
  granted,
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
import { oldIssuer, oldSecret, signOld } from './trust-world.ts'
import {
  claimsOf,
  count,
  expectStatus,
  getUser,
  type Json,
  json,
  post,
  rows,
  signIn,
} from './world.ts'

let at: Place
beforeEach(async () => {
  at = await place()
})

/* What a grant is, how long it holds, and how it is asked for between servers. */

describe('what ends a grant', () => {
  const ends = async (end: (client: Json, tokens: Json) => Promise<unknown>) => {
    const client = await makeClient(at.ask)
    const tokens = await granted(at, client)
    await end(client, tokens)
    await expectError(await refreshed(at.ask, client, tokens.refresh_token), 400, 'invalid_grant')
    const info = await at.ask('/auth/v1/oauth/userinfo', { token: tokens.access_token })
    await expectError(info, 401, 'invalid_token')
  }
  const user = (path: string, more: object) =>
    at.ask(`/auth/v1${path}`, { token: at.session.access_token, ...more })

  it('is a new password, which ends all (case 11)', () =>
    ends(async () =>
      expectStatus(
        await user('/user', { method: 'PUT', body: { password: 'another passphrase' } }),
        200,
      ),
    ))
  it('is a global sign-out, and not one of here', async () => {
    const client = await makeClient(at.ask)
    const { refresh_token } = await granted(at, client)
    const { access_token: token } = await json(await signIn(at.ask, 'ann@example.com'))
    await expectStatus(await user('/logout?scope=local', { method: 'POST', token }), 204)
    await expectStatus(await refreshed(at.ask, client, refresh_token), 200)
    await ends(async () => expectStatus(await user('/logout', { method: 'POST' }), 204))
  })
  it('is a ban, or a deletion (case 12)', async () => {
    await ends(() => rows('UPDATE leanto_auth_users SET banned_until = 9e15'))
    await rows('UPDATE leanto_auth_users SET banned_until = NULL')
    await ends(() => rows('UPDATE leanto_auth_users SET deleted_at = 1'))
  })
  it('is the user who takes it back', () =>
    ends(async (client) => {
      const path = `/user/oauth/grants?client_id=${client.client_id}`
      await expectStatus(await user(path, { method: 'DELETE' }), 204)
      expect(await json(await user('/user/oauth/grants', {}))).toEqual([])
      // And is asked again the next time.
      const details = await json(await look(at, await begin(at.ask, client)))
      expect(details).toHaveProperty('client')
    }))
  it('is the client’s own word, by either token (RFC 7009)', async () => {
    for (const which of ['access_token', 'refresh_token'])
      await ends(async (client, tokens) => {
        const asked = { token: tokens[which], ...credentials(client) }
        await expectStatus(await submit(at.ask, 'revoke', asked), 200)
      })
  })
  it('is no other client’s word', async () => {
    const [client, other] = [await makeClient(at.ask), await publicClient(at.ask)]
    const tokens = await granted(at, client)
    for (const token of [
      tokens.access_token,
      tokens.refresh_token,
      'nonsense',
      at.session.access_token,
      at.session.refresh_token,
    ])
      await expectStatus(await submit(at.ask, 'revoke', { token, ...credentials(other) }), 200)
    const bare = { token: tokens.refresh_token, client_id: client.client_id }
    await expectError(await submit(at.ask, 'revoke', bare), 401, 'invalid_client')
    await expectStatus(await refreshed(at.ask, client, tokens.refresh_token), 200)
    expect((await getUser(at.ask, at.session.access_token)).status).toBe(200)
  })
  it('is the end of the client', async () => {
    const client = await makeClient(at.ask)
    const { access_token: token } = await granted(at, client)
    await begin(at.ask, client)
    await codeFor(at, client)
    const path = `/auth/v1/admin/oauth/clients/${client.client_id}`
    await expectStatus(await at.ask(path, { method: 'DELETE', key: 'secret' }), 204)
    await expectError(await at.ask('/auth/v1/oauth/userinfo', { token }), 401, 'invalid_token')
    for (const table of ['clients', 'sessions', 'consents'])
      expect([table, await count(`oauth_${table}`)]).toEqual([table, 0])
    expect(await count('sessions')).toBe(1)
  })
})

describe('a session of another issuer that is trusted', () => {
  it('lets its user answer, and its end is the code’s (case 12)', async () => {
    at = await place({}, { with: [trust([{ issuer: oldIssuer, secret: oldSecret }])] })
    const client = await makeClient(at.ask)
    const token = await signOld({ sub: at.session.user.id })
    const there = { ask: at.ask, session: { access_token: token } }
    const tokens = await granted(there, client)
    const code = await codeFor(there, client)
    const logout = await at.ask('/auth/v1/logout', { method: 'POST', token })
    expect(logout.status).toBe(204)
    await expectError(await exchange(at.ask, client, code), 400, 'invalid_grant')
    await expectError(await refreshed(at.ask, client, tokens.refresh_token), 400, 'invalid_grant')
  })
})

describe('what was agreed to', () => {
  const isAsked = async (client: Json, fields: object) =>
    'client' in (await json(await look(at, await begin(at.ask, client, fields))))

  it('for one resource is not for the whole app, nor for another scope there', async () => {
    const client = await makeClient(at.ask)
    await granted(at, client, { scope: 'notes', resource })
    await granted(at, client, { scope: 'email' })
    expect(await isAsked(client, { scope: 'notes', resource })).toBe(false)
    expect(await isAsked(client, { scope: 'email' })).toBe(false)
    expect(await isAsked(client, { scope: 'notes' })).toBe(true)
    expect(await isAsked(client, { scope: 'email', resource })).toBe(true)
    expect(await isAsked(client, { scope: 'email notes' })).toBe(true)
  })

  it('before the address was proven is forgotten with its first proof (case 3)', async () => {
    const inbox = makeInbox()
    at = await place({}, { mailer: inbox.mailer, autoconfirm: true })
    const client = await makeClient(at.ask)
    await granted(at, client)
    await codeFor(at, client)
    await rows('UPDATE leanto_auth_users SET email_confirmed_at = NULL')
    await expectStatus(await post(at.ask, '/otp', { email: 'ann@example.com' }), 200)
    const shown = { type: 'magiclink', token_hash: inbox.token('ann@example.com') }
    const session = await expectStatus(await post(at.ask, '/verify', shown), 200)
    for (const table of ['oauth_consents', 'oauth_codes']) expect(await count(table)).toBe(0)
    at = { ...at, session }
    expect(await isAsked(client, {})).toBe(true)
  })
})

describe('a session that is for less', () => {
  it('lets nobody in while it waits for its second factor (case 17)', async () => {
    at = await place({}, { with: [mfa({ enforce: true })] })
    const client = await makeClient(at.ask)
    const { session } = await withFactor(at.ask, at.session)
    const waiting = await expectStatus(await signIn(at.ask, 'ann@example.com'), 200)
    const first = { ask: at.ask, session: waiting }
    const id = await begin(at.ask, client)
    for (const refused of [await look(first, id), await answer(first, id)])
      expect((await expectStatus(refused, 401)).error_code).toBe('insufficient_aal')
    expect(await count('oauth_codes')).toBe(0)
    const strong = { ask: at.ask, session }
    await expectStatus(await answer(strong, id), 200)
    const tokens = await granted(strong, client)
    expect(claimsOf(tokens.access_token)).toMatchObject({ aal: 'aal2' })
    expect(claimsOf(tokens.id_token).amr).toContain('totp')
    // With its factor gone, so is what stood on it.
    const factors = await rows('SELECT id, user_id FROM leanto_auth_factors')
    const [{ id: factor, user_id }] = factors
    expect(
      await rows(
        'SELECT factor_id FROM leanto_auth_sessions WHERE id = ?',
        claimsOf(tokens.access_token).session_id,
      ),
    ).toEqual([{ factor_id: factor }])
    expect(user_id).toBe(session.user.id)
  })

  it('is what a part says it is (case 18)', async () => {
    const seen: unknown[] = []
    const { not_yours } = faults({ not_yours: [403, 'Not with this session'] })
    const strict: AuthPart = {
      name: 'strict',
      beforeUpdate(_, { grant }) {
        seen.push(grant)
        throw not_yours()
      },
    }
    at = await place({}, { with: [strict] })
    const client = await makeClient(at.ask)
    const refused = await look(at, await begin(at.ask, client))
    expect((await expectStatus(refused, 403)).error_code).toBe('not_yours')
    expect(seen).toEqual([client.client_id])
  })
})

describe('introspection', () => {
  it('tells a client of what it was given, as long as it holds (RFC 7662)', async () => {
    const client = await makeClient(at.ask)
    const tokens = await granted(at, client)
    const look = async (token: string, by = client) =>
      expectStatus(await submit(at.ask, 'introspect', { token, ...credentials(by) }), 200)
    const sub = at.session.user.id
    const shown = { active: true, sub, client_id: client.client_id, scope: 'openid email notes' }
    expect(await look(tokens.access_token)).toMatchObject({ ...shown, token_type: 'Bearer' })
    expect(await look(tokens.refresh_token)).toMatchObject(shown)
    const other = await makeClient(at.ask)
    for (const [token, by] of [
      [tokens.access_token, other],
      [tokens.refresh_token, other],
      [tokens.id_token, client],
      [at.session.access_token, client],
      [at.session.refresh_token, client],
      ['nonsense', client],
    ])
      expect(await look(token, by)).toEqual({ active: false })
    const used = tokens.refresh_token
    await expectStatus(await refreshed(at.ask, client, used), 200)
    expect(await look(used)).toEqual({ active: false })
    await expectStatus(
      await submit(at.ask, 'revoke', { token: tokens.access_token, ...credentials(client) }),
      200,
    )
    expect(await look(tokens.access_token)).toEqual({ active: false })
  })

  it('is for clients that can show who they are', async () => {
    const client = await publicClient(at.ask)
    const asked = { token: 'x', ...credentials(client) }
    await expectError(await submit(at.ask, 'introspect', asked), 400, 'unauthorized_client')
    await expectError(await submit(at.ask, 'introspect', { token: 'x' }), 401, 'invalid_client')
    const other = await makeClient(at.ask)
    await expectError(
      await submit(at.ask, 'introspect', credentials(other)),
      400,
      'invalid_request',
    )
  })
})

describe('a pushed request (RFC 9126)', () => {
  const push = async (client: Json, fields: object = {}) => {
    const query = new URLSearchParams(await authorizeQuery(client, fields as never))
    return submit(at.ask, 'par', { ...Object.fromEntries(query), ...credentials(client) })
  }
  const open = (client: Json, request_uri: string, more: object = {}) =>
    at.ask(
      `/auth/v1/oauth/authorize?${new URLSearchParams({ client_id: client.client_id, request_uri, ...more })}`,
    )

  it('is what counts, whatever stands in the address beside it', async () => {
    const client = await makeClient(at.ask, { require_pushed_authorization_requests: true })
    const pushed = await push(client, { scope: 'email' })
    const { request_uri, expires_in } = await expectStatus(pushed, 201)
    expect(expires_in).toBe(90)
    const response = await open(client, request_uri, {
      scope: 'notes',
      redirect_uri: 'https://evil.example',
    })
    const id = new URL(response.headers.get('location') ?? '').searchParams.get('authorization_id')
    expect(await json(await look(at, id as string))).toMatchObject({
      scope: 'email',
      redirect_uri: redirectUri,
    })
    const { redirect_url } = await expectStatus(await answer(at, id as string), 200)
    const code = new URL(redirect_url).searchParams.get('code') as string
    await expectStatus(await exchange(at.ask, client, code), 200)
    expect((await open(client, request_uri)).status).toBe(400)
  })

  it('is its client’s, and ends', async () => {
    const [client, other] = [await makeClient(at.ask), await makeClient(at.ask)]
    const { request_uri } = await json(await push(client))
    for (const [by, uri] of [
      [other, request_uri],
      [client, `${request_uri}x`],
      [client, 'https://evil.example/request'],
    ])
      expect((await open(by, uri)).status).toBe(400)
    clock.advance(90)
    expect((await open(client, request_uri)).status).toBe(400)
    const late = await json(await open(client, request_uri))
    expect(late.error_code).toBe('invalid_request_uri')
  })

  it('is checked as it comes', async () => {
    const client = await makeClient(at.ask)
    await expectError(
      await push(client, { redirect_uri: 'https://evil.example' }),
      400,
      'invalid_request',
    )
    await expectError(
      await push(client, { code_challenge_method: 'plain' }),
      400,
      'invalid_request',
    )
    await expectError(
      await push(client, { response_type: 'token' }),
      400,
      'unsupported_response_type',
    )
    await expectError(await push(client, { request_uri: 'urn:x' }), 400, 'invalid_request')
    await expectError(await push({ client_id: client.client_id }), 401, 'invalid_client')
  })

  it('may be the only way', async () => {
    const client = await makeClient(at.ask, { require_pushed_authorization_requests: true })
    const response = await at.ask(`/auth/v1/oauth/authorize?${await authorizeQuery(client)}`)
    expect(response.headers.get('location')).toContain('error=invalid_request')
    const everyone = await place({ requirePushed: true })
    const another = await makeClient(everyone.ask)
    const refused = await everyone.ask(`/auth/v1/oauth/authorize?${await authorizeQuery(another)}`)
    expect(refused.headers.get('location')).toContain('error=invalid_request')
  })
})
