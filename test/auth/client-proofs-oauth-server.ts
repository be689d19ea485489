import { expect } from 'vitest'
import type { Proof } from './client-proofs.ts'
import { email, fine, signedIn, type World } from './client-world.ts'
import {
  authorizeQuery,
  exchange,
  expectError,
  ledTo,
  redirectUri,
  refreshed,
} from './oauth-server-world.ts'
import { expectStatus, type Json } from './world.ts'

/*
 * The stock client's methods of an OAuth server: those of a consent page, and those that manage clients.
 */

const make = async ({ admin }: World): Promise<Json> =>
  fine(await admin.oauth.createClient({ client_name: 'Reader', redirect_uris: [redirectUri] }))

async function asked({ ask }: World, client: Json): Promise<string> {
  const query = await authorizeQuery(client, { scope: 'openid email' })
  const url = ledTo(await ask(`/auth/v1/oauth/authorize?${query}`))
  return url.searchParams.get('authorization_id') as string
}

async function prepared(world: World) {
  await signedIn(world)
  const client = await make(world)
  return { client, id: await asked(world, client) }
}

const approved = async ({ auth }: World, id: string): Promise<URL> => {
  fine(await auth.oauth.getAuthorizationDetails(id))
  const skipBrowserRedirect = true
  return new URL(
    fine(await auth.oauth.approveAuthorization(id, { skipBrowserRedirect })).redirect_url,
  )
}

const tokensOf = async (world: World, client: Json, url: URL): Promise<Json> =>
  expectStatus(await exchange(world.ask, client, url.searchParams.get('code') as string), 200)

export const oauthProofs: Record<string, Proof> = {
  async 'oauth.getAuthorizationDetails'(world) {
    const { client, id } = await prepared(world)
    const details = fine(await world.auth.oauth.getAuthorizationDetails(id))
    expect(details).toMatchObject({
      authorization_id: id,
      redirect_uri: redirectUri,
      client: { id: client.client_id, name: 'Reader' },
      user: { email },
      scope: 'openid email',
    })
    await approved(world, id)
    const again = fine(await world.auth.oauth.getAuthorizationDetails(await asked(world, client)))
    expect(new URL(again.redirect_url).searchParams.get('code')).toMatch(/./)
  },
  async 'oauth.approveAuthorization'(world) {
    const { client, id } = await prepared(world)
    const tokens = await tokensOf(world, client, await approved(world, id))
    expect(tokens.scope).toBe('openid email')
    const gone = await world.auth.oauth.approveAuthorization(id)
    expect(gone.error).toMatchObject({ status: 404, code: 'oauth_authorization_not_found' })
  },
  async 'oauth.denyAuthorization'(world) {
    const { id } = await prepared(world)
    const { redirect_url } = fine(await world.auth.oauth.denyAuthorization(id))
    expect(new URL(redirect_url).searchParams.get('error')).toBe('access_denied')
  },
  async 'oauth.listGrants'(world) {
    const { client, id } = await prepared(world)
    expect(fine(await world.auth.oauth.listGrants())).toEqual([])
    await approved(world, id)
    expect(fine(await world.auth.oauth.listGrants())).toEqual([
      {
        client: { id: client.client_id, name: 'Reader', uri: '', logo_uri: '' },
        scopes: ['openid', 'email'],
        granted_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      },
    ])
  },
  async 'oauth.revokeGrant'(world) {
    const { client, id } = await prepared(world)
    const { refresh_token } = await tokensOf(world, client, await approved(world, id))
    const clientId = client.client_id
    fine(await world.auth.oauth.revokeGrant({ clientId }))
    expect(fine(await world.auth.oauth.listGrants())).toEqual([])
    await expectError(await refreshed(world.ask, client, refresh_token), 400, 'invalid_grant')
    const again = await world.auth.oauth.revokeGrant({ clientId })
    expect(again.error).toMatchObject({ status: 404, code: 'oauth_consent_not_found' })
  },
}

export const adminOAuthProofs: Record<string, Proof> = {
  async 'oauth.createClient'(world) {
    const client = await make(world)
    expect(client).toMatchObject({
      client_name: 'Reader',
      client_secret: expect.any(String),
      client_type: 'confidential',
      registration_type: 'manual',
    })
  },
  async 'oauth.getClient'(world) {
    const { client_secret: _, ...rest } = await make(world)
    expect(fine(await world.admin.oauth.getClient(rest.client_id))).toEqual(rest)
  },
  async 'oauth.listClients'(world) {
    const { client_id } = await make(world)
    const listed = fine(await world.admin.oauth.listClients({ page: 1, perPage: 10 }))
    expect(listed).toMatchObject({ clients: [{ client_id }], total: 1, lastPage: 1 })
  },
  async 'oauth.updateClient'(world) {
    const { client_id } = await make(world)
    const changed = await world.admin.oauth.updateClient(client_id, { client_name: 'Writer' })
    expect(fine(changed).client_name).toBe('Writer')
  },
  async 'oauth.deleteClient'(world) {
    const { client_id } = await make(world)
    fine(await world.admin.oauth.deleteClient(client_id))
    const gone = await world.admin.oauth.getClient(client_id)
    expect(gone.error).toMatchObject({ status: 404, code: 'oauth_client_not_found' })
  },
  async 'oauth.regenerateClientSecret'(world) {
    const client = await make(world)
    const fresh = fine(await world.admin.oauth.regenerateClientSecret(client.client_id))
    expect(fresh.client_secret).not.toBe(client.client_secret)
    await expectError(await refreshed(world.ask, client, 'x'), 401, 'invalid_client')
    await expectError(await refreshed(world.ask, fresh, 'x'), 400, 'invalid_grant')
  },
}
