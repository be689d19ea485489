import { policyOf } from './candidate.ts'
import { keptAt, listOf, packedRow, type Slot } from './capture.ts'
import { every, type View } from './compile.ts'
import type { Field } from './expose.ts'
import { needRowid } from './identity.ts'
import { type Inserting, sameRow } from './insert.ts'
import { allOf, type Returned } from './returning.ts'
import { type Fragment, sql } from './sql.ts'
import { orderBy } from './where.ts'

/** Which rows of a payload say themselves which row of the table they become, by their index. */
interface Naming {
  readonly named: boolean
  /** Those that do not. */
  readonly unnamed: readonly number[]
}

/**
 * How the rows that an insert wrote are found again. A row of the payload that names its key is the row of that key. The
 * others get new rowids, above all that were there, in the order of the payload: also where the key is made by an SQL
 * default.
 *
 * @throws {Fault} PGRST127 where a key is made by the database in a table that is known to have no rowid.
 */
export function captureRows(
  view: View,
  slot: Slot,
  about: { inserting: Inserting; json: string; part: number; returned: Returned },
): { opening: { kept: Fragment; found: Fragment }; rows: Fragment } {
  const { inserting, json, part, returned } = about
  const key = inserting.target ?? view.resource.primaryKey
  const { named, unnamed } = namingOf(inserting, key, json)
  const { table } = view.resource
  const same = named ? (sameRow(inserting, key) as Fragment) : undefined
  const given = sql`json_each(${json}) as leanto_given`
  const existing =
    same && inserting.target ? sql`from ${given} cross join ${table} where ${same}` : undefined
  const highest =
    unnamed.length > 0
      ? sql`(select coalesce(max(${needRowid(view)}), -9223372036854775808) from ${table})`
      : sql.raw('null')
  const ignoring = inserting.target !== undefined && !inserting.merging
  const before =
    existing && ignoring
      ? sql`json((select json_group_array(leanto_given.key) ${existing}))`
      : sql`json_array()`

  const found = { given, same, ignoring, key, kept: keptAt(slot, part) }
  const readable = policyOf(view, ['select'])
  const row = packedRow(slot, allOf(returned))
  const by = (from: Fragment, where: Fragment, place: Fragment) =>
    sql`select ${row} as v from ${from} where ${every([where, readable])}${orderBy([...returned.terms, { value: place, how: sql.empty, descending: false }])}`
  const rows = () => {
    if (!same)
      return by(sql`${table}`, sql`${needRowid(view)} > ${highestOf(found)}`, needRowid(view))
    if (unnamed.length === 0)
      return by(
        sql`${givenNamed(view, found)} cross join ${table}`,
        same,
        sql.raw('leanto_given.key'),
      )
    const placed = sql`${byRowid(view, found, same, unnamed)} as leanto_found cross join ${table}`
    return by(placed, sql`${needRowid(view)} = leanto_found.r`, sql.raw('leanto_found.n'))
  }
  return {
    opening: {
      kept: sql`json_array(${highest}, ${before})`,
      found: existing && inserting.merging ? sql`(select count(*) ${existing})` : sql.raw('0'),
    },
    rows: listOf(rows()),
  }
}

function namingOf({ laid }: Inserting, key: readonly Field[], json: string): Naming {
  const positions = key.map((field) => laid.fields.indexOf(field))
  const cells = JSON.parse(json) as unknown[][]
  const unnamed = cells.flatMap((row, i) =>
    key.length > 0 && positions.every((at) => isKnown(row[at])) ? [] : [i],
  )
  return { named: unnamed.length < cells.length, unnamed }
}

/** Neither null nor left to the column's own default. */
const isKnown = (cell: unknown): boolean =>
  cell !== null && cell !== undefined && (typeof cell !== 'object' || Array.isArray(cell))

interface Finding {
  readonly given: Fragment
  /** Whether a row of the table is the one that a row of the payload names. */
  readonly same: Fragment | undefined
  readonly ignoring: boolean
  readonly key: readonly Field[]
  readonly kept: Fragment
}

/** The payload's rows; of those that are ignored if they are there, the ones that were not, and the first of each key. */
function givenNamed(view: View, { given, same, ignoring, key, kept }: Finding): Fragment {
  if (!ignoring) return given
  const columns = key.map(({ column }) => sql`${column}`)
  // Next to min(), SQLite takes the other columns from the row that has it.
  return sql`(select min(leanto_given.key) as key, leanto_given.value as value from ${given} cross join ${view.resource.table} where ${same} and leanto_given.key not in (select value from json_each(${kept}, '$[1]')) group by ${sql.join(columns, ', ')}) as leanto_given`
}

/**
 * The rowids of what was written, each with the index of its row of the payload. Others, that a trigger added, stay in:
 * that there are too many of them is what `close` sees.
 */
function byRowid(
  view: View,
  finding: Finding,
  same: Fragment,
  unnamed: readonly number[],
): Fragment {
  const { table } = view.resource
  const rowid = needRowid(view)
  const named = sql`select leanto_given.key as n, ${rowid} as r from ${givenNamed(view, finding)} cross join ${table} where ${same}`
  const fresh = sql`select row_number() over (order by ${rowid}) as i, ${rowid} as r from ${table} where ${rowid} > ${highestOf(finding)} and ${rowid} not in (select r from leanto_named)`
  const waiting = sql`select row_number() over (order by value) as i, value as n from json_each(${JSON.stringify(unnamed)})`
  return sql`(with leanto_named as (${named}), leanto_fresh as (${fresh}), leanto_waiting as (${waiting}) select n, r from leanto_named union all select n, r from leanto_fresh left join leanto_waiting using (i))`
}

/** The highest rowid that was there before. */
const highestOf = ({ kept }: Finding): Fragment => sql`json_extract(${kept}, '$[0]')`
