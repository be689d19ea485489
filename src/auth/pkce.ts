import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { base64url, hash, randomToken } from '../core/secret.ts'
import { type Condition, condition } from './condition.ts'
import { authFaults } from './faults.ts'
import { type AuthMethod, answerSession, type Client, startSession } from './session.ts'
import type { Settings } from './settings.ts'
import type { Session } from './wire.ts'

/** Seconds that a code for `/token?grant_type=pkce` lives. */
const codeSeconds = 300

/** A client's PKCE challenge (RFC 7636, 4.2), checked. */
export interface Challenge {
  readonly challenge: string
  readonly method: 's256' | 'plain'
}

/**
 * Reads `code_challenge` and `code_challenge_method` as clients send them; both or none.
 *
 * @throws {Fault} `validation_failed` (400).
 */
export function readChallenge(
  challenge: string | null | undefined,
  method: string | null | undefined,
): Challenge | undefined {
  if (!challenge && !method) return undefined
  if (!challenge || !method)
    throw authFaults.validation_failed({
      message: 'PKCE flow requires code_challenge_method and code_challenge',
    })
  const lower = method.toLowerCase()
  if (lower !== 's256' && lower !== 'plain')
    throw authFaults.validation_failed({ message: 'invalid code_challenge_method' })
  if (!/^[\w.~-]{43,128}$/.test(challenge))
    throw authFaults.validation_failed({
      message:
        'code challenge has to be between 43 and 128 characters of A-Z, a-z, 0-9, - . _ and ~',
    })
  return { challenge, method: lower }
}

export interface NewFlow {
  kind: string
  provider?: string
  challenge?: Challenge | undefined
  /** Checked by `checkRedirect`. */
  redirectTo?: string
  /** JSON; seal what is secret. */
  data?: string
  userId?: string
  authMethod?: AuthMethod
  /** How long it lives. */
  seconds: number
  /** Without it nothing is stored. @default none */
  guard?: Condition
}

/** Stores a flow that a later request will take by `id`, which must be random: OAuth's state. */
export async function startFlow(scope: Scope, id: string, flow: NewFlow): Promise<Statement> {
  const { guard = condition('1') } = flow
  const now = scope.now()
  return scope.db
    .prepare(
      `INSERT INTO leanto_auth_flows (id, kind, provider, code_challenge, code_challenge_method,
         redirect_to, data, user_id, auth_method, created_at, expires_at)
       SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE ${guard.sql}`,
    )
    .bind(
      await hash(id),
      flow.kind,
      flow.provider ?? null,
      flow.challenge?.challenge ?? null,
      flow.challenge?.method ?? null,
      flow.redirectTo ?? null,
      flow.data ?? null,
      flow.userId ?? null,
      flow.authMethod ?? null,
      now,
      now + flow.seconds * 1000,
      ...guard.values,
    )
}

export interface FlowRow {
  kind: string
  provider: string | null
  code_challenge: string | null
  code_challenge_method: 's256' | 'plain' | null
  redirect_to: string | null
  data: string | null
  user_id: string | null
  auth_method: string | null
  created_at: number
  expires_at: number
}

/**
 * Takes a flow, once: one guarded statement, whose one row is a `FlowRow`.
 *
 * @param ids What it may be known by, of each kind: one of them is there at most.
 */
export async function takeFlow(
  scope: Scope,
  ids: Readonly<Record<string, string>>,
): Promise<Statement> {
  const hashes = await Promise.all(Object.values(ids).map(hash))
  const list = (of: readonly string[]) => of.map(() => '?').join(', ')
  return scope.db
    .prepare(
      `DELETE FROM leanto_auth_flows
       WHERE id IN (${list(hashes)}) AND kind IN (${list(hashes)}) AND expires_at > ?
       RETURNING kind, provider, code_challenge, code_challenge_method, redirect_to, data, user_id,
         auth_method, created_at, expires_at`,
    )
    .bind(...hashes, ...Object.keys(ids), scope.now())
}

/** The provider of such a flow, as SQL, as long as it is not taken. */
export const flowProvider = async (ids: readonly string[]): Promise<Condition> =>
  condition(
    `(SELECT provider FROM leanto_auth_flows WHERE id IN (${ids.map(() => '?').join(', ')}))`,
    ...(await Promise.all(ids.map(hash))),
  )

/** That a flow's challenge is this verifier's (RFC 7636, 4.6). */
export async function matching(codeVerifier: string): Promise<Condition> {
  const bytes = new TextEncoder().encode(codeVerifier)
  const s256 = base64url(await crypto.subtle.digest('SHA-256', bytes))
  return condition(
    `(code_challenge_method = 's256' AND code_challenge = ?)
      OR (code_challenge_method = 'plain' AND code_challenge = ?)`,
    s256,
    codeVerifier,
  )
}

const codeKind = 'code'

export interface NewAuthCode {
  /** The challenge, or SQL that answers it and its method, from the row of the token that is used. */
  challenge: Challenge | { readonly challenge: Condition; readonly method: Condition }
  /** Selects the one user `u` whom the code signs in; with none, nothing is stored. */
  user: Condition
  /** What the session's `amr` will say. */
  method: AuthMethod
  provider?: string
  /** JSON for whoever exchanges it, sealed where it is secret. */
  data?: string
}

/** A code for the browser's address bar that only the holder of the PKCE verifier can exchange, once, within 5 minutes. */
export async function issueAuthCode(scope: Scope, input: NewAuthCode) {
  const { challenge, user, method, provider, data } = input
  // GoTrue's codes are UUIDs and clients may check that.
  const code = crypto.randomUUID()
  const asSql = (part: string | Condition) =>
    typeof part === 'string' ? condition('?', part) : part
  const [value, how] = [asSql(challenge.challenge), asSql(challenge.method)]
  const now = scope.now()
  const statement = scope.db
    .prepare(
      `INSERT INTO leanto_auth_flows (id, kind, provider, code_challenge, code_challenge_method,
         data, user_id, auth_method, created_at, expires_at)
       SELECT ?, ?, ?, ${value.sql}, ${how.sql}, ?, u.id, ?, ?, ? FROM leanto_auth_users u
       WHERE (${user.sql}) AND u.deleted_at IS NULL RETURNING user_id`,
    )
    .bind(
      await hash(code),
      codeKind,
      provider ?? null,
      ...value.values,
      ...how.values,
      data ?? null,
      method,
      now,
      now + codeSeconds * 1000,
      ...user.values,
    )
  return { code, statement }
}

export interface ExchangeCode {
  authCode: string
  codeVerifier: string
  client?: Client
  /** Where the call comes from (`networkOf`). */
  network?: string | null
}

/**
 * Exchanges a code for a session. One trip: the code is taken, the session started and the code removed in one batch. A wrong
 * verifier leaves the code to the right one. A code that links an identity takes two, and throws what `arrive` does.
 *
 * @throws {Fault} `validation_failed`, `flow_state_not_found`, `flow_state_expired`, `bad_code_verifier`, `user_banned`.
 */
export const exchangeAuthCode =
  (settings: Settings) =>
  async (scope: Scope, input: ExchangeCode): Promise<Session> => {
    const { authCode, codeVerifier, client } = input
    if (!authCode || !codeVerifier)
      throw authFaults.validation_failed({
        message: 'invalid request: both auth code and code verifier should be non-empty',
      })
    for (const part of settings.parts) {
      const session = await part.redeem?.(settings, scope, input)
      if (session) return session
    }
    const now = scope.now()
    const id = await hash(authCode)
    const mark = randomToken(16)
    const matches = await matching(codeVerifier)
    const look = scope.db
      .prepare(
        `SELECT auth_method, provider, data, expires_at, ${matches.sql} AS matches
         FROM leanto_auth_flows WHERE id = ? AND kind = ?`,
      )
      .bind(...matches.values, id, codeKind)
    const take = scope.db
      .prepare(
        `UPDATE leanto_auth_flows SET taken = ?
         WHERE id = ? AND kind = ? AND taken IS NULL AND expires_at > ? AND (${matches.sql})`,
      )
      .bind(mark, id, codeKind, now, ...matches.values)
    const user = condition(
      'u.id = (SELECT f.user_id FROM leanto_auth_flows f WHERE f.id = ? AND f.taken = ?)',
      id,
      mark,
    )
    const session = await startSession(settings, scope, {
      user,
      method: condition('(SELECT f.auth_method FROM leanto_auth_flows f WHERE f.id = ?)', id),
      client,
    })
    const remove = scope.db
      .prepare('DELETE FROM leanto_auth_flows WHERE id = ? AND taken = ?')
      .bind(id, mark)
    const results = await settings.keys.batch(scope, [look, take, ...session.statements, remove])
    const flow = checkFlow(scope, results[0]?.results[0])
    const read = results[1 + session.statements.length]
    const answer = await answerSession(settings, scope, session, read)
    const part = settings.parts.find(
      ({ name, providers }) => name === flow.provider || providers?.has(flow.provider ?? ''),
    )
    return flow.data && part?.exchanged ? part.exchanged(scope, flow.data, answer) : answer
  }

type Looked = FlowRow & { matches: number }

/**
 * @param read A flow's row, with whether it `matches`.
 * @throws {Fault} `flow_state_not_found`, `flow_state_expired`, `bad_code_verifier`.
 */
export function checkFlow(scope: Scope, read: unknown): Looked {
  const flow = read as Looked | undefined
  if (!flow) throw authFaults.flow_state_not_found()
  if (flow.expires_at <= scope.now()) throw authFaults.flow_state_expired()
  if (flow.matches !== 1) throw authFaults.bad_code_verifier()
  return flow
}

export const purgeFlows = (scope: Scope): Statement =>
  scope.db
    .prepare(
      `DELETE FROM leanto_auth_flows WHERE id IN (
         SELECT id FROM leanto_auth_flows WHERE expires_at <= ? LIMIT 1000)`,
    )
    .bind(scope.now())
