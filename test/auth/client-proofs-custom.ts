import { expect } from 'vitest'
import type { Proof } from './client-proofs.ts'
import { fine, type World } from './client-world.ts'
import { acme, calm, client, issuer, outside, plain } from './custom-world.ts'
import { begin, comeBack, fragment } from './oauth-world.ts'

/* The stock client's custom providers and SSO, with a provider that ends at the Worker's own `fetch`. */

/** The provider's clock is the real one, as the server's is here. */
function provider() {
  calm()
  const now = Math.floor(Date.now() / 1000)
  outside.claims = { iat: now, exp: now + 300 }
}

const identifier = 'custom:acme'
const make = async ({ admin }: World, more: object = {}) => {
  provider()
  return fine(await admin.customProviders.createProvider({ ...acme, ...more } as never))
}

/** To the provider and back. */
async function travel({ ask }: World, url: string): Promise<URL> {
  const flow = await begin(ask, new URL(url).search.slice(1))
  outside.nonce = flow.url.searchParams.get('nonce') ?? undefined
  return comeBack(ask, flow, 'c')
}

export const ssoProofs: Record<string, Proof> = {
  async signInWithSSO(world) {
    const { id } = await make(world, { domains: ['acme.example'] })
    const options = { redirectTo: 'https://app.example/in' }
    const { url } = fine(await world.auth.signInWithSSO({ domain: 'acme.example', options }))
    const back = await travel(world, url)
    expect(back.pathname).toBe('/in')
    fine(await world.auth.setSession(fragment(back) as never))
    expect(fine(await world.auth.getUser()).user.email).toBe('ann@acme.example')
    const other = await world.another({ flowType: 'pkce' })
    const { url: there } = fine(await other.signInWithSSO({ providerId: id, options }))
    const code = (await travel(world, there)).searchParams.get('code') as string
    expect(fine(await other.exchangeCodeForSession(code)).user.email).toBe('ann@acme.example')
    const { error } = await world.auth.signInWithSSO({ domain: 'nobody.example' })
    expect(error).toMatchObject({ code: 'sso_provider_not_found', status: 404 })
  },
}

/** Of `GoTrueAdminApi`. */
export const adminCustomProofs: Record<string, Proof> = {
  async 'customProviders.createProvider'(world) {
    const made = await make(world)
    expect(made).toMatchObject({ identifier, issuer, enabled: true })
    expect(JSON.stringify(made)).not.toContain(client.client_secret)
    const { error } = await world.admin.customProviders.createProvider(acme as never)
    expect(error).toMatchObject({ code: 'conflict', status: 400 })
    // It is there to be signed in by.
    const options = { skipBrowserRedirect: true }
    const started = await world.auth.signInWithOAuth({ provider: identifier, options })
    fine(await world.auth.setSession(fragment(await travel(world, fine(started).url)) as never))
    expect(fine(await world.auth.getUserIdentities()).identities).toMatchObject([
      { provider: identifier },
    ])
  },
  async 'customProviders.getProvider'(world) {
    const made = await make(world)
    const { customProviders } = world.admin
    expect(fine(await customProviders.getProvider(identifier))).toEqual(made)
    const { error } = await customProviders.getProvider('custom:nobody')
    expect(error).toMatchObject({ code: 'custom_provider_not_found', status: 404 })
  },
  async 'customProviders.listProviders'(world) {
    const made = await make(world)
    const { customProviders } = world.admin
    fine(await customProviders.createProvider(plain as never))
    expect(fine(await customProviders.listProviders()).providers).toHaveLength(2)
    expect(fine(await customProviders.listProviders({ type: 'oidc' })).providers).toEqual([made])
  },
  async 'customProviders.updateProvider'(world) {
    const made = await make(world)
    const { customProviders } = world.admin
    const next = fine(await customProviders.updateProvider(identifier, { name: 'A' }))
    expect(next).toEqual({ ...made, name: 'A', updated_at: next.updated_at })
  },
  async 'customProviders.deleteProvider'(world) {
    await make(world)
    const { customProviders } = world.admin
    expect(fine(await customProviders.deleteProvider(identifier))).toBeNull()
    expect(fine(await customProviders.listProviders()).providers).toEqual([])
  },
}
