import type { Route } from '../../core/routes.ts'
import { ownFaults } from '../own-pages.ts'
import type { AuthPart, Doors } from '../part.ts'
import { redeemLink, withTokens } from './callback.ts'
import { oauthFaults } from './faults.ts'
import type { OAuthProvider } from './provider.ts'
import { idTokenGrant, oauthRoutes } from './routes.ts'

/** What every part that has providers needs. */
export const oauthDoors = {
  grants: { id_token: idTokenGrant },
  exchanged: withTokens,
  redeem: redeemLink,
} satisfies Partial<AuthPart>

export const oauthPartFaults = Object.freeze({ ...oauthFaults, ...ownFaults })

/** The routes of providers: of several parts that have some, one brings them. */
export const sharedRoutes = (doors: Doors, name: string): Route[] =>
  doors.settings.parts.find((part) => part.provider ?? part.providers)?.name === name
    ? oauthRoutes(doors)
    : []

/** A provider as a part of `auth`. */
export const oauthPart = (provider: OAuthProvider): AuthPart => ({
  ...oauthDoors,
  name: provider.name,
  provider,
  faults: oauthPartFaults,
  routes: (doors) => sharedRoutes(doors, provider.name),
})
