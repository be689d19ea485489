import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { chunks } from './chunks.ts'
import type { Handlers } from './handler.ts'

/** How many jobs one round takes. */
export const roundSize = 20

/** How many jobs one sweep moves. */
const sweepSize = 500

/** How long what has ended is kept, in milliseconds. */
export interface Keep {
  readonly done: number
  readonly dead: number
}

/** A job that this Worker holds the lease of. */
export interface Claimed {
  readonly id: string
  readonly name: string
  readonly payload: string
  readonly attempt: number
  readonly attempts: number
  readonly owner_id: string | null
  readonly scheduled_at: number
  readonly priority: number
}

/** What came of an attempt. */
export interface Outcome {
  readonly id: string
  readonly state: 'done' | 'waiting' | 'dead'
  /** When to try again, in Unix milliseconds; of what has ended, when it did. */
  readonly due: number
  /** JSON. As text: SQLite reads no JSON that is nested deeper than 1,000. */
  readonly result?: string
  readonly error?: string
  /** JSON. */
  readonly progress?: string
}

/** A job that was given up. */
export interface Dead {
  readonly id: string
  readonly name: string
  readonly error: string | null
}

/** Of an expression for the new state: whether it is an end, and what follows from that. */
const ending = (state: string, now: string, keep: { done: string; dead: string }) => `
  lease = NULL,
  unique_key = CASE WHEN ${state} IN ('done', 'dead') AND once = 0 THEN NULL ELSE unique_key END,
  ended_at = CASE WHEN ${state} IN ('done', 'dead') THEN ${now} END,
  expires_at = CASE ${state} WHEN 'done' THEN ${now} + ${keep.done} WHEN 'dead' THEN ${now} + ${keep.dead} END`

const spent = `CASE WHEN state = 'running' AND attempt >= attempts THEN 'dead' ELSE 'ready' END`

/**
 * Makes ready what is due: jobs that waited, and those whose lease ran out because their Worker died. Of the latter, those
 * without an attempt left are given up: they are the rows that it returns with `state = 'dead'`.
 */
export const sweep = ({ db, now }: Scope, keep: Keep): Statement =>
  db
    .prepare(
      `UPDATE leanto_jobs_jobs SET state = ${spent},
         error = CASE WHEN state = 'running' THEN 'The Worker stopped before the job ended' ELSE error END,
         ${ending(spent, '?1', { done: '0', dead: '?2' })}
       WHERE id IN (
         SELECT id FROM leanto_jobs_jobs WHERE state IN ('waiting', 'running') AND due <= ?1 ORDER BY due LIMIT ${sweepSize})
       RETURNING id, name, state, error`,
    )
    .bind(now(), keep.dead)

/**
 * Takes the leases of the jobs that are ready, by priority, then by age. Looks at 20 of each name at most, and for a name
 * with a limit leaves those for which there is no room. Names that these handlers do not know wait for a Worker that does.
 */
export const claim = (
  { db, now }: Scope,
  { lease, seconds, room, handlers }: Round & { handlers: Handlers },
): Statement =>
  db
    .prepare(
      `WITH names (name, room) AS MATERIALIZED (
         SELECT key, CASE WHEN value = 0 THEN ${roundSize} ELSE value - (
           SELECT count(*) FROM leanto_jobs_jobs
           WHERE state IN ('ready', 'running') AND state = 'running' AND name = key) END
         FROM json_each(?1)
       ), next AS (
         SELECT j.id, j.priority, j.due, n.room,
           row_number() OVER (PARTITION BY j.name ORDER BY j.priority DESC, j.due, j.id) AS place
         FROM names n CROSS JOIN leanto_jobs_jobs j
         WHERE n.room > 0 AND j.id IN (
           SELECT r.id FROM leanto_jobs_jobs r
           WHERE r.state IN ('ready', 'running') AND r.state = 'ready' AND r.name = n.name
           ORDER BY r.priority DESC, r.due, r.id LIMIT ${roundSize})
       )
       UPDATE leanto_jobs_jobs SET state = 'running', attempt = attempt + 1, lease = ?2, due = ?3
       WHERE id IN (SELECT id FROM next WHERE place <= room ORDER BY priority DESC, due, id LIMIT ?4)
       RETURNING id, name, payload, attempt, attempts, owner_id, scheduled_at, priority`,
    )
    .bind(
      JSON.stringify(
        Object.fromEntries(
          Object.entries(handlers).map(([name, { concurrency }]) => [name, concurrency ?? 0]),
        ),
      ),
      lease,
      now() + seconds * 1000,
      room,
    )

/** What a Worker claims at once. */
export interface Round {
  /** Whose it is: a text that no other round has. */
  readonly lease: string
  /** How long it holds unless renewed. */
  readonly seconds: number
  readonly room: number
}

/**
 * Writes what came of attempts, and returns it. Each only counts if the lease is still this one: of a job that was cancelled,
 * or that another Worker has by now, nothing is written. One statement, unless results are large.
 */
export function finish(
  { db }: Scope,
  lease: string,
  { outcomes, keep }: { outcomes: readonly Outcome[]; keep: Keep },
): Statement[] {
  const lists = chunks(outcomes.map((outcome) => JSON.stringify(outcome)))
  return lists.map((list) => db.prepare(finishSql).bind(list, lease, keep.done, keep.dead))
}

const finishSql = `UPDATE leanto_jobs_jobs SET state = o.state, due = o.due, error = o.error, result = o.result,
    progress = coalesce(o.progress, leanto_jobs_jobs.progress), ${ending('o.state', 'o.due', { done: '?3', dead: '?4' })}
  FROM (
    SELECT value ->> 'id' AS id, value ->> 'state' AS state, value ->> 'due' AS due, value ->> 'error' AS error,
      value ->> 'result' AS result, value ->> 'progress' AS progress
    FROM json_each(?1)
  ) o
  WHERE leanto_jobs_jobs.id = o.id AND lease = ?2
  RETURNING leanto_jobs_jobs.id, name, leanto_jobs_jobs.state, leanto_jobs_jobs.error`

/** Renews what is still held. Returns the ids of it; the others are lost. */
export const renew = ({ db, now }: Scope, { lease, seconds }: Omit<Round, 'room'>, ids: string[]) =>
  db
    .prepare(
      `UPDATE leanto_jobs_jobs SET due = ?3
       WHERE id IN (SELECT value FROM json_each(?1)) AND lease = ?2 RETURNING id`,
    )
    .bind(JSON.stringify(ids), lease, now() + seconds * 1000)

/** Deletes what has been kept for long enough, 1,000 at most. */
export const forget = ({ db, now }: Scope): Statement =>
  db
    .prepare(
      `DELETE FROM leanto_jobs_jobs WHERE id IN (
         SELECT id FROM leanto_jobs_jobs WHERE expires_at IS NOT NULL AND expires_at <= ? ORDER BY expires_at LIMIT 1000)`,
    )
    .bind(now())
