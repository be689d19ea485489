import * as v from 'valibot'
import { isUuid } from '../core/id.ts'
import { networkOf } from '../core/limit.ts'
import type { Route } from '../core/routes.ts'
import { body, ok, refuse, text } from './body.ts'
import { authFaults } from './faults.ts'
import { unlinkIdentity } from './identities.ts'
import type { Doors } from './part.ts'

type Handler = Route[2]

/** Identities, and what answers where no OAuth provider is mounted. */
export const identityRoutes = (doors: Doors): Route[] => [
  ['DELETE', '/user/identities/:identity_id', unlink(doors)],
  ...(doors.settings.parts.some((part) => part.provider ?? part.providers) ? [] : closed(doors)),
]

const unlink =
  ({ settings, callerOf }: Doors): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const identityId = c.req.param('identity_id')
    if (!isUuid(identityId))
      throw authFaults.validation_failed({ message: 'identity_id must be an UUID', status: 404 })
    const network = networkOf(c.req.raw)
    await unlinkIdentity(settings)(scope, {
      ...caller,
      identityId: identityId.toLowerCase(),
      network,
    })
    return ok({})
  }

const closed = ({ callerOf }: Doors): Route[] => [
  ['GET', '/authorize', (_scope, c) => refuseProvider(c.req.query('provider'))],
  [
    'GET',
    '/user/identities/authorize',
    async (scope, c) => {
      await callerOf(scope, c.req.raw)
      return refuseProvider(c.req.query('provider'))
    },
  ],
]

/** As a provider is named in a message: only what looks like a name is said again. */
export const named = (name: string | null | undefined): string =>
  /^[\w:.-]{1,64}$/.test(name ?? '') ? ` ${name}` : ''

/** @throws {Fault} `validation_failed` (400), as GoTrue has it. */
export function refuseProvider(name: string | null | undefined): never {
  throw refuse(`Unsupported provider: Provider${named(name)} could not be found`)
}

const tokenBody = v.object({ provider: text })

/** Grants that GoTrue knows, where nothing mounted has them. */
export const closedGrants: Readonly<Record<string, (doors: Doors) => Handler>> = {
  id_token: () => async (_scope, c) => {
    const { provider } = await body(c, tokenBody)
    throw refuse(`Custom OIDC provider${named(provider)} not allowed`)
  },
  web3: () => () => {
    throw authFaults.web3_provider_disabled()
  },
}
