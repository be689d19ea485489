import type { Base } from '../core/bind.ts'
import { Fault } from '../core/fault.ts'
import { type Guards, guards } from '../core/guard.ts'
import { isUuid } from '../core/id.ts'
import { identity } from '../core/identity.ts'
import { unbound } from '../core/jwt.ts'
import { networkOf, purgeLimits } from '../core/limit.ts'
import type { Migration } from '../core/migrate.ts'
import type { Module } from '../core/module.ts'
import type { Identity, Principal } from '../core/ports.ts'
import { type Route, routesOf } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { withClosed } from './closed-routes.ts'
import { purgeCodes } from './codes.ts'
import { authFaults } from './faults.ts'
import { authMigrations } from './migrations.ts'
import { type AuthPart, type Doors, happened } from './part.ts'
import { purgeFlows } from './pkce.ts'
import { proofsOf, verifierOf } from './proofs.ts'
import { authRoutes } from './routes.ts'
import { type Caller, callerOf } from './session.ts'
import { type AuthOptions, type Settings, settingsOf } from './settings.ts'
import { type Verbs, verbsOf } from './verbs.ts'
import { renderBug, renderFault } from './wire.ts'

export { escapeHtml, type Mailed, type MailFacts, type MailTemplates } from './mails.ts'
export type { AuthEvent, AuthPart, Doors } from './part.ts'
export type { PasswordCheck, PasswordFormat } from './password.ts'
export type { Refresh } from './refresh.ts'
export type { Caller } from './session.ts'
export type { AuthOptions, PasswordAttempt, SignUpRequest, Sms } from './settings.ts'
export type { SignIn } from './sign-in.ts'
export type { SignOut, SignOutScope } from './sign-out.ts'
export type { CreateUser, SignUp } from './sign-up.ts'
export {
  authFlows,
  authIdentities,
  authKeys,
  authRefreshTokens,
  authSessions,
  authTokens,
  authUsers,
} from './tables.ts'
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
  const { parts } = settings
  const port = admitting(settings, schemed(settings, verifierOf(settings)))
  const doors: Doors = {
    settings,
    verbs,
    scopeOf: (c) => base.scope(c),
    callerOf: gotrueCaller(settings, () => {}),
    admittedOf: gotrueCaller(settings, admitBy(settings)),
    reply: replier(parts),
  }
  const { routes, table } = routesOf(
    { base, render: renderFault, bug: renderBug },
    withClosed([
      ...authRoutes(doors),
      ...parts.flatMap((part) => part.routes?.(doors) ?? []).sort(exactFirst),
    ]).map(guarded(parts)),
  )
  return Object.freeze({
    name: 'auth',
    routes,
    table,
    migrations: migrationsOf(parts),
    faults: Object.freeze(Object.assign({}, authFaults, ...parts.map((part) => part.faults))),
    scheduled: (scope: Scope) => purge(settings, scope),
    ...port,
    ...guards(base, port),
    ...verbs,
  })
}

/** No part's `/admin/users/:user_id` may answer what is another one's `/admin/users/export`, however they are listed. */
const exactFirst = ([, a]: Route, [, b]: Route) => Number(a.includes(':')) - Number(b.includes(':'))

const byId = (a: Migration, b: Migration) => (a.id < b.id ? -1 : 1)

/** Each once: parts may share a migration. */
const migrationsOf = (parts: readonly AuthPart[]): readonly Migration[] =>
  [...new Set([...authMigrations, ...parts.flatMap((part) => part.migrations ?? [])])].sort(byId)

const replier =
  (parts: readonly AuthPart[]): Doors['reply'] =>
  (scope, request, session, response = Response.json(session, { status: 200 })) =>
    parts.reduce((made, part) => part.reply?.(scope, request, session, made) ?? made, response)

type Admitted = (scope: Scope, principal: Principal, request: Request) => void | Promise<void>

const admitBy =
  (settings: Settings): Admitted =>
  async (scope, principal, request) => {
    for (const part of settings.parts) await part.admit?.(settings, scope, principal, request)
  }

/** The port, past the parts that refuse whom it knows, or know more of them. */
const admitting = (settings: Settings, { principal }: Identity): Identity => ({
  async principal(scope, request) {
    let found = await principal(scope, request)
    await admitBy(settings)(scope, found, request)
    for (const { identified } of settings.parts)
      found = (await identified?.(settings, scope, found)) ?? found
    return found
  },
})

/** An Identity over bearer tokens, and over the schemes that the parts bring. */
function schemed(settings: Settings, verify: ReturnType<typeof verifierOf>): Identity {
  const { principal } = identity(verify, proofsOf(settings))
  return {
    async principal(scope, request) {
      const bearer = (token: string) => {
        const headers = new Headers(request.headers)
        headers.set('authorization', `Bearer ${token}`)
        return principal(scope, new Request(request.url, { headers }))
      }
      for (const part of settings.parts) {
        const found = await part.scheme?.(settings, scope, request, bearer)
        if (found) return found
      }
      return unbound(await principal(scope, request))
    },
  }
}

/** A route, past the parts that look at its requests first. */
const guarded =
  (parts: readonly AuthPart[]) =>
  ([method, path, handler]: Route): Route => {
    const guards = parts.flatMap(({ guard }) => guard ?? [])
    if (guards.length === 0) return [method, path, handler]
    return [
      method,
      path,
      async (scope, c) => {
        for (const guard of guards) await guard(scope, c.req.raw, { method, path })
        return handler(scope, c)
      },
    ]
  }

/** As the port, but a token that does not verify is 403 `bad_jwt`, as GoTrue has it. */
function gotrueCaller(settings: Settings, admitted: Admitted) {
  const verify = verifierOf(settings)
  const strict = schemed(settings, async (scope, token) => {
    try {
      return await verify(scope, token)
    } catch (error) {
      if (error instanceof Fault && error.code === 'bad_token')
        throw authFaults.bad_jwt({ cause: error })
      throw error
    }
  })
  return async (scope: Scope, request: Request, { acted } = { acted: false }): Promise<Caller> => {
    const principal = await strict.principal(scope, request)
    if (principal.role !== 'authenticated') throw authFaults.no_authorization()
    const { act } = principal.claims
    if (act !== undefined && !acted) {
      refused(settings, scope, request, principal)
      throw authFaults.no_authorization({
        status: 403,
        message: 'Only the user may do this, and nobody who acts for them',
      })
    }
    await admitted(scope, principal, request)
    for (const part of settings.parts) {
      const caller = part.caller?.(scope, principal)
      if (caller) return { ...caller, act }
    }
    return { ...callerOf(principal), act }
  }
}

function refused(settings: Settings, scope: Scope, request: Request, { id, claims }: Principal) {
  const actor = (claims.act as { sub?: unknown } | null)?.sub
  const path = new URL(request.url).pathname.slice(0, 200)
  happened(settings, scope, {
    action: 'impersonation_refused',
    userId: isUuid(actor) ? actor : undefined,
    network: networkOf(request),
    data: { actor, user_id: id, method: request.method, path },
  })
}

/** Rows of a kind that one run of the upkeep removes at most. */
const slice = 1000

/**
 * Removes what has ended: sessions, refresh tokens, anonymous users without a session, one-time tokens, flows, keys,
 * budgets. One trip, a slice of each.
 */
async function purge({ keys, parts }: Settings, scope: Scope): Promise<void> {
  const now = scope.now()
  await scope.db.batch([
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_sessions WHERE id IN (
           SELECT session_id FROM leanto_auth_refresh_tokens
           WHERE expires_at <= ? AND used_at IS NULL LIMIT ${slice})`,
      )
      .bind(now),
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_refresh_tokens WHERE hash IN (
           SELECT hash FROM leanto_auth_refresh_tokens t WHERE expires_at <= ? AND (
             used_at IS NOT NULL
             OR NOT EXISTS (SELECT 1 FROM leanto_auth_sessions s WHERE s.id = t.session_id))
           LIMIT ${slice})`,
      )
      .bind(now),
    // Without a session nobody can be them any more.
    scope.db.prepare(
      `DELETE FROM leanto_auth_users WHERE id IN (
         SELECT id FROM leanto_auth_users u WHERE is_anonymous = 1
           AND NOT EXISTS (SELECT 1 FROM leanto_auth_sessions s WHERE s.user_id = u.id)
         LIMIT ${slice})`,
    ),
    keys.purge(scope),
    purgeCodes(scope),
    purgeFlows(scope),
    purgeLimits(scope.db, now),
    ...parts.flatMap((part) => part.purge?.(scope) ?? []),
  ])
}
