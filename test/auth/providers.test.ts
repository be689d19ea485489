import { env } from 'cloudflare:workers'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import * as providers from 'leanto/auth/providers'
import { describe, expect, it } from 'vitest'
import { verifyIdToken } from '../../src/auth/providers/id-token.ts'
import { clock, makeBase } from '../kit/world.ts'
import { worldOf } from './oauth-world.ts'
import { expectStatus } from './world.ts'

const client = { clientId: 'c', secret: 's' }
const tenant = '11111111-2222-4333-8444-555555555555'

/** Every preset by what it is called in a client. */
const mounted = [
  providers.google(client),
  providers.github(client),
  providers.gitlab(client),
  providers.apple({ clientId: 'c', teamId: 't', keyId: 'k', privateKey: 'p' }),
  providers.azure({ ...client, tenants: [tenant] }),
  providers.discord(client),
  providers.facebook(client),
  providers.twitter(client),
  providers.linkedinOidc(client),
  providers.slackOidc(client),
  providers.spotify(client),
  providers.twitch(client),
  providers.notion(client),
  providers.bitbucket(client),
  providers.zoom(client),
  providers.figma(client),
  providers.keycloak({ ...client, url: 'https://id.example/realms/a' }),
  providers.workos(client),
  providers.kakao(client),
  providers.snapchat(client),
  providers.oidc({ ...client, name: 'custom:acme', issuer: 'https://id.example' }),
]

it('mounts them all at once, each under its own name', async () => {
  const { ask, users } = await worldOf({ with: mounted })
  const { external } = await expectStatus(await ask('/auth/v1/settings'), 200)
  expect(Object.keys(external).sort()).toEqual(
    ['anonymous_users', 'email', 'phone', ...mounted.map(({ name }) => name)].sort(),
  )
  const routes = users.table.map(({ method, path }) => `${method} ${path}`)
  expect(new Set(routes).size).toBe(routes.length)
  expect(routes).toEqual(
    expect.arrayContaining(['GET /authorize', 'GET /callback', 'POST /callback']),
  )
})

describe('options', () => {
  it.each([
    () => providers.google({} as never),
    () => providers.google({ clientId: 'c' } as never),
    () => providers.google({ clientId: 5, secret: 's' } as never),
    () => providers.apple({ clientId: 'c', teamId: 't', keyId: 'k' } as never),
    () => providers.azure(client as never),
    () => providers.azure({ ...client, tenants: [] }),
    () => providers.azure({ ...client, tenants: ['common'] }),
    () => providers.azure({ ...client, tenants: ['example.onmicrosoft.com'] }),
    () => providers.keycloak({ ...client, url: 'id.example' }),
    () => providers.gitlab({ ...client, url: 'javascript:alert(1)' }),
    () => providers.oidc({ ...client, name: 'email', issuer: 'https://id.example' }),
    () => providers.oidc({ ...client, name: 'A b', issuer: 'https://id.example' }),
    () => providers.oidc({ ...client, name: 'a', issuer: 'id.example' }),
  ])('throw when the module is built: %s', (make) => {
    expect(make).toThrow(TypeError)
  })

  it('that the environment lacks say so, and deny', async () => {
    const { ask } = await worldOf({
      with: [providers.google({ clientId: (e: { ID: string }) => e.ID, secret: 's' })],
    })
    const { msg } = await expectStatus(await ask('/auth/v1/authorize?provider=google'), 500)
    expect(msg).toBe('google: `clientId` is empty')
  })
})

describe('an ID token’s key', () => {
  it('may belong to one issuer of several', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    const key = { ...(await exportJWK(publicKey)), kid: 'k', issuer: 'https://a.example' }
    const scope = makeBase().scope({ env })
    const verify = async (iss: string) => {
      const now = Math.floor(clock.now() / 1000)
      const token = await new SignJWT({ iss, sub: '1', aud: 'c', iat: now, exp: now + 60 })
        .setProtectedHeader({ alg: 'ES256', kid: 'k' })
        .sign(privateKey)
      const documents = {
        read: async () => ({ keys: [key] }),
        again: async () => ({ keys: [key] }),
        anew: async () => ({ keys: [key] }),
      }
      return verifyIdToken(scope, documents, {
        token,
        jwksUri: 'https://id.example/keys',
        isIssuer: () => true,
        audiences: ['c'],
        nonce: null,
        isKeyOf: ({ issuer }, claims) => issuer === claims.iss,
      })
    }
    expect((await verify('https://a.example')).sub).toBe('1')
    await expect(verify('https://b.example')).rejects.toThrow('a key of someone else')
  })
})
