import type { QueryResult, Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { isGuestsStill, sessionOf, signInFirst } from '../caller.ts'
import { authFaults } from '../faults.ts'
import { happened } from '../part.ts'
import type { Caller } from '../session.ts'
import type { Settings } from '../settings.ts'
import { callerStatement, checkCaller } from '../user.ts'
import type { Amr, SessionRow } from '../wire.ts'
import { type ClientRow, type ClientShown, isPublic, shownClient, wordsOf } from './client.ts'
import { oauthServerFaults } from './faults.ts'
import type { PendingRow } from './pending.ts'
import { withAnswer } from './redirect-uri.ts'
import type { Server } from './settings.ts'

/** What a user is asked, as GoTrue shows it. */
export interface AuthorizationDetails {
  authorization_id: string
  redirect_uri: string
  client: ClientShown
  user: { id: string; email: string }
  scope: string
}

/** Where the browser goes, as the answer was given. */
export interface Answered {
  redirect_url: string
}

/** A request that waits for this user, with its client and what they have agreed to before. */
interface Standing
  extends PendingRow,
    Pick<ClientRow, 'name' | 'uri' | 'logo_uri' | 'auth_method' | 'registration'> {
  agreed_scopes: string | null
  agreed: string | null
}

export type Looked = AuthorizationDetails & { readonly standing: Standing }

/** Seconds that a code lives (OAuth 2.1, 4.1.2: at most ten minutes). */
const codeSeconds = 300

const notFound = () => oauthServerFaults.oauth_authorization_not_found()
const signInAgain = () =>
  authFaults.reauthentication_needed({ message: 'Sign in again before you answer' })

/** When the user has last shown who they are, in seconds. */
export function authTimeOf({ amr, session_created_at }: SessionRow): number {
  const times = (JSON.parse(amr) as Amr[]).map(({ timestamp }) => timestamp)
  return Math.max(...times, times.length === 0 ? Math.floor(session_created_at / 1000) : 0)
}

/** The request becomes that of the first user who looks at it. */
async function read(server: Server, scope: Scope, input: Caller & { id: string }) {
  const { settings } = server
  const { userId } = input
  const now = scope.now()
  const id = await hash(input.id)
  const session = sessionOf(scope, input)
  const claim = scope.db
    .prepare(
      `UPDATE leanto_auth_oauth_requests SET user_id = ?
       WHERE id = ? AND kind = 'authorization' AND user_id IS NULL AND expires_at > ?
         AND EXISTS (SELECT 1 FROM ${session.sql})`,
    )
    .bind(userId, id, now, ...session.values)
  const look = scope.db
    .prepare(
      `SELECT r.*, c.name, c.uri, c.logo_uri, c.auth_method, c.registration,
         n.scopes AS agreed_scopes, n.agreed
       FROM leanto_auth_oauth_requests r
       JOIN leanto_auth_oauth_clients c ON c.id = r.client_id
       LEFT JOIN leanto_auth_oauth_consents n ON n.user_id = ?1 AND n.client_id = r.client_id
       WHERE r.id = ?2 AND r.kind = 'authorization' AND r.user_id = ?1 AND r.expires_at > ?3`,
    )
    .bind(userId, id, now)
  const results = await scope.db.batch([claim, callerStatement(settings, scope, input), look])
  const row = checkCaller(scope, results[1]?.results[0])
  const standing = results[2]?.results[0] as Standing | undefined
  // Another user's is none (case 42).
  if (!standing) throw notFound()
  // An account that is only a guest's session is nobody's to vouch for; see `caller.ts` for what a guest was.
  if (row.is_anonymous === 1 || isGuestsStill(row)) throw signInFirst()
  const { prompt, max_age, created_at } = standing
  const since = authTimeOf(row)
  if (wordsOf(prompt).includes('login') && since < Math.floor(created_at / 1000))
    throw signInAgain()
  if (max_age !== null && since < Math.floor(now / 1000) - max_age) throw signInAgain()
  await mayAnswer(settings, scope, row, standing)
  return { row, standing, id }
}

/**
 * A client is given no more than the session that lets it in would open: where one waits for its second factor, or acts for
 * somebody else, the parts refuse it here (cases 17 and 18).
 */
export async function mayAnswer(
  settings: Settings,
  scope: Scope,
  row: SessionRow,
  { client_id: grant }: Pick<PendingRow, 'client_id'>,
): Promise<void> {
  const { parts } = settings
  const user = settings.toUser(row)
  const claims = {
    iss: settings.issuer(scope),
    sub: user.id,
    aal: row.aal,
    session_id: row.session_id,
    ...Object.assign({}, ...parts.map((part) => part.claims?.(user, { ...row }))),
  }
  const principal = { id: user.id, role: 'authenticated', claims } as const
  if (claims.act !== undefined) throw authFaults.no_authorization({ status: 403 })
  for (const { admit, beforeUpdate } of parts) {
    beforeUpdate?.(row as never, { grant }, { aal: row.aal })
    await admit?.(settings, scope, principal, undefined)
  }
}

/**
 * What the caller is asked; or, where they have agreed to as much before, the answer at once. One trip, or two.
 *
 * @throws {Fault} `oauth_authorization_not_found` (404), `reauthentication_needed` (400), and what `getUser` throws.
 */
export async function lookAt(
  server: Server,
  scope: Scope,
  input: Caller & { id: string },
): Promise<Looked | Answered> {
  const { row, standing, id } = await read(server, scope, input)
  if (isAgreed(standing)) return approve(server, scope, input, { row, standing, id })
  return {
    authorization_id: input.id,
    redirect_uri: standing.redirect_uri,
    client: shownClient({ ...standing, id: standing.client_id }),
    user: { id: row.id, email: row.email ?? '' },
    scope: standing.scope,
    standing,
  }
}

const listIn = (json: string | null): string[] =>
  json === null ? [] : (JSON.parse(json) as string[])

/** What is agreed to for one resource is not for another, and less still for the whole app. */
export const askedPairs = ({
  scope,
  resource,
}: Pick<PendingRow, 'scope' | 'resource'>): string[] => {
  const places = listIn(resource)
  return wordsOf(scope).flatMap((word) =>
    (places.length > 0 ? places : ['']).map((place) => `${word} ${place}`),
  )
}

/**
 * Whoever may be another app on the same device is asked each time (RFC 8252, 8.6): a public client that is not led to an
 * address of the web.
 */
function isAgreed(standing: Standing): boolean {
  const { agreed, prompt, redirect_uri } = standing
  if (agreed === null) return false
  if (/\b(?:consent|select_account)\b/.test(prompt)) return false
  if (isPublic(standing) && !redirect_uri.startsWith('https:')) return false
  const before = listIn(agreed)
  return askedPairs(standing).every((pair) => before.includes(pair))
}

/**
 * The user's answer. Two trips.
 *
 * @throws {Fault} What `lookAt` throws.
 */
export async function decide(
  server: Server,
  scope: Scope,
  input: Caller & { id: string; approved: boolean },
): Promise<Answered> {
  const found = await read(server, scope, input)
  if (input.approved) return approve(server, scope, input, found)
  const { standing, id } = found
  const gone = await scope.db
    .prepare('DELETE FROM leanto_auth_oauth_requests WHERE id = ? AND user_id = ? RETURNING id')
    .bind(id, input.userId)
    .first()
  if (!gone) throw notFound()
  const data = { client_id: standing.client_id }
  happened(server.settings, scope, { action: 'oauth_consent_denied', userId: input.userId, data })
  const { redirect_uri: redirectUri, state } = standing
  const denied = refusal(
    server,
    scope,
    { redirectUri, state },
    'access_denied',
    'User denied the request',
  )
  return { redirect_url: denied }
}

interface Found {
  row: SessionRow
  standing: Standing
  /** Hashed. */
  id: string
}

/** The batch uses the request up: of parallel answers one counts. */
async function approve(
  server: Server,
  scope: Scope,
  caller: Caller,
  { row, standing, id }: Found,
): Promise<Answered> {
  const { settings } = server
  const now = scope.now()
  const code = randomToken()
  const codeHash = await hash(code)
  const session = sessionOf(scope, caller)
  const issue = scope.db
    .prepare(
      `INSERT INTO leanto_auth_oauth_codes
         (hash, client_id, user_id, redirect_uri, scope, resource, nonce, code_challenge, jkt,
          approved_in, aal, amr, factor_id, auth_time, created_at, expires_at)
       SELECT ?, r.client_id, r.user_id, r.redirect_uri, r.scope, r.resource, r.nonce,
         r.code_challenge, r.jkt, ?, s.aal, s.amr,
         (SELECT f.factor_id FROM leanto_auth_sessions f WHERE f.id = s.id), ?, ?, ?
       FROM leanto_auth_oauth_requests r JOIN ${session.sql} s ON s.user_id = r.user_id
       JOIN leanto_auth_users u ON u.id = r.user_id
       WHERE r.id = ? AND r.kind = 'authorization' AND r.user_id = ? AND r.expires_at > ?
         AND coalesce(u.banned_until, 0) <= ? AND u.deleted_at IS NULL AND u.is_anonymous = 0
       RETURNING hash`,
    )
    .bind(
      ...[codeHash, caller.elsewhere ? null : caller.sessionId, authTimeOf(row)],
      ...[now, now + codeSeconds * 1000, ...session.values, id, caller.userId, now, now],
    )
  const results = await scope.db.batch([
    issue,
    agree(scope, standing, codeHash),
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_oauth_requests
         WHERE id = ? AND EXISTS (SELECT 1 FROM leanto_auth_oauth_codes WHERE hash = ?)`,
      )
      .bind(id, codeHash),
  ])
  if (!isStored(results[0])) throw notFound()
  const data = { client_id: standing.client_id, scope: standing.scope }
  happened(settings, scope, { action: 'oauth_consent_granted', userId: caller.userId, data })
  const { redirect_uri, state } = standing
  return {
    redirect_url: withAnswer(redirect_uri, { code, state, iss: settings.issuer(scope) }),
  }
}

const isStored = (result: QueryResult | undefined): boolean => result?.results.length === 1

/** Remembers what was agreed to, beside what had been before. */
function agree(scope: Scope, standing: Standing, codeHash: string): Statement {
  const scopes = [...new Set([...listIn(standing.agreed_scopes), ...wordsOf(standing.scope)])]
  const agreed = [...new Set([...listIn(standing.agreed), ...askedPairs(standing)])]
  return scope.db
    .prepare(
      `INSERT INTO leanto_auth_oauth_consents
         (user_id, client_id, scopes, agreed, granted_at, updated_at)
       SELECT c.user_id, c.client_id, ?1, ?2, ?3, ?3 FROM leanto_auth_oauth_codes c WHERE c.hash = ?4
       ON CONFLICT (user_id, client_id) DO UPDATE SET
         scopes = excluded.scopes, agreed = excluded.agreed, updated_at = excluded.updated_at`,
    )
    .bind(JSON.stringify(scopes), JSON.stringify(agreed), scope.now(), codeHash)
}

/** The address by which a client hears of an error (OAuth 2.1, 4.1.2.1), from whom (RFC 9207). */
export const refusal = (
  { settings }: Server,
  scope: Scope,
  { redirectUri, state }: { redirectUri: string; state: string | null },
  error: string,
  description: string | null = null,
): string =>
  withAnswer(redirectUri, {
    error,
    error_description: description,
    state,
    iss: settings.issuer(scope),
  })

/** Deletes a request that nobody will be asked. */
export const forget = async (scope: Scope, id: string) =>
  scope.db
    .prepare('DELETE FROM leanto_auth_oauth_requests WHERE id = ?')
    .bind(await hash(id))
    .run()
