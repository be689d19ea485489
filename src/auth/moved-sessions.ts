import { Fault, faults } from '../core/fault.ts'
import { isUuid, uuidv7 } from '../core/id.ts'
import type { Scope } from '../core/scope.ts'
import { hash } from '../core/secret.ts'
import { type Budget, checkSpent, giveBack, refundAll, spendAll } from './budget.ts'
import { beganAt, type Elsewhere, endedHere } from './caller.ts'
import { keyedHash } from './codes.ts'
import { condition } from './condition.ts'
import { authFaults } from './faults.ts'
import { checkUrl, patience, readObject } from './outbound.ts'
import { type Refresh, refresh } from './refresh.ts'
import type { Settings } from './settings.ts'
import type { Origin } from './sign-up.ts'
import type { Amr, Session } from './wire.ts'

/*
 * Sessions that began at another project and go on here. The client shows the refresh token that it has; in its place one of
 * our own form is derived from it, which is stored as any other. So a token of theirs is used once, parallel calls get the one
 * child, and whoever shows it again later ends the session, all by the same statements.
 */

export const trustFaults = faults({
  upstream_unavailable: [503, 'The project that this session comes from does not answer'],
})

/** The sign-in of the project that sessions come from. */
export interface Upstream<Env = unknown> {
  /** Such as `https://abcd.supabase.co/auth/v1`. */
  url: string
  /** Its publishable (`anon`) API key. */
  key: string | ((env: Env) => string)
}

/** A session to go on with, as the project that is moved has it. */
export interface MovedSession {
  /** The newest of the session's, to the letter. */
  refreshToken: string
  userId: string
  /** The session's own id. */
  sessionId?: string | undefined
  /** `aal2` if a second factor was shown. @default 'aal1' */
  aal?: string | undefined
  /** How its user signed in. @default [] */
  amr?: readonly Amr[] | undefined
  /** When its user signed in, Unix time in milliseconds. @default the oldest time in `amr` */
  since?: number | undefined
}

const ours = /^[\w-]{43}$/
/** GoTrue's are 12, 22 or some 51 characters, by its version; others may have others. */
const theirs = /^[\w.~+/=-]{12,512}$/

export const isForeign = (token: string): boolean => !ours.test(token) && theirs.test(token)

/** Keyed, for twelve characters are few enough to be found from a plain hash. */
const standIn = (scope: Scope, token: string): Promise<string> =>
  keyedHash(scope, 'auth:moved', token)

/** @param amr As a token has it: what is none of it is left out. */
export function readAmr(amr: unknown): Amr[] {
  const entries = (Array.isArray(amr) ? amr : []) as Partial<Amr>[]
  return entries.slice(0, 10).flatMap((entry) => {
    const { method, timestamp } = entry ?? {}
    if (typeof method !== 'string' || !/^[\w/:.-]{1,64}$/.test(method)) return []
    return Number.isSafeInteger(timestamp) ? [{ method, timestamp: Number(timestamp) }] : []
  })
}

/** When the user signed in: the oldest time; 0 if there is none. */
export const sinceOf = (amr: readonly Amr[]): number =>
  amr.length === 0 ? 0 : Math.min(...amr.map(({ timestamp }) => timestamp * 1000))

/**
 * Stores sessions, each with one refresh token that is used once. Of users who are here and not deleted; not those that have
 * ended here since, by a new password or a sign-out; not a second time. One trip.
 *
 * @returns How many were stored.
 */
export async function importSessions(
  settings: Settings,
  scope: Scope,
  sessions: readonly MovedSession[],
): Promise<number> {
  const now = scope.now()
  const { idle, absolute } = settings.refresh
  const rows = new Map<string, unknown>()
  for (const { refreshToken, userId, sessionId, ...session } of sessions) {
    const amr = readAmr(session.amr)
    const since = session.since ?? sinceOf(amr)
    const created = beganAt(scope, { since })
    const notAfter = absolute === null ? null : created + absolute
    const hashed = await hash(await standIn(scope, refreshToken))
    rows.set(hashed, {
      id: uuidv7(now),
      hash: hashed,
      user: userId.toLowerCase(),
      aal: session.aal === 'aal2' ? 'aal2' : 'aal1',
      amr: JSON.stringify(amr),
      expires: Math.min(now + idle, notAfter ?? Number.POSITIVE_INFINITY),
      ...{ since, created, notAfter, session: elsewhereId(sessionId) },
    })
  }
  const list = JSON.stringify([...rows.values()])
  const of = (name: string) => `j.value ->> '$.${name}'`
  const ended = endedHere(condition('u.id'), {
    sessionId: condition(of('session')),
    aal: condition(of('aal')),
    since: condition(of('since')),
  })
  const [, stored] = await settings.keys.batch(scope, [
    scope.db
      .prepare(
        `INSERT INTO leanto_auth_sessions
           (id, user_id, created_at, not_after, aal, amr, refreshed_at)
         SELECT ${of('id')}, u.id, ${of('created')}, ${of('notAfter')}, ${of('aal')}, ${of('amr')}, ?
         FROM json_each(?) j JOIN leanto_auth_users u ON u.id = ${of('user')}
         WHERE u.deleted_at IS NULL AND NOT ${ended.sql} AND NOT EXISTS (
           SELECT 1 FROM leanto_auth_refresh_tokens t WHERE t.hash = ${of('hash')})`,
      )
      .bind(now, list, ...ended.values),
    scope.db
      .prepare(
        `INSERT INTO leanto_auth_refresh_tokens (hash, session_id, expires_at)
         SELECT ${of('hash')}, s.id, ${of('expires')}
         FROM json_each(?) j JOIN leanto_auth_sessions s ON s.id = ${of('id')} WHERE 1
         RETURNING 1`,
      )
      .bind(list),
  ])
  return stored?.results.length ?? 0
}

/**
 * How a session elsewhere is called here: never as one of ours, whatever its issuer calls it. Issuers that name none have
 * one of each user, as far as we can tell.
 */
export const elsewhereId = (id: unknown): string =>
  `elsewhere/${isUuid(id) ? id.toLowerCase() : 'none'}`

/** How a token of the old project, verified, says whose it is. */
export type Verify = (scope: Scope, token: string) => Promise<MovedWho>

export interface MovedWho extends Elsewhere {
  readonly userId: string
  /** As its issuer has it. */
  readonly session: unknown
  readonly aal: string
}

/**
 * Goes on with a session by a refresh token of the old project: by one that was imported or was shown before in one trip, else
 * by asking that project, in four. Of two parallel calls both ask it, and both get the one child of the one session; where it
 * answers only the first, the other one waits for what the first has stored.
 *
 * @throws {Fault} `refresh_token_not_found` if neither knows it, or its user is not here; `upstream_unavailable` (503, 504),
 * by which clients keep their session and try again; and what `refresh` throws.
 */
export const moveSession =
  <Env>(settings: Settings, upstream: Upstream<Env> | undefined, verify: Verify) =>
  async (scope: Scope, { refreshToken, network }: Refresh & Origin): Promise<Session> => {
    const token = await standIn(scope, refreshToken)
    const goOn = () => refresh(settings)(scope, { refreshToken: token })
    const known = await unlessUnknown(goOn())
    if (known) return known
    if (!upstream) throw authFaults.refresh_token_not_found()
    const budgets = upstreamBudgets(settings, scope, network)
    spent(scope, budgets, await settings.keys.batch(scope, spendAll(scope, budgets)))
    try {
      const accessToken = await exchange(scope, upstream, refreshToken)
      if (accessToken === null) {
        const stored = await waitFor(goOn)
        if (!stored) throw authFaults.refresh_token_not_found()
        return stored
      }
      const { amr, session, ...who } = await verify(scope, accessToken).catch(unverified)
      const sessionId = typeof session === 'string' ? session : undefined
      const moved = { ...who, refreshToken, amr: JSON.parse(amr), sessionId }
      await importSessions(settings, scope, [moved])
      if (budgets.length > 0) scope.waitUntil(scope.db.batch(refundAll(scope, budgets)))
      return await goOn()
    } catch (error) {
      giveBack(scope, budgets, error)
      throw error
    }
  }

async function unlessUnknown(session: Promise<Session>): Promise<Session | undefined> {
  try {
    return await session
  } catch (error) {
    if (error instanceof Fault && error.code === 'refresh_token_not_found') return undefined
    throw error
  }
}

/** The token came from where the host has said: what is wrong is the key that was given for it, and no client's session. */
function unverified(error: unknown): never {
  // Not the error itself: jose's holds the claims.
  const why = error instanceof Error ? ((error.cause as Error | undefined) ?? error).message : ''
  throw trustFaults.upstream_unavailable({
    cause: new Error(`leanto: the old project’s token does not verify: ${why}`),
  })
}

/** Milliseconds between two looks for what a parallel call stores, and how many. */
const pause = 250
const looks = 2

async function waitFor(goOn: () => Promise<Session>): Promise<Session | undefined> {
  for (let look = 0; look < looks; look++) {
    await new Promise((resolve) => setTimeout(resolve, pause))
    const session = await unlessUnknown(goOn())
    if (session) return session
  }
  return undefined
}

/** A made-up token costs the old project a request, so each is an attempt, as a password is. */
const upstreamBudgets = (
  { limits }: Settings,
  scope: Scope,
  network: string | null | undefined,
): Budget[] =>
  limits.signIns && !scope.local
    ? [{ key: `auth:move:${network ?? 'unknown'}`, limit: limits.signIns }]
    : []

/** Not 429: by that a client gives its session up, and the guesses need not have been its own. */
function spent(...[scope, budgets, results]: Parameters<typeof checkSpent>): void {
  try {
    checkSpent(scope, budgets, results)
  } catch (cause) {
    const { headers } = cause as Fault
    throw trustFaults.upstream_unavailable({ headers: { ...headers }, cause })
  }
}

/**
 * Asks the old project, whose address is the host's and nobody else's, and follows it nowhere (case 61).
 *
 * @returns The access token; `null` if it refuses the refresh token.
 * @throws {Fault} `upstream_unavailable` for whatever is neither: nobody is signed out by a wrong key or a gateway.
 */
async function exchange<Env>(
  scope: Scope,
  { url, key }: Upstream<Env>,
  refreshToken: string,
): Promise<string | null> {
  try {
    const response = await fetch(`${checkUrl(scope, url)}/token?grant_type=refresh_token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'leanto',
        apikey: typeof key === 'function' ? key(scope.env as Env) : key,
      },
      body: JSON.stringify({ refresh_token: refreshToken }),
      redirect: 'manual',
      signal: AbortSignal.timeout(patience),
    })
    if (response.status === 200) {
      const { access_token: accessToken } = await readObject(response)
      if (typeof accessToken === 'string') return accessToken
      throw new Error('leanto: the old project answered no access token')
    }
    await response.body?.cancel()
    if (response.status === 400) return null
    throw new Error(`leanto: the old project answered ${response.status}`)
  } catch (cause) {
    const late = cause instanceof Error && cause.name === 'TimeoutError'
    throw trustFaults.upstream_unavailable({ status: late ? 504 : 503, cause })
  }
}
