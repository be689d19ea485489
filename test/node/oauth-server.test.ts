import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { issuer, redirectUri, type ServerApp, startServerApp } from './oauth-server-app.ts'

/* Stock clients of OAuth and OpenID through every flow. */

let app: ServerApp

beforeAll(async () => {
  app = await startServerApp('oauth-server-test')
}, 60_000)
afterAll(() => app?.stop())

describe('openid-client', () => {
  const configure = async (fields: object = {}, auth?: (secret: string) => openid.ClientAuth) => {
    const client = await app.makeClient(fields)
    const config = await openid.discovery(
      new URL(issuer),
      client.client_id,
      undefined,
      client.client_secret
        ? (auth ?? openid.ClientSecretPost)(client.client_secret)
        : openid.None(),
      { [openid.customFetch]: app.ask as never },
    )
    return { config, client }
  }

  it.each([
    ['client_secret_basic', openid.ClientSecretBasic],
    ['client_secret_post', openid.ClientSecretPost],
    ['none', undefined],
  ])(
    'signs in with %s: discovery, PKCE, state, nonce, ID token, UserInfo, refresh',
    async (method, auth) => {
      const { config, client } = await configure(
        { token_endpoint_auth_method: method },
        auth as never,
      )
      const codeVerifier = openid.randomPKCECodeVerifier()
      const [state, nonce] = [openid.randomState(), openid.randomNonce()]
      const url = openid.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: 'openid email profile',
        code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
        state,
        nonce,
        max_age: '3600',
      })
      const back = await app.consent(url)
      const tokens = await openid.authorizationCodeGrant(config, back, {
        pkceCodeVerifier: codeVerifier,
        expectedState: state,
        expectedNonce: nonce,
        maxAge: 3600,
        idTokenExpected: true,
      })
      const claims = tokens.claims()
      expect(claims).toMatchObject({ iss: issuer, aud: client.client_id, email: 'ann@example.com' })
      const sub = claims?.sub as string
      const info = await openid.fetchUserInfo(config, tokens.access_token, sub)
      expect(info).toMatchObject({ sub, email: 'ann@example.com', email_verified: true })
      const again = await openid.refreshTokenGrant(config, tokens.refresh_token as string)
      expect(again.claims()?.sub).toBe(sub)
      expect(again.refresh_token).not.toBe(tokens.refresh_token)
      if (method !== 'none') {
        const shown = await openid.tokenIntrospection(config, again.access_token)
        expect(shown).toMatchObject({ active: true, sub, client_id: client.client_id })
      }
      await openid.tokenRevocation(config, again.refresh_token as string)
      await expect(
        openid.refreshTokenGrant(config, again.refresh_token as string),
      ).rejects.toMatchObject({ error: 'invalid_grant' })
    },
  )

  it('pushes what it asks for (RFC 9126)', async () => {
    const { config } = await configure({ require_pushed_authorization_requests: true })
    const codeVerifier = openid.randomPKCECodeVerifier()
    const url = await openid.buildAuthorizationUrlWithPAR(config, {
      redirect_uri: redirectUri,
      scope: 'email',
      code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
    })
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri'])
    const back = await app.consent(url)
    const tokens = await openid.authorizationCodeGrant(config, back, {
      pkceCodeVerifier: codeVerifier,
    })
    expect(tokens.scope).toBe('email')
  })

  it('hears of an error where it asked for an answer', async () => {
    const { config } = await configure()
    const url = openid.buildAuthorizationUrl(config, { redirect_uri: redirectUri, scope: 'openid' })
    const back = await app.consent(url)
    await expect(openid.authorizationCodeGrant(config, back)).rejects.toMatchObject({
      error: 'invalid_request',
    })
  })

  it('is a machine', async () => {
    const { config } = await configure({
      grant_types: ['client_credentials'],
      redirect_uris: undefined,
      scope: 'notes',
    })
    const tokens = await openid.clientCredentialsGrant(config, { scope: 'notes' })
    expect(tokens).toMatchObject({ scope: 'notes', expires_in: 3600 })
    await expect(openid.clientCredentialsGrant(config, { scope: 'openid' })).rejects.toMatchObject({
      error: 'invalid_scope',
    })
  })

  it('registers itself (RFC 7591)', async () => {
    const config = await openid.dynamicClientRegistration(
      new URL(issuer),
      { redirect_uris: [redirectUri], client_name: 'By itself' },
      undefined,
      { [openid.customFetch]: app.ask as never },
    )
    const codeVerifier = openid.randomPKCECodeVerifier()
    const url = openid.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: 'openid',
      code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
    })
    const back = await app.consent(url)
    const tokens = await openid.authorizationCodeGrant(config, back, {
      pkceCodeVerifier: codeVerifier,
    })
    expect(tokens.claims()?.iss).toBe(issuer)
  })
})

describe('oauth4webapi', () => {
  const options = () => ({ [oauth.customFetch]: app.ask as never })

  it.each([['oidc'], ['oauth2']] as const)(
    'finds the server by %s, and its tokens are what it validates (RFC 9068)',
    async (algorithm) => {
      const found = await oauth.discoveryRequest(new URL(issuer), { algorithm, ...options() })
      const as = await oauth.processDiscoveryResponse(new URL(issuer), found)
      const made = await app.makeClient({ token_endpoint_auth_method: 'none' })
      const client: oauth.Client = { client_id: made.client_id }
      const verifier = oauth.generateRandomCodeVerifier()
      const state = oauth.generateRandomState()
      const nonce = oauth.generateRandomNonce()
      const resource = 'https://notes.example/mcp'
      const url = new URL(as.authorization_endpoint as string)
      url.search = new URLSearchParams({
        client_id: client.client_id,
        redirect_uri: redirectUri,
        response_type: 'code',
        scope: 'openid email notes',
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        resource,
        state,
        nonce,
      }).toString()
      const back = await app.consent(url)
      // With `iss` (RFC 9207), which the metadata say is there.
      const parameters = oauth.validateAuthResponse(as, client, back, state)
      const response = await oauth.authorizationCodeGrantRequest(
        as,
        client,
        oauth.None(),
        parameters,
        redirectUri,
        verifier,
        { ...options(), additionalParameters: { resource } },
      )
      const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, {
        expectedNonce: nonce,
        requireIdToken: true,
      })
      // The client checks the signature too, by the published keys.
      await oauth.validateApplicationLevelSignature(as, response, options())
      const request = new Request(resource, {
        headers: { authorization: `Bearer ${tokens.access_token}` },
      })
      const claims = await oauth.validateJwtAccessToken(as, request, resource, options())
      expect(claims).toMatchObject({
        client_id: client.client_id,
        scope: 'openid email notes',
        aud: [resource, issuer],
      })
      const refreshed = await oauth.refreshTokenGrantRequest(
        as,
        client,
        oauth.None(),
        tokens.refresh_token as string,
        { ...options(), additionalParameters: { scope: 'notes' } },
      )
      const less = await oauth.processRefreshTokenResponse(as, client, refreshed)
      expect(less.scope).toBe('notes')
      const info = await oauth.userInfoRequest(as, client, tokens.access_token, options())
      const sub = oauth.getValidatedIdTokenClaims(tokens)?.sub as string
      expect(await oauth.processUserInfoResponse(as, client, sub, info)).toMatchObject({ sub })
      const revoked = await oauth.revocationRequest(
        as,
        client,
        oauth.None(),
        less.refresh_token as string,
        options(),
      )
      await oauth.processRevocationResponse(revoked)
      const dead = await oauth.userInfoRequest(as, client, tokens.access_token, options())
      await expect(oauth.processUserInfoResponse(as, client, sub, dead)).rejects.toMatchObject({
        status: 401,
      })
    },
  )

  it('finds what a resource says of itself (RFC 9728)', async () => {
    const resource = new URL('https://notes.example/mcp')
    const found = await oauth.resourceDiscoveryRequest(resource, options())
    const metadata = await oauth.processResourceDiscoveryResponse(resource, found)
    expect(metadata).toMatchObject({ authorization_servers: [issuer], scopes_supported: ['notes'] })
  })
})
