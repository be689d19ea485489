import { signedIn, type World } from './client-world.ts'
import type { Json } from './world.ts'

/*
 * The methods whose server is still to come (being an OAuth server): each reads in the answer why nothing is there.
 */

interface Refusal {
  code: string
  status: number
  call: (world: World) => Promise<{ error: unknown }>
}

const id = '00000000-0000-7000-8000-000000000000'

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
  'oauth.getAuthorizationDetails': noServer(({ auth }) => auth.oauth.getAuthorizationDetails(id)),
  'oauth.approveAuthorization': noServer(({ auth }) => auth.oauth.approveAuthorization(id)),
  'oauth.denyAuthorization': noServer(({ auth }) => auth.oauth.denyAuthorization(id)),
  'oauth.listGrants': noServer(({ auth }) => auth.oauth.listGrants()),
  'oauth.revokeGrant': noServer(({ auth }) => auth.oauth.revokeGrant({ clientId: id })),
}

const asAny = (value: object): Json => value

export const adminRefusals: Record<string, Refusal> = Object.fromEntries([
  ...[
    ['oauth.listClients'],
    ['oauth.createClient', { client_name: 'x', redirect_uris: ['https://x.example/'] }],
    ['oauth.getClient', id],
    ['oauth.updateClient', id, { client_name: 'y' }],
    ['oauth.deleteClient', id],
    ['oauth.regenerateClientSecret', id],
  ].map(([name, ...args]) => [name, noServer(calling(String(name), args))]),
])

function calling(name: string, args: unknown[]) {
  const [space = '', method = ''] = name.split('.')
  return ({ admin }: World) => asAny(admin)[space][method](...args)
}
