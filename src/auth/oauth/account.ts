import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { authFaults } from '../faults.ts'
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
  linkTo?: string | null
}

/** What is known of a person: three statements for one trip, read by `decide`. */
export const look = (
  { userColumns }: Settings,
  scope: Scope,
  { person, linkTo }: Arriving,
): Statement[] => [
  scope.db
    .prepare(
      `SELECT ${userColumns} FROM leanto_auth_identities o JOIN leanto_auth_users u ON u.id = o.user_id
       WHERE o.provider = ? AND o.subject = ?`,
    )
    .bind(person.provider, person.subject),
  scope.db
    .prepare(`SELECT ${userColumns} FROM leanto_auth_users u WHERE u.email = ?`)
    // Nobody is found by an address that the provider does not vouch for.
    .bind(person.verified ? person.email : null),
  scope.db
    .prepare(
      `SELECT ${userColumns} FROM leanto_auth_users u WHERE u.id = ? AND u.deleted_at IS NULL`,
    )
    .bind(linkTo ?? null),
]

type Found = readonly (UserRow | undefined)[]

/**
 * Decides whose account it is. The key is provider and subject; an address only ever links where both sides have proven
 * it (cases 1 to 3, 6).
 *
 * @throws {Fault} `user_banned`, `identity_already_exists`, `user_not_found`, `email_exists`, `user_already_exists`,
 * `provider_email_needs_verification`, `signup_disabled`.
 */
export function decide(
  settings: Settings,
  scope: Scope,
  arriving: Arriving,
  [owner, neighbour, target]: Found,
): Plan {
  const { person, emailOptional, linkTo } = arriving
  if (linkTo) {
    if (owner)
      throw oauthFaults.identity_already_exists(
        owner.id === linkTo ? {} : { message: 'Identity is already linked to another user' },
      )
    if (!target) throw authFaults.user_not_found({ message: 'Linking target user not found' })
    refuseBanned(scope, target)
    if (target.email === null) {
      if (!person.verified && !emailOptional && target.phone === null) throw unverified(person)
      if (neighbour) throw authFaults.email_exists()
    }
    return linkByHand(scope, person, target)
  }
  if (owner) {
    refuseBanned(scope, owner)
    return signIn(scope, person, owner)
  }
  if (neighbour) refuseBanned(scope, neighbour)
  if (neighbour && isProven(settings, neighbour)) return link(scope, person, neighbour)
  if (!person.verified && !emailOptional) throw unverified(person)
  if (!settings.signUp) throw authFaults.signup_disabled()
  if (!neighbour) return signUp(scope, person, [])
  if (isOpen(neighbour)) return adopt(scope, person, neighbour)
  // Where addresses count without proof, an account may be in use: it keeps its address, and is not linked.
  if (neighbour.email_confirmed_at !== null) throw authFaults.user_already_exists()
  return signUp(scope, person, release(scope, neighbour))
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
