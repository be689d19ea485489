import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { beforeEach, describe, expect, it } from 'vitest'
import { asker, freshDatabase, site } from '../kit/world.ts'
import { deviceGrant, makeClient, makeUsers, type Setup } from './device-world.ts'
import { type Asker, expectStatus, issuer, type Json, signUp } from './world.ts'

/*
 * openid-client and oauth4webapi, as they are, through what a device does: with and without a key, with and without a nonce. By
 * the real clock, for it is theirs.
 */

let ask: Asker
let session: Json
let app: Hono
let client: Json

async function mounted(setup: Setup = {}, metadata: object = {}) {
  const users = makeUsers({ devices: { interval: 1 }, base: { now: Date.now }, ...setup })
  await freshDatabase([users])
  app = new Hono()
    .route('/auth/v1', users.routes)
    .get('/notes', users.signedIn, (c) => c.json({ of: c.var.principal.id }, 200)) as never
  ask = asker(app)
  session = await signUp(ask, 'ann@example.com')
  client = await makeClient(ask, metadata)
}

/** What was asked, with which scheme and proof. */
const sent: { path: string; scheme: string; dpop: string | null }[] = []
const fetcher = async (url: string, init: object): Promise<Response> => {
  const request = new Request(url, init as RequestInit)
  const { headers } = request
  sent.push({
    path: new URL(url).pathname,
    scheme: headers.get('authorization')?.split(' ')[0] ?? '',
    dpop: headers.get('dpop'),
  })
  const ctx = createExecutionContext()
  const response = await app.fetch(request, env as never, ctx as never)
  await waitOnExecutionContext(ctx as never)
  return response
}
beforeEach(() => void sent.splice(0))

/** What its user does meanwhile. */
async function answer(user_code: string, action = 'approve') {
  const { access_token: token } = session
  const path = '/auth/v1/oauth/device'
  await expectStatus(await ask(`${path}/claim`, { token, body: { user_code } }), 200)
  await expectStatus(await ask(`${path}/consent`, { token, body: { user_code, action } }), 200)
}

const pairOf = (alg: 'ES256' | 'Ed25519' | 'RS256'): Promise<CryptoKeyPair> =>
  openid.randomDPoPKeyPair(alg, { extractable: true }) as Promise<CryptoKeyPair>

describe('openid-client', () => {
  const configured = async (authentication?: openid.ClientAuth) =>
    openid.discovery(new URL(issuer), client.client_id, client.client_secret, authentication, {
      [openid.customFetch]: fetcher as never,
    })

  it.each([
    ['a client without a secret', { token_endpoint_auth_method: 'none' }, {}],
    ['a client with a secret', { token_endpoint_auth_method: 'client_secret_basic' }, {}],
    ['nonces', { token_endpoint_auth_method: 'none' }, { dpop: { nonce: true } }],
  ] as [string, object, Setup][])(
    'connects a device that holds a key, by %s',
    async (_, how, setup) => {
      await mounted(setup, how)
      const config = await configured(
        client.client_secret ? openid.ClientSecretBasic() : openid.None(),
      )
      const DPoP = openid.getDPoPHandle(config, await pairOf('ES256'))
      const begun = await openid.initiateDeviceAuthorization(config, {
        scope: 'openid email notes',
      })
      const polling = openid.pollDeviceAuthorizationGrant(config, begun, undefined, { DPoP })
      await new Promise((resolve) => setTimeout(resolve, 1500))
      await answer(begun.user_code)
      const tokens = await polling
      expect(tokens.token_type).toBe('dpop')
      expect(tokens.claims()).toMatchObject({ sub: session.user.id, email: 'ann@example.com' })

      const { sub } = tokens.claims() as { sub: string }
      expect(await openid.fetchUserInfo(config, tokens.access_token, sub, { DPoP })).toMatchObject({
        email: 'ann@example.com',
      })
      const notes = async (token: string, options?: openid.DPoPOptions) =>
        openid.fetchProtectedResource(
          config,
          token,
          new URL(`${site}/notes?page=1`),
          'GET',
          undefined,
          undefined,
          options,
        )
      expect(await (await notes(tokens.access_token, { DPoP })).json()).toEqual({ of: sub })
      expect(sent.at(-1)).toMatchObject({ path: '/notes', scheme: 'DPoP' })
      // The same token as a bearer's.
      expect(await notes(tokens.access_token).catch(({ status }) => status)).toBe(401)

      const next = await openid.refreshTokenGrant(
        config,
        tokens.refresh_token as string,
        undefined,
        {
          DPoP,
        },
      )
      expect(next.token_type).toBe('dpop')
      expect((await notes(next.access_token, { DPoP })).status).toBe(200)
      const other = openid.getDPoPHandle(config, await pairOf('Ed25519'))
      const stolen = openid.refreshTokenGrant(config, next.refresh_token as string, undefined, {
        DPoP: other,
      })
      if (client.client_secret) expect((await stolen).token_type).toBe('dpop')
      else await expect(stolen).rejects.toMatchObject({ error: 'invalid_grant' })
    },
  )

  it('connects a device without a key', async () => {
    await mounted()
    const config = await configured(openid.None())
    const begun = await openid.initiateDeviceAuthorization(config, { scope: 'openid' })
    await answer(begun.user_code)
    const tokens = await openid.pollDeviceAuthorizationGrant(config, begun)
    expect(tokens.token_type).toBe('bearer')
    expect(sent.every(({ dpop }) => dpop === null)).toBe(true)
  })

  it('hears of a refusal', async () => {
    await mounted()
    const config = await configured(openid.None())
    const begun = await openid.initiateDeviceAuthorization(config, { scope: 'openid' })
    await answer(begun.user_code, 'deny')
    await expect(openid.pollDeviceAuthorizationGrant(config, begun)).rejects.toMatchObject({
      error: 'access_denied',
    })
  })

  it('waits longer where it is told to, and is then given its tokens', async () => {
    await mounted({ devices: { interval: 2 } })
    const config = await configured(openid.None())
    const begun = await openid.initiateDeviceAuthorization(config, { scope: 'openid' })
    // A second one, with the same code, is what makes it too fast.
    const response = () =>
      ask('/auth/v1/oauth/token', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: String(
          new URLSearchParams({
            grant_type: deviceGrant,
            client_id: client.client_id,
            device_code: begun.device_code,
          }),
        ),
      })
    const polling = openid.pollDeviceAuthorizationGrant(config, begun)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect((await expectStatus(await response(), 400)).error).toBe('authorization_pending')
    await new Promise((resolve) => setTimeout(resolve, 1200))
    await answer(begun.user_code)
    const started = Date.now()
    expect((await polling).access_token).toBeTypeOf('string')
    // It was told `slow_down` by then, and waited 5 seconds more.
    expect(Date.now() - started).toBeGreaterThan(4000)
  }, 20_000)

  it('is bound by a code, from a pushed request on', async () => {
    await mounted(
      {},
      {
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: ['https://cli.example/cb'],
      },
    )
    const config = await configured(openid.None())
    const DPoP = openid.getDPoPHandle(config, await pairOf('RS256'))
    const code_verifier = openid.randomPKCECodeVerifier()
    const url = await openid.buildAuthorizationUrlWithPAR(
      config,
      {
        redirect_uri: 'https://cli.example/cb',
        scope: 'openid notes',
        code_challenge: await openid.calculatePKCECodeChallenge(code_verifier),
        code_challenge_method: 'S256',
      },
      { DPoP },
    )
    const led = await fetcher(url.href, {})
    const at = new URL(led.headers.get('location') as string)
    const path = `/auth/v1/oauth/authorizations/${at.searchParams.get('authorization_id')}`
    const { access_token: token } = session
    await expectStatus(await ask(path, { token }), 200)
    const { redirect_url } = await expectStatus(
      await ask(`${path}/consent`, { token, body: { action: 'approve' } }),
      200,
    )
    const checks = { pkceCodeVerifier: code_verifier, idTokenExpected: true }
    const other = openid.getDPoPHandle(config, await pairOf('RS256'))
    await expect(
      openid.authorizationCodeGrant(config, new URL(redirect_url), checks, undefined, {
        DPoP: other,
      }),
    ).rejects.toMatchObject({ error: 'invalid_grant' })
    const tokens = await openid.authorizationCodeGrant(
      config,
      new URL(redirect_url),
      checks,
      undefined,
      { DPoP },
    )
    expect(tokens.token_type).toBe('dpop')
  })
})

describe('oauth4webapi', () => {
  const options = { [oauth.customFetch]: fetcher as never }
  const discovered = async () =>
    oauth.processDiscoveryResponse(
      new URL(issuer),
      await oauth.discoveryRequest(new URL(issuer), options),
    )

  it.each([true, false])('connects a device that holds a key, with nonces: %s', async (nonce) => {
    await mounted({ dpop: { nonce } })
    const as = await discovered()
    const one: oauth.Client = { client_id: client.client_id }
    const DPoP = oauth.DPoP(one, await pairOf('Ed25519'))
    const begun = await oauth.processDeviceAuthorizationResponse(
      as,
      one,
      await oauth.deviceAuthorizationRequest(
        as,
        one,
        oauth.None(),
        { scope: 'openid notes' },
        options,
      ),
    )
    const poll = async () => {
      const ask = () =>
        oauth.deviceCodeGrantRequest(as, one, oauth.None(), begun.device_code, {
          ...options,
          DPoP,
        })
      try {
        return await oauth.processDeviceCodeResponse(as, one, await ask())
      } catch (error) {
        if (!oauth.isDPoPNonceError(error)) throw error
        return oauth.processDeviceCodeResponse(as, one, await ask())
      }
    }
    await expect(poll()).rejects.toMatchObject({ error: 'authorization_pending' })
    await answer(begun.user_code)
    const tokens = await poll()
    expect(tokens.token_type).toBe('dpop')

    const resource = async (handle?: oauth.DPoPHandle) =>
      oauth.protectedResourceRequest(
        tokens.access_token,
        'GET',
        new URL(`${site}/notes`),
        undefined,
        undefined,
        { ...options, ...(handle ? { DPoP: handle } : {}) },
      )
    const retried = async () =>
      resource(DPoP).catch((error) => {
        if (oauth.isDPoPNonceError(error)) return resource(DPoP)
        throw error
      })
    expect((await retried()).status).toBe(200)
    await expect(resource()).rejects.toMatchObject({ status: 401 })
    await expect(resource(oauth.DPoP(one, await pairOf('ES256')))).rejects.toMatchObject({
      status: 401,
    })

    const refreshed = await oauth.processRefreshTokenResponse(
      as,
      one,
      await oauth.refreshTokenGrantRequest(as, one, oauth.None(), tokens.refresh_token as string, {
        ...options,
        DPoP,
      }),
    )
    expect(refreshed.token_type).toBe('dpop')
  })
})
