import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { checkSpent, flowBudgets, spendAll, within } from '../budget.ts'
import { and, byId, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { happened } from '../part.ts'
import { answerSession, startSession } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { Origin } from '../sign-up.ts'
import type { Session, UserRow } from '../wire.ts'
import { checkAssertion } from './ceremony.ts'
import { checkChallenge, newChallenge, takeChallenge } from './challenge.ts'
import { readAssertion } from './credential.ts'
import { passkeyFaults } from './faults.ts'
import { requestOptions } from './options.ts'
import { type PasskeyRow, userHandleOf } from './passkey.ts'
import { type PasskeySettings, relyingParty } from './relying-party.ts'

/**
 * What a browser asks for a passkey by; whose, the user picks there. One trip.
 *
 * @throws {Fault} `rate_limited`.
 */
export const startSignIn =
  (settings: Settings, passkeys: PasskeySettings) =>
  async (scope: Scope, { network }: { network?: string | null | undefined }) => {
    const party = relyingParty(settings, passkeys, scope)
    const budgets = flowBudgets(settings, scope, network)
    const { id, challenge, expiresAt, insert } = await newChallenge(scope, {
      kind: 'passkey',
      guard: and(...budgets.map(within)),
    })
    const results = await scope.db.batch([...spendAll(scope, budgets), insert])
    checkSpent(scope, budgets, results)
    const { userVerification } = passkeys
    return {
      challenge_id: id,
      options: requestOptions(party, { challenge, allow: [], userVerification }),
      expires_at: expiresAt,
    }
  }

export interface VerifySignIn extends Origin {
  challengeId: string
  /** A browser's `PublicKeyCredential`, as JSON. */
  credential: unknown
}

type Found = PasskeyRow &
  Pick<UserRow, 'email' | 'email_confirmed_at' | 'phone' | 'phone_confirmed_at' | 'banned_until'>

/**
 * Signs in by a passkey. Two trips; the second only if it holds.
 *
 * @throws {Fault} `webauthn_challenge_not_found`, `webauthn_challenge_expired`, `webauthn_credential_not_found`,
 * `webauthn_verification_failed`; and to whoever has the passkey `user_banned`, `email_not_confirmed`,
 * `phone_not_confirmed` (403 each).
 */
export const verifySignIn =
  (settings: Settings, passkeys: PasskeySettings) =>
  async (scope: Scope, input: VerifySignIn): Promise<Session> => {
    const party = relyingParty(settings, passkeys, scope)
    const { network, client } = input
    const response = readAssertion(input.credential)
    if (!response) throw passkeyFaults.webauthn_verification_failed()
    const [taken, looked] = await settings.keys.batch(scope, [
      await takeChallenge(scope, { id: input.challengeId, kind: 'passkey' }),
      select(scope, response.id),
    ])
    const challenge = checkChallenge(scope, taken?.results[0], null)
    const found = looked?.results[0] as unknown as Found | undefined
    if (!found) throw passkeyFaults.webauthn_credential_not_found()
    const { id, user_id: userId } = found
    const failed = () => {
      const data = { passkey_id: id }
      happened(settings, scope, { action: 'login_failed', userId, network, data })
      return passkeyFaults.webauthn_verification_failed()
    }
    // Asked of nobody in particular, an authenticator says whose the passkey is (7.2, step 6).
    if (response.userHandle !== userHandleOf(userId)) throw failed()
    const asserted = await checkAssertion(
      response,
      { ...party, challenge, userVerification: passkeys.userVerification === 'required' },
      {
        publicKey: found.public_key,
        counter: found.counter,
        backupEligible: found.backup_eligible === 1,
      },
    )
    if (!asserted) throw failed()
    checkUser(scope, found)

    const { counter, backedUp } = asserted
    const counts = condition('(counter < ? OR (counter = 0 AND ? = 0))', counter, counter)
    const session = await startSession(settings, scope, {
      user: and(
        byId(userId),
        condition(
          `(u.email IS NULL OR u.email_confirmed_at IS NOT NULL)
           AND (u.phone IS NULL OR u.phone_confirmed_at IS NOT NULL)`,
        ),
        condition(
          `EXISTS (SELECT 1 FROM leanto_auth_passkeys
             WHERE id = ? AND user_id = u.id AND ${counts.sql})`,
          id,
          ...counts.values,
        ),
      ),
      method: 'passkey',
      client,
    })
    const use = scope.db
      .prepare(
        `UPDATE leanto_auth_passkeys SET counter = ?, backed_up = ?, last_used_at = ?
         WHERE id = ? AND EXISTS (SELECT 1 FROM leanto_auth_sessions WHERE id = ?)`,
      )
      .bind(counter, Number(backedUp), scope.now(), id, session.id)
    const results = await scope.db.batch([...session.statements, use])
    const read = results[session.statements.length - 1]
    // Taken away since, or used in parallel by a copy of itself: the count has gone on.
    if (read?.results.length !== 1) throw failed()
    const data = { passkey_id: id }
    happened(settings, scope, { action: 'login', userId, network, data })
    return answerSession(settings, scope, session, read)
  }

const select = (scope: Scope, credentialId: string): Statement =>
  scope.db
    .prepare(
      `SELECT p.*, u.email, u.email_confirmed_at, u.phone, u.phone_confirmed_at, u.banned_until
       FROM leanto_auth_passkeys p JOIN leanto_auth_users u ON u.id = p.user_id
       WHERE p.credential_id = ? AND u.deleted_at IS NULL`,
    )
    .bind(credentialId)

function checkUser(scope: Scope, user: Found): void {
  const status = 403
  if (user.email !== null && user.email_confirmed_at === null)
    throw authFaults.email_not_confirmed({ status })
  if (user.phone !== null && user.phone_confirmed_at === null)
    throw authFaults.phone_not_confirmed({ status })
  if ((user.banned_until ?? 0) > scope.now()) throw authFaults.user_banned({ status })
}
