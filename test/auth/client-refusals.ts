import { signedIn, type World } from './client-world.ts'
import type { Json } from './world.ts'

/*
 * The methods whose server is still to come (custom providers, SSO): each reads in the answer
 * why nothing is there.
 */

interface Refusal {
  code: string
  status: number
  call: (world: World) => Promise<{ error: unknown }>
}

const refusal =
  (code: string, status: number) =>
  (call: (world: World) => Promise<{ error: unknown }>): Refusal => ({
    code,
    status,
    call: async (world) => {
      await signedIn(world)
      return call(world)
    },
  })

const noServer = refusal('feature_disabled', 404)

export const clientRefusals: Record<string, Refusal> = {
  signInWithSSO: refusal(
    'saml_provider_disabled',
    404,
  )(({ auth }) => auth.signInWithSSO({ domain: 'example.com' })),
}

const asAny = (value: object): Json => value

export const adminRefusals: Record<string, Refusal> = Object.fromEntries([
  ...[
    ['customProviders.listProviders'],
    ['customProviders.createProvider', { identifier: 'custom:x', provider_type: 'oidc' }],
    ['customProviders.getProvider', 'custom:x'],
    ['customProviders.updateProvider', 'custom:x', { name: 'X' }],
    ['customProviders.deleteProvider', 'custom:x'],
  ].map(([name, ...args]) => [name, noServer(calling(String(name), args))]),
])

function calling(name: string, args: unknown[]) {
  const [space = '', method = ''] = name.split('.')
  return ({ admin }: World) => asAny(admin)[space][method](...args)
}
