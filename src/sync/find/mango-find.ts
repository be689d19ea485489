import type { Scope } from '../../core/scope.ts'
import { databaseId, inDatabase, type Place, placed } from '../database.ts'
import { isObject } from '../document.ts'
import { seenSql } from '../permission.ts'
import { columnsFor, type FullRow } from '../read.ts'
import { fieldPath, isThere, matches, valueAt } from '../selector.ts'
import { documentText } from '../version.ts'
import { byId, type Choice, choose, idOf, indexesOf, isNamed, sourceOf } from './mango-index.ts'
import type { FindInput } from './mango-input.ts'
import { askRows } from './view-rows.ts'
import { viewId } from './view-state.ts'

const bookmarkOf = (after: readonly [string, string] | null): string =>
  after === null ? 'nil' : btoa(encodeURIComponent(JSON.stringify(after)))

interface IndexRow extends FullRow {
  sort: string
}

/**
 * Finds documents by a selector. Two trips where an index narrows it to one page.
 *
 * @returns `{ docs, bookmark, warning? }`, as text.
 * @see https://docs.couchdb.org/en/stable/api/database/find.html
 */
export async function findDocuments(scope: Scope, place: Place, input: FindInput): Promise<string> {
  const started = scope.now()
  const { indexes } = await indexesOf(scope, place)
  const choice = choose(indexes, input)
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
  const warning = warnings(input, choice, examined, docs.length)
  const stats = {
    total_keys_examined: choice.index === byId ? 0 : examined,
    total_docs_examined: examined,
    total_quorum_docs_examined: 0,
    results_returned: docs.length,
    // A Worker's clock stands still while it works: less than its step counts as one.
    execution_time_ms: scope.now() - started || 1,
  }
  const tail = [
    `"bookmark":${JSON.stringify(bookmarkOf(docs.length > 0 ? after : null))}`,
    ...(warning ? [`"warning":${JSON.stringify(warning)}`] : []),
    ...(input.stats ? [`"execution_stats":${JSON.stringify(stats)}`] : []),
  ]
  return `{"docs":[\n${docs.join(',\n')}\n],\n${tail.join(',\n')}}`
}

/** How many documents may be looked at for one that is found, before a more specific index is recommended. */
const scanThreshold = 10

function warnings({ use }: FindInput, { index }: Choice, examined: number, found: number): string {
  const [ddoc, name] = use
  const named = name === undefined ? `_design/${ddoc}` : `_design/${ddoc}, ${name}`
  const what = name === undefined ? 'does not contain' : 'is not'
  const all = [
    use.length > 0 && !isNamed(index, use)
      ? `${named} was not used because it ${what} a valid index for this query.`
      : '',
    index === byId ? 'No matching index found, create an index to optimize query time.' : '',
    examined / Math.max(found, 1) > scanThreshold
      ? 'The number of documents examined is high in proportion to the number of results returned. Consider adding a more specific index to improve this.'
      : '',
  ]
  return all.filter(Boolean).join('\n')
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
