import type { QueryResult, Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { mayChange } from '../caller.ts'
import { and, type Condition, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import type { Caller } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { IdentityRow, UserRow } from '../wire.ts'
import { oauthFaults } from './faults.ts'
import type { Person } from './person.ts'
import { adopt, link, linkByHand, type Plan, release, signIn, signUp } from './plans.ts'

export interface Arriving {
  person: Person
  /** Whether the provider lets people in without a verified address. */
  emailOptional: boolean
  /** Links to this user, who asked for it. */
  caller?: Caller | undefined
  /** That the provider is open, if that may change. */
  isOpen?: Condition | undefined
}

/** Whom to look for: values, or SQL that answers them. */
export interface Sought {
  readonly provider: Condition
  readonly subject: Condition
  readonly email: Condition
  /** The id of who asked to link, and whether their session still may. */
  readonly user: Condition
  readonly may: Condition
}

const value = (of: unknown) => condition('?', of)

export const soughtOf = (scope: Scope, { person, caller }: Arriving): Sought => ({
  provider: value(person.provider),
  subject: value(person.subject),
  // Nobody is found by an address that the provider does not vouch for.
  email: value(person.verified ? person.email : null),
  user: value(caller?.userId ?? null),
  may: caller ? mayChange(scope, caller) : value(0),
})

/** What is known of a person: three statements for one trip, read by `decide`. */
export function look({ userColumns }: Settings, scope: Scope, sought: Sought): Statement[] {
  const { provider, subject, email, user, may } = sought
  const select = (sql: string, ...values: unknown[]) => scope.db.prepare(sql).bind(...values)
  return [
    select(
      `SELECT ${userColumns} FROM leanto_auth_identities o JOIN leanto_auth_users u ON u.id = o.user_id
       WHERE o.provider = ${provider.sql} AND o.subject = ${subject.sql}`,
      ...provider.values,
      ...subject.values,
    ),
    select(
      `SELECT ${userColumns} FROM leanto_auth_users u WHERE u.email = ${email.sql}`,
      ...email.values,
    ),
    select(
      `SELECT ${userColumns}, ${may.sql} AS may FROM leanto_auth_users u
       WHERE u.id = ${user.sql} AND u.deleted_at IS NULL`,
      ...may.values,
      ...user.values,
    ),
  ]
}

/** Of `look`: whose the identity is, whose the address, and who asked to link. */
export type Found = readonly [
  owner: UserRow | undefined,
  neighbour: UserRow | undefined,
  target: (UserRow & { may: number }) | undefined,
]

export const foundIn = (results: readonly QueryResult[]): Found =>
  results.slice(0, 3).map(({ results }) => results[0]) as unknown as Found

/**
 * Decides whose account it is. The key is provider and subject; an address only ever links where both sides have proven
 * it (cases 1 to 3, 6).
 *
 * @param guard What else an identity depends on, at the moment of its write.
 * @throws {Fault} `user_banned`, `identity_already_exists`, `user_not_found`, `session_not_found`, `email_exists`,
 * `user_already_exists`, `provider_email_needs_verification`, `signup_disabled`.
 */
export function decide(
  settings: Settings,
  scope: Scope,
  arriving: Arriving,
  found: Found,
  guard: Condition = arriving.isOpen ?? condition('1'),
): Plan {
  const { person, emailOptional, caller } = arriving
  if (caller) {
    const target = linkTarget(scope, arriving, found)
    return linkByHand(settings, scope, person, {
      user: target,
      guard: and(mayChange(scope, caller), guard),
    })
  }
  const [owner, neighbour] = found
  if (owner) {
    refuseBanned(scope, owner)
    return signIn(scope, person, owner)
  }
  if (neighbour) refuseBanned(scope, neighbour)
  if (neighbour && isProven(settings, neighbour)) return link(scope, person, neighbour, guard)
  if (!person.verified && !emailOptional) throw unverified(person)
  if (!settings.signUp) throw authFaults.signup_disabled()
  if (!neighbour) return signUp(scope, person, [], guard)
  if (isOpen(neighbour)) return adopt(settings, scope, person, { user: neighbour, guard })
  // Where addresses count without proof, an account may be in use: it keeps its address, and is not linked.
  if (neighbour.email_confirmed_at !== null) throw authFaults.user_already_exists()
  return signUp(scope, person, release(scope, neighbour, guard), guard)
}

/** Who an identity is linked to by hand. @throws {Fault} what stands against it. */
export function linkTarget(
  scope: Scope,
  { person, emailOptional, caller }: Arriving,
  [owner, neighbour, target]: Found,
): UserRow {
  if (owner)
    throw oauthFaults.identity_already_exists(
      owner.id === caller?.userId ? {} : { message: 'Identity is already linked to another user' },
    )
  if (!target) throw authFaults.user_not_found({ message: 'Linking target user not found' })
  refuseBanned(scope, target)
  if (target.may !== 1) throw authFaults.session_not_found()
  if (target.email === null) {
    if (!person.verified && !emailOptional && target.phone === null) throw unverified(person)
    if (neighbour) throw authFaults.email_exists()
  }
  return target
}

const unverified = ({ provider }: Person) =>
  oauthFaults.provider_email_needs_verification({
    message: `Unverified email with ${provider}. Verify the email with ${provider} in order to sign in`,
  })

function refuseBanned(scope: Scope, user: UserRow): void {
  if ((user.banned_until ?? 0) > scope.now() || user.deleted_at !== null)
    throw authFaults.user_banned({ status: 403 })
}

const identitiesOf = (user: UserRow) => JSON.parse(user.identities) as IdentityRow[]

/** Whether the account's own side has proven the address: by mail, or by a provider that vouches for it. */
const isProven = ({ autoconfirm }: Settings, user: UserRow): boolean =>
  user.email_confirmed_at !== null &&
  (!autoconfirm ||
    identitiesOf(user).some(
      ({ email, data }) => email === user.email && data.email_verified === true,
    ))

/** An account that nobody can be in yet: an invitation, or a link that was sent and not followed. */
const isOpen = (user: UserRow): boolean =>
  user.email_confirmed_at === null &&
  user.password === null &&
  user.phone === null &&
  user.last_sign_in_at === null &&
  identitiesOf(user).every(({ provider }) => provider === 'email')
