import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import type { Keep } from './claim.ts'
import { jobsFaults } from './faults.ts'

export type State = 'waiting' | 'ready' | 'running' | 'done' | 'dead' | 'cancelled'

/** A job in a list, as those may see it who may see everything. Times are Unix milliseconds. */
export interface JobSummary {
  readonly id: string
  readonly name: string
  readonly state: State
  readonly owner: string | null
  readonly priority: number
  /** How many attempts were made; since a dead letter was retried, if it was. */
  readonly attempt: number
  readonly attempts: number
  /** What the handler said last; `null` until it does. */
  readonly progress: unknown
  /** What the last attempt failed with. Not for clients: it may hold anything. */
  readonly error: string | null
  readonly createdAt: number
  /** When it was to run. */
  readonly scheduledAt: number
  readonly endedAt: number | null
}

/** A job with what may be large. */
export interface JobRecord extends JobSummary {
  readonly payload: unknown
  /** What the handler returned; `null` until it has. */
  readonly result: unknown
}

interface Row {
  id: string
  name: string
  state: State
  owner_id: string | null
  priority: number
  attempt: number
  attempts: number
  progress: string | null
  error: string | null
  created_at: number
  scheduled_at: number
  ended_at: number | null
}

interface FullRow extends Row {
  payload: string
  result: string | null
}

const columns =
  'id, name, state, owner_id, priority, attempt, attempts, progress, error, created_at, scheduled_at, ended_at'

const parsed = (json: string | null): unknown => (json === null ? null : JSON.parse(json))

const summaryOf = (row: Row): JobSummary => ({
  id: row.id,
  name: row.name,
  state: row.state,
  owner: row.owner_id,
  priority: row.priority,
  attempt: row.attempt,
  attempts: row.attempts,
  progress: parsed(row.progress),
  error: row.error,
  createdAt: row.created_at,
  scheduledAt: row.scheduled_at,
  endedAt: row.ended_at,
})

/** Whose jobs: only this owner's, or with `undefined` anyone's. It is part of every statement. */
export interface Whose {
  readonly owner?: string
}

/** `?2` is the owner, or NULL for anyone. Of nobody's own, `owner_id` is NULL and equals nothing. */
const mine = '(?2 IS NULL OR owner_id = ?2)'

/** One trip. @throws {Fault} `job_not_found` (404), also for another's. */
export async function readJob(
  { db }: Scope,
  { id, owner }: Whose & { id: string },
): Promise<JobRecord> {
  const row = await db
    .prepare(`SELECT ${columns}, payload, result FROM leanto_jobs_jobs WHERE id = ?1 AND ${mine}`)
    .bind(id, owner ?? null)
    .first<FullRow>()
  if (!row) throw jobsFaults.job_not_found()
  return { ...summaryOf(row), payload: JSON.parse(row.payload), result: parsed(row.result) }
}

export interface ListOptions extends Whose {
  /** Only dead letters. @default false */
  dead?: boolean
  name?: string
  /** The last id of the page before. */
  before?: string
  /** @default 50, at most 200 */
  limit?: number
}

/** Newest first, without payloads and results. One trip. */
export async function listJobs(
  { db }: Scope,
  { owner, dead = false, name, before, limit = 50 }: ListOptions = {},
): Promise<JobSummary[]> {
  const conditions: [sql: string, value: string | undefined][] = [
    ['id < ?', before ?? '~'],
    ['owner_id = ?', owner],
    ['name = ?', name],
  ]
  const used = conditions.filter(([, value]) => value !== undefined)
  const where = [...used.map(([sql]) => sql), ...(dead ? [`state = 'dead'`] : [])]
  const { results } = await db
    .prepare(
      `SELECT ${columns} FROM leanto_jobs_jobs WHERE ${where.join(' AND ')} ORDER BY id DESC LIMIT min(?, 200)`,
    )
    .bind(...used.map(([, value]) => value), limit)
    .all<Row>()
  return results.map(summaryOf)
}

/**
 * Cancels a job that has not ended. One that runs is told at its next renewal, and what it answers does not count. One trip.
 *
 * @throws {Fault} `job_not_found` (404), `job_ended` (409).
 */
export async function cancelJob(
  scope: Scope,
  { id, owner, keep }: Whose & { id: string; keep: Keep },
): Promise<void> {
  const change = scope.db
    .prepare(
      `UPDATE leanto_jobs_jobs SET state = 'cancelled', lease = NULL, unique_key = NULL, ended_at = ?3, expires_at = ?3 + ?4
       WHERE id = ?1 AND ${mine} AND state IN ('waiting', 'ready', 'running') RETURNING id`,
    )
    .bind(id, owner ?? null, scope.now(), keep.done)
  if (!(await changed(scope, change, { id, owner }))) throw jobsFaults.job_ended()
}

/**
 * Gives a dead letter all its attempts again, from now on. One trip.
 *
 * @throws {Fault} `job_not_found` (404), `job_not_dead` (409).
 */
export async function retryJob(scope: Scope, { id }: { id: string }): Promise<void> {
  const change = scope.db
    .prepare(
      `UPDATE leanto_jobs_jobs SET state = 'ready', attempt = 0, due = ?2, ended_at = NULL, expires_at = NULL
       WHERE id = ?1 AND state = 'dead' RETURNING id`,
    )
    .bind(id, scope.now())
  if (!(await changed(scope, change, { id, owner: undefined }))) throw jobsFaults.job_not_dead()
}

/** Whether a guarded change was made. Why not is asked in the same trip. */
async function changed(
  { db }: Scope,
  change: Statement,
  { id, owner }: { id: string; owner: string | undefined },
): Promise<boolean> {
  const exists = db
    .prepare(`SELECT 1 FROM leanto_jobs_jobs WHERE id = ?1 AND ${mine}`)
    .bind(id, owner ?? null)
  const [made, found] = await db.batch([change, exists])
  if (!found || found.results.length === 0) throw jobsFaults.job_not_found()
  return (made?.results.length ?? 0) > 0
}
