import type { Scope } from '../../core/scope.ts'
import { record, trimAudit } from '../audit.ts'
import type { AuthPart } from '../part.ts'
import type { Settings } from '../settings.ts'
import { signServiceToken } from './access.ts'
import { adminFaults } from './faults.ts'
import { auditMigrations } from './migrations.ts'
import { adminRoutes } from './routes.ts'

export type { AuditEntry } from '../audit.ts'
export type { GeneratedLink, GenerateLink, LinkType } from './links.ts'
export type { CreateUser, UserAttributes } from './users.ts'

export interface AdminOptions {
  /** Keeps what happens in a table for so many days; `false` keeps nothing. Costs a trip after each answer. @default { days: 90 } */
  audit?: { days: number } | false
}

export interface Admin extends AuthPart {
  /**
   * Signs a token that may do what the secret API key may do to `auth`, so that the key need not leave its place.
   *
   * @param input.seconds How long it lives, 60 to 86400.
   * @throws {TypeError} if the part is not mounted, or `seconds` is wrong.
   */
  serviceToken(scope: Scope, input: { seconds: number }): Promise<string>
}

const wrong = (option: string, fix: string) => new TypeError(`admin: \`${option}\` ${fix}`)

const isWhole = (value: unknown, least: number, most: number) =>
  Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most

/**
 * GoTrue's admin API: users, invitations, links, factors, the audit log. For the secret API key, or a `serviceToken`, and
 * for nobody else.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function admin(options: AdminOptions = {}): Admin {
  const { audit = { days: 90 } } = options
  if (audit !== false && !isWhole(audit?.days, 1, 3650))
    throw wrong('audit', 'must be { days } from 1 to 3650, or false')
  let mounted: Settings | undefined
  return Object.freeze({
    name: 'admin',
    faults: adminFaults,
    routes(doors) {
      if (mounted) throw wrong('with', 'must be given to one auth only')
      mounted = doors.settings
      return adminRoutes(doors, { audit: audit !== false })
    },
    async serviceToken(scope, { seconds }) {
      if (!mounted) throw wrong('with', 'must be listed in the `with` of auth first')
      if (!isWhole(seconds, 60, 86_400)) throw wrong('seconds', 'must be from 60 to 86400')
      return signServiceToken(mounted, scope, { seconds })
    },
    ...(audit === false
      ? {}
      : {
          migrations: auditMigrations,
          happened: record,
          purge: (scope: Scope) => [trimAudit(scope, audit.days)],
        }),
  } satisfies Admin)
}
