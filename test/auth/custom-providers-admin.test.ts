import { admin as audit } from 'leanto/auth/admin'
import { customProviders } from 'leanto/auth/custom-providers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  admin,
  calm,
  change,
  changed,
  client,
  create,
  created,
  customWorld,
  issuer,
  outside,
  plain,
  signIn,
} from './custom-world.ts'
import { fake } from './oauth-world.ts'
import { type Asker, count, expectStatus, type Json, rows } from './world.ts'

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

describe('the admin API', () => {
  it('adds an OIDC provider, whose discovery document it has read, and never shows the secret', async () => {
    const made = await created(ask)
    const now = new Date(clock.now()).toISOString()
    expect(made).toEqual({
      id: expect.stringMatching(/^[\da-f-]{36}$/),
      provider_type: 'oidc',
      identifier: 'custom:acme',
      name: 'Acme',
      client_id: client.client_id,
      acceptable_client_ids: [],
      scopes: ['openid', 'profile', 'email'],
      custom_claims_allowlist: [],
      pkce_enabled: true,
      attribute_mapping: {},
      authorization_params: {},
      email_optional: false,
      skip_nonce_check: false,
      issuer,
      discovery_document: {
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`,
        supported_scopes: ['openid', 'email'],
      },
      domains: [],
      unsafe_trust_emails: false,
      enabled: true,
      created_at: now,
      updated_at: now,
    })
    expect(outside.calls).toEqual([`GET ${issuer}/.well-known/openid-configuration`])
    expect(await expectStatus(await admin(ask, '/custom:acme'), 200)).toEqual(made)
    const stored = JSON.stringify(await rows('SELECT * FROM leanto_auth_custom_providers'))
    expect(stored).not.toContain(client.client_secret)
    expect(JSON.stringify(made)).not.toContain(client.client_secret)
  })

  it('adds an OAuth 2.0 provider without asking anyone', async () => {
    const made = await created(ask, plain)
    expect(made).toMatchObject({
      provider_type: 'oauth2',
      scopes: [],
      userinfo_url: plain.userinfo_url,
    })
    expect(made.issuer).toBe(undefined)
    expect(outside.calls).toEqual([])
  })

  it('lists, by type if asked', async () => {
    await created(ask)
    clock.advance(1)
    await created(ask, plain)
    const list = async (query = ''): Promise<string[]> =>
      (await expectStatus(await admin(ask, query), 200)).providers.map(
        ({ identifier }: Json) => identifier,
      )
    expect(await list()).toEqual(['custom:acme', 'custom:plain'])
    expect(await list('?type=oauth2')).toEqual(['custom:plain'])
    expect(await list('?type=oidc')).toEqual(['custom:acme'])
    expect(await codeOf(await admin(ask, '?type=saml'), 400)).toBe('validation_failed')
  })

  it('changes what is given and leaves the rest, name and type always', async () => {
    const made = await created(ask)
    clock.advance(5)
    const next = await changed(ask, 'custom:acme', {
      name: 'Acme Ltd',
      identifier: 'custom:other',
      provider_type: 'oauth2',
      token_url: 'https://api.acme.example/token',
      client_id: null,
      scopes: ['groups'],
      email_optional: true,
    })
    expect(next).toEqual({
      ...made,
      name: 'Acme Ltd',
      scopes: ['openid', 'groups'],
      email_optional: true,
      updated_at: new Date(clock.now()).toISOString(),
    })
    expect(await expectStatus(await admin(ask, '/custom:acme'), 200)).toEqual(next)
    // Nothing that the document is about has changed.
    expect(outside.calls).toHaveLength(1)
  })

  it('takes a new secret, and the old one is gone', async () => {
    await created(ask)
    const secretOf = async () => {
      await signIn(ask)
      return atob(outside.token?.authorization?.slice('Basic '.length) ?? '').split(':')[1]
    }
    expect(await secretOf()).toBe(client.client_secret)
    await changed(ask, 'custom:acme', { client_secret: 'a-new-secret' })
    expect(await secretOf()).toBe('a-new-secret')
  })

  it('deletes, and knows nothing of it then', async () => {
    await created(ask)
    const remove = () => admin(ask, '/custom:acme', { method: 'DELETE' })
    expect((await remove()).status).toBe(204)
    for (const response of [
      await remove(),
      await admin(ask, '/custom:acme'),
      await change(ask, 'custom:acme', { name: 'X' }),
    ])
      expect(await codeOf(response, 404)).toBe('custom_provider_not_found')
    await created(ask)
  })

  it('refuses a second one of the same name, and more than there may be', async () => {
    const few = (await customWorld({}, { maxProviders: 2 })).ask
    await created(few)
    expect(await codeOf(await create(few), 400)).toBe('conflict')
    await created(few, plain)
    expect(await codeOf(await create(few, { ...plain, identifier: 'custom:third' }), 400)).toBe(
      'over_custom_provider_quota',
    )
    expect(await count('custom_providers')).toBe(2)
  })

  it('refuses the name of a provider that the code names', async () => {
    const other = (await customWorld({ with: [fake('custom:acme', {})] })).ask
    expect(await codeOf(await create(other), 400)).toBe('conflict')
  })

  it('says in the audit what was done, and no secret', async () => {
    const audited = (await customWorld({ with: [audit()] })).ask
    await created(audited)
    await changed(audited, 'custom:acme', { enabled: false, client_secret: 'another-secret' })
    await admin(audited, '/custom:acme', { method: 'DELETE' })
    const log = await rows('SELECT action, data FROM leanto_auth_audit ORDER BY id')
    expect(log.map(({ action }) => action).sort()).toEqual([
      'custom_provider_created',
      'custom_provider_deleted',
      'custom_provider_updated',
    ])
    expect(JSON.stringify(log)).not.toContain('secret')
  })
})

describe('options', () => {
  it.each([{ maxProviders: 0 }, { maxProviders: 1001 }, { resolve: 'x' }, { unsafeAllow: true }])(
    'throw when the module is built: %j',
    (options) => {
      expect(() => customProviders(options as never)).toThrow(TypeError)
    },
  )
})
