import type { QueryResult } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { isGuestsStill, sessionOf, signInFirst } from './caller.ts'
import { authFaults } from './faults.ts'
import { sendMail } from './mails.ts'
import { happened } from './part.ts'
import type { Caller } from './session.ts'
import type { Settings } from './settings.ts'
import { callerStatement, checkCaller } from './user.ts'
import type { IdentityRow, SessionRow } from './wire.ts'

/**
 * The caller, if they may change how they sign in: what adds or takes a way in must be asked for as surely as a new
 * password (ASVS 5.0, 6.3.4). One trip.
 *
 * @param identity The provider's name, or the identity's id.
 * @throws {Fault} What `getUser` throws, `insufficient_aal`, `reauthentication_needed`.
 */
export async function mayChangeIdentities(
  settings: Settings,
  scope: Scope,
  caller: Caller,
  identity: string,
): Promise<SessionRow> {
  const row = checkCaller(scope, await callerStatement(settings, scope, caller).first())
  if (isGuestsStill(row)) throw signInFirst()
  for (const { beforeUpdate } of settings.parts)
    beforeUpdate?.(row as never, { identity }, { aal: row.aal })
  return row
}

export interface UnlinkIdentity extends Caller {
  identityId: string
  network?: string | null
}

/**
 * Takes a way to sign in from the caller's user; never the last one, whatever runs in parallel. Two trips.
 *
 * Without its identity an address goes too, unless a provider that is still linked vouches for it, and with the `email`
 * identity the password.
 *
 * @throws {Fault} What `getUser` throws, `identity_not_found`, `single_identity_not_deletable`,
 * `email_conflict_identity_not_deletable`.
 */
export const unlinkIdentity =
  (settings: Settings) =>
  async (scope: Scope, input: UnlinkIdentity): Promise<void> => {
    const { userId, identityId, network } = input
    const row = await mayChangeIdentities(settings, scope, input, identityId)
    const now = scope.now()
    const session = sessionOf(scope, input)
    // The same for both statements: theirs, not the last, and asked for by a session that has not ended.
    const allowed = `EXISTS (SELECT 1 FROM leanto_auth_identities WHERE id = ?2 AND user_id = ?1)
      AND (SELECT count(*) FROM leanto_auth_identities WHERE user_id = ?1) > 1
      AND EXISTS (SELECT 1 FROM ${session.sql})`
    const run = (sql: string, ...values: unknown[]) =>
      scope.db.prepare(sql).bind(userId, identityId, ...values, ...session.values)
    const remaining =
      'leanto_auth_identities i WHERE i.user_id = leanto_auth_users.id AND i.id <> ?2'
    const vouched = `FROM ${remaining} AND i.email IS NOT NULL AND i.data ->> '$.email_verified' = 1
      ORDER BY i.email = leanto_auth_users.email DESC, i.created_at LIMIT 1`
    const has = (provider: string) =>
      `EXISTS (SELECT 1 FROM ${remaining} AND i.provider = '${provider}')`
    let results: QueryResult[]
    try {
      results = await scope.db.batch([
        run(
          `UPDATE leanto_auth_users SET
             email_confirmed_at = CASE
               WHEN ${has('email')} THEN email_confirmed_at
               WHEN EXISTS (SELECT 1 ${vouched}) THEN coalesce(email_confirmed_at, ?3) END,
             email = CASE WHEN ${has('email')} THEN email ELSE (SELECT i.email ${vouched}) END,
             password = CASE WHEN ${has('email')} OR ${has('phone')} THEN password END,
             phone_confirmed_at = CASE WHEN ${has('phone')} THEN phone_confirmed_at END,
             phone = CASE WHEN ${has('phone')} THEN phone END,
             app_metadata = json_set(app_metadata,
               '$.provider', (SELECT i.provider FROM ${remaining} ORDER BY i.created_at LIMIT 1),
               '$.providers', json((SELECT json_group_array(provider) FROM (
                 SELECT i.provider, min(i.created_at) AS since FROM ${remaining}
                 GROUP BY i.provider ORDER BY since)))),
             updated_at = ?3
           WHERE id = ?1 AND ${allowed}`,
          now,
        ),
        run(
          `DELETE FROM leanto_auth_identities
           WHERE id = ?2 AND user_id = ?1 AND ${allowed} RETURNING provider`,
        ),
      ])
    } catch (cause) {
      if (!/UNIQUE/.test(String(cause))) throw cause
      throw authFaults.email_conflict_identity_not_deletable({ cause })
    }
    const provider = results[1]?.results[0]?.provider
    if (typeof provider !== 'string') {
      const own = (JSON.parse(row.identities) as IdentityRow[]).some(({ id }) => id === identityId)
      throw own ? authFaults.single_identity_not_deletable() : authFaults.identity_not_found()
    }
    const action = 'identity_unlinked'
    happened(settings, scope, { action, userId, network, data: { provider } })
    if (row.email && row.email_confirmed_at !== null)
      sendMail(settings, scope, action, { email: row.email, subject: provider })
  }
