import type { Scope } from '../../core/scope.ts'
import { sortKey } from '../collate.ts'
import { databaseId, type Place, placed, rowsOf } from '../database.ts'
import type { View } from '../definition.ts'
import { bad } from '../faults.ts'
import { channelsOf, seenSql } from '../permission.ts'
import { count, either, flag, json, type Options, word } from '../query.ts'
import { columnsFor, type FullRow, visible } from '../read.ts'
import type { Stored } from '../stored.ts'
import { blobsFor, documentText, type Show } from '../version.ts'
import { type Piece, reduceRows } from './reduce.ts'
import { askRows, type Emitted, type RowSource } from './view-rows.ts'
import { viewId } from './view-state.ts'

/** A request to a view, taken apart. Bounds are sort keys. */
export interface ViewInput {
  keys: readonly unknown[] | undefined
  low: string | null
  high: string | null
  /** Where rows of the same key begin and end. */
  lowId: string | undefined
  highId: string | undefined
  inclusiveEnd: boolean
  descending: boolean
  limit: number
  skip: number
  includeDocs: boolean
  updateSeq: boolean
  /** `false` takes the rows as they are; `lazy` brings them up to date after the answer. */
  update: boolean | 'lazy'
  /** `null` for the rows themselves; else by how many elements of a key they are grouped. */
  groupLevel: number | null
  show: Show
}

/** @throws {Fault} `query_parse_error`, `bad_request` (400). */
export function parseView(options: Options, query: URLSearchParams, view: View): ViewInput {
  const value = (...names: string[]) => {
    const name = either(options, ...names)
    return name === undefined ? undefined : { is: json(options, query, name) }
  }
  const keys = value('keys')?.is
  if (keys !== undefined && !Array.isArray(keys))
    throw bad('bad_request', '`keys` member must be an array.')
  const key = value('key')
  const start = key ?? value('startkey', 'start_key')
  const end = key ?? value('endkey', 'end_key')
  if (keys && (start || end))
    throw bad('query_parse_error', '`keys` is incompatible with `key`, `start_key` and `end_key`')
  const descending = flag(options, 'descending')
  const [low, high] = descending ? [end, start] : [start, end]
  const startId = word(options, either(options, 'startkey_docid', 'start_key_doc_id') ?? '')
  const endId = word(options, either(options, 'endkey_docid', 'end_key_doc_id') ?? '')
  if (low && high && sortKey(low.is) > sortKey(high.is))
    throw bad(
      'query_parse_error',
      `No rows can match your key range, reverse your start_key and end_key or set descending=${!descending}`,
    )
  return {
    keys,
    low: low ? sortKey(low.is) : null,
    high: high ? sortKey(high.is) : null,
    lowId: descending ? endId : startId,
    highId: descending ? startId : endId,
    inclusiveEnd: flag(options, 'inclusive_end', true),
    descending,
    limit: count(options, 'limit', Number.MAX_SAFE_INTEGER),
    skip: count(options, 'skip', 0),
    includeDocs: flag(options, 'include_docs'),
    updateSeq: flag(options, 'update_seq'),
    update: updateOf(options),
    groupLevel: groupLevelOf(options, view, keys !== undefined),
    show: {
      attachments: flag(options, 'attachments'),
      conflicts: flag(options, 'conflicts'),
    },
  }
}

function oneOf<Word extends string>(options: Options, name: string, words: readonly Word[]) {
  const value = options[name] === undefined ? undefined : String(options[name])
  if (value === undefined || words.includes(value as Word)) return value as Word | undefined
  throw bad('query_parse_error', `Invalid value for \`${name}\`.`)
}

function updateOf(options: Options): boolean | 'lazy' {
  oneOf(options, 'stable', ['true', 'false'])
  const stale = oneOf(options, 'stale', ['ok', 'update_after'])
  const update = oneOf(options, 'update', ['true', 'false', 'lazy']) ?? 'true'
  if (stale) return stale === 'update_after' && 'lazy'
  return update === 'lazy' ? update : update === 'true'
}

function groupLevelOf(options: Options, view: View, byKeys: boolean): number | null {
  const grouped = count(options, 'group_level', 0) > 0 || flag(options, 'group')
  if (!view.reduce || !flag(options, 'reduce', true)) {
    if (!view.reduce && flag(options, 'reduce'))
      throw bad('query_parse_error', 'Reduce is invalid for map-only views.')
    if (grouped) throw bad('query_parse_error', 'Invalid use of grouping on a map view.')
    return null
  }
  if (options.conflicts !== undefined)
    throw bad('query_parse_error', '`conflicts` is invalid for reduce views.')
  if (flag(options, 'include_docs'))
    throw bad('query_parse_error', '`include_docs` is invalid for reduce')
  const level = flag(options, 'group') ? Number.MAX_SAFE_INTEGER : count(options, 'group_level', 0)
  if (byKeys && level === 0)
    throw bad('query_parse_error', 'Multi-key fetches for reduce views must use `group=true`')
  return level
}

/** A view as a source of rows. The code of one of the host is its version. */
export const viewSource = (
  name: string,
  { map, reduce, version, ready, atOnce, designs }: View & Stored,
): RowSource => ({
  name: `view:${name}`,
  version: version ?? [map, reduce].join('\n'),
  ready,
  designs,
  reduce: atOnce ? undefined : reduce,
  rows(doc) {
    const rows: Emitted[] = []
    map(doc, (key, value = null) => rows.push({ key, value }))
    return rows
  },
})

/** A row of a view, as it is kept. */
interface ViewRow extends Piece {
  sort: string
}

/**
 * Asks a view. One trip if nothing changed since it was last asked, one more for documents.
 *
 * @returns As text: `{ total_rows, offset, rows }`, of a reduced one `{ rows: [{ key, value }] }`.
 * @see https://docs.couchdb.org/en/stable/api/ddoc/views.html
 */
export async function queryView(
  scope: Scope,
  place: Place,
  { view, source, input }: { view: View; source: RowSource; input: ViewInput },
): Promise<string> {
  // Of rows that not everybody sees no block is kept.
  const blocks =
    source.reduce !== undefined &&
    input.groupLevel !== null &&
    !input.keys &&
    channelsOf(place) === null
  const statement = blocks ? piecesStatement : rowsStatement
  const ask = (update: boolean) =>
    askRows(scope, place, {
      source,
      update,
      blocks,
      ask: () => [statement(scope, place, source, input)],
    })
  const { database, total, results } = await ask(input.update === true)
  if (input.update === 'lazy') scope.waitUntil(ask(true).then(() => {}))
  const found = (results[0]?.results ?? []) as unknown as ViewRow[]
  const rows = input.keys ? inOrderOf(input.keys, found) : found
  const seq = input.updateSeq ? `,"update_seq":${database.update_seq}` : ''
  if (input.groupLevel !== null && view.reduce) {
    const reduced = reduceRows(rows, view.reduce, input.groupLevel)
    const page = reduced.slice(input.skip, input.skip + input.limit)
    return `{"rows":[\n${page.map(({ key, value }) => `{"key":${key},"value":${JSON.stringify(value ?? null)}}`).join(',\n')}\n]${seq}}`
  }
  const page = input.keys ? rows.slice(input.skip, input.skip + input.limit) : rows
  const docs = input.includeDocs ? await docsOf(scope, place, page, input.show) : null
  const lines = page.map(({ id, key, value }) => {
    const doc = docs ? `,"doc":${docs.get(docIdOf(id, value)) ?? 'null'}` : ''
    return `{"id":${JSON.stringify(id)},"key":${key},"value":${value}${doc}}`
  })
  // How many rows there are of what someone may not see is not theirs to know.
  const all = channelsOf(place) === null ? total : page.length + input.skip
  return `{"total_rows":${all},"offset":${Math.min(input.skip, all)}${seq},"rows":[\n${lines.join(',\n')}\n]}`
}

/** What a value names in `_id`, as a view may point to another document. */
function docIdOf(id: string, value: string): string {
  const other = value.startsWith('{') ? (JSON.parse(value) as { _id?: unknown })._id : undefined
  return typeof other === 'string' ? other : id
}

function rowsStatement(scope: Scope, place: Place, source: RowSource, input: ViewInput) {
  const values: unknown[] = [source.name]
  const at = (value: unknown) => `?${values.push(value) + 2}`
  const conditions = [
    ...within(input, at, 'v.sort', 'v.id'),
    ...(input.keys
      ? [`v.sort IN (SELECT value FROM json_each(${at(JSON.stringify(input.keys.map(sortKey)))}))`]
      : []),
  ]
  const members = channelsOf(place) !== null
  const seen = members
    ? `AND EXISTS (SELECT 1 FROM leanto_sync_documents d WHERE d.db = ${databaseId} AND d.id = v.id
        AND ${seenSql(place, values)})`
    : ''
  const way = input.descending ? 'DESC' : 'ASC'
  const paged = input.groupLevel === null && !input.keys
  return placed(
    scope,
    place,
    `SELECT v.id, v.sort, v.key, v.value FROM leanto_sync_rows v
     WHERE v.view = ${viewId} ${conditions.map((one) => `AND ${one}`).join(' ')} ${seen}
     ORDER BY v.sort ${way}, v.id ${way}, v.n ${way}
     ${paged ? `LIMIT ${at(input.limit)} OFFSET ${at(input.skip)}` : ''}`,
    values,
  )
}

/**
 * The blocks that are within the range and in one group, and the rows of the others. Of those no row is even looked for:
 * no view is NULL.
 */
function piecesStatement(scope: Scope, place: Place, source: RowSource, input: ViewInput) {
  const values: unknown[] = [source.name]
  const at = (value: unknown) => `?${values.push(value) + 2}`
  const { low, high } = input
  const whole = [
    `b.same >= ${at(input.groupLevel)}`,
    ...within({ ...input, high: null }, at, 'b.sort', 'b.id'),
    ...within({ ...input, low: null }, at, 'b.last_sort', 'b.last_id'),
  ].join(' AND ')
  // Where the range begins and ends, as an index finds it: the last block that begins before may reach into it.
  const near = [
    `b.view = ${viewId}`,
    ...(low === null
      ? []
      : [
          `b.sort >= coalesce((SELECT max(x.sort) FROM leanto_sync_reduced x
             WHERE x.view = ${viewId} AND x.sort < ${at(low)}), '')`,
        ]),
    ...(high === null ? [] : [`b.sort <= ${at(high)}`]),
  ].join(' AND ')
  const rows = within(input, at, 'v.sort', 'v.id').map((one) => `AND ${one}`)
  const way = input.descending ? 'DESC' : 'ASC'
  return placed(
    scope,
    place,
    `SELECT coalesce(v.id, b.id) id, coalesce(v.key, b.key) key, coalesce(v.value, b.value) value, ${whole} whole
     FROM leanto_sync_reduced b LEFT JOIN leanto_sync_rows v
       ON v.view = CASE WHEN ${whole} THEN NULL ELSE b.view END AND (v.sort, v.id, v.n) >= (b.sort, b.id, b.n)
         AND (v.sort, v.id, v.n) <= (b.last_sort, b.last_id, b.last_n) ${rows.join(' ')}
     WHERE ${near} AND (${whole} OR v.sort IS NOT NULL)
     ORDER BY b.sort ${way}, b.id ${way}, b.n ${way}, v.sort ${way}, v.id ${way}, v.n ${way}`,
    values,
  )
}

/** That a row, or an end of a block, is within the bounds. */
function within(
  { low, high, lowId, highId, descending, inclusiveEnd }: ViewInput,
  at: (value: unknown) => string,
  sort: string,
  id: string,
): string[] {
  // Which of the two bounds is the end, that may be left out, depends on the direction.
  const lowest = descending && !inclusiveEnd ? '>' : '>='
  const highest = !descending && !inclusiveEnd ? '<' : '<='
  const bound = (key: string | null, sign: string, byId: string | undefined) => {
    if (key === null) return []
    if (byId === undefined) return [`${sort} ${sign} ${at(key)}`]
    return [`(${sort}, ${id}) ${sign} (${at(key)}, ${at(byId)})`]
  }
  return [...bound(low, lowest, lowId), ...bound(high, highest, highId)]
}

/** Rows in the order of the keys that were asked for, one as often as it was. */
function inOrderOf(keys: readonly unknown[], rows: readonly ViewRow[]): ViewRow[] {
  const byKey = new Map<string, ViewRow[]>()
  for (const row of rows) byKey.set(row.sort, [...(byKey.get(row.sort) ?? []), row])
  return keys.flatMap((key) => byKey.get(sortKey(key)) ?? [])
}

async function docsOf(
  scope: Scope,
  place: Place,
  rows: readonly ViewRow[],
  show: Show,
): Promise<Map<string, string>> {
  const ids = [...new Set(rows.map(({ id, value }) => docIdOf(id, value)))]
  const values: unknown[] = [JSON.stringify(ids)]
  const results = await rowsOf<FullRow & { db: number }>(
    scope,
    placed(
      scope,
      place,
      `SELECT d.db, ${columnsFor(place, values)} FROM json_each(?3) w
       CROSS JOIN leanto_sync_documents d ON d.db = ${databaseId} AND d.id = w.value`,
      values,
    ),
  )
  const seen = results.filter((row) => !row.deleted && visible(place, row))
  const shown = seen.map((row) => ({ row, tree: row.tree }))
  const blobs = await blobsFor(scope, seen[0]?.db ?? 0, shown, show)
  return new Map(seen.map((row) => [row.id, documentText(row, show, row, blobs)]))
}
