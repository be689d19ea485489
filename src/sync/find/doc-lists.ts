import { type AllDocsInput, allDocsPages, parseAllDocs, type Range } from '../all-docs.ts'
import { databaseId, inDatabase, placed } from '../database.ts'
import { isObject } from '../document.ts'
import { bad } from '../faults.ts'
import { type LocalRow, localText, ownerOf } from '../local.ts'
import { demand, seenSql } from '../permission.ts'
import { type Options, optionsOf } from '../query.ts'
import { type Asked, bodyIfAny, bodyOf, jsonAnswer } from '../request.ts'

/** A list of documents, by its pages. @returns Each as text. */
type Pages = (asked: Asked, inputs: readonly AllDocsInput[]) => Promise<string[]>

/** `_all_docs`, as `core` has it. */
const all: Pages = ({ scope, place }, inputs) => allDocsPages(scope, place, inputs)

/** Design documents alone: theirs is the count, too. Two trips. */
const designs: Pages = async ({ scope, place }, inputs) => {
  const values: unknown[] = []
  const { results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `SELECT count(*) total FROM leanto_sync_documents d INDEXED BY leanto_sync_documents_id WHERE d.db = ${databaseId}
       AND d.id >= '_design/' AND d.id < '_design0' AND d.deleted = 0 AND ${seenSql(place, values)}`,
      values,
    ),
  ])
  const pages = await allDocsPages(
    scope,
    place,
    inputs.map((input) => ({
      ...input,
      range: clamped(input, '_design/', '_design0'),
      // Nothing else is told of, by whatever key it is asked for.
      ...(input.keys && { keys: input.keys.map((key) => (isDesign(key) ? key : [key])) }),
    })),
  )
  return pages.map((text) => text.replace(/\d+/, String(results[0]?.results[0]?.total)))
}

const isDesign = (key: unknown) => typeof key === 'string' && key.startsWith('_design/')

function clamped({ range, descending }: AllDocsInput, first: string, last: string): Range {
  const [low, high] = descending ? [range.end, range.start] : [range.start, range.end]
  const from = low === null || low < first ? first : low
  const to = high === null || high > last ? last : high
  return { ...range, ...(descending ? { start: to, end: from } : { start: from, end: to }) }
}

/** Those of who asks. */
const locals: Pages = async ({ scope, place }, inputs) => {
  const { results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `SELECT rev, body, id FROM leanto_sync_locals WHERE db = ${databaseId} AND owner = ?3 ORDER BY id`,
      [ownerOf(place)],
    ),
  ])
  const rows = (results[0]?.results ?? []) as unknown as (LocalRow & { id: string })[]
  return inputs.map((input) => localPage(rows, input))
}

function localPage(rows: readonly (LocalRow & { id: string })[], input: AllDocsInput): string {
  const { keys, range, descending, limit, skip, includeDocs } = input
  const line = (row: LocalRow & { id: string }) => {
    const id = JSON.stringify(row.id)
    const doc = includeDocs ? `,"doc":${localText(row.id, row)}` : ''
    return `{"id":${id},"key":${id},"value":{"rev":"0-${row.rev}"}${doc}}`
  }
  const [low, high] = descending ? [range.end, range.start] : [range.start, range.end]
  const within = rows.filter(
    ({ id }) =>
      !range.empty &&
      (low === null || id >= low) &&
      (high === null || id <= high) &&
      (range.inclusiveEnd || id !== range.end),
  )
  const lines = keys
    ? keys.map((key) => {
        const row = rows.find(({ id }) => id === key)
        return row ? line(row) : `{"key":${JSON.stringify(key)},"error":"not_found"}`
      })
    : within.map(line)
  if (descending) lines.reverse()
  return `{"total_rows":null,"offset":null,"rows":[\n${lines.slice(skip, skip + limit).join(',\n')}\n]}`
}

const one =
  (pages: Pages) =>
  async (asked: Asked): Promise<Response> => {
    demand(asked.place, 'read')
    const { query } = asked
    const input = parseAllDocs(optionsOf(query, await bodyIfAny(asked)), query)
    const [page] = await pages(asked, [input])
    return jsonAnswer(page as string)
  }

/** Several questions of one request. @throws {Fault} `bad_request` (400). */
export function queriesOf({ queries }: Record<string, unknown>): readonly Options[] {
  if (queries === undefined) throw bad('bad_request', 'POST body must include `queries` parameter.')
  if (!Array.isArray(queries) || !queries.every(isObject))
    throw bad('bad_request', '`queries` member must be an array.')
  if (queries.length > 50) throw bad('bad_request', 'More than 50 queries')
  return queries
}

const several =
  (pages: Pages) =>
  async (asked: Asked): Promise<Response> => {
    demand(asked.place, 'read')
    const { query } = asked
    const inputs = queriesOf(await bodyOf(asked)).map((options) =>
      parseAllDocs(optionsOf(query, { ...options }), query),
    )
    return jsonAnswer(`{"results":[${(await pages(asked, inputs)).join(',')}]}`)
  }

export const readDesignDocs = one(designs)
export const readLocalDocs = one(locals)
export const postAllDocsQueries = several(all)
export const postDesignDocsQueries = several(designs)
export const postLocalDocsQueries = several(locals)
