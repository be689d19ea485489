import { turnstile } from 'leanto/auth/parts'
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
  idToken,
  outside,
  signIn,
} from './custom-world.ts'
import { makeInbox, member } from './inbox.ts'
import { begin, comeBack, fragment } from './oauth-world.ts'
import { refused } from './redirect-corpus.ts'
import { stockClient } from './stock.ts'
import { type Asker, count, expectStatus, getUser, type Json, post, rows } from './world.ts'

const inbox = makeInbox()
const bound = { ...acme, domains: ['Acme.example', 'acme.test'] }

let ask: Asker
beforeEach(async () => {
  calm()
  inbox.clear()
  ask = (await customWorld({ mailer: inbox.mailer })).ask
})
afterEach(() => {
  vi.restoreAllMocks()
})

const sso = (body: object) => post(ask, '/sso', { skip_http_redirect: true, ...body })
const said = async (response: Response, status: number): Promise<string> => {
  const { error_code, msg } = await expectStatus(response, status)
  return `${error_code}: ${msg}`
}

/** Goes where `/sso` leads, to the provider and back. */
async function travel(url: string): Promise<URL> {
  const { search } = new URL(url)
  const flow = await begin(ask, search.slice(1))
  outside.nonce = flow.url.searchParams.get('nonce') ?? undefined
  expect(flow.url.origin).toBe('https://idp.acme.example')
  return comeBack(ask, flow, 'c')
}

describe('/sso', () => {
  it('answers where to go for a domain, in any spelling, and for a provider’s id', async () => {
    const { id } = await created(ask, bound)
    const url = 'https://app.example/auth/v1/authorize?provider=custom%3Aacme'
    for (const domain of ['acme.example', 'ACME.EXAMPLE', ' acme.example ', 'acme.test'])
      expect(await expectStatus(await sso({ domain }), 200)).toEqual({ url })
    expect(await expectStatus(await sso({ provider_id: id }), 200)).toEqual({ url })
    expect(await expectStatus(await sso({ provider_id: id.toUpperCase() }), 200)).toEqual({ url })
    const { access_token } = fragment(await travel(url))
    expect((await expectStatus(await getUser(ask, access_token), 200)).email).toBe(
      'ann@acme.example',
    )
  })

  it('leads a form’s browser there itself', async () => {
    await created(ask, bound)
    const response = await post(ask, '/sso', { domain: 'acme.example' })
    expect([response.status, response.headers.get('location')]).toEqual([
      303,
      'https://app.example/auth/v1/authorize?provider=custom%3Aacme',
    ])
  })

  it('by the stock client, with PKCE and without, from a page on another origin', async () => {
    await created(ask, bound)
    for (const flowType of ['pkce', 'implicit']) {
      const client = await stockClient(ask, { flowType, persistSession: true, storage: store() })
      const { data, error } = await client.signInWithSSO({
        domain: 'acme.example',
        options: { redirectTo: 'https://app.example/in' },
      })
      expect(error).toBe(null)
      const back = await travel(data?.url as string)
      expect(back.origin + back.pathname).toBe('https://app.example/in')
      if (flowType === 'implicit') {
        expect(fragment(back).access_token).toBeTruthy()
        continue
      }
      const code = back.searchParams.get('code') as string
      const { data: exchanged, error: failed } = await client.exchangeCodeForSession(code)
      expect(failed).toBe(null)
      expect(exchanged.user?.email).toBe('ann@acme.example')
    }
  })

  it('knows no other domain, nor a subdomain, nor one that is part of it', async () => {
    await created(ask, bound)
    await created(ask, { ...acme, identifier: 'custom:other' })
    for (const domain of [
      ...['example', 'a.acme.example', 'evil-acme.example', 'acme.example.evil', 'acme', '%'],
      ...['acme.example/x', 'x@acme.example', '*', "' OR 1 --", '.', 'acme.example\u0000'],
    ])
      expect(await said(await sso({ domain }), 404), domain).toBe(
        'sso_provider_not_found: No SSO provider assigned for this domain',
      )
    const client = await stockClient(ask)
    expect((await client.signInWithSSO({ domain: 'nobody.example' })).error).toMatchObject({
      code: 'sso_provider_not_found',
      status: 404,
    })
  })

  it('knows no provider without a domain, and no other id', async () => {
    const { id } = await created(ask)
    for (const provider_id of [id, crypto.randomUUID()])
      expect(await said(await sso({ provider_id }), 404)).toBe(
        'sso_provider_not_found: No such SSO provider',
      )
    expect(await said(await sso({ provider_id: 'custom:acme' }), 400)).toBe(
      'validation_failed: provider_id must be an UUID',
    )
  })

  it('wants one of both', async () => {
    const { id } = await created(ask, bound)
    expect(await said(await sso({}), 400)).toBe(
      'validation_failed: A provider_id or domain needs to be provided',
    )
    expect(await said(await sso({ domain: 'acme.example', provider_id: id }), 400)).toBe(
      'validation_failed: Only one of provider_id or domain supported',
    )
    // Case 22.
    for (const body of [{ domain: ['acme.example'] }, { domain: { a: 1 } }, { provider_id: 5 }])
      expect(await said(await sso(body), 400)).toContain('validation_failed')
    expect(await said(await sso({ domain: 'acme.example', code_challenge: 'x' }), 400)).toContain(
      'PKCE',
    )
  })

  it('leads nowhere once the provider is disabled or deleted, or has lost the domain', async () => {
    const { id } = await created(ask, bound)
    const gone = async () => {
      for (const body of [{ domain: 'acme.test' }, { provider_id: id }])
        expect(await said(await sso(body), 404)).toContain('sso_provider_not_found')
    }
    await changed(ask, 'custom:acme', { enabled: false })
    await gone()
    await changed(ask, 'custom:acme', { enabled: true, domains: ['acme.example'] })
    expect((await sso({ domain: 'acme.test' })).status).toBe(404)
    expect((await sso({ domain: 'acme.example' })).status).toBe(200)
    await changed(ask, 'custom:acme', { domains: [] })
    await gone()
    await changed(ask, 'custom:acme', { domains: ['acme.test'] })
    await admin(ask, '/custom:acme', { method: 'DELETE' })
    await gone()
    expect(await rows('SELECT * FROM leanto_auth_sso_domains')).toEqual([])
  })

  it.each(refused)('case 24: %s leads to the site', async (redirect_to) => {
    await created(ask, bound)
    const { url } = await expectStatus(await sso({ domain: 'acme.example', redirect_to }), 200)
    expect(new URL(url).origin).toBe('https://app.example')
    expect((await travel(url)).origin).toBe('https://app.example')
  })

  it('case 10: no header changes where it leads', async () => {
    await created(ask, bound)
    const response = await post(
      ask,
      '/sso',
      { domain: 'acme.example', skip_http_redirect: true },
      { headers: { host: 'evil.example', 'x-forwarded-host': 'evil.example' } },
    )
    expect((await expectStatus(response, 200)).url).toMatch(/^https:\/\/app\.example\/auth\/v1\//)
  })

  it('is guarded by Turnstile where that is mounted', async () => {
    const { ask: guarded } = await customWorld({
      with: [turnstile({ secret: 'x', fetch: async () => Response.json({ success: true }) })],
    })
    await created(guarded, bound)
    const body = { domain: 'acme.example', skip_http_redirect: true }
    expect(await said(await post(guarded, '/sso', body), 400)).toContain('captcha_failed')
    const solved = { ...body, gotrue_meta_security: { captcha_token: 'solved' } }
    expect((await post(guarded, '/sso', solved)).status).toBe(200)
  })
})

const store = () => {
  const held = new Map<string, string>()
  return {
    getItem: (key: string) => held.get(key) ?? null,
    setItem: (key: string, value: string) => void held.set(key, value),
    removeItem: (key: string) => void held.delete(key),
  }
}

describe('a domain is one provider’s alone', () => {
  it('whoever comes second is refused whole', async () => {
    await created(ask, bound)
    const other = { ...acme, identifier: 'custom:other', domains: ['free.example', 'ACME.test'] }
    expect(await said(await create(ask, other), 400)).toContain('sso_domain_already_exists')
    expect(await count('custom_providers')).toBe(1)
    await created(ask, { ...other, domains: ['free.example'] })
    const before = await rows('SELECT * FROM leanto_auth_custom_providers')
    expect(
      await said(await change(ask, 'custom:other', { domains: ['new.example', 'acme.test'] }), 400),
    ).toContain('sso_domain_already_exists')
    expect(await rows('SELECT * FROM leanto_auth_custom_providers')).toEqual(before)
    expect(await rows('SELECT * FROM leanto_auth_sso_domains ORDER BY 1')).toEqual([
      { domain: 'acme.example', identifier: 'custom:acme' },
      { domain: 'acme.test', identifier: 'custom:acme' },
      { domain: 'free.example', identifier: 'custom:other' },
    ])
    await changed(ask, 'custom:acme', { domains: ['acme.example'] })
    await changed(ask, 'custom:other', { domains: ['acme.test'] })
  })

  it('is kept in the spelling of addresses, once', async () => {
    const { domains } = await created(ask, { ...acme, domains: ['Bücher.example', 'a.B', 'A.b'] })
    expect(domains).toEqual(['xn--bcher-kva.example', 'a.b'])
    expect((await sso({ domain: 'bücher.example' })).status).toBe(200)
  })
})

describe('cases 1, 2 and 43: a provider with domains speaks for no other address', () => {
  const signedIn = async (claims: Json) => {
    outside.claims = claims
    const { access_token, error_code } = await signIn(ask)
    return access_token ? expectStatus(await getUser(ask, access_token), 200) : error_code
  }

  it.each([
    'boss@other.example',
    'boss@sub.acme.example',
    'boss@evil-acme.example',
    'boss@acme.example.evil.example',
    '"x@acme.example"@other.example',
    'boss@other.example\u0000@acme.example',
  ])('%s is nobody’s, however verified, and links to nobody', async (address) => {
    const owner = await member(ask, inbox, 'boss@other.example')
    await created(ask, { ...bound, unsafe_trust_emails: true })
    expect(await signedIn({ sub: 'evil', email: address })).toBe(
      'provider_email_needs_verification',
    )
    await changed(ask, 'custom:acme', { email_optional: true })
    const user = await signedIn({ sub: 'evil', email: address })
    expect(user.id).not.toBe(owner.user.id)
    expect(user.email).toBe('')
    expect(user.user_metadata.email_verified).toBe(false)
    // Nor does an ID token that a client shows.
    const id_token = await idToken({ sub: 'evil2', email: address })
    const body = { provider: 'custom:acme', id_token }
    const session = await expectStatus(await post(ask, '/token?grant_type=id_token', body), 200)
    expect([session.user.id === owner.user.id, session.user.email]).toEqual([false, ''])
    expect(await rows("SELECT email FROM leanto_auth_users WHERE email <> ''")).toEqual([
      { email: 'boss@other.example' },
    ])
  })

  it('an address that changes to another domain’s later keeps the person, and takes nothing', async () => {
    const owner = await member(ask, inbox, 'boss@other.example')
    await created(ask, bound)
    const first = await signedIn({})
    const later = await signedIn({ email: 'boss@other.example' })
    expect([later.id, later.email]).toEqual([first.id, 'ann@acme.example'])
    expect(later.id).not.toBe(owner.user.id)
  })

  it('of its own domains, only what it vouches for', async () => {
    const owner = await member(ask, inbox, 'ann@acme.example')
    await created(ask, bound)
    for (const email_verified of [false, undefined, null, 'no'])
      expect(await signedIn({ email_verified })).toBe('provider_email_needs_verification')
    expect((await signedIn({ email_verified: true, email: 'Ann@ACME.example' })).id).toBe(
      owner.user.id,
    )
  })

  it('unless the admin says that its silence is a yes; a no is still a no', async () => {
    const owner = await member(ask, inbox, 'ann@acme.example')
    await created(ask, { ...bound, unsafe_trust_emails: true })
    for (const email_verified of [false, 'no', 0])
      expect(await signedIn({ email_verified })).toBe('provider_email_needs_verification')
    expect((await signedIn({ email_verified: undefined })).id).toBe(owner.user.id)
    outside.discovery = {}
    await changed(ask, 'custom:acme', { attribute_mapping: { email: 'upn' } })
    outside.claims = { sub: 's9', email: undefined, email_verified: undefined }
    expect(await signedIn({ ...outside.claims, upn: 'eve@other.example' })).toBe(
      'provider_email_needs_verification',
    )
    expect((await signedIn({ ...outside.claims, upn: 'bob@acme.test' })).email).toBe(
      'bob@acme.test',
    )
  })
})

describe('SAML', () => {
  const paths: [string, string][] = [
    ['GET', '/sso/saml/metadata'],
    ['POST', '/sso/saml/acs'],
    ['GET', '/admin/sso/providers'],
    ['POST', '/admin/sso/providers'],
    ['GET', '/admin/sso/providers/x'],
    ['PUT', '/admin/sso/providers/x'],
    ['DELETE', '/admin/sso/providers/x'],
  ]
  it.each(paths)('%s %s says that there is none', async (method, path) => {
    const response = await ask(`/auth/v1${path}`, { method, key: 'secret' })
    expect(await said(response, 404)).toBe('saml_provider_disabled: SAML 2.0 is disabled')
  })

  it('is no type of a custom provider', async () => {
    expect(await said(await create(ask, { ...bound, provider_type: 'saml' }), 400)).toContain(
      'provider_type',
    )
  })
})
