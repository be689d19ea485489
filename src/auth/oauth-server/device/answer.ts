import type { Statement } from '../../../core/database.ts'
import type { Scope } from '../../../core/scope.ts'
import { randomToken } from '../../../core/secret.ts'
import { type Budget, checkSpent, spendAll, within } from '../../budget.ts'
import { isGuestsStill, sessionOf, signInFirst } from '../../caller.ts'
import { and, condition } from '../../condition.ts'
import { authFaults } from '../../faults.ts'
import { happened } from '../../part.ts'
import type { Caller } from '../../session.ts'
import { callerStatement, checkCaller } from '../../user.ts'
import type { SessionRow } from '../../wire.ts'
import { type ClientRow, type ClientShown, shownClient, wordsOf } from '../client.ts'
import { askedPairs, authTimeOf, mayAnswer } from '../decide.ts'
import type { Server } from '../settings.ts'
import { deviceFaults } from './faults.ts'
import type { DeviceSettings } from './settings.ts'
import { readUserCode, shownCode, userCodeHash } from './user-code.ts'

/** What a user is asked. All of it but their own account is what a client or a stranger's device has said. */
export interface DeviceDetails {
  /** As the device shows it: the user compares. */
  user_code: string
  client: ClientShown
  /** `dynamic` of one that has registered itself: nobody has checked who it is. */
  registration: 'dynamic' | 'manual'
  user: { id: string; email: string }
  /** By spaces. */
  scope: string
  /** Whole URLs of the resources that the tokens would be for. */
  resource: string[]
  /** Where the device is, as far as Cloudflare knows: a city and a country. */
  place: string | null
  /** Whether the device is in the network of whoever is asked. A code that somebody else has sent rarely is. */
  same_network: boolean
  /** ISO 8601; so is `expires_at`. */
  requested_at: string
  expires_at: string
}

/** A row of `leanto_auth_oauth_devices` with its client and what its user has agreed to before. */
type Standing = Pick<ClientRow, 'name' | 'uri' | 'logo_uri' | 'registration'> & {
  hash: string
  client_id: string
  scope: string
  resource: string
  network: string | null
  place: string | null
  agreed_scopes: string | null
  agreed: string | null
  created_at: number
  expires_at: number
}

interface Asking extends Caller {
  /** As it was typed. */
  readonly userCode: string
  readonly network: string | null
}

const notFound = () => deviceFaults.oauth_device_not_found()

/** The budgets of a wrong code: each network's, and each account's, wherever it is used from (RFC 8628, 5.1). */
function codeBudgets(
  { settings }: Server,
  { attempts }: DeviceSettings,
  scope: Scope,
  { userId, network }: Asking,
): Budget[] {
  const { signIns } = settings.limits
  return [
    ...(signIns && !scope.local
      ? [{ key: `auth:device:${network ?? 'unknown'}`, limit: signIns }]
      : []),
    { key: `auth:device-user:${userId}`, limit: attempts },
  ]
}

/** The session that calls, of a user who may answer. */
const answering = (scope: Scope, caller: Caller) => {
  const session = sessionOf(scope, caller)
  return condition(
    `EXISTS (SELECT 1 FROM ${session.sql} s JOIN leanto_auth_users u ON u.id = s.user_id
       WHERE coalesce(u.banned_until, 0) <= ? AND u.deleted_at IS NULL AND u.is_anonymous = 0)`,
    ...session.values,
    scope.now(),
  )
}

/** What waits for the caller's session, and for no other, by the code that it has claimed. */
function lookAt(scope: Scope, { userId, sessionId }: Caller, userCode: string): Statement {
  return scope.db
    .prepare(
      `SELECT d.hash, d.client_id, d.scope, d.resource, d.network, d.place, d.created_at,
         d.expires_at, c.name, c.uri, c.logo_uri, c.registration, n.scopes AS agreed_scopes, n.agreed
       FROM leanto_auth_oauth_devices d
       JOIN leanto_auth_oauth_clients c ON c.id = d.client_id
       LEFT JOIN leanto_auth_oauth_consents n ON n.user_id = d.user_id AND n.client_id = d.client_id
       WHERE d.user_code = ? AND d.claimed_by = ? AND d.user_id = ? AND d.decision IS NULL
         AND d.expires_at > ?`,
    )
    .bind(userCode, sessionId, userId, scope.now())
}

/**
 * Claims what a code stands for: from then on it waits for this session alone (case 28), and no other may look at it. One
 * trip. A right code spends no attempt.
 *
 * @throws {Fault} `oauth_device_not_found` (404), `validation_failed` (400), `rate_limited` (429), `reauthentication_needed` for
 * a guest, and what `getUser` throws.
 */
export async function claimDevice(
  server: Server,
  devices: DeviceSettings,
  scope: Scope,
  input: Asking,
): Promise<DeviceDetails> {
  const { settings } = server
  const { userId, sessionId, network } = input
  const code = readUserCode(input.userCode)
  if (code === null)
    throw authFaults.validation_failed({ message: 'A code has 8 letters, such as WDJB-MJHT' })
  const hashed = await userCodeHash(scope, code)
  const budgets = codeBudgets(server, devices, scope, input)
  const allowed = answering(scope, input)
  const may = and(allowed, ...budgets.map(within))
  const now = scope.now()
  const claim = scope.db
    .prepare(
      `UPDATE leanto_auth_oauth_devices SET claimed_by = ?, user_id = ?
       WHERE user_code = ? AND decision IS NULL AND expires_at > ?
         AND coalesce(claimed_by, ?) = ? AND coalesce(user_id, ?) = ? AND ${may.sql}`,
    )
    .bind(...[sessionId, userId, hashed, now, sessionId, sessionId, userId, userId], ...may.values)
  // Past a budget nothing is given back: those after it were not spent, and would be filled up by a code of one's own.
  const inside = and(...budgets.map(within))
  const honest = budgets.map(({ key }) =>
    scope.db
      .prepare(
        `UPDATE leanto_core_limits SET spent = spent - 1
         WHERE key = ? AND spent > 0 AND ${inside.sql} AND EXISTS (
           SELECT 1 FROM leanto_auth_oauth_devices WHERE user_code = ? AND claimed_by = ?
             AND decision IS NULL AND expires_at > ?)`,
      )
      .bind(key, ...inside.values, hashed, sessionId, now),
  )
  const results = await scope.db.batch([
    ...spendAll(scope, budgets),
    claim,
    callerStatement(settings, scope, input),
    lookAt(scope, input, hashed),
    ...honest,
  ])
  const [user, found] = results.slice(budgets.length + 1)
  const row = checkAnswering(scope, user?.results[0])
  checkSpent(scope, budgets, results)
  const standing = found?.results[0] as Standing | undefined
  if (!standing) throw notFound()
  await mayAnswer(settings, scope, row, standing)
  return detailsOf(row, standing, { code, network })
}

/** An account that is only a guest's session is nobody's to vouch for. @throws {Fault} */
function checkAnswering(scope: Scope, read: unknown): SessionRow {
  const row = checkCaller(scope, read)
  if (row.is_anonymous === 1 || isGuestsStill(row)) throw signInFirst()
  return row
}

function detailsOf(
  row: SessionRow,
  standing: Standing,
  { code, network }: { code: string; network: string | null },
): DeviceDetails {
  return {
    user_code: shownCode(code),
    client: shownClient({ ...standing, id: standing.client_id }),
    registration: standing.registration,
    user: { id: row.id, email: row.email ?? '' },
    scope: standing.scope,
    resource: JSON.parse(standing.resource) as string[],
    place: standing.place,
    same_network: network !== null && standing.network === network,
    requested_at: new Date(standing.created_at).toISOString(),
    expires_at: new Date(standing.expires_at).toISOString(),
  }
}

/**
 * The user's answer, by the session that has claimed the code (case 28); of many answers the first counts. Two trips.
 *
 * @throws {Fault} `oauth_device_not_found` (404), and what `getUser` throws.
 */
export async function answerDevice(
  server: Server,
  scope: Scope,
  input: Asking & { readonly approved: boolean },
): Promise<{ client: ClientShown }> {
  const { settings } = server
  const { userId, sessionId, approved } = input
  const code = readUserCode(input.userCode)
  if (code === null) throw notFound()
  const hashed = await userCodeHash(scope, code)
  const [user, found] = await scope.db.batch([
    callerStatement(settings, scope, input),
    lookAt(scope, input, hashed),
  ])
  const row = checkAnswering(scope, user?.results[0])
  const standing = found?.results[0] as Standing | undefined
  if (!standing) throw notFound()
  await mayAnswer(settings, scope, row, standing)
  const mark = randomToken(16)
  const session = sessionOf(scope, input)
  const allowed = answering(scope, input)
  const decide = scope.db
    .prepare(
      `UPDATE leanto_auth_oauth_devices AS d SET decision = ?, mark = ?, approved_in = ?,
         aal = s.aal, amr = s.amr, auth_time = ?,
         factor_id = (SELECT f.factor_id FROM leanto_auth_sessions f WHERE f.id = s.id)
       FROM ${session.sql} s
       WHERE d.hash = ? AND d.claimed_by = ? AND d.user_id = ? AND d.decision IS NULL
         AND d.expires_at > ? AND ${allowed.sql} RETURNING hash`,
    )
    .bind(
      ...[approved ? 'approved' : 'denied', mark, input.elsewhere ? null : sessionId],
      ...[authTimeOf(row), ...session.values],
      ...[standing.hash, sessionId, userId, scope.now(), ...allowed.values],
    )
  const statements = approved ? [decide, agree(scope, standing, mark)] : [decide]
  const [decided] = await scope.db.batch(statements)
  if (decided?.results.length !== 1) throw notFound()
  const action = approved ? 'oauth_consent_granted' : 'oauth_consent_denied'
  const data = { client_id: standing.client_id, scope: standing.scope }
  happened(settings, scope, { action, userId, network: input.network, data })
  return { client: shownClient({ ...standing, id: standing.client_id }) }
}

/** Remembers what was agreed to, beside what had been before: by that its user finds it, and takes it back. */
function agree(scope: Scope, standing: Standing, mark: string): Statement {
  const listIn = (json: string | null) => (json === null ? [] : (JSON.parse(json) as string[]))
  const scopes = [...new Set([...listIn(standing.agreed_scopes), ...wordsOf(standing.scope)])]
  const agreed = [...new Set([...listIn(standing.agreed), ...askedPairs(standing)])]
  return scope.db
    .prepare(
      `INSERT INTO leanto_auth_oauth_consents
         (user_id, client_id, scopes, agreed, granted_at, updated_at)
       SELECT d.user_id, d.client_id, ?1, ?2, ?3, ?3 FROM leanto_auth_oauth_devices d
       WHERE d.hash = ?4 AND d.mark = ?5
       ON CONFLICT (user_id, client_id) DO UPDATE SET
         scopes = excluded.scopes, agreed = excluded.agreed, updated_at = excluded.updated_at`,
    )
    .bind(JSON.stringify(scopes), JSON.stringify(agreed), scope.now(), standing.hash, mark)
}
