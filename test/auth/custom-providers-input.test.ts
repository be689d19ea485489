import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  acme,
  admin,
  calm,
  changed,
  create,
  created,
  customWorld,
  depart,
  idToken,
  issuer,
  outside,
  plain,
  signIn,
} from './custom-world.ts'
import { makeInbox, member } from './inbox.ts'
import {
  type Asker,
  count,
  expectStatus,
  getUser,
  type Json,
  post,
  rows,
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

const said = async (response: Response, status = 400): Promise<string> => {
  const { error_code, msg } = await expectStatus(response, status)
  return `${error_code}: ${msg}`
}

describe('case 40: what a provider says grants nothing', () => {
  it.each([
    ...['email_verified', 'phone_verified', 'role', 'app_metadata', 'aud', 'id', 'iss'],
    ...['banned_until', 'confirmed_at', 'email_confirmed_at', 'is_super_admin', 'is_anonymous'],
    ...['provider', 'providers', 'created_at', 'custom_claims', 'provider_id'],
  ])('attribute_mapping cannot set %s', async (target) => {
    for (const good of [acme, plain])
      expect(
        await said(await create(ask, { ...good, attribute_mapping: { [target]: 'evil' } })),
      ).toMatch(/^validation_failed: attribute_mapping/)
  })

  it('case 46: names that mean something to an object are nobody’s attributes or parameters', async () => {
    const body = (field: string, name: string) =>
      JSON.stringify(acme).replace(/}$/, `,"${field}":{"${name}":"evil"}}`)
    for (const [field, name] of [
      ['attribute_mapping', '__proto__'],
      ['attribute_mapping', 'constructor'],
      ['authorization_params', '__proto__'],
    ] as const)
      expect(await said(await admin(ask, '', { body: body(field, name) }))).toMatch(
        /^validation_failed/,
      )
    await created(ask, { ...acme, authorization_params: { constructor: 'b' } })
    expect((await depart(ask)).url.searchParams.get('constructor')).toBe('b')
  })

  it('attribute_mapping cannot make someone else of an OIDC token', async () => {
    expect(
      await said(await create(ask, { ...acme, attribute_mapping: { sub: 'employee' } })),
    ).toMatch(/^validation_failed: attribute_mapping cannot set sub/)
  })

  it('claims of those names stay claims', async () => {
    await created(ask, {
      ...acme,
      attribute_mapping: { name: 'display' },
      custom_claims_allowlist: ['role', 'app_metadata', '__proto__', 'constructor', 'groups'],
    })
    outside.claims = {
      ...{ role: 'service_role', app_metadata: { role: 'admin' }, display: 'Dr Ann' },
      ...{ groups: ['admins'], is_anonymous: true, banned_until: 1, phone_verified: true },
    }
    const { access_token } = await signIn(ask)
    const user = await expectStatus(await getUser(ask, access_token), 200)
    expect(user).toMatchObject({
      role: 'authenticated',
      is_anonymous: false,
      app_metadata: { provider: 'custom:acme', providers: ['custom:acme'] },
      user_metadata: {
        ...{ name: 'Dr Ann', full_name: 'Dr Ann', phone_verified: false },
        custom_claims: {
          ...{ role: 'service_role', app_metadata: { role: 'admin' }, groups: ['admins'] },
        },
      },
    })
    expect(Object.keys(user.app_metadata).sort()).toEqual(['provider', 'providers'])
    expect(user.user_metadata.role).toBe(undefined)
    // No more than the list says.
    expect(JSON.stringify(user)).not.toContain('"display"')
  })

  it('a mapped address is not vouched for by the word about another one', async () => {
    await created(ask, { ...acme, attribute_mapping: { email: 'mail' } })
    outside.claims = { mail: 'boss@example.com' }
    expect((await signIn(ask)).error_code).toBe('provider_email_needs_verification')
    outside.claims = { mail: 'ann@acme.example' }
    expect((await signIn(ask)).access_token).toBeTruthy()
  })

  it('too long a profile signs in without its longest parts', async () => {
    await created(ask, { ...acme, custom_claims_allowlist: ['groups'] })
    outside.claims = { name: 'x'.repeat(5000), groups: Array(500).fill('a-group-with-a-name') }
    const { access_token } = await signIn(ask)
    const { user_metadata } = await expectStatus(await getUser(ask, access_token), 200)
    expect(user_metadata.email).toBe('ann@acme.example')
    expect(user_metadata.custom_claims).toBe(undefined)
  })
})

describe('cases 1 and 2: addresses', () => {
  const inbox = makeInbox()
  const world = async () => {
    inbox.clear()
    const made = await customWorld({ mailer: inbox.mailer })
    const session = await member(made.ask, inbox, 'ann@acme.example')
    return { ...made, session }
  }

  it('one that the provider does not vouch for finds nobody and links to nobody', async () => {
    const { ask: of } = await world()
    await created(of, { ...acme, email_optional: true })
    for (const email_verified of [false, undefined, null, 'no', 0, {}, 'yes']) {
      const before = await count('users')
      outside.claims = { sub: `e${before}`, email_verified }
      const { access_token } = await signIn(of)
      const user = await expectStatus(await getUser(of, access_token), 200)
      expect(user.email).toBe('')
      expect(await count('users')).toBe(before + 1)
    }
    await changed(of, 'custom:acme', { email_optional: false })
    outside.claims = { sub: 'f', email_verified: false }
    expect((await signIn(of)).error_code).toBe('provider_email_needs_verification')
  })

  it('one that it vouches for links to the account that has proven it', async () => {
    const { ask: of, session } = await world()
    await created(of)
    const { access_token } = await signIn(of)
    expect((await expectStatus(await getUser(of, access_token), 200)).id).toBe(session.user.id)
  })

  it('of an ID token as well', async () => {
    const { ask: of } = await world()
    await created(of, { ...acme, email_optional: true })
    const id_token = await idToken({ email_verified: undefined })
    const body = { provider: 'custom:acme', id_token }
    const session = await expectStatus(await post(of, '/token?grant_type=id_token', body), 200)
    expect(session.user.email).toBe('')
  })
})

describe('what an admin may set', () => {
  it.each([
    ...['client_id', 'client_secret', 'redirect_uri', 'response_type', 'response_mode', 'scope'],
    ...['state', 'nonce', 'code_challenge', 'code_challenge_method', 'code_verifier', 'request'],
    ...['request_uri', 'REDIRECT_URI', 'State'],
  ])('authorization_params cannot set %s', async (name) => {
    for (const good of [acme, plain])
      expect(
        await said(await create(ask, { ...good, authorization_params: { [name]: 'x' } })),
      ).toBe(`validation_failed: Cannot override reserved OAuth parameter: ${name}`)
  })

  const long = (length: number) => 'x'.repeat(length)
  it.each<[string, Json]>([
    ['identifier', { identifier: undefined }],
    ['identifier', { identifier: 'acme' }],
    ['identifier', { identifier: 'custom:' }],
    ['identifier', { identifier: 'custom:Acme' }],
    ['identifier', { identifier: 'custom:a/b' }],
    ['identifier', { identifier: `custom:${long(44)}` }],
    ['provider_type', { provider_type: 'saml' }],
    ['provider_type', { provider_type: undefined }],
    ['name', { name: undefined }],
    ['name', { name: ' ' }],
    ['name', { name: long(101) }],
    ['name', { name: 'a\u0000b' }],
    ['name', { name: '\ud800' }],
    ['client_id', { client_id: '' }],
    ['client_id', { client_id: long(513) }],
    ['client_secret', { client_secret: '' }],
    ['client_secret', { client_secret: long(4097) }],
    ['client_secret', { client_secret: 'a\r\nb' }],
    ['issuer', { issuer: undefined }],
    ['issuer', { issuer: `${issuer}?a=b` }],
    ['issuer', { issuer: `${issuer}?` }],
    ['issuer', { issuer: `${issuer}#a` }],
    ['issuer', { issuer: `${issuer}/${long(1000)}` }],
    ['discovery_url', { discovery_url: `${issuer}/${long(2048)}` }],
    ['scopes', { scopes: ['a b'] }],
    ['scopes', { scopes: ['a"'] }],
    ['scopes', { scopes: [''] }],
    ['scopes', { scopes: Array(51).fill('a') }],
    ['acceptable_client_ids', { acceptable_client_ids: [' '] }],
    ['custom_claims_allowlist', { custom_claims_allowlist: [''] }],
    ['custom_claims_allowlist', { custom_claims_allowlist: [long(256)] }],
    ['attribute_mapping', { attribute_mapping: { name: 5 } }],
    ['attribute_mapping', { attribute_mapping: { name: { a: 1 } } }],
    ['attribute_mapping', { attribute_mapping: { name: '' } }],
    ['Authorization', { authorization_params: { a: 5 } }],
    ['Authorization', { authorization_params: { a: long(1025) } }],
    ['authorization_params', { authorization_params: { [long(65)]: 'x' } }],
    [
      'authorization_params',
      { authorization_params: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [i, 'x'])) },
    ],
    ['domains', { domains: ['acme'] }],
    ['domains', { domains: ['a@acme.example'] }],
    ['domains', { domains: ['*.acme.example'] }],
    ['domains', { domains: ['acme.example/x'] }],
    ['domains', { domains: Array.from({ length: 51 }, (_, i) => `a${i}.example`) }],
    ['unsafe_trust_emails', { unsafe_trust_emails: true }],
    // Case 22.
    ['name', { name: { $ne: 1 } }],
    ['issuer', { issuer: [issuer] }],
    ['scopes', { scopes: 'openid' }],
    ['enabled', { enabled: 'yes' }],
    ['domains', { domains: [5] }],
    ['identifier', { identifier: 5 }],
  ])('a wrong %s is refused: %j', async (field, more) => {
    const before = await snapshot()
    const text = await said(await create(ask, { ...acme, ...more }))
    expect(text).toMatch(/^validation_failed: /)
    expect(text).toContain(field)
    expect(text).not.toContain(acme.client_secret)
    expect(await count('custom_providers')).toBe(0)
    expect(await snapshot()).toBe(before)
  })

  it('an OAuth 2.0 provider needs its three endpoints, and has no domains', async () => {
    for (const name of ['authorization_url', 'token_url', 'userinfo_url'])
      expect(await said(await create(ask, { ...plain, [name]: undefined }))).toBe(
        `validation_failed: ${name} is required`,
      )
    expect(await said(await create(ask, { ...plain, domains: ['acme.example'] }))).toBe(
      'validation_failed: domains are for OIDC providers',
    )
  })

  it.each(['custom-acme', 'acme', '__proto__', 'constructor'])(
    'a path without custom: is none: %s',
    async (identifier) => {
      for (const method of ['GET', 'PUT', 'DELETE'])
        expect(
          await said(
            await admin(ask, `/${identifier}`, {
              method,
              ...(method === 'PUT' ? { body: {} } : {}),
            }),
          ),
        ).toBe("validation_failed: identifier must start with 'custom:' prefix")
    },
  )
})

it('case 30: a secret that cannot be opened any more denies, and says what to do', async () => {
  await created(ask)
  await rows("UPDATE leanto_auth_custom_providers SET secret = 'x'")
  const text = await said(await ask('/auth/v1/authorize?provider=custom:acme'), 500)
  expect(text).toContain('set it again')
  await changed(ask, 'custom:acme', { client_secret: 'new' })
  expect((await signIn(ask)).access_token).toBeTruthy()
})

it('a secret is sealed for its own row: another provider’s cannot be put in its place', async () => {
  await created(ask)
  await created(ask, plain)
  await rows(`UPDATE leanto_auth_custom_providers SET secret = (
    SELECT secret FROM leanto_auth_custom_providers WHERE identifier = 'custom:acme')`)
  await expectStatus(await ask('/auth/v1/authorize?provider=custom:plain'), 500)
  expect((await signIn(ask)).access_token).toBeTruthy()
})

it('case 74: whatever fails, nothing that is logged or answered holds the secret', async () => {
  const logged: string[] = []
  for (const level of ['log', 'warn', 'error'] as const)
    vi.spyOn(console, level).mockImplementation((...all) => void logged.push(JSON.stringify(all)))
  await created(ask)
  for (const url of ['token', 'jwks']) {
    for (const answer of [
      () => Response.json({ error: 'x', access_token: 'secret-at' }, { status: 400 }),
      () => new Response('secret-at', { status: 500 }),
      () => Promise.reject(new Error('down')),
    ]) {
      outside.others = { [`${issuer}/${url}`]: answer }
      const { error_code } = await signIn(ask)
      expect(error_code).toBe('unexpected_failure')
    }
  }
  expect(logged.join()).not.toBe('')
  expect(logged.join()).not.toContain(acme.client_secret)
  expect(logged.join()).not.toContain('secret-at')
  vi.restoreAllMocks()
})
