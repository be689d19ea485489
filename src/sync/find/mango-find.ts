import type { Scope } from '../../core/scope.ts'
import { databaseId, inDatabase, type Place, placed } from '../database.ts'
import { isObject } from '../document.ts'
import { bad } from '../faults.ts'
import { seenSql } from '../permission.ts'
import { count } from '../query.ts'
import { columnsFor, type FullRow } from '../read.ts'
import { fieldPath, isThere, matches, type Node, parseSelector, valueAt } from '../selector.ts'
import { documentText } from '../version.ts'
import {
  byId,
  type Choice,
  choose,
  idOf,
  indexesOf,
  isNamed,
  type MangoIndex,
  parseSort,
  shownIndex,
  sourceOf,
} from './mango-index.ts'
import { askRows } from './view-rows.ts'
import { viewId } from './view-state.ts'

/** A request to `_find`, taken apart. */
export interface FindInput {
  selector: Record<string, unknown>
  node: Node
  fields: readonly string[] | null
  sort: { fields: string[]; descending: boolean }
  limit: number
  skip: number
  /** Where the page before ended: sort key and id. */
  after: readonly [sort: string, id: string] | null
  use: readonly string[]
  conflicts: boolean
  update: boolean
  stats: boolean
}

/** @throws {Fault} those of Mango (400). */
export function parseFind(body: Record<string, unknown>): FindInput {
  if (body.selector === undefined)
    throw bad('missing_required_key', 'Missing required key: selector')
  const { selector, fields, use_index: use } = body
  if (
    fields !== undefined &&
    fields !== 'all_fields' &&
    !(Array.isArray(fields) && fields.every((one) => typeof one === 'string'))
  )
    throw bad('bad_arg', 'Invalid value for fields: it must be a list of names')
  return {
    selector: selector as Record<string, unknown>,
    node: parseSelector(selector),
    fields: Array.isArray(fields) && fields.length > 0 ? (fields as string[]) : null,
    sort: parseSort(body.sort),
    limit: count(body, 'limit', 25),
    skip: count(body, 'skip', 0),
    after: parseBookmark(body.bookmark),
    use: parseUse(use),
    conflicts: body.conflicts === true,
    update: body.update !== false && body.update !== 'false',
    stats: body.execution_stats === true,
  }
}

/** `"ddoc"`, `"_design/ddoc"`, `"ddoc/name"` or `["ddoc", "name"]`. */
function parseUse(use: unknown): string[] {
  if (Array.isArray(use)) return use.map(String)
  return typeof use === 'string' && use !== '' ? use.replace(/^_design\//, '').split('/') : []
}

function parseBookmark(bookmark: unknown): FindInput['after'] {
  if (bookmark === undefined || bookmark === null || bookmark === 'nil' || bookmark === '')
    return null
  try {
    const parsed = JSON.parse(decodeURIComponent(atob(String(bookmark))))
    if (
      Array.isArray(parsed) &&
      parsed.length === 2 &&
      parsed.every((one) => typeof one === 'string')
    )
      return parsed as unknown as FindInput['after']
  } catch {}
  throw bad('bad_arg', 'Invalid bookmark value')
}

const bookmarkOf = (after: readonly [string, string] | null): string =>
  after === null ? 'nil' : btoa(encodeURIComponent(JSON.stringify(after)))

interface IndexRow extends FullRow {
  sort: string
}

const warning = 'No matching index found, create an index to optimize query time.'

/**
 * Finds documents by a selector. Two trips where an index narrows it to one page.
 *
 * @returns `{ docs, bookmark, warning? }`, as text.
 * @see https://docs.couchdb.org/en/stable/api/database/find.html
 */
export async function findDocuments(scope: Scope, place: Place, input: FindInput): Promise<string> {
  const { indexes } = await indexesOf(scope, place)
  const choice = choose(indexes, input.node, { sort: input.sort.fields, use: input.use })
  const docs: string[] = []
  let { skip } = input
  let after = input.after
  let examined = 0
  const size = Math.min(500, Math.max(50, input.limit + input.skip))
  scan: while (docs.length < input.limit) {
    const rows = await readPage(scope, place, { choice, input, after, size })
    for (const row of rows) {
      examined++
      const doc = JSON.parse(documentText(row, { conflicts: input.conflicts }, row))
      after = [row.sort, row.id]
      if (!matches(input.node, doc)) continue
      if (skip > 0) skip--
      else docs.push(JSON.stringify(project(doc, input.fields)))
      if (docs.length >= input.limit) break scan
    }
    if (rows.length < size) break
  }
  const tail = [
    `"bookmark":${JSON.stringify(bookmarkOf(docs.length > 0 ? after : null))}`,
    ...(choice.index === byId ? [`"warning":${JSON.stringify(warnings(input, indexes))}`] : []),
    ...(input.stats
      ? [
          `"execution_stats":${JSON.stringify({ total_keys_examined: choice.index === byId ? 0 : examined, total_docs_examined: examined, total_quorum_docs_examined: 0, results_returned: docs.length, execution_time_ms: 0 })}`,
        ]
      : []),
  ]
  return `{"docs":[\n${docs.join(',\n')}\n],\n${tail.join(',\n')}}`
}

function warnings({ use }: FindInput, indexes: readonly MangoIndex[]): string {
  if (use.length === 0) return warning
  const named = indexes.some((index) => isNamed(index, use))
  const [ddoc, name] = use
  const which = name === undefined ? ddoc : `${ddoc}, ${name}`
  return `${which} was not used because it ${named ? 'is not a valid index for this query' : 'does not exist'}.\n${warning}`
}

async function readPage(
  scope: Scope,
  place: Place,
  page: { choice: Choice; input: FindInput; after: FindInput['after']; size: number },
): Promise<IndexRow[]> {
  const { choice, input, after, size } = page
  const special = choice.index === byId
  const source = special ? null : sourceOf(choice.index)
  const values: unknown[] = source ? [source.name] : []
  const at = (value: unknown) => `?${values.push(value) + 2}`
  const down = input.sort.descending
  const beyond = down ? '<' : '>'
  if (!source) {
    const id = idOf(input.node)
    // By id: the keys of the index of all documents are the ids themselves.
    const { results } = await inDatabase(scope, place, [
      placed(
        scope,
        place,
        `SELECT ${columnsFor(place, values)}, '' sort FROM leanto_sync_documents d INDEXED BY leanto_sync_documents_id
         WHERE d.db = ${databaseId} ${after ? `AND d.id ${beyond} ${at(after[1])}` : ''}
           ${id === undefined ? '' : `AND d.id = ${at(id)}`}
           AND NOT (d.id >= '_design/' AND d.id < '_design0') AND d.deleted = 0 AND ${seenSql(place, values)}
         ORDER BY d.id ${down ? 'DESC' : ''} LIMIT ${at(size)}`,
        values,
      ),
    ])
    return (results[0]?.results ?? []) as unknown as IndexRow[]
  }
  const sql = `SELECT v.sort, ${columnsFor(place, values)} FROM leanto_sync_rows v
    CROSS JOIN leanto_sync_documents d ON d.db = ${databaseId} AND d.id = v.id
    WHERE v.view = ${viewId} AND v.sort BETWEEN ${at(choice.low)} AND ${at(choice.high)}
      ${after ? `AND (v.sort, v.id) ${beyond} (${at(after[0])}, ${at(after[1])})` : ''} AND ${seenSql(place, values)}
    ORDER BY v.sort ${down ? 'DESC' : ''}, v.id ${down ? 'DESC' : ''} LIMIT ${at(size)}`
  const { results } = await askRows(scope, place, {
    source,
    update: input.update,
    ask: () => [placed(scope, place, sql, values)],
  })
  return (results[0]?.results ?? []) as unknown as IndexRow[]
}

/** Those fields of a document that are asked for, in their places. */
function project(doc: Record<string, unknown>, fields: readonly string[] | null): unknown {
  if (!fields) return doc
  const picked: Record<string, unknown> = {}
  for (const field of fields) {
    const path = fieldPath(field)
    const value = valueAt(doc, path)
    if (!isThere(value)) continue
    let at = picked
    for (const name of path.slice(0, -1)) {
      if (!isObject(at[name])) at[name] = {}
      at = at[name] as Record<string, unknown>
    }
    at[path.at(-1) as string] = value
  }
  return picked
}

/** How `_find` would answer. One trip. */
export async function explain(scope: Scope, place: Place, input: FindInput): Promise<unknown> {
  const { indexes } = await indexesOf(scope, place)
  const { index, low, high } = choose(indexes, input.node, {
    sort: input.sort.fields,
    use: input.use,
  })
  return {
    dbname: place.name,
    index: shownIndex(index),
    selector: input.selector,
    opts: {
      use_index: input.use,
      bookmark: 'nil',
      limit: input.limit,
      skip: input.skip,
      sort: Object.fromEntries(
        input.sort.fields.map((field) => [field, input.sort.descending ? 'desc' : 'asc']),
      ),
      fields: input.fields ?? [],
      conflicts: input.conflicts,
      update: input.update,
      execution_stats: input.stats,
    },
    limit: input.limit,
    skip: input.skip,
    fields: input.fields ?? 'all_fields',
    // Of the encoded keys: a superset of what is found.
    range: { start_key: low, end_key: high },
  }
}
