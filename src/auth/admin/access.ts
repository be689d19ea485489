import { SignJWT } from 'jose'
import { Fault } from '../../core/fault.ts'
import { identity } from '../../core/identity.ts'
import { verifyJwt } from '../../core/jwt.ts'
import type { Principal } from '../../core/ports.ts'
import type { Scope } from '../../core/scope.ts'
import { authFaults } from '../faults.ts'
import { algorithm } from '../keys.ts'
import { proofsOf } from '../proofs.ts'
import type { Settings } from '../settings.ts'
import { audience } from '../wire.ts'

const serviceRole = 'service_role'

/**
 * Lets only the server's own calls through: by the secret API key, or by a token with the role `service_role` that was
 * signed by our keys, or by those of an issuer from whom the host takes that role. By what a request *shows*, never by what
 * it says (case 41).
 */
export function adminOnly(settings: Settings) {
  const service: Principal = Object.freeze({
    id: null as unknown as string,
    role: 'service',
    claims: Object.freeze({}),
  })
  const port = identity(async (scope, token) => {
    try {
      for (const part of settings.parts) {
        const principal = await part.trusted?.(scope, token)
        if (principal?.role === 'service') return principal
        if (principal) throw notAdmin()
      }
      const claims = await verifyJwt(token, settings.keys.keyOf(scope), {
        issuer: settings.issuer(scope),
        audience,
        algorithms: [algorithm],
        now: scope.now(),
      })
      if (claims.role === serviceRole) return service
    } catch (error) {
      if (error instanceof Fault && error.code === 'bad_token')
        throw authFaults.bad_jwt({ cause: error })
      throw error
    }
    throw notAdmin()
  }, proofsOf(settings))
  return async (scope: Scope, request: Request): Promise<void> => {
    const { role } = await port.principal(scope, request)
    if (role === 'service') return
    throw request.headers.has('authorization') || request.headers.has('apikey')
      ? notAdmin()
      : authFaults.no_authorization()
  }
}

const notAdmin = () => authFaults.not_admin({ message: 'User not allowed' })

/**
 * Signs a token that may do what the secret API key may do to `auth`, for a while. Other modules do not take it.
 *
 * @param seconds How long it lives.
 */
export async function signServiceToken(
  settings: Settings,
  scope: Scope,
  { seconds }: { seconds: number },
): Promise<string> {
  const { kid, key } = await settings.keys.signer(scope)
  const now = Math.floor(scope.now() / 1000)
  return new SignJWT({ role: serviceRole })
    .setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' })
    .setIssuer(settings.issuer(scope))
    .setAudience(audience)
    .setSubject(serviceRole)
    .setIssuedAt(now)
    .setExpirationTime(now + seconds)
    .sign(key)
}
