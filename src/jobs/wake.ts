import type { QueueBatch } from '../core/module.ts'
import type { Scope } from '../core/scope.ts'

/** The part of a Workers `Queue` that is used: what a producer binding is. */
export interface QueueBinding {
  send(body: unknown, options?: { delaySeconds?: number }): Promise<unknown>
}

/** A message says that a job is there and no more: the database has the job, and its lease says who runs it. */
interface Wake {
  readonly leanto: 'jobs'
  readonly id: string
}

interface Message {
  readonly body: unknown
  ack(): void
}

const isWake = (body: unknown): body is Wake =>
  typeof body === 'object' &&
  body !== null &&
  (body as Wake).leanto === 'jobs' &&
  typeof (body as Wake).id === 'string'

/** The most that Cloudflare Queues delays a message: 12 hours. */
const longest = 12 * 60 * 60

/** Where a limit or another Worker stands before a job that is ready. */
const patience = 30

/** Sends a job's message. It is only a message: if it cannot be sent, the next cron trigger finds the job. */
export function wake(
  scope: Scope,
  queue: QueueBinding,
  { id, at }: { id: string; at: number },
): Promise<unknown> {
  const delaySeconds = Math.min(Math.max(Math.ceil((at - scope.now()) / 1000), 0), longest)
  return queue.send({ leanto: 'jobs', id } satisfies Wake, { delaySeconds })
}

/** The ids of a batch of these messages; `null` if it is another's. */
export const idsOf = ({ messages }: QueueBatch): string[] | null => {
  const bodies = (messages as readonly Message[]).map(({ body }) => body)
  return bodies.length > 0 && bodies.every(isWake) ? [...new Set(bodies.map(({ id }) => id))] : null
}

/**
 * Ends a batch. A job that has not ended gets another message, for when it is due, before its old one is acknowledged: so
 * a job has a message for as long as it has not ended. One trip.
 *
 * @throws what the queue or the database throws; then nothing is acknowledged, and Cloudflare delivers the batch again.
 */
export async function settle(
  scope: Scope,
  queue: QueueBinding,
  { batch, ids }: { batch: QueueBatch; ids: readonly string[] },
): Promise<void> {
  const { results } = await scope.db
    .prepare(
      `SELECT id, state, due FROM leanto_jobs_jobs
       WHERE id IN (SELECT value FROM json_each(?)) AND state IN ('waiting', 'ready', 'running')`,
    )
    .bind(JSON.stringify(ids))
    .all<{ id: string; state: string; due: number }>()
  const later = scope.now() + patience * 1000
  await Promise.all(
    results.map(({ id, state, due }) =>
      wake(scope, queue, { id, at: state === 'ready' ? later : due }),
    ),
  )
  for (const message of batch.messages as readonly Message[]) message.ack()
}
