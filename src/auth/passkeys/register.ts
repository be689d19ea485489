import type { Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { checkSpent, flowBudgets, giveBack, spendAll, within } from '../budget.ts'
import { isGuestsStill, mayChange, signInFirst } from '../caller.ts'
import { and, byId, type Condition, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { sendMail } from '../mails.ts'
import { happened } from '../part.ts'
import type { Caller } from '../session.ts'
import type { Settings } from '../settings.ts'
import { callerStatement, checkCaller } from '../user.ts'
import type { SessionRow } from '../wire.ts'
import { checkRegistration, type Registered } from './ceremony.ts'
import { checkChallenge, newChallenge, takeChallenge } from './challenge.ts'
import { readRegistration } from './credential.ts'
import { passkeyFaults } from './faults.ts'
import { creationOptions } from './options.ts'
import { descriptorOf, type Passkey, type PasskeyRow, toPasskey } from './passkey.ts'
import { type PasskeySettings, relyingParty } from './relying-party.ts'

/**
 * The caller, if they may add or take away a way to sign in: as surely as a password is changed.
 *
 * @throws {Fault} What `getUser` throws, `no_authorization` (403) of a guest, `reauthentication_needed`,
 * `insufficient_aal`.
 */
export function checkKeeper(settings: Settings, scope: Scope, read: unknown): SessionRow {
  const row = checkCaller(scope, read)
  if (row.is_anonymous === 1)
    throw authFaults.no_authorization({
      status: 403,
      message: 'Anonymous user not allowed to perform these actions',
    })
  if (isGuestsStill(row)) throw signInFirst()
  for (const { beforeUpdate } of settings.parts)
    beforeUpdate?.(row as never, { passkey: true }, { aal: row.aal })
  return row
}

/** That what `checkKeeper` has seen still holds, as a condition of a write: a second factor ends the session. */
export const isKeeper = (scope: Scope, caller: Caller): Condition =>
  and(
    byId(caller.userId),
    condition(
      'u.deleted_at IS NULL AND u.is_anonymous = 0 AND coalesce(u.banned_until, 0) <= ?',
      scope.now(),
    ),
    mayChange(scope, caller),
  )

const selectAll = (scope: Scope, userId: string): Statement =>
  scope.db
    .prepare(
      'SELECT credential_id, transports FROM leanto_auth_passkeys WHERE user_id = ? ORDER BY id',
    )
    .bind(userId)

export type StartRegistration = Caller & { network?: string | null | undefined }

/**
 * What a browser makes a passkey by. One trip.
 *
 * @throws {Fault} `too_many_passkeys`, `rate_limited`, and what `checkKeeper` throws.
 */
export const startRegistration =
  (settings: Settings, passkeys: PasskeySettings) =>
  async (scope: Scope, input: StartRegistration) => {
    const party = relyingParty(settings, passkeys, scope)
    const { userId, sessionId } = input
    const budgets = flowBudgets(settings, scope, input.network)
    const may = isKeeper(scope, input)
    const { id, challenge, expiresAt, insert } = await newChallenge(scope, {
      kind: 'new-passkey',
      userId,
      sessionId,
      guard: and(
        condition(`EXISTS (SELECT 1 FROM leanto_auth_users u WHERE ${may.sql})`, ...may.values),
        ...budgets.map(within),
      ),
    })
    const results = await scope.db.batch([
      ...spendAll(scope, budgets),
      callerStatement(settings, scope, input),
      selectAll(scope, userId),
      insert,
    ])
    checkSpent(scope, budgets, results)
    try {
      const [caller, mine] = results.slice(budgets.length)
      const row = checkKeeper(settings, scope, caller?.results[0])
      const existing = (mine?.results ?? []) as unknown as PasskeyRow[]
      if (existing.length >= passkeys.maxPasskeys) throw passkeyFaults.too_many_passkeys()
      return {
        challenge_id: id,
        options: creationOptions(party, {
          challenge,
          user: { id: userId, name: row.email ?? row.phone ?? userId },
          exclude: existing.map(descriptorOf),
          discoverable: true,
          userVerification: passkeys.userVerification,
        }),
        expires_at: expiresAt,
      }
    } catch (error) {
      giveBack(scope, budgets, error)
      throw error
    }
  }

export interface VerifyRegistration extends Caller {
  challengeId: string
  /** A browser's `PublicKeyCredential`, as JSON. */
  credential: unknown
  network?: string | null | undefined
}

/**
 * Stores a passkey that a browser has made for the caller. Two trips; the second only if it holds.
 *
 * @throws {Fault} `webauthn_challenge_not_found`, `webauthn_challenge_expired`, `webauthn_verification_failed`,
 * `webauthn_credential_exists`, `too_many_passkeys`, and what `checkKeeper` throws.
 */
export const verifyRegistration =
  (settings: Settings, passkeys: PasskeySettings) =>
  async (scope: Scope, input: VerifyRegistration): Promise<Passkey> => {
    const party = relyingParty(settings, passkeys, scope)
    const { userId, sessionId, challengeId: id, network } = input
    const response = readRegistration(input.credential)
    if (!response) throw passkeyFaults.webauthn_verification_failed()
    const [taken, caller] = await scope.db.batch([
      await takeChallenge(scope, { id, kind: 'new-passkey', userId }),
      callerStatement(settings, scope, input),
    ])
    const row = checkKeeper(settings, scope, caller?.results[0])
    const challenge = checkChallenge(scope, taken?.results[0], sessionId)
    const userVerification = passkeys.userVerification === 'required'
    const made = await checkRegistration(response, { ...party, challenge, userVerification })
    if (!made) throw passkeyFaults.webauthn_verification_failed()
    const passkey = await store(scope, { caller: input, made, most: passkeys.maxPasskeys })
    const data = { passkey_id: passkey.id }
    happened(settings, scope, { action: 'passkey_created', userId, network, data })
    if (row.email && row.email_confirmed_at !== null)
      sendMail(settings, scope, 'identity_linked', { email: row.email, subject: 'a passkey' })
    return passkey
  }

async function store(
  scope: Scope,
  { caller, made, most }: { caller: Caller; made: Registered; most: number },
): Promise<Passkey> {
  const now = scope.now()
  const id = uuidv7(now)
  const may = isKeeper(scope, caller)
  const insert = scope.db
    .prepare(
      `INSERT INTO leanto_auth_passkeys (id, user_id, credential_id, public_key, counter, aaguid,
         transports, backup_eligible, backed_up, name, created_at)
       SELECT ?, u.id, ?, ?, ?, ?, ?, ?, ?, '', ? FROM leanto_auth_users u
       WHERE ${may.sql} AND (SELECT count(*) FROM leanto_auth_passkeys WHERE user_id = u.id) < ?
       ON CONFLICT (credential_id) DO NOTHING RETURNING id`,
    )
    .bind(
      id,
      made.credentialId,
      made.publicKey,
      made.counter,
      made.aaguid,
      JSON.stringify(made.transports),
      Number(made.backupEligible),
      Number(made.backedUp),
      now,
      ...may.values,
      most,
    )
  const [inserted, mine, same] = await scope.db.batch([
    insert,
    scope.db
      .prepare('SELECT count(*) AS n FROM leanto_auth_passkeys WHERE user_id = ?')
      .bind(caller.userId),
    scope.db
      .prepare('SELECT 1 FROM leanto_auth_passkeys WHERE credential_id = ?')
      .bind(made.credentialId),
  ])
  if (inserted?.results.length === 1)
    return toPasskey({ id, name: '', created_at: now, last_used_at: null })
  // One key never stands for two users, nor twice for one (WebAuthn Level 3, 7.1, step 26).
  if (same?.results.length === 1) throw passkeyFaults.webauthn_credential_exists()
  if (Number(mine?.results[0]?.n) >= most) throw passkeyFaults.too_many_passkeys()
  throw authFaults.conflict()
}
