import { AuthAdminApi } from '@supabase/supabase-js'
import { apiKeys } from 'leanto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { customProviderMigrations } from '../../src/auth/custom-providers/migrations.ts'
import { type App, fragment, local, secret, startApp } from './oauth-app.ts'
import { browser, client, type RealProvider, realProvider, supabase } from './real-provider.ts'

/*
 * A real OpenID provider that is added to a running app by the stock admin client, and signed in by, linked and led to by the
 * stock client.
 */

let real: RealProvider
let app: App
let admin: InstanceType<typeof AuthAdminApi>

/** `eve` has an account there with an address of another domain. */
const claims = (id: string) => (id === 'eve' ? { email: 'boss@other.example' } : {})

beforeAll(async () => {
  real = await realProvider(claims)
  app = await startApp('custom-providers-test', {
    imports: "import { customProviders } from 'leanto/auth/custom-providers'",
    // On this machine it has no public address, which is for the host alone to allow.
    providers: `customProviders({ unsafeAllow: ({ origin }) => origin === '${real.issuer}' })`,
    migrations: customProviderMigrations,
  })
  const { secret: key } = await apiKeys(secret)
  admin = new AuthAdminApi({
    url: `${local}/auth/v1`,
    headers: { apikey: key, Authorization: `Bearer ${key}` },
    fetch: (url, init) => app.fetch(String(url), init),
  })
})

afterAll(async () => {
  await app?.stop()
  real?.server.closeAllConnections()
  real?.server.close()
})

const identifier = 'custom:acme'
const acme = () => ({
  provider_type: 'oidc' as const,
  identifier,
  name: 'Acme',
  issuer: real.issuer,
  client_id: client.id,
  client_secret: client.secret,
})
const create = async (more: object = {}) => {
  const { data, error } = await admin.customProviders.createProvider({ ...acme(), ...more })
  if (error) throw error
  return data
}

beforeEach(async () => {
  await app.empty()
  await admin.customProviders.deleteProvider(identifier)
})

const withOAuth = async (auth: ReturnType<typeof supabase>, login_hint: string): Promise<URL> => {
  const { data, error } = await auth.signInWithOAuth({
    provider: identifier,
    options: { queryParams: { login_hint }, skipBrowserRedirect: true },
  })
  if (error) throw error
  return browser(app)(data.url as string)
}

describe('a provider that was just added', () => {
  it('tells what it is, as the client’s types have it', async () => {
    const made = await create()
    expect(made).toMatchObject({
      identifier,
      enabled: true,
      discovery_document: { issuer: real.issuer, jwks_uri: `${real.issuer}/jwks` },
    })
    expect(made.discovery_document?.supported_id_token_signing_algs).toContain('RS256')
    expect((await admin.customProviders.listProviders()).data.providers).toEqual([made])
    expect(JSON.stringify(made)).not.toContain(client.secret)
  })

  it('signs in by the implicit flow and by PKCE, as one person', async () => {
    await create()
    const auth = supabase(app, 'implicit')
    const session = fragment(await withOAuth(auth, 'ann'))
    const { data } = await auth.setSession(session as never)
    expect(data.user).toMatchObject({
      email: 'ann@example.com',
      user_metadata: { name: 'The ann', iss: real.issuer },
      identities: [{ provider: identifier, id: 'ann' }],
    })
    const other = supabase(app, 'pkce')
    const url = await withOAuth(other, 'ann')
    const exchanged = await other.exchangeCodeForSession(url.searchParams.get('code') ?? '')
    expect(exchanged.error).toBe(null)
    expect(exchanged.data.user?.id).toBe(data.user?.id)
    expect(exchanged.data.session?.provider_token).toBeTruthy()
  })

  it('is linked to who is signed in, from a page on another origin', async () => {
    await create()
    const auth = supabase(app, 'pkce')
    const url = await withOAuth(auth, 'ann')
    await auth.exchangeCodeForSession(url.searchParams.get('code') ?? '')
    const { data, error } = await auth.linkIdentity({
      provider: identifier,
      options: { queryParams: { login_hint: 'bob' }, skipBrowserRedirect: true },
    })
    expect(error).toBe(null)
    // A browser in which the cookie of the client's own fetch is not.
    const back = await browser(app)(data?.url as string)
    const linked = await auth.exchangeCodeForSession(back.searchParams.get('code') ?? '')
    expect(linked.data.user?.identities?.map(({ id }) => id).sort()).toEqual(['ann', 'bob'])
    expect(await app.rows('SELECT id FROM leanto_auth_users')).toHaveLength(1)
  })

  it('brings a refusal back, and lets nobody in by an address that is not verified', async () => {
    await create()
    const auth = supabase(app, 'implicit')
    expect(fragment(await withOAuth(auth, 'refuses'))).toEqual({
      error: 'access_denied',
      error_description: 'No thanks',
    })
    expect(fragment(await withOAuth(auth, 'unverified')).error_code).toBe(
      'provider_email_needs_verification',
    )
    expect(await app.rows('SELECT id FROM leanto_auth_users')).toEqual([])
  })

  it('stops when it is disabled, and is known no more when it is deleted', async () => {
    await create()
    const auth = supabase(app, 'implicit')
    const begin = async () => {
      const { data } = await auth.signInWithOAuth({
        provider: identifier,
        options: { skipBrowserRedirect: true },
      })
      return (await app.fetch(data.url as string)).status
    }
    expect(await begin()).toBe(303)
    await admin.customProviders.updateProvider(identifier, { enabled: false })
    expect(await begin()).toBe(400)
    await admin.customProviders.updateProvider(identifier, { enabled: true })
    expect(await begin()).toBe(303)
    await admin.customProviders.deleteProvider(identifier)
    expect(await begin()).toBe(400)
  })

  it('with a wrong secret signs nobody in, until it has the right one', async () => {
    await create({ client_secret: 'wrong' })
    const auth = supabase(app, 'implicit')
    expect(fragment(await withOAuth(auth, 'ann')).error_code).toBe('unexpected_failure')
    await admin.customProviders.updateProvider(identifier, { client_secret: client.secret })
    expect(fragment(await withOAuth(auth, 'ann')).access_token).toBeTruthy()
  })
})

it('case 61: another place on this machine is not allowed with it', async () => {
  const { port } = new URL(real.issuer)
  for (const issuer of [`http://127.0.0.1:${Number(port) + 1}`, `https://127.0.0.1:${port}`]) {
    const { error } = await admin.customProviders.createProvider({ ...acme(), issuer })
    expect(error?.code).toBe('validation_failed')
  }
})

describe('single sign-on by domain', () => {
  const travel = async (url: string, login_hint: string): Promise<URL> => {
    const there = new URL(url)
    there.searchParams.set('login_hint', login_hint)
    return browser(app)(there.href)
  }

  it('leads the people of a domain to their provider, with PKCE', async () => {
    await create({ domains: ['example.com'] })
    const auth = supabase(app, 'pkce')
    const { data, error } = await auth.signInWithSSO({ domain: 'Example.com' })
    expect(error).toBe(null)
    const back = await travel(data?.url as string, 'ann')
    const exchanged = await auth.exchangeCodeForSession(back.searchParams.get('code') ?? '')
    expect(exchanged.data.user?.email).toBe('ann@example.com')
    const { error: unknown } = await auth.signInWithSSO({ domain: 'other.example' })
    expect(unknown).toMatchObject({ code: 'sso_provider_not_found', status: 404 })
  })

  it('brings nobody in by another domain’s address', async () => {
    const { id } = await create({ domains: ['example.com'] })
    const auth = supabase(app, 'implicit')
    const { data } = await auth.signInWithSSO({ providerId: id })
    const back = await travel(data?.url as string, 'eve')
    expect(fragment(back).error_code).toBe('provider_email_needs_verification')
    expect(await app.rows('SELECT id FROM leanto_auth_users')).toEqual([])
  })
})
