import { ownFaults } from '../own-pages.ts'
import type { AuthPart } from '../part.ts'
import { redeemLink, withTokens } from './callback.ts'
import { oauthFaults } from './faults.ts'
import type { OAuthProvider } from './provider.ts'
import { idTokenGrant, oauthRoutes } from './routes.ts'

/** A provider as a part of `auth`. */
export function oauthPart(provider: OAuthProvider): AuthPart {
  const made: AuthPart = {
    name: provider.name,
    provider,
    faults: Object.freeze({ ...oauthFaults, ...ownFaults }),
    grants: { id_token: idTokenGrant },
    exchanged: withTokens,
    redeem: redeemLink,
    // Of several providers one brings the routes.
    routes: (doors) =>
      doors.settings.parts.find((part) => part.provider) === made ? oauthRoutes(doors) : [],
  }
  return made
}
