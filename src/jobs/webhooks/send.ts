import { isStorable } from '../../core/body.ts'
import type { Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'

/** The name of the job that delivers one message to one endpoint. */
export const deliver = 'webhooks.deliver'

const bodyLimit = 256 * 1024

export interface Message {
  /** Such as `note.created`: what endpoints choose by. */
  type: string
  /** Any JSON, up to 256 KB. */
  data: unknown
  /** Whose endpoints get it. @default those of nobody */
  owner?: string | null
}

/** A condition for all statements of a message, with the value that it compares. */
export interface Guard {
  readonly name: string
  readonly position: number
}

/**
 * The statements that write a message and a job for each endpoint that is to get it: two, however many there are.
 *
 * @param attempts How often each is tried.
 * @throws {TypeError} if the type is no text, or the data no JSON or over 256 KB.
 */
export function messageStatements(
  { db, now }: Scope,
  { type, data, owner = null, attempts, guard }: Message & { attempts: number; guard?: Guard },
): { id: string; statements: Statement[] } {
  if (!(typeof type === 'string' && /^[\w.:-]{1,128}$/.test(type)))
    throw new TypeError('webhooks: `type` must be letters, digits, ., :, _ and -, up to 128')
  if (owner !== null && !(typeof owner === 'string' && isStorable(owner)))
    throw new TypeError('webhooks: `owner` must be a text')
  const time = now()
  const id = `msg_${uuidv7(time).replaceAll('-', '')}`
  // The payload that Standard Webhooks advises.
  const body =
    data === undefined
      ? undefined
      : JSON.stringify({ type, timestamp: new Date(time).toISOString(), data })
  if (body === undefined || new TextEncoder().encode(body).length > bodyLimit)
    throw new TypeError('webhooks: `data` must be JSON of up to 256 KB')
  const guarded = guard
    ? 'EXISTS (SELECT 1 FROM leanto_jobs_cursors WHERE name = ?6 AND position = ?7)'
    : 'true'
  const held = guard ? [guard.name, guard.position] : []
  return {
    id,
    statements: [
      db
        .prepare(
          `INSERT INTO leanto_jobs_messages (id, type, body, owner_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE ${guarded}`,
        )
        .bind(id, type, body, owner, time, ...held),
      db
        .prepare(
          `INSERT INTO leanto_jobs_jobs
             (id, name, payload, state, priority, due, scheduled_at, attempts, once, created_at)
           SELECT ?1 || '.' || e.id, '${deliver}', json_object('message', ?1, 'endpoint', e.id), 'ready', 0, ?5, ?5, ?4, 0, ?5
           FROM leanto_jobs_endpoints e
           WHERE e.owner_id IS ?3 AND e.disabled IS NULL AND ${guarded}
             AND (e.types IS NULL OR EXISTS (SELECT 1 FROM json_each(e.types) WHERE value = ?2))`,
        )
        .bind(id, type, owner, attempts, time, ...held),
    ],
  }
}
