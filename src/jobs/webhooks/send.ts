import { isStorable } from '../../core/body.ts'
import type { Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { chunks } from '../chunks.ts'

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

/** What must hold for messages to be written: that what is followed was read up to this place. */
export interface Guard {
  readonly name: string
  readonly position: number
}

/**
 * The statements that write messages and a job for each endpoint that is to get one: two, however many there are, unless
 * they are large.
 *
 * @param attempts How often each is tried.
 * @throws {TypeError} if a type is no text, or data is no JSON or over 256 KB.
 */
export function messageStatements(
  { db, now }: Scope,
  messages: readonly Message[],
  { attempts, guard }: { attempts: number; guard?: Guard },
): { ids: string[]; statements: Statement[] } {
  const time = now()
  const rows = messages.map((message) => ({ ...rowOf(message, time), attempts }))
  const guarded = guard
    ? 'EXISTS (SELECT 1 FROM leanto_jobs_cursors WHERE name = ?3 AND position = ?4)'
    : 'true'
  const held = guard ? [guard.name, guard.position] : []
  const statements = chunks(rows.map((row) => JSON.stringify(row))).flatMap((list) => [
    db
      .prepare(
        `INSERT INTO leanto_jobs_messages (id, type, body, owner_id, created_at)
         SELECT value ->> 'id', value ->> 'type', value ->> 'body', value ->> 'owner', ?2
         FROM json_each(?1) WHERE ${guarded}`,
      )
      .bind(list, time, ...held),
    db
      .prepare(
        `INSERT INTO leanto_jobs_jobs
           (id, name, payload, state, priority, due, scheduled_at, attempts, once, created_at)
         SELECT m.id || '.' || e.id, '${deliver}', json_object('message', m.id, 'endpoint', e.id),
           'ready', 0, ?2, ?2, m.attempts, 0, ?2
         FROM (
           SELECT value ->> 'id' AS id, value ->> 'type' AS type, value ->> 'owner' AS owner, value ->> 'attempts' AS attempts
           FROM json_each(?1)
         ) m CROSS JOIN leanto_jobs_endpoints e ON e.owner_id IS m.owner
         WHERE e.disabled IS NULL AND ${guarded}
           AND (e.types IS NULL OR EXISTS (SELECT 1 FROM json_each(e.types) WHERE value = m.type))`,
      )
      .bind(list, time, ...held),
  ])
  return { ids: rows.map(({ id }) => id), statements }
}

function rowOf({ type, data, owner = null }: Message, time: number) {
  if (!(typeof type === 'string' && /^[\w.:-]{1,128}$/.test(type)))
    throw new TypeError('webhooks: `type` must be letters, digits, ., :, _ and -, up to 128')
  if (owner !== null && !(typeof owner === 'string' && isStorable(owner)))
    throw new TypeError('webhooks: `owner` must be a text')
  // The payload that Standard Webhooks advises.
  const body =
    data === undefined
      ? undefined
      : JSON.stringify({ type, timestamp: new Date(time).toISOString(), data })
  if (body === undefined || new TextEncoder().encode(body).length > bodyLimit)
    throw new TypeError('webhooks: `data` must be JSON of up to 256 KB')
  return { id: `msg_${uuidv7(time).replaceAll('-', '')}`, type, body, owner }
}
