import { coreFaults, Fault } from '../../core/fault.ts'
import { principalOf, verifyJwt } from '../../core/jwt.ts'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { authFaults } from '../faults.ts'
import { algorithm } from '../keys.ts'
import type { Doors } from '../part.ts'
import { callerOf } from '../session.ts'
import { callerStatement, checkCaller } from '../user.ts'
import { audience } from '../wire.ts'
import { wordsOf } from './client.ts'
import { oauthServerFaults } from './faults.ts'
import { errorResponse } from './form.ts'
import { openidScopes, type Server } from './settings.ts'
import { requireHeld } from './tokens-met.ts'
import { claimsOf } from './user-claims.ts'

/** RFC 6750, 3. */
const challenge = (error?: string, more = '') =>
  `Bearer${error ? ` error="${error}"${more}` : ' realm="oauth"'}`

/**
 * `GET` and `POST /oauth/userinfo` (OpenID Connect Core, 5.3): who the user is, as far as the token's scopes go, as long as its
 * session goes on. A user's own session is shown all of it. One trip.
 */
export const userinfo =
  (doors: Doors, server: Server): Route[2] =>
  async (scope, c) => {
    try {
      return Response.json(await read(doors, server, scope, c.req.raw), { status: 200 })
    } catch (error) {
      if (!(error instanceof Fault) || error.status >= 500) throw error
      return refused(error)
    }
  }

async function read(doors: Doors, server: Server, scope: Scope, request: Request) {
  const { settings } = server
  // `DPoP` of RFC 9449 is as good as `Bearer`: `requireHeld` asks for the key of whatever is bound to one.
  const token = request.headers.get('authorization')?.match(/^(?:Bearer|DPoP) +([\w.-]+) *$/i)?.[1]
  const claims = token ? await clientsClaims(server, scope, token) : null
  if (!claims) {
    const caller = await doors.callerOf(scope, request)
    const row = checkCaller(scope, await callerStatement(settings, scope, caller).first())
    return claimsOf(settings.toUser(row), Object.keys(openidScopes))
  }
  const principal = principalOf(claims)
  await requireHeld(server, scope, principal, request)
  const words = wordsOf(String(claims.scope))
  if (!words.includes('openid')) throw oauthServerFaults.insufficient_scope()
  const row = checkCaller(
    scope,
    await callerStatement(settings, scope, callerOf(principal)).first(),
  )
  return claimsOf(settings.toUser(row), words)
}

/** @returns `null` if it is a token of a user's own session, or none. */
async function clientsClaims({ settings }: Server, scope: Scope, token: string) {
  try {
    const claims = await verifyJwt(token, settings.keys.keyOf(scope), {
      issuer: settings.issuer(scope),
      audience: [audience, settings.issuer(scope)],
      algorithms: [algorithm],
      now: scope.now(),
    })
    if (claims.client_id === undefined) return null
    // A machine is nobody.
    if (claims.session_id === undefined) throw coreFaults.bad_token()
    return claims
  } catch (error) {
    if (error instanceof Fault && error.code === 'bad_token')
      throw authFaults.bad_jwt({ status: 401, cause: error })
    throw error
  }
}

function refused(fault: Fault): Response {
  const { status, message, code } = fault
  if (code === 'insufficient_scope')
    return errorResponse(
      new Fault(
        code,
        { status: 403, message },
        {
          headers: { 'www-authenticate': challenge(code, ', scope="openid"') },
        },
      ),
    )
  // Nothing was shown: nothing is said of it.
  if (code === 'no_authorization')
    return errorResponse(
      new Fault(
        'invalid_token',
        { status, message },
        { headers: { 'www-authenticate': challenge() } },
      ),
    )
  return errorResponse(
    oauthServerFaults.invalid_token({
      headers: { 'www-authenticate': challenge('invalid_token') },
    }),
  )
}
