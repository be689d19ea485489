import type { Principal } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import { type Condition, condition } from './condition.ts'
import { authFaults } from './faults.ts'
import type { Caller } from './session.ts'
import type { Amr, SessionRow } from './wire.ts'

/** What a trusted token says of the session that it is of. */
export interface Elsewhere {
  /** JSON list of `Amr`. */
  readonly amr: string
  /** When its user signed in there, Unix time in milliseconds; 0 if it does not say. */
  readonly since: number
}

/** Milliseconds in which a session is young enough to choose a new password without a code. */
export const recent = 86_400_000

/** When a session elsewhere began, as one of ours remembers it; not young if its token does not say. */
export const beganAt = (scope: Scope, { since }: Pick<Elsewhere, 'since'>): number =>
  since > 0 ? Math.min(since, scope.now()) : scope.now() - recent

/** What a token says of how sure it is of its user; a word that we do not know is the least. */
export const aalOf = ({ claims }: Principal): string => (claims.aal === 'aal2' ? 'aal2' : 'aal1')

/**
 * The caller's session, in parentheses, for `FROM`: one row of `id, user_id, created_at, not_after, aal, amr`, and none once
 * it has ended. A session elsewhere is what its token says, unless it has ended here.
 *
 * No row says more than the caller's token: one that was minted before the second factor was shown stays aal1 (case 16).
 */
export function sessionOf(scope: Scope, caller: Caller): Condition {
  const { userId, sessionId, aal = 'aal2', elsewhere } = caller
  const now = scope.now()
  if (!elsewhere)
    return condition(
      `(SELECT id, user_id, created_at, not_after, min(aal, ?) AS aal, amr
        FROM leanto_auth_sessions WHERE id = ? AND user_id = ? AND coalesce(not_after, ?) > ?)`,
      aal,
      sessionId,
      userId,
      now + 1,
      now,
    )
  const ended = endedHere(condition('u.id'), {
    sessionId: condition('?', sessionId),
    aal: condition('?', aal),
    since: condition('?', elsewhere.since),
  })
  return condition(
    `(SELECT ? AS id, u.id AS user_id, ? AS created_at, NULL AS not_after, ? AS aal, ? AS amr
      FROM leanto_auth_users u WHERE u.id = ? AND NOT ${ended.sql})`,
    sessionId,
    beganAt(scope, elsewhere),
    aal,
    elsewhere.amr,
    userId,
    ...ended.values,
  )
}

/** That a session elsewhere has ended here since its user signed in there. The table is that of the part `trust`. */
export const endedHere = (
  userId: Condition,
  { sessionId, aal, since }: Readonly<Record<'sessionId' | 'aal' | 'since', Condition>>,
): Condition =>
  condition(
    `EXISTS (SELECT 1 FROM leanto_auth_endings e WHERE e.user_id = ${userId.sql}
       AND e.which IN ('', ${aal.sql}, ${sessionId.sql}) AND e.at >= ${since.sql}
       AND e.spared IS NOT ${sessionId.sql})`,
    ...[userId, aal, sessionId, since, sessionId].flatMap(({ values }) => values),
  )

/*
 * A guest who becomes a user by `PUT /user` keeps the session: the answer is a user, so a client goes on with the tokens that
 * it has. Whoever planted that session in someone's browser has them too, and no server can tell the two apart. So a session
 * that has shown nothing but being a guest may do what a guest may, and not change what the account is signed in to by
 * (case 16). Every other upgrade ends the guest's sessions and gives a new one.
 */

/** The same of the session `s`, in SQL. */
const shownMore = `(s.amr = '[]' OR EXISTS (
  SELECT 1 FROM json_each(s.amr) m WHERE m.value ->> 'method' <> 'anonymous'))`

/** Whether the account is more than its session: only ever a guest's, and the user is none any more. */
export const isGuestsStill = ({
  is_anonymous,
  amr,
}: Pick<SessionRow, 'is_anonymous' | 'amr'>): boolean => {
  const shown = JSON.parse(amr) as Amr[]
  return (
    is_anonymous === 0 && shown.length > 0 && shown.every(({ method }) => method === 'anonymous')
  )
}

/** That the caller's session goes on, and may change what its user `u` signs in by. */
export const mayChange = (scope: Scope, caller: Caller): Condition => {
  const session = sessionOf(scope, caller)
  return condition(
    `EXISTS (SELECT 1 FROM ${session.sql} s
       WHERE s.user_id = u.id AND (u.is_anonymous = 1 OR ${shownMore}))`,
    ...session.values,
  )
}

export const signInFirst = () =>
  authFaults.reauthentication_needed({
    message: 'This session began as a guest’s: sign in to the account first',
  })
