import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import type { Handlers } from './handler.ts'

/** A schedule, as `schedule(…)` of `leanto/jobs/cron` makes it. */
export interface Schedule {
  /** Its name among all: a schedule of another id begins anew. */
  readonly id: string
  /** The handler's name. */
  readonly name: string
  /** JSON. */
  readonly payload: string
  /** The newest slot that is not after a time, in Unix milliseconds; `null` if there was none yet. */
  readonly last: (at: number) => number | null
}

/** How far apart cron triggers are. */
const minute = 60_000

/**
 * Enqueues the newest slot of each schedule, if it was not enqueued before: of slots that were missed, only that one. A
 * schedule that is seen for the first time begins with this very minute. Both statements go into one transaction, so that
 * a slot is enqueued once, however many triggers there are for it.
 *
 * @param at The trigger's time, in Unix milliseconds.
 */
export function slotStatements(
  { db, now }: Scope,
  { schedules, handlers, at }: { schedules: readonly Schedule[]; handlers: Handlers; at: number },
): Statement[] {
  const slots = schedules.flatMap(({ id, name, payload, last }) => {
    const slot = last(at)
    if (slot === null) return []
    const attempts = handlers[name]?.attempts
    return [{ id, name, payload, slot, attempts, fresh: slot > at - minute ? 1 : 0 }]
  })
  if (slots.length === 0) return []
  const json = JSON.stringify(slots)
  return [
    db
      .prepare(
        `INSERT INTO leanto_jobs_jobs
           (id, name, payload, state, priority, due, scheduled_at, attempts, owner_id, unique_key, once, created_at)
         SELECT lower(hex(randomblob(16))), s.value ->> 'name', s.value ->> 'payload', 'ready', 0,
           s.value ->> 'slot', s.value ->> 'slot', s.value ->> 'attempts', NULL, NULL, 0, ?2
         FROM json_each(?1) s LEFT JOIN leanto_jobs_slots t ON t.schedule = s.value ->> 'id'
         WHERE CASE WHEN t.slot IS NULL THEN s.value ->> 'fresh' = 1 ELSE t.slot < s.value ->> 'slot' END`,
      )
      .bind(json, now()),
    db
      .prepare(
        `INSERT INTO leanto_jobs_slots (schedule, slot)
         SELECT value ->> 'id', value ->> 'slot' FROM json_each(?1) WHERE true
         ON CONFLICT (schedule) DO UPDATE SET slot = excluded.slot WHERE slot < excluded.slot`,
      )
      .bind(json),
  ]
}
