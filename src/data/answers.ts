import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { hash } from '../core/secret.ts'
import { answersTable, capturedSql, isCaptured } from './capture.ts'
import { guard, prepare } from './compile.ts'
import { guardOf } from './db-fault.ts'
import { dataFaults } from './faults.ts'
import type { Captured } from './plan.ts'
import type { Output } from './rows.ts'
import type { Step } from './run.ts'
import { sql } from './sql.ts'
import type { Who } from './who.ts'

/*
 * `Idempotency-Key`: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 * The key and the answer are kept in the transaction of the write: there is no moment at which one is there without the
 * other, and a request that failed has left neither.
 */

/** A request's claim of a key. */
export interface Claim {
  /** A digest of the key and of who uses it: nobody reaches another's answer. */
  readonly key: string
  /** A digest of the request. */
  readonly fingerprint: string
  /** Unix time in seconds. */
  readonly expires: number
}

// Where the claim itself stands, before the answers of the operations.
const claimAt = -1

const headersThatCount = ['accept', 'content-type', 'if-match', 'if-none-match', 'prefer']

/**
 * The claim of a request, if it makes one.
 *
 * @param seconds How long the answer is kept.
 * @throws {Fault} PT400 if the key is empty, too long, or, of a guest, too easy to guess.
 */
export async function claimOf(
  { now }: Scope,
  request: Request,
  { who, body, seconds }: { who: Who; body: string; seconds: number },
): Promise<Claim | undefined> {
  const header = request.headers.get('idempotency-key')
  if (header === null) return undefined
  const key = keyOf(header)
  // One guest cannot be told from another but by the key.
  if (who.role === 'anon' && key.length < 32)
    throw dataFaults.PT400({
      message: 'The Idempotency-Key of a guest must have at least 32 characters',
      hint: 'Use a random UUID.',
    })
  const { pathname, search } = new URL(request.url)
  const headers = headersThatCount.map((name) => request.headers.get(name))
  return {
    key: await hash(JSON.stringify([who.role, who.id, key])),
    fingerprint: await hash(JSON.stringify([request.method, pathname, search, headers, body])),
    expires: Math.floor(now() / 1000) + seconds,
  }
}

/** A structured string, `"…"` (RFC 9651), or the bare text that most clients send. */
function keyOf(header: string): string {
  const key = header.trim().match(/^"([\x20-\x21\x23-\x5b\x5d-\x7e]*)"$|^([\x21\x23-\x7e]*)$/)
  const text = key?.[1] ?? key?.[2] ?? ''
  if (text === '' || text.length > 255)
    throw dataFaults.PT400({ message: 'Idempotency-Key must hold 1 to 255 visible characters' })
  return text
}

/** Claims the key: an answer that has expired makes room, one that has not makes the batch fail. */
export function claimStatements(
  { db, now }: Scope,
  { key, fingerprint, expires }: Claim,
  steps: readonly Step[],
): Statement[] {
  const expired = guard(sql`expires_at <= ${Math.floor(now() / 1000)}`, 'ANSWERED')
  const about = JSON.stringify([fingerprint, shapeOf(steps)])
  return [
    // CASE, because SQLite may ask the terms of a WHERE in any order.
    prepare(
      db,
      sql`delete from ${answersTable} where key = ${key} and case when key = ${key} then ${expired} else 0 end`,
    ),
    prepare(
      db,
      sql`insert into ${answersTable} (key, n, part, expires_at, kept, found) values (${key}, ${sql.raw(String(claimAt))}, 0, ${expires}, ${about}, 0)`,
    ),
  ]
}

export const isAnswered = (error: unknown): boolean => guardOf(error)?.code === 'ANSWERED'

/**
 * The answer that the key has already.
 *
 * @throws {Fault} PT422 if it was to another request, PT409 if the app has changed so that it can no longer be told.
 */
export async function storedAnswer(
  { db }: Scope,
  { key, fingerprint }: Claim,
  steps: readonly Step[],
): Promise<Captured[]> {
  const { results } = await prepare(db, capturedSql(key)).all<Captured & { kept: string | null }>()
  const claim = results.find(({ n }) => n === claimAt)
  const [of, shape] = JSON.parse(claim?.kept ?? '[]') as [string?, string?]
  if (of !== fingerprint) throw dataFaults.PT422()
  if (shape !== shapeOf(steps))
    throw dataFaults.PT409({ details: 'The tables have changed since.' })
  return results.filter(isCaptured)
}

/** What the answer's rows look like: kept with them, because they are read again by it. */
const shapeOf = (steps: readonly Step[]): string =>
  JSON.stringify(steps.map(({ plan }) => plan.outputs.map(shapeOfOutput)))

const shapeOfOutput = (output: Output): unknown =>
  output.kind === 'embed'
    ? [output.name, output.many, output.spread, output.outputs.map(shapeOfOutput)]
    : [output.name, output.type.name, output.field?.column.columnType]
