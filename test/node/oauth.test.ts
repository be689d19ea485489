import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type App, fragment, local, startApp } from './oauth-app.ts'
import { browser, client, type RealProvider, realProvider, supabase } from './real-provider.ts'
import { makeUpstream, type Upstream } from './upstream.ts'

let real: RealProvider
let evil: Upstream
let app: App

beforeAll(async () => {
  real = await realProvider()
  evil = await makeUpstream(client)
  const of = (name: string, issuer: string) =>
    `p.oidc({ name: '${name}', issuer: '${issuer}', clientId: '${client.id}', secret: '${client.secret}' })`
  app = await startApp('oauth-test', {
    providers: [of('real', real.issuer), of('evil', evil.issuer)].join(', '),
  })
})

afterAll(async () => {
  await app?.stop()
  real?.server.closeAllConnections()
  real?.server.close()
  await evil?.stop()
})

beforeEach(() => app.empty())

const signInWith = async (
  auth: ReturnType<typeof supabase>,
  login_hint: string,
  go = browser(app),
): Promise<URL> => {
  const { data, error } = await auth.signInWithOAuth({
    provider: 'real' as never,
    options: { queryParams: { login_hint }, skipBrowserRedirect: true },
  })
  if (error) throw error
  return go(data.url as string)
}

describe('with a real provider and the stock client', () => {
  it('signs in by the implicit flow', async () => {
    const auth = supabase(app, 'implicit')
    const session = fragment(await signInWith(auth, 'ann'))
    const { data, error } = await auth.setSession({
      access_token: session.access_token as string,
      refresh_token: session.refresh_token as string,
    })
    expect(error).toBe(null)
    expect(data.user).toMatchObject({
      email: 'ann@example.com',
      user_metadata: { name: 'The ann', email_verified: true },
      identities: [{ provider: 'real', id: 'ann' }],
    })
    const asked = await fetch(`${real.issuer}/me`, {
      headers: { authorization: `Bearer ${session.provider_token}` },
    })
    expect(asked.status).toBe(200)
  })

  it('signs in by PKCE, and again as the same', async () => {
    const ids: string[] = []
    for (let i = 0; i < 2; i++) {
      const auth = supabase(app, 'pkce')
      const url = await signInWith(auth, 'ann')
      const { data, error } = await auth.exchangeCodeForSession(url.searchParams.get('code') ?? '')
      expect(error).toBe(null)
      expect(data.session?.provider_token).toBeTruthy()
      ids.push(data.user?.id as string)
    }
    expect(ids[0]).toBe(ids[1])
    expect(await app.rows('SELECT id FROM leanto_auth_users')).toHaveLength(1)
  })

  it('brings the refusal back', async () => {
    const url = await signInWith(supabase(app, 'implicit'), 'refuses')
    expect(fragment(url)).toEqual({ error: 'access_denied', error_description: 'No thanks' })
  })

  it('lets nobody in by an address that is not verified', async () => {
    const url = await signInWith(supabase(app, 'implicit'), 'unverified')
    expect(fragment(url).error_code).toBe('provider_email_needs_verification')
    expect(await app.rows('SELECT id FROM leanto_auth_users')).toEqual([])
  })

  it('links, lists and unlinks', async () => {
    const auth = supabase(app, 'implicit')
    const session = fragment(await signInWith(auth, 'ann'))
    await auth.setSession(session as never)
    const linked = await auth.signInWithIdToken({ provider: 'evil', token: await evil.idToken({}) })
    expect(linked.error).toBe(null)
    await auth.setSession(session as never)
    const { data } = await auth.getUserIdentities()
    expect(data?.identities.map(({ provider }) => provider)).toEqual(['real'])
    // The other account is someone else's; one of their own they may add, and take away.
    const { error: taken } = await auth.linkIdentity({
      provider: 'evil',
      token: await evil.idToken({}),
    } as never)
    expect(taken?.code).toBe('identity_already_exists')
    await auth.setSession(session as never)
    const own = { provider: 'evil', token: await evil.idToken({ sub: 'another' }) }
    expect((await auth.linkIdentity(own as never)).error).toBe(null)
    const both = (await auth.getUserIdentities()).data?.identities ?? []
    expect(both.map(({ provider }) => provider)).toEqual(['real', 'evil'])
    expect((await auth.unlinkIdentity(both[1] as never)).error).toBe(null)
    expect((await auth.unlinkIdentity(both[0] as never)).error?.code).toBe(
      'single_identity_not_deletable',
    )
  })
})

describe('plain HTTP', () => {
  it('is for a provider on this machine while developing, and for nothing else', async () => {
    const response = await app.fetch('https://app.example/auth/v1/authorize?provider=real')
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain(real.issuer)
  })
})

describe('with a provider that does as it likes', () => {
  const begin = async (query = 'provider=evil') => {
    const response = await app.fetch(`${local}/auth/v1/authorize?${query}`)
    const url = new URL(response.headers.get('location') ?? '')
    const cookie = (response.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
    return { url, cookie, state: url.searchParams.get('state') ?? '' }
  }
  const end = async (
    { url, cookie, state }: Awaited<ReturnType<typeof begin>>,
    more = `&iss=${encodeURIComponent(evil.issuer)}`,
  ) => {
    evil.asked(url)
    const response = await app.fetch(`${local}/auth/v1/callback?code=c&state=${state}${more}`, {
      headers: { cookie },
    })
    return new URL(response.headers.get('location') ?? '')
  }
  const nobody = async () => {
    for (const table of ['users', 'identities', 'sessions'])
      expect(await app.rows(`SELECT * FROM leanto_auth_${table}`)).toEqual([])
  }

  it('signs in when it does well: PKCE, nonce, client secret', async () => {
    evil.next = {}
    const flow = await begin()
    expect(flow.url.searchParams.get('code_challenge_method')).toBe('S256')
    expect(flow.url.searchParams.get('nonce')).toBeTruthy()
    const session = fragment(await end(flow))
    expect(session.access_token).toBeDefined()
    // It has checked the verifier, the secret and the redirect URI itself.
    expect(evil.complaints).toEqual([])
  })

  const tokens: Record<string, () => object> = {
    'case 5: another audience': () => ({ claims: { aud: 'someone-else' } }),
    'case 5: no audience': () => ({ claims: { aud: undefined } }),
    'case 5: a list of audiences': () => ({ claims: { aud: [client.id] } }),
    'case 5: a list with ours': () => ({ claims: { aud: ['someone-else', client.id] } }),
    'case 4: another issuer': () => ({ claims: { iss: 'https://evil.example' } }),
    'case 4: an issuer that begins like ours': () => ({ claims: { iss: `${evil.issuer}/` } }),
    'case 4: no issuer': () => ({ claims: { iss: undefined } }),
    expired: () => ({ claims: { exp: Math.floor(Date.now() / 1000) - 60 } }),
    'without an end': () => ({ claims: { exp: undefined } }),
    'not valid yet': () => ({ claims: { nbf: Math.floor(Date.now() / 1000) + 600 } }),
    'case 7: no subject': () => ({ claims: { sub: undefined } }),
    'case 7: an empty subject': () => ({ claims: { sub: '' } }),
    'case 7: a number as subject': () => ({ claims: { sub: 5 } }),
    'case 31: unsigned': () => ({ sign: 'none' }),
    'case 31: HS256 with the public key': () => ({ sign: 'hs256' }),
    'case 31: HS256 with the client secret': () => ({ sign: 'secret' }),
    'case 34: a key of its own in the header': () => ({ sign: 'embedded' }),
    'case 34: an unknown kid': () => ({ sign: 'stranger' }),
    'case 34: a known kid, another key': () => ({ sign: 'forged' }),
    'the access token of another': () => ({ claims: { at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' } }),
    'no JWT at all': () => ({ answer: { id_token: 'nonsense' } }),
  }
  const inTheFlow: Record<string, () => object> = {
    'case 27: another nonce': () => ({ claims: { nonce: 'another' } }),
    'case 27: no nonce': () => ({ claims: { nonce: undefined } }),
    'no ID token': () => ({ answer: { id_token: undefined } }),
    'an ID token that is no text': () => ({ answer: { id_token: {} } }),
    'no access token': () => ({ answer: { access_token: undefined } }),
    'a token type of its own': () => ({ answer: { token_type: 'mac' } }),
    'an error with status 200': () => ({ body: '{"error":"bad_verification_code"}' }),
    'no JSON': () => ({ body: '<html>' }),
    'a list': () => ({ body: '[]' }),
    null: () => ({ body: 'null' }),
    'an error': () => ({ status: 400, body: '{"error":"invalid_grant"}' }),
    'a failure': () => ({ status: 500, body: 'trace' }),
    'a redirect': () => ({ status: 302, body: '' }),
    'too much': () => ({ body: `{"x":"${'x'.repeat(400_000)}"}` }),
  }

  it.each(Object.entries({ ...tokens, ...inTheFlow }))('denies: %s', async (_name, next) => {
    evil.next = next()
    const url = await end(await begin())
    expect(fragment(url)).toEqual({
      error: 'server_error',
      error_code: 'unexpected_failure',
      error_description: 'Error getting user profile from external provider',
    })
    await nobody()
  })

  it.each(Object.entries(tokens))('denies as an ID token: %s', async (_name, next) => {
    const body = JSON.stringify({
      provider: 'evil',
      id_token: await evil.idToken(next()),
      access_token: 'upstream-at',
    })
    const response = await app.fetch(`${local}/auth/v1/token?grant_type=id_token`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    })
    expect([response.status, ((await response.json()) as { msg: string }).msg]).toEqual([
      400,
      'Bad ID token',
    ])
    await nobody()
  })

  it('hashes the nonce of an ID token, and wants it on both sides or on none', async () => {
    const hashed = async (nonce: string) =>
      Buffer.from(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(nonce))).toString(
        'hex',
      )
    const attempt = async (claimed: string | undefined, nonce: string | undefined) => {
      const token = await evil.idToken({ claims: { nonce: claimed } })
      const { error } = await supabase(app, 'implicit').signInWithIdToken({
        provider: 'evil',
        token,
        ...(nonce === undefined ? {} : { nonce }),
      })
      return error?.message
    }
    expect(await attempt(await hashed('n'), 'n')).toBe(undefined)
    expect(await attempt(undefined, undefined)).toBe(undefined)
    expect(await attempt('n', 'n')).toBe('Bad ID token')
    expect(await attempt(await hashed('n'), 'm')).toBe('Bad ID token')
    expect(await attempt(await hashed('n'), undefined)).toBe('Bad ID token')
    expect(await attempt(undefined, 'n')).toBe('Bad ID token')
  })

  it('case 27: refuses an answer of another issuer, and one without any where there should be', async () => {
    evil.next = {}
    for (const more of ['&iss=https%3A%2F%2Fhonest.example', '', '&iss=a&iss=b']) {
      expect(fragment(await end(await begin(), more)).error).toBe('server_error')
      await nobody()
    }
  })

  it('never takes one provider’s answer for another’s', async () => {
    evil.next = {}
    const { cookie, state, url } = await begin(`provider=real`)
    evil.asked(url)
    const response = await app.fetch(
      `${local}/auth/v1/callback?code=c&state=${state}&iss=${encodeURIComponent(evil.issuer)}`,
      { headers: { cookie } },
    )
    expect(fragment(new URL(response.headers.get('location') ?? '')).error).toBe('server_error')
    await nobody()
  })

  it('case 34: asks for unknown keys no more often than it must', async () => {
    const before = evil.keysRead
    for (let i = 0; i < 20; i++) {
      evil.next = { sign: 'stranger' }
      await end(await begin())
    }
    expect(evil.keysRead - before).toBeLessThanOrEqual(1)
  })
})
