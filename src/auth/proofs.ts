import type { OtherProofs } from '../core/identity.ts'
import type { Principal } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import { verifyAccessToken } from './session.ts'
import type { Settings } from './settings.ts'

/** What the mounted parts take besides the derived keys and a bearer token. */
export const proofsOf = ({ parts }: Settings): OtherProofs => ({
  async key(scope, key) {
    for (const part of parts) {
      const principal = await part.keyed?.(scope, key)
      if (principal) return principal
    }
    return null
  },
  token(scope, request) {
    for (const part of parts) {
      const token = part.credential?.(scope, request)
      if (token) return token
    }
    return null
  },
})

/** Verifies a token of ours, or of an issuer whom a part trusts. @throws {Fault} `bad_token` (401). */
export const verifierOf =
  (settings: Settings) =>
  async (scope: Scope, token: string): Promise<Principal> => {
    for (const part of settings.parts) {
      const principal = await part.trusted?.(scope, token)
      if (principal) return principal
    }
    return verifyAccessToken(settings, scope, token)
  }
