import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  acme,
  admin,
  calm,
  changed,
  client,
  created,
  customWorld,
  depart,
  idToken,
  issuer,
  outside,
  plain,
  signIn,
  travel,
} from './custom-world.ts'
import { comeBack, departed, fake, fragment, profile } from './oauth-world.ts'
import {
  type Asker,
  count,
  expectStatus,
  getUser,
  type Json,
  post,
  rows,
  signUp,
  snapshot,
} from './world.ts'

let ask: Asker
beforeEach(async () => {
  calm()
  ask = (await customWorld()).ask
})
afterEach(() => {
  vi.restoreAllMocks()
})

const codeOf = async (response: Response, status: number): Promise<string> =>
  (await expectStatus(response, status)).error_code

describe('signing in', () => {
  it('works as by a provider that the code names', async () => {
    await created(ask)
    const { access_token, provider_token } = await signIn(ask)
    expect(provider_token).toBe('upstream-at')
    const user = await expectStatus(await getUser(ask, access_token), 200)
    expect(user).toMatchObject({
      email: 'ann@acme.example',
      app_metadata: { provider: 'custom:acme', providers: ['custom:acme'] },
      user_metadata: { iss: issuer, name: 'Ann', email_verified: true },
      identities: [{ provider: 'custom:acme', id: 's1' }],
    })
    // The same person again.
    const again = await expectStatus(await getUser(ask, (await signIn(ask)).access_token), 200)
    expect(again.id).toBe(user.id)
    const { form } = outside.token as { form: URLSearchParams }
    expect(form.get('grant_type')).toBe('authorization_code')
    expect(form.get('code_verifier')).toMatch(/^[\w-]{43}$/)
  })

  it('asks the provider with what was set, and with nothing else in its place', async () => {
    await created(ask, {
      ...acme,
      scopes: ['email'],
      authorization_params: { prompt: 'login', audience: 'https://api.example' },
    })
    const { url } = await depart(
      ask,
      undefined,
      '&scopes=groups&prompt=none&client_id=evil&redirect_uri=https://evil.example&state=x&nonce=y&response_type=token&code_challenge_method=plain&code_challenge=' +
        'c'.repeat(43),
    )
    expect(url.origin + url.pathname).toBe(`${issuer}/authorize`)
    expect(Object.fromEntries(url.searchParams)).toEqual({
      prompt: 'login',
      audience: 'https://api.example',
      response_type: 'code',
      client_id: client.client_id,
      redirect_uri: 'https://app.example/auth/v1/callback',
      state: expect.stringMatching(/^[\w-]{22}$/),
      scope: 'openid email groups',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
      nonce: expect.stringMatching(/^[\w-]{43}$/),
    })
  })

  it('shows the secret as the provider says it wants it', async () => {
    await created(ask)
    await signIn(ask)
    expect(outside.token?.form.has('client_secret')).toBe(false)
    outside.discovery = { token_endpoint_auth_methods_supported: ['client_secret_post'] }
    const posting = { ...acme, identifier: 'custom:posting', issuer: 'https://other.acme.example' }
    await created(ask, posting)
    await signIn(ask, 'custom:posting')
    expect(outside.token?.authorization).toBe(null)
    expect(outside.token?.form.get('client_secret')).toBe(client.client_secret)
  })

  it('by plain OAuth 2.0, whose person is at the userinfo endpoint', async () => {
    await created(ask, {
      ...plain,
      scopes: ['read:user'],
      pkce_enabled: false,
      attribute_mapping: { sub: 'id', name: 'login', avatar_url: 'avatar', nickname: 'nick' },
      custom_claims_allowlist: ['teams', 'absent'],
    })
    outside.info = {
      ...{ id: 42, login: 'ann', avatar: 'https://a.example/a.png', nick: 'Annie' },
      ...{ email: 'ann@example.com', email_verified: true, teams: ['a'], secret: 'x' },
    }
    const flow = await depart(ask, 'custom:plain')
    expect(Object.fromEntries(flow.url.searchParams)).toMatchObject({ scope: 'read:user' })
    for (const parameter of ['code_challenge', 'nonce'])
      expect(flow.url.searchParams.has(parameter)).toBe(false)
    const { access_token } = fragment(await comeBack(ask, flow, 'c'))
    expect(outside.token?.form.has('code_verifier')).toBe(false)
    const user = await expectStatus(await getUser(ask, access_token), 200)
    expect(user.email).toBe('ann@example.com')
    expect(user.identities[0]).toMatchObject({
      id: '42',
      identity_data: {
        ...{ iss: 'https://api.acme.example#id', sub: '42', name: 'ann', full_name: 'ann' },
        ...{ avatar_url: 'https://a.example/a.png', nickname: 'Annie' },
        custom_claims: { teams: ['a'] },
      },
    })
    expect(JSON.stringify(user)).not.toContain('"x"')
    // It has no ID tokens.
    const body = { provider: 'custom:plain', id_token: await idToken() }
    expect(await codeOf(await post(ask, '/token?grant_type=id_token', body), 400)).toBe(
      'provider_disabled',
    )
  })

  it('reads at userinfo what the ID token lacks', async () => {
    outside.discovery = { userinfo_endpoint: `${issuer}/me` }
    await created(ask, { ...acme, custom_claims_allowlist: ['groups'] })
    outside.info = { sub: 's1', groups: ['admins'], email: 'other@acme.example' }
    const { access_token } = await signIn(ask)
    const user = await expectStatus(await getUser(ask, access_token), 200)
    // The token's own word stands.
    expect(user.email).toBe('ann@acme.example')
    expect(user.user_metadata.custom_claims).toEqual({ groups: ['admins'] })
    outside.info = { sub: 'someone-else', groups: ['admins'] }
    expect((await signIn(ask)).error_code).toBe('unexpected_failure')
  })

  it('by an ID token of the provider, its own client’s or another that is named', async () => {
    await created(ask, { ...acme, acceptable_client_ids: ['the-phone'] })
    const attempt = async (more: Json, nonce?: string) =>
      post(ask, '/token?grant_type=id_token', {
        provider: 'custom:acme',
        id_token: await idToken(more),
        ...(nonce ? { nonce } : {}),
      })
    expect((await expectStatus(await attempt({}), 200)).user.email).toBe('ann@acme.example')
    await expectStatus(await attempt({ aud: 'the-phone' }), 200)
    for (const wrong of [{ aud: 'another' }, { iss: 'https://evil.example' }, { nonce: 'n' }])
      expect((await expectStatus(await attempt(wrong), 400)).msg).toBe('Bad ID token')
    await changed(ask, 'custom:acme', { skip_nonce_check: true })
    await expectStatus(await attempt({ nonce: 'n' }), 200)
    expect(await codeOf(await attempt({ nonce: 'n' }, 'm'), 400)).toBe('validation_failed')
  })

  it('with PKCE of the client: a code, and the provider’s tokens for whoever exchanges it', async () => {
    await created(ask)
    const verifier = 'v'.repeat(43)
    const query = `&code_challenge=${verifier}&code_challenge_method=plain`
    const code = (await travel(ask, undefined, query)).searchParams.get('code')
    const exchange = (code_verifier: string) =>
      post(ask, '/token?grant_type=pkce', { auth_code: code, code_verifier })
    expect(await codeOf(await exchange('w'.repeat(43)), 400)).toBe('bad_code_verifier')
    const session = await expectStatus(await exchange(verifier), 200)
    expect(session).toMatchObject({
      provider_token: 'upstream-at',
      user: { email: 'ann@acme.example' },
    })
  })

  it('links to who is signed in, in the browser that began it and in one that did not', async () => {
    await created(ask)
    const link = async (token: string, more = '') => {
      const path = `/auth/v1/user/identities/authorize?provider=custom:acme${more}`
      const flow = departed(await ask(path, { token }))
      outside.nonce = flow.url.searchParams.get('nonce') ?? undefined
      return flow
    }
    const ann = await signUp(ask, 'ann@home.example')
    const flow = await link(ann.access_token)
    const { access_token } = fragment(await comeBack(ask, flow, 'c'))
    const user = await expectStatus(await getUser(ask, access_token), 200)
    expect(user.id).toBe(ann.user.id)
    expect(user.identities.map(({ provider }: Json) => provider).sort()).toEqual([
      'custom:acme',
      'email',
    ])
    const bob = await signUp(ask, 'bob@home.example')
    outside.claims = { sub: 's2', email: 'bob@acme.example' }
    const verifier = 'v'.repeat(43)
    const unbound = await link(
      bob.access_token,
      `&code_challenge=${verifier}&code_challenge_method=plain`,
    )
    const held = await comeBack(ask, { ...unbound, cookie: '' }, 'c')
    const body = { auth_code: held.searchParams.get('code'), code_verifier: verifier }
    const session = await expectStatus(await post(ask, '/token?grant_type=pkce', body), 200)
    expect(session.user.id).toBe(bob.user.id)
    expect(session.user.identities).toHaveLength(2)
  })

  it('is not listed in the settings, which ask nobody', async () => {
    await created(ask)
    const { external } = await expectStatus(await ask('/auth/v1/settings'), 200)
    expect(Object.keys(external).sort()).toEqual(['anonymous_users', 'email', 'phone'])
  })

  it('stands beside providers that the code names', async () => {
    const both = (
      await customWorld({ with: [fake('google', { it: profile('g', 'g@example.com') })] })
    ).ask
    await created(both)
    expect((await signIn(both)).access_token).toBeTruthy()
    const flow = await depart(both, 'google')
    expect(fragment(await comeBack(both, flow, 'it')).access_token).toBeTruthy()
  })

  it.each([
    'custom:nobody',
    'custom:',
    'custom:ACME_',
    'custom:constructor',
    'constructor',
    '__proto__',
    'custom:acme%00',
  ])('by %s, which there is not, is refused', async (name) => {
    await created(ask)
    const response = await ask(`/auth/v1/authorize?provider=${name}`)
    expect(await codeOf(response, 400)).toBe('validation_failed')
    expect(response.headers.get('set-cookie')).toBe(null)
    expect(await count('flows')).toBe(0)
    const body = { provider: decodeURIComponent(name), id_token: await idToken() }
    expect(await codeOf(await post(ask, '/token?grant_type=id_token', body), 400)).toBe(
      'validation_failed',
    )
  })
})

describe('disabled or deleted', () => {
  const closings: [string, (of: Asker) => Promise<unknown>][] = [
    ['disabled', (of) => changed(of, 'custom:acme', { enabled: false })],
    ['deleted', (of) => admin(of, '/custom:acme', { method: 'DELETE' })],
  ]
  const verifier = 'v'.repeat(43)
  const pkce = `&code_challenge=${verifier}&code_challenge_method=plain`

  it.each(closings)('%s, it lets nobody in from then on', async (how, close) => {
    await created(ask)
    const { access_token } = await signIn(ask)
    const under = await depart(ask)
    const code = (await travel(ask, undefined, pkce)).searchParams.get('code')
    await close(ask)
    const refused = how === 'disabled' ? 'provider_disabled' : 'validation_failed'
    expect(await codeOf(await ask('/auth/v1/authorize?provider=custom:acme'), 400)).toBe(refused)
    const token = { provider: 'custom:acme', id_token: await idToken() }
    expect(await codeOf(await post(ask, '/token?grant_type=id_token', token), 400)).toBe(refused)
    // What was under way has ended: at the provider, and a code that was on its way to be exchanged.
    const before = outside.calls.length
    expect(fragment(await comeBack(ask, under, 'c')).error_code).toBe('bad_oauth_state')
    expect(outside.calls).toHaveLength(before)
    const exchange = { auth_code: code, code_verifier: verifier }
    expect(await codeOf(await post(ask, '/token?grant_type=pkce', exchange), 404)).toBe(
      'flow_state_not_found',
    )
    // Sessions are the user's, and end when they end them.
    const user = await expectStatus(await getUser(ask, access_token), 200)
    expect(user.identities).toMatchObject([{ provider: 'custom:acme' }])
    expect(await count('flows')).toBe(0)
  })

  it.each(closings)(
    '%s while the provider is still asked, it lets nobody in either',
    async (_, close) => {
      await created(ask)
      const ann = await signUp(ask, 'ann@home.example')
      const link = async (more = '') => {
        const path = `/auth/v1/user/identities/authorize?provider=custom:acme${more}`
        const flow = departed(await ask(path, { token: ann.access_token }))
        outside.nonce = flow.url.searchParams.get('nonce') ?? undefined
        return flow
      }
      outside.claims = { sub: 's0', email: 'known@acme.example' }
      await signIn(ask)
      const before = await snapshot()
      for (const claims of [{}, outside.claims])
        for (const begin of [
          () => depart(ask),
          () => depart(ask, undefined, pkce),
          () => link(),
          async () => ({ ...(await link(pkce)), cookie: '' }),
        ]) {
          outside.claims = claims
          const flow = await begin()
          outside.meanwhile = () => close(ask)
          const url = await comeBack(ask, flow, 'c')
          outside.meanwhile = undefined
          const code = url.searchParams.get('code')
          if (code) {
            const exchange = { auth_code: code, code_verifier: verifier }
            await expectStatus(await post(ask, '/token?grant_type=pkce', exchange), 404)
          } else expect(fragment(url).error_code).toBeTruthy()
          expect(fragment(url).access_token).toBe(undefined)
          // The one who was known has been seen: no session, and nobody new.
          const seen = (text: string) => text.replace(/"(?:last_sign_in_at|updated_at)":\d+/g, '')
          expect(seen(await snapshot())).toBe(seen(before))
          await admin(ask, '/custom:acme', { method: 'DELETE' })
          await created(ask)
        }
    },
  )

  it('an ID token that is shown while it is being closed lets nobody in', async () => {
    await created(ask)
    outside.others[`${issuer}/jwks`] = async () => {
      await changed(ask, 'custom:acme', { enabled: false })
      delete outside.others[`${issuer}/jwks`]
      return fetch(`${issuer}/jwks`)
    }
    const body = { provider: 'custom:acme', id_token: await idToken() }
    expect(await codeOf(await post(ask, '/token?grant_type=id_token', body), 400)).toBe(
      'provider_disabled',
    )
    expect([await count('users'), await count('identities'), await count('sessions')]).toEqual([
      0, 0, 0,
    ])
  })

  it('enabled again, it lets the same people in', async () => {
    await created(ask)
    await signIn(ask)
    await changed(ask, 'custom:acme', { enabled: false })
    await changed(ask, 'custom:acme', { enabled: true })
    expect((await signIn(ask)).access_token).toBeTruthy()
    expect(await count('users')).toBe(1)
  })

  it('while a sign-in is between the provider and us, it ends there too', async () => {
    await created(ask)
    const flow = await depart(ask)
    // By hand, so that the flow is still there: the provider is read with it.
    await rows(
      "UPDATE leanto_auth_custom_providers SET enabled = 0 WHERE identifier = 'custom:acme'",
    )
    expect(fragment(await comeBack(ask, flow, 'c')).error_code).toBe('provider_disabled')
    expect(await count('users')).toBe(0)
  })

  it('a change of name or look ends nothing that is under way', async () => {
    await created(ask)
    const flow = await depart(ask)
    await changed(ask, 'custom:acme', { name: 'Acme Ltd', scopes: ['email'] })
    expect(fragment(await comeBack(ask, flow, 'c')).access_token).toBeTruthy()
  })
})
