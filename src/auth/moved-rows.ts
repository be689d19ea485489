import * as v from 'valibot'
import type { Statement } from '../core/database.ts'
import { isUuid } from '../core/id.ts'
import type { Scope } from '../core/scope.ts'

/* What the parts share that move rows along with users: see `Moved` in `part.ts`. */

const iso = /^(?:\d{4}|[+-]\d{6})-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/
const isTime = (text: string) => iso.test(text) && !Number.isNaN(Date.parse(text))

/** ISO 8601 with a zone, as milliseconds. */
export const time = v.nullish(
  v.pipe(
    v.string(),
    v.check(isTime, 'a time must be ISO 8601 with a zone'),
    v.transform((text) => Date.parse(text)),
  ),
)

/** In lower case. */
export const uuid = v.nullish(
  v.pipe(
    v.string(),
    v.check((text: string) => isUuid(text), 'an id must be a UUID'),
    v.transform((text: string) => text.toLowerCase()),
  ),
)

export const toIso = (time: number | null): string | undefined =>
  time === null ? undefined : new Date(time).toISOString()

/** Of what leanto derives from others' ids; made once, at random. */
const namespace = Uint8Array.from('5e0c6a1f4a0b4d6c9d1f7b2c83e4a590'.match(/../g) ?? [], (pair) =>
  Number.parseInt(pair, 16),
)

/** A UUIDv5 (RFC 9562, 5.5): the same name, the same id, so that what comes twice is stored once. */
export async function idOf(name: string): Promise<string> {
  const bytes = [...namespace, ...new TextEncoder().encode(name)]
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-1', Uint8Array.from(bytes)))
  hash[6] = ((hash[6] as number) & 0x0f) | 0x50
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80
  const hex = Array.from(hash.slice(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** A column of a row `j`. */
export const fromJson = (column: string) => `j.value ->> '$.${column}'`

/**
 * One statement for all of them; none for none.
 *
 * @param table Without its prefix.
 * @param rows Each with the same keys, which are the columns.
 */
export function insertRows(
  scope: Scope,
  table: string,
  rows: readonly object[],
): readonly Statement[] {
  const columns = Object.keys(rows[0] ?? {})
  if (columns.length === 0) return []
  return [
    scope.db
      .prepare(
        `INSERT INTO leanto_auth_${table} (${columns.join(', ')})
         SELECT ${columns.map(fromJson).join(', ')} FROM json_each(?) j`,
      )
      .bind(JSON.stringify(rows)),
  ]
}

/** @param users JSON list of ids. */
export const removeOf = (scope: Scope, table: string, users: string): Statement =>
  scope.db
    .prepare(`DELETE FROM leanto_auth_${table} WHERE user_id IN (SELECT value FROM json_each(?))`)
    .bind(users)
