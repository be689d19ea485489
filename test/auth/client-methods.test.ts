import { afterEach, describe, expect, it, vi } from 'vitest'
import { clientProofs } from './client-proofs.ts'
import { adminCustomProofs, ssoProofs } from './client-proofs-custom.ts'
import { adminProofs, mfaProofs } from './client-proofs-mfa.ts'
import { adminOAuthProofs, oauthProofs } from './client-proofs-oauth-server.ts'
import { adminPasskeyProofs, webauthnProofs } from './client-proofs-passkeys.ts'
import { walletProofs } from './client-proofs-wallets.ts'
import { clientWorld } from './client-world.ts'
import type { Json } from './world.ts'

/*
 * Every public method of the stock client asks this server, and gets what it should. A newer client that has one more fails
 * here until it is proven, too.
 */

/** On the prototypes, but private by their types. */
const internals = [
  'constructor',
  ...['jwks', 'jwks_cached_at', 'fetchJwk', 'linkIdentityOAuth', 'linkIdentityIdToken'],
  ...['signInWithEthereum', 'signInWithSolana'],
]
/** What an instance holds besides its methods' namespaces. */
const state = [
  ...['fetch', 'lock', 'logger', 'storage', 'memoryStorage', 'userStorage', 'headers', 'url'],
  ...['stateChangeEmitters', 'initializePromise', 'broadcastChannel', 'experimental'],
  ...['autoRefreshTicker', 'autoRefreshTickTimeout', 'visibilityChangedCallback', 'client'],
  ...['refreshingDeferred', 'pendingInLock', 'lastRefreshFailure', '_pendingInitNotifications'],
]

function methodsOf(instance: Json): string[] {
  const inherited = Object.getOwnPropertyNames(Object.getPrototypeOf(instance))
  const own = (of: Json, prefix = ''): string[] =>
    Object.entries(of)
      .filter(([name]) => !state.includes(name))
      .flatMap(([name, value]) => {
        if (typeof value === 'function') return [prefix + name]
        return typeof value === 'object' && value !== null ? own(value, `${prefix}${name}.`) : []
      })
  return [...inherited, ...own(instance)]
    .filter((name) => !name.startsWith('_') && !internals.includes(name))
    .sort()
}

/** Has the method of that path watched. */
function watch(instance: Json, path: string) {
  const names = path.split('.')
  const name = names.pop() as string
  return vi.spyOn(
    names.reduce((of, next) => of[next], instance),
    name,
  )
}

const local = ['isThrowOnErrorEnabled']

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

describe.each([
  [
    'GoTrueClient',
    'auth',
    {
      ...clientProofs,
      ...mfaProofs,
      ...webauthnProofs,
      ...walletProofs,
      ...ssoProofs,
      ...oauthProofs,
    },
  ],
  [
    'GoTrueAdminApi',
    'admin',
    { ...adminProofs, ...adminPasskeyProofs, ...adminCustomProofs, ...adminOAuthProofs },
  ],
] as const)('%s', (_name, which, proofs) => {
  it('has no method without a proof, and no proof is of a method that is gone', async () => {
    const world = await clientWorld()
    const methods = methodsOf(world[which]).filter((name) => !name.startsWith('admin.'))
    expect(Object.keys(proofs).sort()).toEqual(methods)
  })

  it.each(Object.entries(proofs))('%s works', async (name, proof) => {
    const world = await clientWorld()
    const seen = [watch(world[which], name)]
    // Some proofs need another browser.
    const { another } = world
    world.another = async (options) => {
      const client = await another(options)
      if (which === 'auth') seen.push(watch(client, name))
      return client
    }
    await proof(world)
    expect(seen.flatMap(({ mock }) => mock.calls)).not.toEqual([])
    if (!local.includes(name)) expect(world.asked()).toBeGreaterThan(0)
  })
})
