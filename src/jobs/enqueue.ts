import { isStorable } from '../core/body.ts'
import type { Statement } from '../core/database.ts'
import { uuidv7 } from '../core/id.ts'
import type { EnqueueOptions } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import { validate } from '../core/validate.ts'
import type { Handler } from './handler.ts'

const payloadLimit = 256 * 1024

/** A job that is not in the database yet. */
export interface Prepared {
  readonly id: string
  /** One statement, and with a key a second one that finds the job that is there: `{ id }`. */
  readonly statements: Statement[]
}

/**
 * Checks a payload and makes the statements that enqueue it.
 *
 * @throws {Fault} `bad_request` (400) if the payload is not as the schema says.
 * @throws {TypeError} if an option makes no sense, or the payload is no JSON or over 256 KB.
 */
export async function prepareJob(
  scope: Scope,
  name: string,
  { payload, handler, ...options }: EnqueueOptions & { payload: unknown; handler: Handler },
): Promise<Prepared> {
  const { key, once = false, priority = 0, owner, attempts = handler.attempts } = options
  const now = scope.now()
  const at = options.at === undefined ? now : Number(options.at)
  check({ at, key, once, priority, owner, attempts })
  const text = JSON.stringify(payload ?? null)
  if (text === undefined || new TextEncoder().encode(text).length > payloadLimit)
    throw new TypeError(`enqueue: the payload of ${name} must be JSON of up to 256 KB`)
  // What is checked is what will be read: a Date, say, is a text by then.
  await validate(handler.payload, JSON.parse(text))
  const id = uuidv7(now)
  const insert = scope.db
    .prepare(
      `INSERT INTO leanto_jobs_jobs
         (id, name, payload, state, priority, due, scheduled_at, attempts, owner_id, unique_key, once, created_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?11)
       ON CONFLICT (name, unique_key) WHERE unique_key IS NOT NULL DO NOTHING`,
    )
    .bind(
      id,
      name,
      text,
      at <= now ? 'ready' : 'waiting',
      priority,
      at,
      attempts,
      owner ?? null,
      key ?? null,
      once ? 1 : 0,
      now,
    )
  if (key === undefined) return { id, statements: [insert] }
  const find = scope.db
    .prepare('SELECT id FROM leanto_jobs_jobs WHERE name = ?1 AND unique_key = ?2')
    .bind(name, key)
  return { id, statements: [insert, find] }
}

function check({
  at,
  key,
  once,
  priority,
  owner,
  attempts,
}: {
  at: number
  key: string | undefined
  once: boolean
  priority: number
  owner: string | null | undefined
  attempts: number
}) {
  if (!(Number.isSafeInteger(at) && at >= 0))
    throw new TypeError('enqueue: `at` must be a Date or whole Unix milliseconds')
  for (const [option, text] of Object.entries({ key, owner }))
    if (
      text !== undefined &&
      text !== null &&
      !(typeof text === 'string' && text !== '' && text.length <= 512 && isStorable(text))
    )
      throw new TypeError(`enqueue: \`${option}\` must be a text of 1 to 512 characters`)
  if (once && key === undefined) throw new TypeError('enqueue: `once` needs a `key`')
  if (!Number.isSafeInteger(priority))
    throw new TypeError('enqueue: `priority` must be a whole number; higher goes first')
  if (!(Number.isSafeInteger(attempts) && attempts >= 1))
    throw new TypeError('enqueue: `attempts` must be a whole number of at least 1')
}
