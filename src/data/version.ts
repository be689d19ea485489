import type { View } from './compile.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import { fieldOutput, type NodePlan } from './node.ts'
import type { Planning } from './plan.ts'
import type { Output, Row } from './rows.ts'
import { type Fragment, sql } from './sql.ts'

/** `If-Match` and `If-None-Match` of a write: https://www.rfc-editor.org/rfc/rfc9110#name-preconditions */
export interface Precondition {
  /** The row must be there: with one of these versions, or, if it is `*`, with any. */
  readonly match?: '*' | readonly string[]
  /** No row of this key may be there. */
  readonly absent?: true
}

/** Their name among a row's outputs: no client can call a column so, or ask for it. */
const versionName = 'leanto:version'

export const versionOutput = (view: View, version: Field): Output => ({
  ...fieldOutput(view, version),
  name: versionName,
})

// D1 answers with no more columns.
const maxColumns = 100

/** What a read asks beside its own columns. */
export const versionOutputs = (view: View, { outputs, grouped }: NodePlan): Output[] =>
  view.resource.version && !grouped && outputs.length < maxColumns
    ? [versionOutput(view, view.resource.version)]
    : []

/** The version of the one row that was read or written. */
export const versionOf = (rows: readonly Row[]): unknown =>
  rows.length === 1 ? rows[0]?.[versionName] : undefined

/**
 * The entity tag of a row. That of a read says the version and, after a dot, what the answer was: other columns, or what
 * is embedded, may change without it. `If-Match` looks at the version alone.
 *
 * @param digest Another tag, of the answer.
 */
export function etagOf(version: unknown, digest?: string): string | undefined {
  if (typeof version !== 'number' && typeof version !== 'string') return digest
  return digest === undefined ? `"${version}"` : `"${version}.${digest.slice(1)}`
}

/**
 * The version that an update gives a row: a count goes up by one, a time to now, and by one at least, so that no two
 * changes of a row share it.
 */
export function nextVersion(version: Field, { now }: Pick<Planning, 'now'>): Fragment {
  const next = sql`coalesce(${version.column}, 0) + 1`
  return isTime(version) ? sql`max(${next}, ${timeOf(version, now())})` : next
}

/** The version of a new row. */
export const firstVersion = (version: Field, { now }: Pick<Planning, 'now'>): number =>
  isTime(version) ? timeOf(version, now()) : 1

const isTime = ({ column }: Field): boolean => column.columnType === 'SQLiteTimestamp'

const timeOf = ({ column }: Field, now: number): number =>
  column.mapToDriverValue(new Date(now)) as number

/** Whether a row has one of the versions. A table without versions has none of them. */
export const hasVersion = (view: View, tags: readonly string[]): Fragment =>
  view.resource.version
    ? sql`cast(${view.resource.version.column} as text) in (select value from json_each(${JSON.stringify(tags)}))`
    : sql.raw('0')

/**
 * @throws {Fault} PT400 for what is no list of entity tags, or stands where it has no meaning.
 */
export function preconditionOf(request: Request): Precondition {
  const match = request.headers.get('if-match')
  const none = request.headers.get('if-none-match')
  const { method } = request
  if (match !== null && method === 'POST')
    throw dataFaults.PT400({
      message: 'If-Match has no meaning for POST',
      hint: 'Use PUT or PATCH.',
    })
  if (none !== null && (method !== 'PUT' || none.trim() !== '*'))
    throw dataFaults.PT400({
      message: `If-None-Match is not supported for ${method}`,
      details: 'A write takes it as `*`, and PUT only.',
    })
  return {
    ...(match === null ? {} : { match: match.trim() === '*' ? '*' : tagsOf(match) }),
    ...(none === null ? {} : { absent: true }),
  }
}

const tagShape = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/

/** A weak tag is none here: `If-Match` compares strongly. */
function tagsOf(header: string): string[] {
  return header.split(',').flatMap((item) => {
    const tag = item.trim().match(tagShape)
    if (!tag)
      throw dataFaults.PT400({
        message: 'If-Match is not a list of entity tags',
        details: 'A tag has quotes: If-Match: "5".',
      })
    return tag[1] ? [] : [(tag[2] as string).replace(/\.[0-9a-f]{32}$/, '')]
  })
}
