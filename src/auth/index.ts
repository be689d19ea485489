import type { Base } from '../core/bind.ts'
import { Fault } from '../core/fault.ts'
import { type Guards, guards } from '../core/guard.ts'
import { identity } from '../core/identity.ts'
import { purgeLimits } from '../core/limit.ts'
import type { Module } from '../core/module.ts'
import type { Identity } from '../core/ports.ts'
import { routesOf } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { authFaults } from './faults.ts'
import { authMigrations } from './migrations.ts'
import { authRoutes } from './routes.ts'
import { type Caller, callerOf, verifyAccessToken } from './session.ts'
import { type AuthOptions, type Settings, settingsOf } from './settings.ts'
import { type Verbs, verbsOf } from './verbs.ts'
import { renderBug, renderFault } from './wire.ts'

export type { PasswordFormat } from './password.ts'
export type { Refresh } from './refresh.ts'
export type { Caller } from './session.ts'
export type { AuthOptions, SignUpRequest } from './settings.ts'
export type { SignIn } from './sign-in.ts'
export type { SignOut, SignOutScope } from './sign-out.ts'
export type { CreateUser, SignUp } from './sign-up.ts'
export { authKeys, authRefreshTokens, authSessions, authUsers } from './tables.ts'
export type { UpdateUser } from './user.ts'
export type { Verbs } from './verbs.ts'
export type { Session, User, UserIdentity } from './wire.ts'

export interface Auth extends Module, Identity, Guards, Verbs {
  readonly name: 'auth'
  readonly scheduled: (scope: Scope) => Promise<void>
}

/**
 * Sign-in by e-mail and password, speaking GoTrue's REST API (Supabase Auth), so that `@supabase/auth-js` and its sisters
 * are its clients. Tokens are ES256 JWTs that any library verifies by the published JWKS.
 *
 * Passwords are stored as argon2id, refresh tokens as SHA-256, private keys sealed under the secret of `bind`.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function auth<Env>(base: Base<Env>, options: AuthOptions<Env>): Auth {
  const settings = settingsOf(options)
  const verbs = verbsOf(settings)
  const port = identity((scope, token) => verifyAccessToken(settings, scope, token))
  const { routes, table } = routesOf(
    { base, render: renderFault, bug: renderBug },
    authRoutes({ settings, verbs, callerOf: gotrueCaller(settings) }),
  )
  return Object.freeze({
    name: 'auth',
    routes,
    table,
    migrations: authMigrations,
    faults: authFaults,
    scheduled: (scope: Scope) => purge(settings, scope),
    ...port,
    ...guards(base, port),
    ...verbs,
  })
}

/** As the port, but a token that does not verify is 403 `bad_jwt`, as GoTrue has it. */
function gotrueCaller(settings: Settings) {
  const strict = identity(async (scope, token) => {
    try {
      return await verifyAccessToken(settings, scope, token)
    } catch (error) {
      if (error instanceof Fault && error.code === 'bad_token')
        throw authFaults.bad_jwt({ cause: error })
      throw error
    }
  })
  return async (scope: Scope, request: Request): Promise<Caller> => {
    const principal = await strict.principal(scope, request)
    if (principal.role !== 'authenticated') throw authFaults.no_authorization()
    return callerOf(principal)
  }
}

/** Removes what has ended: sessions, refresh tokens, keys, budgets. One trip. */
async function purge({ keys }: Settings, scope: Scope): Promise<void> {
  const now = scope.now()
  await scope.db.batch([
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_sessions WHERE id IN (
           SELECT session_id FROM leanto_auth_refresh_tokens WHERE expires_at <= ? AND used_at IS NULL)`,
      )
      .bind(now),
    scope.db.prepare('DELETE FROM leanto_auth_refresh_tokens WHERE expires_at <= ?').bind(now),
    keys.purge(scope),
    purgeLimits(scope.db, now),
  ])
}
