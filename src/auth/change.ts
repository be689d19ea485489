import type { Statement } from '../core/database.ts'
import { uuidv7 } from '../core/id.ts'
import type { Scope } from '../core/scope.ts'
import type { TakenCode } from './codes.ts'
import { and, type Condition, condition } from './condition.ts'
import { endElsewhere } from './part.ts'
import type { Settings } from './settings.ts'

interface Effect {
  statements: readonly Statement[]
  user: Condition
}

/*
 * A change of address. Its token is bound to the user and to both addresses (case 9), and another user's *proven* address is
 * never taken; one that somebody merely signed up with yields to whoever shows the mailbox.
 */

export const emailChangeGuard: Condition = condition(
  `EXISTS (SELECT 1 FROM leanto_auth_users u WHERE u.id = t.user_id
     AND u.email IS t.data ->> '$.from' AND u.email_change = t.data ->> '$.to')
   AND NOT EXISTS (SELECT 1 FROM leanto_auth_users o WHERE o.email = t.data ->> '$.to'
     AND o.id <> t.user_id AND o.email_confirmed_at IS NOT NULL)`,
)

export const phoneChangeGuard: Condition = condition(
  `EXISTS (SELECT 1 FROM leanto_auth_users u WHERE u.id = t.user_id AND u.phone_change = t.target)
   AND NOT EXISTS (SELECT 1 FROM leanto_auth_users o WHERE o.phone = t.target
     AND o.id <> t.user_id AND o.phone_confirmed_at IS NOT NULL)`,
)

const half = `CASE t.kind WHEN 'email_change_new' THEN 'new' ELSE 'current' END`

/**
 * The address changes once both mailboxes have agreed; at once if there was no proven one before, where the new one alone
 * is to agree.
 */
export function changeEmail(settings: Settings, scope: Scope, taken: TakenCode): Effect {
  const { token, user } = taken
  const of = (column: string) => `(SELECT ${column} FROM leanto_auth_tokens t WHERE ${token.sql})`
  // Halves are equal if one mailbox agrees twice.
  const ready = and(
    user,
    condition(
      `(u.email_confirmed_at IS NULL AND ${of(half)} = 'new')
       OR (u.email_change_half IS NOT NULL AND u.email_change_half <> ${of(half)})`,
      ...token.values,
      ...token.values,
    ),
  )
  const applied = and(
    user,
    condition(`u.email_change IS NULL AND u.email = ${of(`t.data ->> '$.to'`)}`, ...token.values),
  )
  const mark = scope.db
    .prepare(
      `UPDATE leanto_auth_users AS u SET email_change_half = ${of(half)}
       WHERE (${user.sql}) AND u.email_change IS NOT NULL`,
    )
    .bind(...token.values, ...user.values)
  return { user: applied, statements: [...apply(settings, scope, 'email', ready, applied), mark] }
}

export function changePhone(settings: Settings, scope: Scope, { user }: TakenCode): Effect {
  const ready = and(user, condition('u.phone_change IS NOT NULL'))
  const applied = and(user, condition('u.phone_change IS NULL'))
  return { user: applied, statements: apply(settings, scope, 'phone', ready, applied) }
}

/** Moves the pending address into its place, for the user `u` that `ready` selects. */
function apply(
  settings: Settings,
  scope: Scope,
  type: 'email' | 'phone',
  ready: Condition,
  applied: Condition,
): readonly Statement[] {
  const now = scope.now()
  const pending = `(SELECT u.${type}_change FROM leanto_auth_users u WHERE ${ready.sql})`
  const statement = (sql: string, ...values: unknown[]) => scope.db.prepare(sql).bind(...values)
  return [
    // Whoever merely claimed the address keeps their account without it, and without what the claim came with.
    statement(
      `DELETE FROM leanto_auth_identities WHERE provider = '${type}' AND user_id = (
         SELECT o.id FROM leanto_auth_users o
         WHERE o.${type} = ${pending} AND o.${type}_confirmed_at IS NULL)`,
      ...ready.values,
    ),
    statement(
      `UPDATE leanto_auth_users SET ${type} = NULL, password = NULL
       WHERE ${type} = ${pending} AND ${type}_confirmed_at IS NULL`,
      ...ready.values,
    ),
    // Whoever planted an anonymous session in someone's browser must not share the account that they make of it (case 16).
    statement(
      `DELETE FROM leanto_auth_sessions WHERE user_id = (
         SELECT u.id FROM leanto_auth_users u WHERE (${ready.sql}) AND u.is_anonymous = 1)`,
      ...ready.values,
    ),
    ...endElsewhere(settings, scope, { user: and(ready, condition('u.is_anonymous = 1')) }),
    statement(
      `UPDATE leanto_auth_users AS u SET ${type} = ${type}_change, ${type}_confirmed_at = ?,
         ${type}_change = NULL, ${type === 'email' ? 'email_change_half = NULL,' : ''}
         app_metadata = CASE WHEN u.is_anonymous = 1 THEN json_set(u.app_metadata,
           '$.provider', '${type}', '$.providers', json_array('${type}')) ELSE u.app_metadata END,
         is_anonymous = 0, updated_at = ?
       WHERE ${ready.sql}`,
      now,
      now,
      ...ready.values,
    ),
    addIdentity(scope, type, applied),
  ]
}

/** Adds the identity of an address to the user `u`, if they have none of its type. */
export const addIdentity = (scope: Scope, type: 'email' | 'phone', user: Condition): Statement =>
  scope.db
    .prepare(
      `INSERT INTO leanto_auth_identities
         (id, provider, subject, user_id, email, data, last_sign_in_at, created_at, updated_at)
       SELECT ?, ?, u.id, u.id, ${type === 'email' ? 'u.email' : 'NULL'}, '{}', ?, ?, ?
       FROM leanto_auth_users u WHERE ${user.sql} ON CONFLICT (provider, subject) DO NOTHING`,
    )
    .bind(uuidv7(scope.now()), type, scope.now(), scope.now(), scope.now(), ...user.values)
