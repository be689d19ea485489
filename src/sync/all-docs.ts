import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { type DatabaseRow, databaseId, inDatabase, type Place, placed } from './database.ts'
import { bad } from './faults.ts'
import { channelsOf, seenSql } from './permission.ts'
import { count, either, flag, json, type Options } from './query.ts'
import { columnsFor, type FullRow, visible } from './read.ts'
import { blobsFor, documentText, type Show } from './version.ts'

/** A page of `_all_docs`, as it was asked for. */
export interface AllDocsInput {
  keys: readonly unknown[] | undefined
  range: Range
  descending: boolean
  limit: number
  skip: number
  includeDocs: boolean
  updateSeq: boolean
  show: Show
}

/** Bounds of ids: `null` is no bound. */
export interface Range {
  start: string | null
  end: string | null
  inclusiveEnd: boolean
  /** Bounds that no id lies between. */
  empty: boolean
}

/** @throws {Fault} `query_parse_error`, `bad_request` (400). */
export function parseAllDocs(options: Options, query: URLSearchParams): AllDocsInput {
  const value = (...names: string[]) => {
    const name = either(options, ...names)
    return name === undefined ? undefined : json(options, query, name)
  }
  const keys = value('keys')
  if (keys !== undefined && !Array.isArray(keys))
    throw bad('bad_request', '`keys` member must be an array.')
  const key = value('key')
  const start = value('startkey', 'start_key')
  const end = value('endkey', 'end_key')
  if (keys && (key !== undefined || start !== undefined || end !== undefined))
    throw bad('query_parse_error', '`keys` is incompatible with `key`, `start_key` and `end_key`')
  const descending = flag(options, 'descending')
  const attachments = flag(options, 'attachments')
  return {
    keys,
    range:
      key === undefined
        ? rangeOf(start, end, descending, flag(options, 'inclusive_end', true))
        : rangeOf(key, key, descending, true),
    descending,
    limit: count(options, 'limit', Number.MAX_SAFE_INTEGER),
    skip: count(options, 'skip', 0),
    includeDocs: flag(options, 'include_docs'),
    updateSeq: flag(options, 'update_seq'),
    show: {
      attachments,
      conflicts: flag(options, 'conflicts'),
      encodings: flag(options, 'att_encoding_info'),
    },
  }
}

/** Ids are text: what sorts before all text, or after it, is no bound or one that lets nothing through. */
function rangeOf(start: unknown, end: unknown, descending: boolean, inclusiveEnd: boolean): Range {
  const side = (value: unknown) => (Array.isArray(value) || value instanceof Object ? 1 : -1)
  const beyond = (value: unknown) => value !== undefined && typeof value !== 'string'
  const way = descending ? -1 : 1
  return {
    start: typeof start === 'string' ? start : null,
    end: typeof end === 'string' ? end : null,
    inclusiveEnd,
    empty: (beyond(start) && side(start) === way) || (beyond(end) && side(end) === -way),
  }
}

/**
 * Documents by their ids. One trip, one more for the bytes of attachments.
 *
 * @returns `{ total_rows, offset, rows }`, as text. `offset` is what was skipped: to count what lies before a start key
 * would be to read it.
 * @see https://docs.couchdb.org/en/stable/api/database/bulk-api.html#db-all-docs
 */
export async function allDocs(scope: Scope, place: Place, input: AllDocsInput): Promise<string> {
  const [page] = await allDocsPages(scope, place, [input])
  return page as string
}

/** Several pages at once: `_all_docs/queries`. */
export async function allDocsPages(
  scope: Scope,
  place: Place,
  inputs: readonly AllDocsInput[],
): Promise<string[]> {
  const counting = channelsOf(place) === null ? [] : [countStatement(scope, place)]
  const { database, results } = await inDatabase(scope, place, [
    ...inputs.map((input) =>
      input.keys ? byKeys(scope, place, input.keys) : byRange(scope, place, input),
    ),
    ...counting,
  ])
  const total =
    counting.length > 0
      ? ((results.at(-1)?.results[0] as Counts | undefined)?.living ?? 0)
      : database.doc_count
  const pages: string[] = []
  for (const [i, input] of inputs.entries()) {
    const rows = (results[i]?.results ?? []) as unknown as FullRow[]
    const lines = await linesOf(scope, place, { input, rows, database })
    const seq = input.updateSeq ? `,"update_seq":${database.update_seq}` : ''
    pages.push(
      `{"total_rows":${total},"offset":${input.keys ? 0 : Math.min(input.skip, total)}${seq},"rows":[\n${lines.join(',\n')}\n]}`,
    )
  }
  return pages
}

/** What someone may see of a database, in numbers. */
export interface Counts {
  living: number
  dead: number
  bytes: number
}

/** Reads `Counts`. For those who see a part of it: what the database's row counts is all. */
export function countStatement(scope: Scope, place: Place): Statement {
  const values: unknown[] = []
  const seen = seenSql(place, values)
  return placed(
    scope,
    place,
    `SELECT coalesce(sum(deleted = 0), 0) living, coalesce(sum(deleted), 0) dead, coalesce(sum(size), 0) bytes
     FROM leanto_sync_documents d WHERE d.db = ${databaseId} AND ${seen}`,
    values,
  )
}

function byKeys(scope: Scope, place: Place, keys: readonly unknown[]): Statement {
  const values: unknown[] = [
    JSON.stringify([...new Set(keys.filter((key) => typeof key === 'string'))]),
  ]
  return placed(
    scope,
    place,
    `SELECT ${columnsFor(place, values)} FROM json_each(?3) w
     CROSS JOIN leanto_sync_documents d ON d.db = ${databaseId} AND d.id = w.value`,
    values,
  )
}

function byRange(scope: Scope, place: Place, input: AllDocsInput): Statement {
  const { range, descending, limit, skip } = input
  const values: unknown[] = []
  const at = (value: unknown) => `?${values.push(value) + 2}`
  const [from, to] = descending ? ['<=', '>'] : ['>=', '<']
  const conditions = [
    ...(range.empty ? ['false'] : []),
    ...(range.start === null ? [] : [`d.id ${from} ${at(range.start)}`]),
    ...(range.end === null ? [] : [`d.id ${to}${range.inclusiveEnd ? '=' : ''} ${at(range.end)}`]),
    'd.deleted = 0',
    seenSql(place, values),
  ]
  return placed(
    scope,
    place,
    `SELECT ${columnsFor(place, values)} FROM leanto_sync_documents d INDEXED BY leanto_sync_documents_id
     WHERE d.db = ${databaseId} AND ${conditions.join(' AND ')}
     ORDER BY d.id ${descending ? 'DESC' : ''} LIMIT ${at(limit)} OFFSET ${at(skip)}`,
    values,
  )
}

async function linesOf(
  scope: Scope,
  place: Place,
  page: { input: AllDocsInput; rows: readonly FullRow[]; database: DatabaseRow },
): Promise<string[]> {
  const { input, rows, database } = page
  const { keys, includeDocs, show } = input
  const shown = includeDocs ? rows.filter((row) => !row.deleted && visible(place, row)) : []
  const blobs = await blobsFor(
    scope,
    database.id,
    shown.map((row) => ({ row, tree: row.tree })),
    show,
  )
  const line = (row: FullRow): string => {
    const id = JSON.stringify(row.id)
    const deleted = row.deleted ? ',"deleted":true' : ''
    const doc = includeDocs
      ? `,"doc":${row.deleted ? 'null' : documentText(row, show, row, blobs)}`
      : ''
    return `{"id":${id},"key":${id},"value":{"rev":${JSON.stringify(row.rev)}${deleted}}${doc}}`
  }
  if (!keys) return rows.map(line)
  const byId = new Map(rows.filter((row) => visible(place, row)).map((row) => [row.id, row]))
  const ordered = input.descending ? [...keys].reverse() : keys
  return ordered.slice(input.skip, input.skip + input.limit).map((key) => {
    const row = typeof key === 'string' ? byId.get(key) : undefined
    return row ? line(row) : `{"key":${JSON.stringify(key)},"error":"not_found"}`
  })
}
