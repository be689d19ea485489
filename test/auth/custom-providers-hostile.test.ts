import { env } from 'cloudflare:workers'
import { customProviders } from 'leanto/auth/custom-providers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  acme,
  admin,
  calm,
  change,
  changed,
  create,
  created,
  customWorld,
  depart,
  issuer,
  outside,
  plain,
  resolve,
  signIn,
  travel,
} from './custom-world.ts'
import { comeBack, fragment } from './oauth-world.ts'
import { refused } from './redirect-corpus.ts'
import { type Asker, count, expectStatus, makeAuth, mountAuth, rows } from './world.ts'

let ask: Asker
beforeEach(async () => {
  calm()
  ask = (await customWorld()).ask
})
afterEach(() => {
  vi.restoreAllMocks()
})

const said = async (response: Response, status = 400): Promise<string> => {
  const { error_code, msg } = await expectStatus(response, status)
  return `${error_code}: ${msg}`
}

/** Spellings of addresses that are not public, and names of networks. */
const closed = [
  'https://127.0.0.1',
  'https://2130706433',
  'https://0177.0.0.1',
  'https://0x7f.1',
  'https://10.0.0.1',
  'https://192.168.1.1',
  'https://169.254.169.254',
  'https://[::1]',
  'https://[::ffff:127.0.0.1]',
  'https://[::ffff:a9fe:a9fe]',
  'https://[64:ff9b::7f00:1]',
  'https://[fd00::1]',
  'https://localhost',
  'https://LOCALHOST.',
  'https://idp.internal',
  'https://db',
  'https://１２７.０.０.１',
]
const notHttps = [
  'http://idp.acme.example',
  'ftp://idp.acme.example',
  'javascript://idp.acme.example/%0aalert(1)',
  'data:text/html,x',
  'file:///etc/passwd',
  '//idp.acme.example',
  'idp.acme.example',
  'https://',
]
const withUser = ['https://ann@idp.acme.example', 'https://a:b@idp.acme.example']

describe('case 61: where a provider may be', () => {
  const fields: [string, object][] = [
    ['issuer', acme],
    ['discovery_url', acme],
    ['authorization_url', plain],
    ['token_url', plain],
    ['userinfo_url', plain],
    ['jwks_uri', plain],
    ['issuer', plain],
  ]
  it.each(fields)('%s of %j is public, and https', async (field, good) => {
    for (const url of [...closed, ...notHttps, ...withUser]) {
      const text = await said(await create(ask, { ...good, [field]: url }))
      expect(text, url).toMatch(new RegExp(`^validation_failed: ${field} `))
    }
    expect(outside.calls).toEqual([])
    expect(await count('custom_providers')).toBe(0)
    await created(ask, good)
    const { identifier } = good as { identifier: string }
    for (const url of [closed[0], notHttps[0], withUser[0]])
      expect(await said(await change(ask, identifier, { [field]: url }))).toContain(field)
  })

  it('a name that leads inside, or nowhere, is refused when it is set', async () => {
    outside.names = { 'idp.acme.example': ['93.184.215.14', '10.1.2.3'] }
    expect(await said(await create(ask))).toBe(
      'validation_failed: issuer leads to an address that is not public',
    )
    outside.names = { 'idp.acme.example': [] }
    expect(await said(await create(ask))).toBe(
      'validation_failed: issuer has a name that leads nowhere',
    )
    expect(outside.calls).toEqual([])
  })

  it.each(['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'userinfo_endpoint'])(
    'what the discovery document says of %s is held to the same',
    async (endpoint) => {
      for (const url of [...closed, ...notHttps, ...withUser]) {
        outside.discovery = { [endpoint]: url }
        expect(await said(await create(ask)), url).toMatch(/^validation_failed: OIDC discovery/)
      }
      expect(outside.calls.every((call) => call.startsWith(`GET ${issuer}/.well-known/`))).toBe(
        true,
      )
      expect(await count('custom_providers')).toBe(0)
    },
  )

  it('a name that has been moved inside since is not called: each time it is asked for', async () => {
    await created(ask, plain)
    outside.info = { sub: '1', email: 'a@b.example', email_verified: true }
    const flow = await depart(ask, 'custom:plain')
    outside.names = { 'api.acme.example': ['169.254.169.254'] }
    outside.calls = []
    expect(fragment(await comeBack(ask, flow, 'c')).error_code).toBe('unexpected_failure')
    expect(outside.calls).toEqual([])
    outside.names = {}
    expect((await signIn(ask, 'custom:plain')).access_token).toBeTruthy()
  })

  it('a provider whose name is gone can be disabled all the same', async () => {
    await created(ask)
    outside.names = { 'idp.acme.example': [] }
    expect((await changed(ask, 'custom:acme', { enabled: false })).enabled).toBe(false)
  })

  it('the keys and userinfo of an OIDC provider as well', async () => {
    outside.discovery = {
      jwks_uri: 'https://other.acme.example/jwks',
      userinfo_endpoint: 'https://api.acme.example/me',
    }
    await created(ask, { ...acme, custom_claims_allowlist: ['groups'] })
    outside.names = { 'other.acme.example': ['127.0.0.1'] }
    expect((await signIn(ask)).error_code).toBe('unexpected_failure')
    outside.names = { 'api.acme.example': ['127.0.0.1'] }
    expect((await signIn(ask)).error_code).toBe('unexpected_failure')
    expect(outside.calls.filter((call) => /other|api/.test(call))).toEqual([
      'GET https://other.acme.example/jwks',
    ])
    outside.names = {}
    outside.info = { sub: 's1' }
    expect((await signIn(ask)).access_token).toBeTruthy()
  })

  it('no redirect is followed', async () => {
    const inside = () =>
      new Response(null, { status: 302, headers: { location: 'https://10.0.0.1/' } })
    outside.others[`${issuer}/.well-known/openid-configuration`] = inside
    expect(await said(await create(ask))).toBe(
      'validation_failed: OIDC discovery failed: idp.acme.example answered 302',
    )
    outside.others = {}
    await created(ask)
    for (const url of ['token', 'jwks']) {
      outside.others = { [`${issuer}/${url}`]: inside }
      expect((await signIn(ask)).error_code, url).toBe('unexpected_failure')
    }
    expect(outside.calls.filter((call) => call.includes('10.0.0.1'))).toEqual([])
  })

  it('an address is taken without a check only by the host’s own word', async () => {
    const unsafeAllow = ({ origin }: URL) => origin === 'http://127.0.0.1:9'
    const { ask: open } = await customWorld({}, { unsafeAllow })
    const inside = {
      ...plain,
      authorization_url: 'http://127.0.0.1:9/a',
      token_url: 'http://127.0.0.1:9/t',
      userinfo_url: 'http://127.0.0.1:9/me',
    }
    await created(open, inside)
    expect(
      await said(await create(open, { ...inside, token_url: 'http://127.0.0.1:10/t' })),
    ).toContain('token_url')
    for (const url of ['javascript:alert(1)', 'file:///x'])
      expect(await said(await create(open, { ...plain, authorization_url: url }))).toContain(
        'https',
      )
  })
})

describe('case 4: the issuer', () => {
  it.each([
    { issuer: 'https://evil.example' },
    { issuer: `${issuer}/` },
    { issuer: issuer.toUpperCase() },
    { issuer: undefined },
    { issuer: [issuer] },
    { token_endpoint: undefined },
    { jwks_uri: 5 },
  ])('is what the document says of itself, to the letter: %j', async (more) => {
    outside.discovery = more
    expect(await said(await create(ask))).toMatch(/^validation_failed: OIDC discovery failed/)
    expect(await count('custom_providers')).toBe(0)
  })

  it.each([
    ['no JSON', () => new Response('<html>secret')],
    ['a list', () => Response.json([1])],
    ['too much', () => new Response(`{"x":"${'x'.repeat(400_000)}"}`)],
    ['not there', () => new Response('secret', { status: 404 })],
    ['no answer', () => Promise.reject(new Error('secret driver text'))],
  ])('a document that is %s is told of without its words', async (_, answer) => {
    outside.others[`${issuer}/.well-known/openid-configuration`] = answer
    const text = await said(await create(ask))
    expect(text).toMatch(/^validation_failed: OIDC discovery failed/)
    expect(text).not.toContain('secret')
  })

  it('may have its document elsewhere, which is still about it', async () => {
    const discovery_url = 'https://other.acme.example/.well-known/openid-configuration'
    expect(await said(await create(ask, { ...acme, discovery_url }))).toContain('another issuer')
    outside.discovery = { issuer }
    await created(ask, { ...acme, identifier: 'custom:elsewhere', discovery_url })
  })

  it('is asked again when it changes, and a document of another one changes nothing', async () => {
    await created(ask)
    outside.discovery = { issuer: 'https://evil.example' }
    const before = await rows('SELECT * FROM leanto_auth_custom_providers')
    expect(
      await said(await change(ask, 'custom:acme', { issuer: 'https://other.acme.example' })),
    ).toContain('another issuer')
    expect(await rows('SELECT * FROM leanto_auth_custom_providers')).toEqual(before)
    outside.discovery = {}
    const moved = await changed(ask, 'custom:acme', { issuer: 'https://other.acme.example' })
    expect(moved.discovery_document.issuer).toBe('https://other.acme.example')
  })

  it('a document that has become another issuer’s lets nobody in', async () => {
    await created(ask)
    const elsewhere = await isolate()
    outside.discovery = { issuer: 'https://evil.example' }
    const response = await elsewhere('/auth/v1/authorize?provider=custom:acme')
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain('evil')
  })

  it.each([
    ['case 4: of another issuer', { iss: 'https://evil.example' }],
    ['case 4: that begins alike', { iss: `${issuer}.evil.example` }],
    ['case 5: for another', { aud: 'someone-else' }],
    ['case 5: for a list', { aud: ['the-client'] }],
    ['case 5: for a named client of ID tokens alone', { aud: 'the-phone' }],
    ['case 7: of nobody', { sub: '' }],
    ['case 27: with another nonce', { nonce: 'another' }],
    ['case 27: without one', { nonce: undefined }],
  ])('an ID token %s denies', async (_, claims) => {
    await created(ask, { ...acme, acceptable_client_ids: ['the-phone'], skip_nonce_check: true })
    outside.claims = claims
    expect((await signIn(ask)).error_code).toBe('unexpected_failure')
    expect(await count('users')).toBe(0)
  })

  it('case 6: the same subject at another issuer is a stranger', async () => {
    await created(ask)
    await signIn(ask)
    const other = { ...acme, identifier: 'custom:other', issuer: 'https://other.acme.example' }
    await created(ask, other)
    outside.claims = { email: 'eve@other.example' }
    await signIn(ask, 'custom:other')
    expect(await count('users')).toBe(2)
    // Nor does the first one's name come to mean the second issuer, while there are people of the first.
    const move = () => change(ask, 'custom:acme', { issuer: other.issuer })
    expect(await said(await move())).toMatch(/^conflict: There are identities of another issuer/)
    await admin(ask, '/custom:acme', { method: 'DELETE' })
    const again = { ...acme, issuer: 'https://other.corp.example' }
    expect(await said(await create(ask, again))).toMatch(/^conflict: There are identities/)
    // The same issuer has them back.
    await created(ask)
    outside.claims = {}
    await signIn(ask)
    expect(await count('users')).toBe(2)
  })

  it('case 6: of OAuth 2.0, nor do the values of another claim', async () => {
    await created(ask, { ...plain, attribute_mapping: { sub: 'id' } })
    outside.info = { id: 5, login: '5', email: 'a@b.example', email_verified: true }
    await signIn(ask, 'custom:plain')
    expect(
      await said(await change(ask, 'custom:plain', { attribute_mapping: { sub: 'login' } })),
    ).toMatch(/^conflict/)
    expect(
      await said(
        await change(ask, 'custom:plain', { userinfo_url: 'https://api.corp.example/me' }),
      ),
    ).toMatch(/^conflict/)
    await changed(ask, 'custom:plain', { userinfo_url: 'https://api.acme.example/v2/me' })
  })
})

/** The same tables, seen by a Worker that has just started, with a cache that has been emptied. */
async function isolate() {
  for (const { name } of (await env.KV.list()).keys) await env.KV.delete(name)
  return mountAuth(makeAuth({ with: [customProviders({ resolve })] }))
}

describe('case 27: what binds a sign-in', () => {
  it('the browser that began it', async () => {
    await created(ask)
    const flow = await depart(ask)
    const before = outside.calls.length
    for (const cookie of ['', `${flow.cookie.slice(0, -1)}x`])
      expect(fragment(await comeBack(ask, { ...flow, cookie }, 'c')).error_code).toBe(
        'bad_oauth_state',
      )
    expect(outside.calls).toHaveLength(before)
    expect(await count('users')).toBe(0)
    expect(fragment(await comeBack(ask, flow, 'c')).access_token).toBeTruthy()
    expect(fragment(await comeBack(ask, flow, 'c')).error_code).toBe('bad_oauth_state')
  })

  it('the provider: an answer that another one says is its own is refused before a code is sent', async () => {
    outside.discovery = { authorization_response_iss_parameter_supported: true }
    await created(ask)
    await created(ask, { ...plain, issuer: 'https://api.acme.example' })
    const back = async (provider: string, iss: string) => {
      outside.token = undefined
      return fragment(await comeBack(ask, await depart(ask, provider), 'c', iss))
    }
    const of = (url: string) => `&iss=${encodeURIComponent(url)}`
    for (const iss of ['', of('https://evil.example'), of(issuer) + of(issuer), of(`${issuer}/`)]) {
      expect((await back('custom:acme', iss)).error_code).toBe('unexpected_failure')
      expect(outside.token).toBe(undefined)
    }
    expect((await back('custom:acme', of(issuer))).access_token).toBeTruthy()
    outside.info = { sub: '1', email: 'a@b.example', email_verified: true }
    expect((await back('custom:plain', of(issuer))).error_code).toBe('unexpected_failure')
    expect((await back('custom:plain', of('https://api.acme.example'))).access_token).toBeTruthy()
  })

  it('case 26: PKCE and the secret, each time', async () => {
    await created(ask)
    const first = await depart(ask)
    const second = await depart(ask)
    expect(first.url.searchParams.get('code_challenge')).not.toBe(
      second.url.searchParams.get('code_challenge'),
    )
    await comeBack(ask, second, 'c')
    const verifier = outside.token?.form.get('code_verifier') ?? ''
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))
    const challenge = btoa(String.fromCharCode(...new Uint8Array(digest)))
    expect(challenge.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')).toBe(
      second.url.searchParams.get('code_challenge'),
    )
  })
})

it.each(refused)('case 24: %s leads to the site, in success and in error', async (redirect) => {
  await created(ask)
  const query = `&redirect_to=${encodeURIComponent(redirect)}`
  expect((await travel(ask, undefined, query)).origin).toBe('https://app.example')
  outside.claims = { iss: 'https://evil.example' }
  expect((await travel(ask, undefined, query)).origin).toBe('https://app.example')
})
