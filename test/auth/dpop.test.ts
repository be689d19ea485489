import { Hono } from 'hono'
import { type DpopOptions, dpop } from 'leanto/auth/oauth-server/dpop'
import { beforeEach, describe, expect, it } from 'vitest'
import { asker, clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import { makeWorld } from './device-world.ts'
import { type Made, makeProver, type Prover } from './dpop-world.ts'
import {
  answer,
  authorizeQuery,
  codeFor,
  credentials,
  exchange,
  expectError,
  form,
  formed,
  granted,
  look,
  makeClient,
  makeProvider,
  type Place,
  place,
  publicClient,
  redirectUri,
  submit,
  verifier,
} from './oauth-server-world.ts'
import { claimsOf, count, expectStatus, type Json, rows, signUp, snapshot } from './world.ts'

/* Tokens that are bound to a key, from the OAuth server to where they are shown (RFC 9449). */

const at = (path: string) => `${site}/auth/v1/oauth/${path}`

let app: Place
let client: Json
let key: Prover
const mounted = async (options: DpopOptions = {}) => {
  app = await place({ with: [dpop(options)] })
  client = await publicClient(app.ask)
}
beforeEach(async () => {
  key = await makeProver()
  await mounted()
})

/** Asks the token endpoint with a proof. */
async function ask(fields: object, { by = key, proof, ...made }: Shown = {}) {
  const dpop = proof ?? (await by.prove('POST', at('token'), undefined, made))
  return submit(app.ask, 'token', { ...credentials(client), ...fields } as never, {
    headers: { ...formed, dpop },
  })
}
type Shown = Made & { by?: Prover; proof?: string }

const codeFields = (code: string) => ({
  grant_type: 'authorization_code',
  code,
  redirect_uri: redirectUri,
  code_verifier: verifier,
})
const refreshFields = (refresh_token: string) => ({ grant_type: 'refresh_token', refresh_token })

const bound = async (fields: object = {}): Promise<Json> =>
  expectStatus(await ask(codeFields(await codeFor(app, client, fields))), 200)

const infoBy = async (token: string, by = key, scheme = 'DPoP') =>
  app.ask('/auth/v1/oauth/userinfo', {
    headers: {
      authorization: `${scheme} ${token}`,
      dpop: await by.prove('GET', at('userinfo'), token),
    },
  })

describe('a client that shows a key', () => {
  it('gets tokens that are worth nothing without it', async () => {
    const tokens = await bound()
    expect(tokens.token_type).toBe('DPoP')
    expect(claimsOf(tokens.access_token).cnf).toEqual({ jkt: key.jkt })
    expect(await expectStatus(await infoBy(tokens.access_token), 200)).toMatchObject({
      email: 'ann@example.com',
    })
    const other = await makeProver()
    for (const response of [
      await app.ask('/auth/v1/oauth/userinfo', { token: tokens.access_token }),
      await infoBy(tokens.access_token, other),
      await infoBy(tokens.access_token, key, 'Bearer'),
    ]) {
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toMatch(/^DPoP error="/)
    }
  })

  it('gets others where it shows none', async () => {
    const tokens = await granted(app, client)
    expect(tokens.token_type).toBe('Bearer')
    expect(claimsOf(tokens.access_token).cnf).toBeUndefined()
    expect(await count('dpop_proofs')).toBe(0)
    expect((await infoBy(tokens.access_token)).status).toBe(401)
  })

  it('finds in the discovery documents what may sign', async () => {
    for (const path of ['oauth-authorization-server', 'openid-configuration'])
      expect(
        (await expectStatus(await app.ask(`/auth/v1/.well-known/${path}`), 200))
          .dpop_signing_alg_values_supported,
      ).toEqual(['ES256', 'EdDSA', 'Ed25519', 'RS256', 'PS256'])
  })

  it('is told of the key by introspection', async () => {
    client = await makeClient(app.ask)
    const tokens = await bound()
    const fields = { token: tokens.access_token, ...credentials(client) }
    expect(await expectStatus(await submit(app.ask, 'introspect', fields), 200)).toMatchObject({
      active: true,
      token_type: 'DPoP',
      cnf: { jkt: key.jkt },
    })
  })

  it('must show one, where it was registered so', async () => {
    client = await publicClient(app.ask, { dpop_bound_access_tokens: true })
    const code = await codeFor(app, client)
    await expectError(await exchange(app.ask, client, code), 400, 'invalid_request')
    expect((await expectStatus(await ask(codeFields(code)), 200)).token_type).toBe('DPoP')
  })

  it('may be a machine', async () => {
    client = await makeClient(app.ask, { grant_types: ['client_credentials'], scope: 'notes' })
    const tokens = await expectStatus(await ask({ grant_type: 'client_credentials' }), 200)
    expect(tokens.token_type).toBe('DPoP')
    const scope = makeBase().scope({ env: (await import('cloudflare:workers')).env })
    const shown = async (scheme: string) =>
      app.users.principal(
        scope,
        new Request(`${site}/x`, {
          headers: {
            authorization: `${scheme} ${tokens.access_token}`,
            dpop: await key.prove('GET', `${site}/x`, tokens.access_token),
          },
        }),
      )
    expect(await shown('DPoP')).toMatchObject({
      role: 'anon',
      claims: { client_id: client.client_id },
    })
    await expect(shown('Bearer')).rejects.toMatchObject({ code: 'bad_token', status: 401 })
  })
})

describe('a refresh token', () => {
  it('of a client without a secret is the key’s, and no other’s', async () => {
    const tokens = await bound()
    const fields = refreshFields(tokens.refresh_token)
    const other = await makeProver()
    const before = await snapshot()
    await expectError(await ask(fields, { by: other }), 400, 'invalid_grant')
    const bare = await submit(app.ask, 'token', { ...credentials(client), ...fields })
    await expectError(bare, 400, 'invalid_grant')
    // Neither has used it up.
    expect(await snapshot()).toBe(before)
    const next = await expectStatus(await ask(fields), 200)
    expect(next.token_type).toBe('DPoP')
    expect(claimsOf(next.access_token).cnf).toEqual({ jkt: key.jkt })
    expect(next.refresh_token).not.toBe(tokens.refresh_token)
    await expectStatus(await ask(refreshFields(next.refresh_token)), 200)
  })

  it('of a client with a secret is the secret’s (RFC 9449, 5)', async () => {
    client = await makeClient(app.ask)
    const tokens = await bound()
    const other = await makeProver()
    const next = await expectStatus(
      await ask(refreshFields(tokens.refresh_token), { by: other }),
      200,
    )
    expect(claimsOf(next.access_token).cnf).toEqual({ jkt: other.jkt })
    const bare = await expectStatus(
      await submit(app.ask, 'token', {
        ...credentials(client),
        ...refreshFields(next.refresh_token),
      }),
      200,
    )
    expect(bare.token_type).toBe('Bearer')
  })
})

describe('a code', () => {
  it('that was asked for with a key’s thumbprint is that key’s (RFC 9449, 10)', async () => {
    const code = await codeFor(app, client, { dpop_jkt: key.jkt })
    const other = await makeProver()
    await expectError(await exchange(app.ask, client, code), 400, 'invalid_grant')
    await expectError(await ask(codeFields(code), { by: other }), 400, 'invalid_grant')
    expect(await count('oauth_sessions')).toBe(0)
    await expectStatus(await ask(codeFields(code)), 200)
  })

  it.each(['x', 'j'.repeat(44), `${'j'.repeat(42)}=`])(
    'is not given for a thumbprint that is none: %s',
    async (dpop_jkt) => {
      const query = await authorizeQuery(client, { dpop_jkt })
      const led = await app.ask(`/auth/v1/oauth/authorize?${query}`)
      const url = new URL(led.headers.get('location') as string)
      expect(url.origin).toBe('https://client.example')
      expect(url.searchParams.get('error')).toBe('invalid_request')
    },
  )

  const push = async (fields: object, dpop?: string) =>
    app.ask('/auth/v1/oauth/par', {
      method: 'POST',
      body: `${await authorizeQuery(client, fields as never)}&${form(credentials(client))}`
        .split('&')
        .filter((pair, i, all) => all.indexOf(pair) === i)
        .join('&'),
      headers: { ...formed, ...(dpop ? { dpop } : {}) },
    })
  const codeOfPushed = async (request_uri: string): Promise<string> => {
    const query = form({ client_id: client.client_id, request_uri })
    const led = await app.ask(`/auth/v1/oauth/authorize?${query}`)
    const id = new URL(led.headers.get('location') as string).searchParams.get('authorization_id')
    const looked = await expectStatus(await look(app, id as string), 200)
    const to =
      looked.redirect_url ??
      (await expectStatus(await answer(app, looked.authorization_id), 200)).redirect_url
    return new URL(to).searchParams.get('code') as string
  }

  it('of a pushed request is the key’s that pushed it (RFC 9449, 10.1)', async () => {
    const proof = await key.prove('POST', at('par'))
    const { request_uri } = await expectStatus(await push({}, proof), 201)
    await expectError(await push({}, proof), 400, 'invalid_dpop_proof')
    const code = await codeOfPushed(request_uri)
    const other = await makeProver()
    await expectError(await ask(codeFields(code), { by: other }), 400, 'invalid_grant')
    await expectError(await exchange(app.ask, client, code), 400, 'invalid_grant')
    await expectStatus(await ask(codeFields(code)), 200)
  })

  it('of a pushed request is not two keys’', async () => {
    const proof = await key.prove('POST', at('par'))
    const { jkt } = await makeProver()
    await expectError(await push({ dpop_jkt: jkt }, proof), 400, 'invalid_request')
    const right = await key.prove('POST', at('par'))
    await expectStatus(await push({ dpop_jkt: key.jkt }, right), 201)
  })

  it('is no use to whoever has a proof for somewhere else', async () => {
    const proof = await key.prove('POST', at('par'))
    const code = await codeFor(app, client)
    await expectError(await ask(codeFields(code), { proof }), 400, 'invalid_dpop_proof')
    expect((await expectStatus(await ask(codeFields(code)), 200)).token_type).toBe('DPoP')
  })
})

describe('a proof at the token endpoint', () => {
  const hostile: readonly (readonly [string, () => Promise<Shown> | Shown])[] = [
    ['that is no JWT', () => ({ proof: 'x' })],
    ['that is two', async () => ({ proof: `${await prove()}, ${await prove()}` })],
    ['for another URL', () => ({ payload: { htu: 'https://evil.example/auth/v1/oauth/token' } })],
    ['for another path', () => ({ payload: { htu: at('par') } })],
    ['for another method', () => ({ payload: { htm: 'GET' } })],
    ['of an hour ago', () => ({ payload: { iat: clock.now() / 1000 - 3600 } })],
    ['of in an hour', () => ({ payload: { iat: clock.now() / 1000 + 3600 } })],
    ['without a jti', () => ({ payload: { jti: undefined } })],
    ['of another type', () => ({ header: { typ: 'JWT' } })],
    ['with the private key in it', () => ({ header: { jwk: { ...key.jwk, d: 'x'.repeat(43) } } })],
    ['that another key has signed', async () => ({ key: (await makeProver()).privateKey })],
    ['without a signature', async () => ({ proof: (await prove()).replace(/[^.]+$/, 'AAAA') })],
  ]
  const prove = () => key.prove('POST', at('token'))

  it.each(hostile)('%s is refused, and uses nothing up', async (_, shown) => {
    const code = await codeFor(app, client)
    const before = await snapshot()
    await expectError(await ask(codeFields(code), await shown()), 400, 'invalid_dpop_proof')
    expect(await snapshot()).toBe(before)
    expect(await count('dpop_proofs')).toBe(0)
    await expectStatus(await ask(codeFields(code)), 200)
  })

  it('is good once, of 50 at once (case 19)', async () => {
    client = await makeClient(app.ask, { grant_types: ['client_credentials'] })
    const proof = await prove()
    const all = await Promise.all(
      Array.from({ length: 50 }, () => ask({ grant_type: 'client_credentials' }, { proof })),
    )
    expect(all.filter(({ ok }) => ok)).toHaveLength(1)
    for (const response of all.filter(({ ok }) => !ok))
      await expectError(response, 400, 'invalid_dpop_proof')
  })

  it('that was used leaves the code to the next', async () => {
    const proof = await prove()
    await bound()
    const code = await codeFor(app, client)
    await expectStatus(await ask(codeFields(code), { proof }), 200)
    const another = await codeFor(app, client)
    await expectError(await ask(codeFields(another), { proof }), 400, 'invalid_dpop_proof')
    await expectStatus(await ask(codeFields(another)), 200)
  })

  it('is for nobody where the client is none', async () => {
    client = { client_id: '00000000-0000-4000-8000-000000000000' }
    await expectError(await ask(codeFields('x')), 401, 'invalid_client')
  })
})

describe('with a nonce', () => {
  it('the token endpoint asks for it, and gives the next with each answer', async () => {
    await mounted({ nonce: true })
    const code = await codeFor(app, client)
    const refused = await ask(codeFields(code))
    const nonce = refused.headers.get('dpop-nonce') as string
    expect(nonce).toMatch(/^[\w-]{43}$/)
    await expectError(refused, 400, 'use_dpop_nonce')
    expect(await count('dpop_proofs')).toBe(0)
    // Of a device whose clock was never set.
    const response = await ask(codeFields(code), { payload: { nonce, iat: 0 } })
    expect(response.headers.get('dpop-nonce')).toBe(nonce)
    const { access_token } = await expectStatus(response, 200)
    const info = await infoBy(access_token)
    expect(info.status).toBe(401)
    expect(info.headers.get('dpop-nonce')).toBe(nonce)
    expect(info.headers.get('www-authenticate')).toContain('error="use_dpop_nonce"')
  })

  it('is not asked of whoever shows no key', async () => {
    await mounted({ nonce: true })
    expect((await granted(app, client)).token_type).toBe('Bearer')
  })
})

describe('a resource that the provider protects', () => {
  it('takes a bound token with its proof, and says how it is shown', async () => {
    const { provider, users } = makeProvider({ with: [dpop()] })
    await freshDatabase([users])
    const host = new Hono()
      .route('/auth/v1', users.routes)
      .route('/', provider.wellKnown)
      .get('/mcp', provider.protects('/mcp', { scopes: ['notes'] }), (c) =>
        c.json({ id: c.var.principal.id }, 200),
      )
    const askHost = asker(host)
    app = { ask: askHost, users, provider, session: await signUp(askHost, 'ann@example.com') }
    client = await publicClient(askHost)
    const { access_token: token } = await bound({ resource: `${site}/mcp` })
    const shown = async (scheme: string, by = key) =>
      askHost('/mcp', {
        headers: {
          authorization: `${scheme} ${token}`,
          dpop: await by.prove('GET', `${site}/mcp`, token),
        },
      })
    expect((await shown('DPoP')).status).toBe(200)
    const found = await askHost('/.well-known/oauth-protected-resource/mcp')
    expect((await expectStatus(found, 200)).dpop_signing_alg_values_supported).toContain('ES256')
    for (const response of [await shown('Bearer'), await shown('DPoP', await makeProver())]) {
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toMatch(
        /^DPoP error="invalid_token".*resource_metadata="/,
      )
    }
  })
})

it('a device’s tokens are its key’s', async () => {
  const world = await makeWorld()
  const proof = async () => ({ dpop: await key.prove('POST', at('token')) })
  const { device_code, user_code } = await world.begin()
  await world.approve(user_code)
  const other = { dpop: 'x' }
  await expectError(await world.poll(device_code, {}, other), 400, 'invalid_dpop_proof')
  const tokens = await expectStatus(await world.poll(device_code, {}, await proof()), 200)
  expect(tokens.token_type).toBe('DPoP')
  const refresh = async (headers: Record<string, string> = {}) =>
    world.poll(
      '',
      { grant_type: 'refresh_token', refresh_token: tokens.refresh_token, device_code: '' },
      headers,
    )
  await expectError(await refresh(), 400, 'invalid_grant')
  expect((await expectStatus(await refresh(await proof()), 200)).token_type).toBe('DPoP')
  expect(await rows('SELECT jkt FROM leanto_auth_oauth_sessions')).toEqual([{ jkt: key.jkt }])
})
