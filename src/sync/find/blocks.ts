import type { Statement } from '../../core/database.ts'
import { Fault } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { rowsOf } from '../database.ts'
import { type Reduce, reduced } from './reduce.ts'
import { chunks, type Run, runUnlessStale, type ViewState, viewId } from './view-state.ts'

/*
 * What a view's rows come to is kept by blocks of neighbours, as the nodes of CouchDB's tree keep it: a question over a
 * range takes whole blocks as they are, and reads rows only where a block is cut by the range or by two groups. A block is
 * from its `(sort, id, n)` up to the next one's. What is written into one makes it stale (`value` is NULL), and only
 * those are reduced again, when the view is next asked.
 */

const rowsPerBlock = 100
/** A block is split when it has more. */
const mostRows = 2 * rowsPerBlock
const rowsAtOnce = 5000
/** A block's value, in characters. What is longer is not worth keeping. */
const longestValue = 10_000

/** In `same`: the block's rows have one key. */
const oneKey = Number.MAX_SAFE_INTEGER
/** In `same`: its rows have to be reduced anew each time. */
const neverWhole = -1

/** Whether there is something to mend before the blocks can be asked, as one row `{ stale }`. `?3` is the view's name. */
export const staleSql = `SELECT NOT EXISTS (SELECT 1 FROM leanto_sync_reduced WHERE view = ${viewId})
  OR EXISTS (SELECT 1 FROM leanto_sync_reduced WHERE view = ${viewId} AND value IS NULL) AS stale`

/** Makes stale what holds rows of these documents, and what is to hold them. `?1` is the view. */
export const outdate = (run: Run, ids: string): Statement =>
  run(
    `UPDATE leanto_sync_reduced SET value = NULL WHERE value IS NOT NULL AND block IN (
       SELECT (SELECT b.block FROM leanto_sync_reduced b
         WHERE b.view = ?1 AND (b.sort, b.id, b.n) <= (r.sort, r.id, r.n)
         ORDER BY b.sort DESC, b.id DESC, b.n DESC LIMIT 1)
       FROM json_each(?2) w CROSS JOIN leanto_sync_rows r ON r.view = ?1 AND r.id = w.value)`,
    ids,
  )

type Position = [sort: string, id: string, n: number]

interface MendRow {
  sort: string
  id: string
  n: number
  row_sort: string | null
  row_id: string
  row_n: number
  key: string
  value: string
}

/** A block as it is stored: where it begins and ends, how much its keys have in common, its first key, its value. */
type Block = [...Position, ...(Position | [null, null, null]), number, string, string | null]

/** Reduces stale blocks, as many as fit. Two trips. If another request does the same, one of the two does nothing. */
export async function mend(scope: Scope, state: ViewState, reduce: Reduce): Promise<void> {
  const run: Run = (sql, ...more) => scope.db.prepare(sql).bind(state.id, ...more)
  // A blob sorts after every text: past the last block there is no end.
  const rows = await rowsOf<MendRow>(
    scope,
    run(
      `SELECT b.sort, b.id, b.n, v.sort row_sort, v.id row_id, v.n row_n, v.key, v.value
       FROM (
         SELECT view, sort, id, n FROM leanto_sync_reduced WHERE view = ?1 AND value IS NULL
         UNION ALL SELECT ?1, '', '', -1 WHERE NOT EXISTS (SELECT 1 FROM leanto_sync_reduced WHERE view = ?1)
         ORDER BY 2, 3, 4 LIMIT ?2
       ) b
       LEFT JOIN leanto_sync_reduced x ON x.block = (
         SELECT y.block FROM leanto_sync_reduced y
         WHERE y.view = b.view AND (y.sort, y.id, y.n) > (b.sort, b.id, b.n)
         ORDER BY y.sort, y.id, y.n LIMIT 1)
       LEFT JOIN leanto_sync_rows v ON v.view = b.view AND (v.sort, v.id, v.n) >= (b.sort, b.id, b.n)
         AND (v.sort, v.id, v.n) < (coalesce(x.sort, X'00'), coalesce(x.id, ''), coalesce(x.n, 0))
       ORDER BY b.sort, b.id, b.n, v.sort, v.id, v.n LIMIT ?2`,
      rowsAtOnce,
    ),
  )
  const { blocks, empty } = blocksOf(rows, reduce)
  await runUnlessStale(scope, state, [
    ...chunks(empty).map((some) =>
      run(
        `DELETE FROM leanto_sync_reduced WHERE view = ?1 AND sort <> '' AND (sort, id, n) IN (
           SELECT p.value ->> 0, p.value ->> 1, p.value ->> 2 FROM json_each(?2) p)`,
        JSON.stringify(some),
      ),
    ),
    ...chunks(blocks).map((some) =>
      run(
        `INSERT INTO leanto_sync_reduced (view, sort, id, n, last_sort, last_id, last_n, same, key, value)
         SELECT ?1, p.value ->> 0, p.value ->> 1, p.value ->> 2, p.value ->> 3, p.value ->> 4, p.value ->> 5,
           p.value ->> 6, p.value ->> 7, p.value ->> 8 FROM json_each(?2) p WHERE true
         ON CONFLICT (view, sort, id, n) DO UPDATE SET last_sort = excluded.last_sort, last_id = excluded.last_id,
           last_n = excluded.last_n, same = excluded.same, key = excluded.key, value = excluded.value`,
        JSON.stringify(some),
      ),
    ),
  ])
}

const at = (row: MendRow): Position => [row.row_sort ?? '', row.row_id, row.row_n]

function blocksOf(
  rows: readonly MendRow[],
  reduce: Reduce,
): { blocks: Block[]; empty: Position[] } {
  const blocks: Block[] = []
  const empty: Position[] = []
  const full = rows.length === rowsAtOnce
  for (let i = 0; i < rows.length; ) {
    const first = rows[i] as MendRow
    const begin: Position = [first.sort, first.id, first.n]
    let end = i
    while (end < rows.length && begin.every((part, j) => part === beginOf(rows[end])[j])) end++
    const mine = first.row_sort === null ? [] : rows.slice(i, end)
    // Of the last one there may be more: what was read becomes whole blocks, the rest one that is stale.
    const cut = full && end === rows.length
    const each = cut || mine.length > mostRows ? rowsPerBlock : mostRows
    if (mine.length === 0) {
      empty.push(begin)
      // The first one stays: every row has to be in one.
      if (first.sort === '') blocks.push([...begin, null, null, null, neverWhole, 'null', 'null'])
    }
    for (let from = 0; from < mine.length; from += each) {
      const some = mine.slice(from, from + each)
      const start = from === 0 ? begin : at(some[0] as MendRow)
      const rest = cut && from + each >= mine.length
      blocks.push(
        rest ? [...start, null, null, null, neverWhole, 'null', null] : block(start, some, reduce),
      )
    }
    i = end
  }
  return { blocks, empty }
}

const beginOf = (row: MendRow | undefined) => [row?.sort, row?.id, row?.n]

function block(start: Position, rows: readonly MendRow[], reduce: Reduce): Block {
  const [first, last] = [rows[0] as MendRow, rows.at(-1) as MendRow]
  const end = at(last)
  try {
    const named = rows.map(({ row_id: id, key, value }) => ({ id, key, value }))
    const value = JSON.stringify(reduced(named, reduce) ?? null)
    if (value.length <= longestValue)
      return [...start, ...end, inCommon(first.key, last.key), first.key, value]
  } catch (error) {
    // Whoever asks for these rows is told, and nobody else.
    if (!(error instanceof Fault)) throw error
  }
  return [...start, ...end, neverWhole, first.key, 'null']
}

/** How many elements two keys begin with alike: then all between them do. */
function inCommon(first: string, last: string): number {
  if (first === last) return oneKey
  if (!first.startsWith('[') || !last.startsWith('[')) return 0
  const [a, b] = [first, last].map((key) =>
    (JSON.parse(key) as unknown[]).map((one) => JSON.stringify(one)),
  )
  const other = a?.findIndex((one, i) => one !== b?.[i]) ?? 0
  return other < 0 ? (a?.length ?? 0) : other
}
