import { beforeEach, describe, expect, it } from 'vitest'
import { clock, site } from '../kit/world.ts'
import {
  type Answers,
  begin,
  comeBack,
  departed,
  fake,
  fragment,
  profile,
  signInBy,
  worldOf,
} from './oauth-world.ts'
import {
  type Asker,
  claimsOf,
  count,
  expectStatus,
  getUser,
  mountAuth,
  post,
  rows,
} from './world.ts'

let ask: Asker
let users: Awaited<ReturnType<typeof worldOf>>['users']
let answers: Answers

const hooks: { email: string }[] = []

beforeEach(async () => {
  hooks.length = 0
  answers = {
    ann: profile('1', 'Ann@Example.com'),
    bob: profile('2', 'bob@example.com'),
    unverified: profile('3', 'eve@example.com', false),
    none: profile('4'),
  }
  const made = await worldOf({
    with: [
      fake('google', answers),
      fake('github', answers),
      fake('spotify', answers, { emailOptional: true }),
      fake('apple', answers, { formPost: true }),
    ],
    redirects: ['https://other.example/welcome**', 'myapp://login'],
    before: {
      signUp: (_scope, request) => {
        hooks.push({ email: request.email })
      },
    },
  })
  ask = made.ask
  users = made.users
})

describe('the way out', () => {
  it('leads to the provider, with a cookie that only this browser has', async () => {
    const response = await ask(
      '/auth/v1/authorize?provider=google&scopes=a,b%20c&prompt=consent&state=mine&redirect_uri=https://evil.example&client_id=evil&apikey=k',
    )
    expect(response.status).toBe(303)
    const { url, state, setCookie } = departed(response)
    expect(url.origin).toBe('https://google.example')
    expect(url.searchParams.get('redirect_uri')).toBe(`${site}/auth/v1/callback`)
    expect(url.searchParams.get('prompt')).toBe('consent')
    expect(url.searchParams.get('scope')).toBe('a b c')
    expect(url.searchParams.get('client_id')).toBe(null)
    expect(url.searchParams.get('apikey')).toBe(null)
    expect(state).toMatch(/^[\w-]{22}$/)
    expect(setCookie).toMatch(
      /^__Host-leanto-oauth-[\w-]{8}=[\w-]{21}; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
    )
    const [flow] = await rows('SELECT * FROM leanto_auth_flows')
    expect(JSON.stringify(flow)).not.toContain(state)
    expect(JSON.stringify(flow)).not.toContain('kept of')
  })

  it('takes a cookie that a form post carries, for the provider that posts', async () => {
    const { setCookie } = await begin(ask, 'provider=apple')
    expect(setCookie).toContain('HttpOnly; Secure; SameSite=None')
  })

  it.each(['nothing', '', 'email', '__proto__', 'constructor', '%3Cscript%3E'])(
    'refuses the provider %s',
    async (name) => {
      const response = await ask(`/auth/v1/authorize?provider=${name}`)
      const { msg, error_code } = await expectStatus(response, 400)
      expect(error_code).toBe('validation_failed')
      expect(msg).toMatch(/^Unsupported provider: Provider[ \w]* could not be found$/)
    },
  )

  it('refuses half a challenge', async () => {
    const response = await ask('/auth/v1/authorize?provider=google&code_challenge=x')
    await expectStatus(response, 400)
    expect(await count('flows')).toBe(0)
  })

  it('does nothing on HEAD', async () => {
    expect((await ask('/auth/v1/authorize?provider=google', { method: 'HEAD' })).status).toBe(200)
    expect(await count('flows')).toBe(0)
  })
})

describe('the way back', () => {
  it('signs up and in, once, with the session in the fragment', async () => {
    const flow = await begin(ask, 'provider=google&redirect_to=https://other.example/welcome?a=1')
    const url = await comeBack(ask, flow, 'ann')
    expect(url.href.split('#')[0]).toBe('https://other.example/welcome?a=1')
    const session = fragment(url)
    expect(session).toMatchObject({
      token_type: 'bearer',
      expires_in: '3600',
      provider_token: 'google-at',
      provider_refresh_token: 'google-rt',
    })
    const user = await expectStatus(await getUser(ask, session.access_token), 200)
    expect(user).toMatchObject({
      email: 'ann@example.com',
      email_confirmed_at: expect.any(String),
      app_metadata: { provider: 'google', providers: ['google'] },
      user_metadata: { name: 'Ann', sub: '1', email: 'ann@example.com', email_verified: true },
      identities: [{ provider: 'google', id: '1', email: 'ann@example.com' }],
    })
    expect(claimsOf(session.access_token as string).amr).toMatchObject([{ method: 'oauth' }])
    expect(hooks).toEqual([{ email: 'ann@example.com' }])
    // Once.
    const again = await comeBack(ask, flow, 'ann')
    expect(again.searchParams.get('error_code')).toBe('bad_oauth_state')
    expect([await count('users'), await count('identities'), await count('sessions')]).toEqual([
      1, 1, 1,
    ])
    const second = await signInBy(ask, 'google', 'ann')
    expect(claimsOf(second.access_token as string).sub).toBe(user.id)
    expect(hooks).toHaveLength(1)
  })

  it('answers a code to a client with a challenge, and the tokens only at its exchange', async () => {
    const verifier = 'v'.repeat(50)
    const flow = await begin(
      ask,
      `provider=google&code_challenge=${verifier}&code_challenge_method=plain&redirect_to=myapp://login`,
    )
    const url = await comeBack(ask, flow, 'ann')
    expect(url.protocol).toBe('myapp:')
    expect(url.hash).toBe('')
    const auth_code = url.searchParams.get('code')
    expect(await count('sessions')).toBe(0)
    expect(JSON.stringify(await rows('SELECT * FROM leanto_auth_flows'))).not.toContain('google-at')
    const exchange = (code_verifier: string) =>
      post(ask, '/token?grant_type=pkce', { auth_code, code_verifier })
    await expectStatus(await exchange('w'.repeat(50)), 400)
    const session = await expectStatus(await exchange(verifier), 200)
    expect(session).toMatchObject({
      provider_token: 'google-at',
      provider_refresh_token: 'google-rt',
      user: { email: 'ann@example.com' },
    })
    await expectStatus(await exchange(verifier), 404)
  })

  it('takes a form post, and none of another type', async () => {
    const { state, cookie } = await begin(ask, 'provider=apple')
    const body = `state=${state}&code=ann`
    const plain = { method: 'POST', body, headers: { cookie, 'content-type': 'text/plain' } }
    expect((await ask('/auth/v1/callback', plain)).status).toBe(415)
    const headers = { cookie, 'content-type': 'application/x-www-form-urlencoded' }
    const response = await ask('/auth/v1/callback', { method: 'POST', body, headers })
    expect(response.status).toBe(303)
    expect(response.headers.get('location')).toContain('access_token=')
    expect(response.headers.get('set-cookie')).toContain('Max-Age=0')
  })

  it('keeps its budget: 1 trip out, 3 back, whoever comes; an ID token 2', async () => {
    // Only a local request is told its cost.
    const local = mountAuth(users, 'http://localhost:8787')
    const tripsOf = (response: Response) =>
      /desc="(\d+) trips/.exec(response.headers.get('server-timing') ?? '')?.[1]
    // The very first session makes the signing key.
    await signInBy(ask, 'google', 'bob')
    for (const [who, provider] of [
      ['ann', 'google'],
      ['ann', 'google'],
      ['ann', 'github'],
      ['bob', 'google'],
    ] as const) {
      const out = await local(`/auth/v1/authorize?provider=${provider}`)
      expect(tripsOf(out)).toBe('1')
      const { state, cookie } = departed(out)
      const path = `/auth/v1/callback?code=${who}&state=${state}`
      const back = await local(path, { headers: { cookie } })
      expect(back.headers.get('location')).toContain('access_token=')
      expect(tripsOf(back)).toBe('3')
      const body = { provider, id_token: who }
      expect(tripsOf(await post(local, '/token?grant_type=id_token', body))).toBe('2')
    }
  })
})

describe('case 27: a flow belongs to the browser that began it', () => {
  it('refuses a callback without the cookie, with another flow’s, or with two', async () => {
    const mine = await begin(ask, 'provider=google')
    const other = await begin(ask, 'provider=google')
    const name = mine.cookie.split('=')[0]
    const [, secret] = other.cookie.split('=')
    for (const cookie of [
      '',
      other.cookie,
      `${name}=${secret}`,
      `${mine.cookie}; ${name}=x`,
      `${name}=`,
    ]) {
      const url = await comeBack(ask, { ...mine, cookie }, 'ann')
      expect(url.origin).toBe(site)
      expect(url.searchParams.get('error')).toBe('invalid_request')
      expect(fragment(url).error_code).toBe('bad_oauth_state')
    }
    expect(await count('users')).toBe(0)
    // None of that has spent it.
    expect(fragment(await comeBack(ask, mine, 'ann')).access_token).toBeDefined()
  })

  it('refuses no state, a strange one, and two of them', async () => {
    const { state, cookie } = await begin(ask, 'provider=google')
    const at = async (query: string) => {
      const response = await ask(`/auth/v1/callback?${query}`, { headers: { cookie } })
      return new URL(response.headers.get('location') ?? '').searchParams.get('error_code')
    }
    expect(await at('code=ann')).toBe('bad_oauth_callback')
    expect(await at('code=ann&state=%00')).toBe('bad_oauth_state')
    expect(await at(`code=ann&state=${'a'.repeat(22)}`)).toBe('bad_oauth_state')
    expect(await at(`code=ann&state=${state}&state=${state}`)).toBe('bad_oauth_state')
    expect(await at(`state=${state}`)).toBe('bad_oauth_callback')
  })

  it('expires', async () => {
    const flow = await begin(ask, 'provider=google')
    clock.advance(600)
    expect((await comeBack(ask, flow, 'ann')).searchParams.get('error_code')).toBe(
      'bad_oauth_state',
    )
  })

  it('case 19: of 50 parallel callbacks one succeeds', async () => {
    const flow = await begin(ask, 'provider=google')
    const urls = await Promise.all(Array.from({ length: 50 }, () => comeBack(ask, flow, 'ann')))
    expect(urls.filter((url) => url.hash.includes('access_token'))).toHaveLength(1)
    expect(await count('sessions')).toBe(1)
  })
})

describe('case 24: it leads only where it may', () => {
  const corpus = [
    '//evil.example',
    '/\\evil.example',
    '\\evil.example',
    'https:evil.example',
    '%2f%2fevil.example',
    'https://app.example@evil.example',
    'https://evil.example',
    'https://app.example.evil.example',
    'https://other.example/welcome/../x',
    'java\tscript:alert(1)',
    'javascript:alert(1)',
    'data:text/html,x',
  ]
  it.each(corpus)('%s: to the site, when it works and when it does not', async (to) => {
    const query = `provider=google&redirect_to=${encodeURIComponent(to)}`
    const good = await comeBack(ask, await begin(ask, query), 'ann')
    expect(good.origin).toBe(site)
    expect(good.hash).toContain('access_token')
    const bad = await comeBack(ask, await begin(ask, query), 'wrong')
    expect(bad.origin).toBe(site)
    const refused = await comeBack(ask, await begin(ask, query), '', '&error=access_denied')
    expect(refused.origin).toBe(site)
  })
})

describe('case 30: whatever is wrong denies', () => {
  it('says that the provider failed, and none of its words', async () => {
    const flow = await begin(ask, 'provider=google&redirect_to=https://other.example/welcome')
    const url = await comeBack(ask, flow, 'wrong')
    expect(url.origin).toBe('https://other.example')
    expect(Object.fromEntries(url.searchParams)).toEqual({
      error: 'server_error',
      error_code: 'unexpected_failure',
      error_description: 'Error getting user profile from external provider',
    })
    expect(url.href).not.toContain('secret')
    // The flow is spent.
    expect((await comeBack(ask, flow, 'ann')).searchParams.get('error_code')).toBe(
      'bad_oauth_state',
    )
  })

  it('hands the provider’s refusal on, without what it could smuggle', async () => {
    const flow = await begin(ask, 'provider=google')
    const more = `&error=access_denied&error_description=${encodeURIComponent('no <b>"thanks\u0000')}`
    const url = await comeBack(ask, flow, 'ann', more)
    expect(fragment(url)).toEqual({ error: 'access_denied', error_description: 'no bthanks' })
    expect(await count('users')).toBe(0)
  })

  it.each([
    ['', 'x@example.com'],
    [' ', 'x@example.com'],
    ['a\0b', 'x@example.com'],
    [undefined as never, 'x@example.com'],
    [5 as never, 'x@example.com'],
    ['x'.repeat(256), 'x@example.com'],
  ])('case 7: subject %j is nobody', async (subject, email) => {
    answers.odd = profile(subject, email)
    expect((await signInBy(ask, 'spotify', 'odd')).error).toBe('server_error')
    expect(await count('users')).toBe(0)
  })

  it('case 8: an address that is none is no address', async () => {
    answers.odd = profile('9', 'ann\uFF20example.com@evil.example')
    expect((await signInBy(ask, 'google', 'odd')).error_code).toBe(
      'provider_email_needs_verification',
    )
  })
})

describe('ID tokens', () => {
  const grant = (body: object) => post(ask, '/token?grant_type=id_token', body)

  it('sign up and in', async () => {
    const session = await expectStatus(await grant({ provider: 'google', id_token: 'ann' }), 200)
    expect(session.user.email).toBe('ann@example.com')
    const byIssuer = { issuer: 'https://google.example', client_id: 'x', id_token: 'ann' }
    expect((await expectStatus(await grant(byIssuer), 200)).user.id).toBe(session.user.id)
  })

  it('refuse what is missing, unknown or bad', async () => {
    const said = async (body: object) => (await expectStatus(await grant(body), 400)).msg
    expect(await said({ provider: 'google' })).toBe('id_token required')
    expect(await said({ id_token: 'ann' })).toBe('provider or client_id and issuer required')
    expect(await said({ provider: 'nobody', id_token: 'ann' })).toBe(
      'Custom OIDC provider nobody not allowed',
    )
    expect(await said({ issuer: 'https://evil.example', client_id: 'x', id_token: 'ann' })).toBe(
      'Custom OIDC provider not allowed',
    )
    expect(await said({ provider: 'google', id_token: 'wrong' })).toBe('Bad ID token')
    await expectStatus(await grant({ provider: ['google'], id_token: {} }), 400)
    expect(await count('users')).toBe(0)
  })
})

it('answers what there is no provider for as GoTrue does', async () => {
  const bare = await worldOf({})
  const said = async (response: Response, status: number) => {
    const { error_code, msg } = await expectStatus(response, status)
    return `${error_code}: ${msg}`
  }
  expect(await said(await bare.ask('/auth/v1/authorize?provider=google'), 400)).toBe(
    'validation_failed: Unsupported provider: Provider google could not be found',
  )
  expect(await said(await post(bare.ask, '/sso', { domain: 'a.example' }), 404)).toBe(
    'saml_provider_disabled: SAML 2.0 is disabled',
  )
  expect(await said(await post(bare.ask, '/token?grant_type=web3', {}), 422)).toBe(
    'web3_provider_disabled: Web3 provider is disabled',
  )
  expect(
    await said(await post(bare.ask, '/token?grant_type=id_token', { provider: 'google' }), 400),
  ).toBe('validation_failed: Custom OIDC provider google not allowed')
})

it('lists its providers', async () => {
  const { external } = await expectStatus(await ask('/auth/v1/settings'), 200)
  expect(external).toMatchObject({ google: true, github: true, spotify: true, apple: true })
})
