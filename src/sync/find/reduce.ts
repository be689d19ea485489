import type { View } from '../definition.ts'
import { bad } from '../faults.ts'
import type { ViewRow } from './view-query.ts'

/** Rows of one group, reduced. `key` is JSON text. */
export interface Reduced {
  key: string
  value: unknown
}

type Reduce = NonNullable<View['reduce']>

/**
 * Reduces rows that are in order, by as many elements of their keys as `level` says: 0 is all of them together.
 *
 * @throws {Fault} `bad_request` (400) for `_sum` and `_stats` of what is no number.
 * @see https://docs.couchdb.org/en/stable/ddocs/ddocs.html#reduce-and-rereduce-functions
 */
export function reduceRows(rows: readonly ViewRow[], reduce: Reduce, level: number): Reduced[] {
  const groups = new Map<string, ViewRow[]>()
  for (const row of rows) {
    const key = groupOf(row.key, level)
    const group = groups.get(key)
    if (group) group.push(row)
    else groups.set(key, [row])
  }
  return [...groups].map(([key, group]) => ({ key, value: reduced(group, reduce) }))
}

function groupOf(key: string, level: number): string {
  if (level === 0) return 'null'
  if (level === Number.MAX_SAFE_INTEGER || !key.startsWith('[')) return key
  return JSON.stringify((JSON.parse(key) as unknown[]).slice(0, level))
}

function reduced(rows: readonly ViewRow[], reduce: Reduce): unknown {
  if (reduce === '_count') return rows.length
  const values = rows.map(({ value }) => JSON.parse(value) as unknown)
  if (reduce === '_sum') return values.reduce(sum, 0)
  if (reduce === '_stats') return stats(values)
  const keys = rows.map(({ key, id }): [unknown, string] => [JSON.parse(key), id])
  return reduce(keys, values, false)
}

const notNumbers = (name: string) =>
  bad('bad_request', `The ${name} function requires that map values be numbers, or lists of them`)

/** Numbers, or lists of them element by element. */
function sum(total: unknown, value: unknown): unknown {
  if (typeof value === 'number' && typeof total === 'number') return total + value
  const list = (one: unknown) => (Array.isArray(one) ? one : [one])
  const [a, b] = [list(total), list(value)]
  if (![...a, ...b].every((one) => typeof one === 'number')) throw notNumbers('_sum')
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => (a[i] ?? 0) + (b[i] ?? 0))
}

function stats(values: readonly unknown[]) {
  if (!values.every((value): value is number => typeof value === 'number'))
    throw notNumbers('_stats')
  const numbers = values as number[]
  return {
    sum: numbers.reduce((all, one) => all + one, 0),
    count: numbers.length,
    min: numbers.reduce((least, one) => Math.min(least, one), Number.POSITIVE_INFINITY),
    max: numbers.reduce((most, one) => Math.max(most, one), Number.NEGATIVE_INFINITY),
    sumsqr: numbers.reduce((all, one) => all + one * one, 0),
  }
}
