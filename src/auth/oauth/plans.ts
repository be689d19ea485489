import type { Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { and, byId, type Condition, condition } from '../condition.ts'
import { endElsewhere } from '../part.ts'
import type { Settings } from '../settings.ts'
import type { UserRow } from '../wire.ts'
import { type Person, withProfile, withProvider } from './person.ts'

/*
 * What each decision writes. Every statement asks for what the decision was made on, so that a plan that has become wrong
 * stores nothing, and `user` then selects nobody.
 */

/** Whose account a person arrives at, and what makes it so. */
export interface Plan {
  readonly what: 'signedUp' | 'signedIn' | 'linked'
  readonly userId: string
  /** They join the batch that starts the session. */
  readonly statements: readonly Statement[]
  /** Selects the user `u`, if by then the identity is theirs; else someone was faster and there is another look. */
  readonly user: Condition
  /** The proven address of an account that was there before, whose owner should hear of the link. */
  readonly notify?: string | null
}

const owned = ({ provider, subject }: Person, userId: string): Condition =>
  condition(
    `u.id = ? AND EXISTS (SELECT 1 FROM leanto_auth_identities i
       WHERE i.provider = ? AND i.subject = ? AND i.user_id = u.id)`,
    userId,
    provider,
    subject,
  )

/** Adds the identity to the user `u` that the guard selects; nobody's identity moves. */
function addIdentity(scope: Scope, person: Person, guard: Condition) {
  const now = scope.now()
  const id = uuidv7(now)
  const statement = scope.db
    .prepare(
      `INSERT INTO leanto_auth_identities
         (id, provider, subject, user_id, email, data, last_sign_in_at, created_at, updated_at)
       SELECT ?, ?, ?, u.id, ?, ?, ?, ?, ? FROM leanto_auth_users u WHERE ${guard.sql}
       ON CONFLICT (provider, subject) DO NOTHING`,
    )
    .bind(
      id,
      person.provider,
      person.subject,
      person.email,
      JSON.stringify(person.data),
      now,
      now,
      now,
      ...guard.values,
    )
  const added = condition('EXISTS (SELECT 1 FROM leanto_auth_identities WHERE id = ?)', id)
  return { statement, added }
}

/** A new user, unless the identity or the address has come to someone by then. */
export function signUp(
  scope: Scope,
  person: Person,
  before: readonly Statement[],
  guard: Condition,
): Plan {
  const now = scope.now()
  const userId = uuidv7(now)
  const { provider, subject, verified } = person
  const email = verified ? person.email : null
  const insert = scope.db
    .prepare(
      `INSERT INTO leanto_auth_users (id, email, app_metadata, user_metadata, email_confirmed_at,
         created_at, updated_at)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?6
       WHERE NOT EXISTS (SELECT 1 FROM leanto_auth_identities WHERE provider = ?7 AND subject = ?8)
         AND ${guard.sql} ON CONFLICT DO NOTHING`,
    )
    .bind(
      userId,
      email,
      withProvider('{}', provider),
      withProfile('{}', person.data),
      email === null ? null : now,
      now,
      provider,
      subject,
      ...guard.values,
    )
  const identity = addIdentity(scope, person, condition('u.id = ?', userId))
  return {
    what: 'signedUp',
    userId,
    statements: [...before, insert, identity.statement],
    user: owned(person, userId),
  }
}

export function signIn(scope: Scope, person: Person, user: UserRow): Plan {
  const now = scope.now()
  const { provider, subject, email, data } = person
  const identity = scope.db
    .prepare(
      `UPDATE leanto_auth_identities SET email = ?1, data = ?2, last_sign_in_at = ?3, updated_at = ?3
       WHERE provider = ?4 AND subject = ?5 AND user_id = ?6`,
    )
    .bind(email, JSON.stringify(data), now, provider, subject, user.id)
  const profile = scope.db
    .prepare('UPDATE leanto_auth_users SET user_metadata = ? WHERE id = ? AND user_metadata = ?')
    .bind(withProfile(user.user_metadata, data), user.id, user.user_metadata)
  return {
    what: 'signedIn',
    userId: user.id,
    statements: [identity, profile],
    user: owned(person, user.id),
  }
}

/** Ends a user's sessions, wherever they are, once the identity is added. */
const endSessions = (settings: Settings, scope: Scope, user: UserRow, added: Condition) => [
  scope.db
    .prepare(`DELETE FROM leanto_auth_sessions WHERE user_id = ? AND ${added.sql}`)
    .bind(user.id, ...added.values),
  ...endElsewhere(settings, scope, { user: and(byId(user.id), added) }),
]

/** Sets what a link changes of the user, once the identity is added. */
const setMetadata = (scope: Scope, person: Person, user: UserRow, added: Condition, set: string) =>
  scope.db
    .prepare(
      `UPDATE leanto_auth_users SET ${set} app_metadata = ?, user_metadata = ?, updated_at = ?
       WHERE id = ? AND ${added.sql}`,
    )
    .bind(
      withProvider(user.app_metadata, person.provider),
      withProfile(user.user_metadata, person.data),
      scope.now(),
      user.id,
      ...added.values,
    )

/** That the row is the one that was read, as far as the decision looked at it, and its user may sign in. */
const unchanged = (scope: Scope, user: UserRow): Condition =>
  condition(
    `u.id = ? AND u.email IS ? AND u.email_confirmed_at IS ? AND u.password IS ? AND u.phone IS ?
       AND u.app_metadata = ? AND u.user_metadata = ? AND u.is_anonymous = ?
       AND coalesce(u.banned_until, 0) <= ? AND u.deleted_at IS NULL`,
    user.id,
    user.email,
    user.email_confirmed_at,
    user.password,
    user.phone,
    user.app_metadata,
    user.user_metadata,
    user.is_anonymous,
    scope.now(),
  )

export function link(scope: Scope, person: Person, user: UserRow, guard: Condition): Plan {
  const { statement, added } = addIdentity(scope, person, and(unchanged(scope, user), guard))
  return {
    what: 'linked',
    userId: user.id,
    statements: [statement, setMetadata(scope, person, user, added, '')],
    user: owned(person, user.id),
    notify: user.email,
  }
}

/**
 * Links because the user asks for it, signed in; an anonymous one becomes a user with this address, and the guest's sessions
 * end: whoever else has one of them has no part in the account (case 16).
 */
export function linkByHand(
  settings: Settings,
  scope: Scope,
  person: Person,
  { user, guard }: { user: UserRow; guard: Condition },
): Plan {
  const { statement, added } = addIdentity(scope, person, and(unchanged(scope, user), guard))
  const statements = [statement]
  let set = ''
  if (user.is_anonymous === 1) statements.push(...endSessions(settings, scope, user, added))
  if (user.email === null) {
    if (person.verified) {
      // Taken in the meantime: the constraint on addresses rolls the whole batch back.
      const address = scope.db
        .prepare(
          `UPDATE leanto_auth_users SET email = ?, email_confirmed_at = ?
           WHERE id = ? AND email IS NULL AND ${added.sql}`,
        )
        .bind(person.email, scope.now(), user.id, ...added.values)
      statements.push(address)
    }
    set = 'is_anonymous = 0,'
  }
  statements.push(setMetadata(scope, person, user, added, set))
  return {
    what: 'linked',
    userId: user.id,
    statements,
    // By this batch: a parallel one may have added it before, and found its own way.
    user: and(owned(person, user.id), added),
    notify: user.email_confirmed_at === null ? null : user.email,
  }
}

/** The invited have come, by a provider that vouches for the mailbox. What a stranger may have prepared goes. */
export function adopt(
  settings: Settings,
  scope: Scope,
  person: Person,
  { user, guard }: { user: UserRow; guard: Condition },
): Plan {
  const { statement, added } = addIdentity(scope, person, and(unchanged(scope, user), guard))
  // An invitation's metadata is the server's; any other was written by whoever typed the address.
  const kept = user.invited_at === null ? { ...user, user_metadata: '{}' } : user
  const confirm = scope.db
    .prepare(`UPDATE leanto_auth_users SET email_confirmed_at = ? WHERE id = ? AND ${added.sql}`)
    .bind(scope.now(), user.id, ...added.values)
  const tokens = scope.db
    .prepare(`DELETE FROM leanto_auth_tokens WHERE user_id = ? AND ${added.sql}`)
    .bind(user.id, ...added.values)
  const end = [...endSessions(settings, scope, user, added), tokens]
  return {
    what: 'linked',
    userId: user.id,
    statements: [statement, confirm, setMetadata(scope, person, kept, added, ''), ...end],
    user: owned(person, user.id),
  }
}

/**
 * Takes an address from an account that never proved it: the mailbox's owner is here. Whatever else that account has stays
 * its own, and none of it becomes the owner's: not its password, its identities or its id (cases 1, 2).
 */
export function release(scope: Scope, { id, email }: UserRow, guard: Condition): Statement[] {
  const free = 'EXISTS (SELECT 1 FROM leanto_auth_users u WHERE u.id = ?1 AND u.email IS NULL)'
  const statement = (sql: string, ...values: unknown[]) => scope.db.prepare(sql).bind(id, ...values)
  return [
    statement(
      `UPDATE leanto_auth_users SET email = NULL, updated_at = ?3
       WHERE id = ?1 AND email = ?2 AND email_confirmed_at IS NULL AND ${guard.sql}`,
      email,
      scope.now(),
      ...guard.values,
    ),
    statement(
      `DELETE FROM leanto_auth_identities WHERE user_id = ?1 AND provider = 'email' AND ${free}`,
    ),
    statement(
      `DELETE FROM leanto_auth_tokens WHERE user_id = ?1 AND target = ?2 AND ${free}`,
      email,
    ),
    // Without any way left to be signed in to, it goes.
    statement(
      `DELETE FROM leanto_auth_users WHERE id = ?1 AND email IS NULL AND phone IS NULL
         AND is_anonymous = 0 AND last_sign_in_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM leanto_auth_identities i WHERE i.user_id = ?1)`,
    ),
  ]
}
