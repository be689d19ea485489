import { coreFaults } from '../../core/fault.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Limit } from '../../core/limit.ts'
import type { Scope } from '../../core/scope.ts'
import type { AuthPart } from '../part.ts'
import type { Settings } from '../settings.ts'
import type { Metadata, Session } from '../wire.ts'
import { impersonationFaults } from './faults.ts'
import {
  type Impersonated,
  type ListImpersonations,
  listImpersonations,
  stopImpersonation,
} from './manage.ts'
import { impersonationMigrations } from './migrations.ts'
import { impersonationRoutes } from './routes.ts'
import { type StartImpersonation, startImpersonation } from './start.ts'

export { impersonationFaults } from './faults.ts'
export type { Impersonated, ListImpersonations } from './manage.ts'
export type { StartImpersonation } from './start.ts'

/** What says whether a user is an admin: what only the server writes. */
export interface MaybeAdmin {
  readonly id: string
  readonly app_metadata: Metadata
}

export interface ImpersonationOptions {
  /**
   * Who is an admin: such a user may act for others, and nobody for them. Asked of both before each start; anything but `true`
   * and `false` stops it. Answer by what it is given alone, for a change of `app_metadata` ends what is running.
   */
  admins: (who: MaybeAdmin) => boolean
  /** Seconds that one lasts at most, 60 to 86400. @default 3600 */
  seconds?: number
  /** Whether whoever acts for a user may only read, in every module and route of the host: GET and HEAD. @default false */
  readonly?: boolean
  /** Whether an admin must have shown a second factor. @default false */
  secondFactor?: boolean
  /** Whether the user gets a mail (`mails.impersonated`), if they have a proven address. @default false */
  notify?: boolean
  /** How often one admin may ask for it. @default { max: 30, seconds: 3600 } */
  limit?: Limit
  /** How many days past ones are listed, 1 to 3650. @default 90 */
  days?: number
}

/** The options, checked and filled in. */
export interface ImpersonationSettings extends Required<ImpersonationOptions> {}

export interface Impersonation extends AuthPart {
  /**
   * Makes a session of a user for someone who acts for them. Two trips.
   *
   * @throws {Fault} `user_not_found` (404), `user_banned`, `impersonation_not_allowed`, `not_admin`, `insufficient_aal`
   * (403 each), `conflict` (409), `rate_limited`, `validation_failed`.
   */
  start(scope: Scope, input: StartImpersonation): Promise<Session>
  /** Ends a running one. One trip. @throws {Fault} `session_not_found` (404). */
  stop(scope: Scope, input: { id: string }): Promise<void>
  /** Running and past ones, the newest first, with the number of all. One trip. */
  list(
    scope: Scope,
    input: ListImpersonations,
  ): Promise<{ impersonations: Impersonated[]; total: number }>
}

const wrong = (option: string, fix: string) => new TypeError(`impersonation: \`${option}\` ${fix}`)

function checked(options: ImpersonationOptions): ImpersonationSettings {
  const settings = {
    seconds: 3600,
    readonly: false,
    secondFactor: false,
    notify: false,
    limit: { max: 30, seconds: 3600 },
    days: 90,
    ...options,
  }
  const whole = (option: string, value: unknown, least: number, most: number) => {
    if (!Number.isSafeInteger(value) || Number(value) < least || Number(value) > most)
      throw wrong(option, `must be a whole number from ${least} to ${most}`)
  }
  if (typeof settings.admins !== 'function') throw wrong('admins', 'must be a function')
  whole('seconds', settings.seconds, 60, 86_400)
  whole('days', settings.days, 1, 3650)
  whole('limit.max', settings.limit?.max, 1, 1e6)
  whole('limit.seconds', settings.limit?.seconds, 1, 86_400)
  for (const flag of ['readonly', 'secondFactor', 'notify'] as const)
    if (typeof settings[flag] !== 'boolean') throw wrong(flag, 'must be true or false')
  return Object.freeze(settings)
}

/**
 * Lets an admin act for a user for a while: with a session whose tokens say who it is (`act`, RFC 8693, 4.1), and which may
 * change nothing of the account. It ends with its time, the admin's own session, or the role of either.
 *
 * Other modules and the host's routes ask the database at each of its requests whether it still runs: one trip, of those alone.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function impersonation(options: ImpersonationOptions): Impersonation {
  const own = checked(options)
  let mounted: Settings | undefined
  const settings = (): Settings => {
    if (!mounted) throw wrong('with', 'must be listed in the `with` of auth first')
    return mounted
  }
  return Object.freeze({
    name: 'impersonation',
    migrations: impersonationMigrations,
    faults: impersonationFaults,
    sessionColumns: [
      `(SELECT json_object('sub', i.actor, 'readonly', i.readonly)
        FROM leanto_auth_impersonations i WHERE i.id = s.id) AS act`,
    ],
    routes(doors) {
      if (mounted) throw wrong('with', 'must be given to one auth only')
      mounted = doors.settings
      return impersonationRoutes(doors, own)
    },
    claims(_, { tag, act }) {
      // Of everyone else there is none, whatever the host's hook says.
      if (tag !== 'impersonation') return { act: undefined }
      const { sub, readonly } = JSON.parse(String(act)) as { sub: string; readonly: number }
      return { act: { sub }, ...(readonly ? { readonly: true } : {}) }
    },
    async admit({ issuer }, scope, { id, claims }, request) {
      if (claims.act === undefined || claims.iss !== issuer(scope)) return
      if (claims.readonly === true && !['GET', 'HEAD'].includes(request?.method ?? ''))
        throw impersonationFaults.impersonation_read_only()
      const running = await scope.db
        .prepare(
          'SELECT 1 FROM leanto_auth_sessions WHERE id = ? AND user_id = ? AND not_after > ?',
        )
        .bind(claims.session_id, id, scope.now())
        .first()
      if (!running)
        throw coreFaults.bad_token({ message: 'Who acted for this user no longer does' })
    },
    purge: (scope) => [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_impersonations WHERE id IN (
             SELECT id FROM leanto_auth_impersonations WHERE id < ? ORDER BY id LIMIT 1000)`,
        )
        // The smallest id of that millisecond.
        .bind(`${uuidv7(scope.now() - own.days * 86_400_000).slice(0, 14)}7`),
    ],
    start: (scope, input) => startImpersonation(settings(), own)(scope, input),
    stop: (scope, input) => stopImpersonation(settings())(scope, { ...input, by: 'server' }),
    list: (scope, input) => listImpersonations(scope, input),
  } satisfies Impersonation)
}
