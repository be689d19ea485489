import type { View } from '../definition.ts'
import { isObject } from '../document.ts'
import { bad } from '../faults.ts'

/** Rows of one group, reduced. `key` is JSON text. */
export interface Reduced {
  key: string
  value: unknown
}

/** A row of a view, or with `whole` what a block of rows comes to. `key` and `value` are JSON text. */
export interface Piece {
  id: string
  key: string
  value: string
  whole?: number
}

export type Reduce = NonNullable<View['reduce']>

/**
 * Reduces pieces that are in order, by as many elements of their keys as `level` says: 0 is all of them together.
 *
 * @throws {Fault} `bad_request` (400) for `_sum` and `_stats` of what is no number.
 * @see https://docs.couchdb.org/en/stable/ddocs/ddocs.html#reduce-and-rereduce-functions
 */
export function reduceRows(pieces: readonly Piece[], reduce: Reduce, level: number): Reduced[] {
  const groups = new Map<string, Piece[]>()
  for (const piece of pieces) {
    const key = groupOf(piece.key, level)
    const group = groups.get(key)
    if (group) group.push(piece)
    else groups.set(key, [piece])
  }
  return [...groups].map(([key, group]) => ({ key, value: together(group, reduce) }))
}

function groupOf(key: string, level: number): string {
  if (level === 0) return 'null'
  if (level === Number.MAX_SAFE_INTEGER || !key.startsWith('[')) return key
  return JSON.stringify((JSON.parse(key) as unknown[]).slice(0, level))
}

function together(group: readonly Piece[], reduce: Reduce): unknown {
  const rows = group.filter(({ whole }) => !whole)
  const values = group.filter(({ whole }) => whole).map(({ value }) => JSON.parse(value) as unknown)
  if (rows.length > 0) values.push(reduced(rows, reduce))
  return values.length === 1 ? values[0] : rereduced(values, reduce)
}

/** What rows come to. */
export function reduced(rows: readonly Piece[], reduce: Reduce): unknown {
  if (reduce === '_count') return rows.length
  const values = rows.map(({ value }) => JSON.parse(value) as unknown)
  if (reduce === '_sum') return values.reduce(sum, 0)
  if (reduce === '_stats') return values.map(statsOf).reduce(addStats)
  const keys = rows.map(({ key, id }): [unknown, string] => [JSON.parse(key), id])
  return reduce(keys, values, false)
}

function rereduced(values: readonly unknown[], reduce: Reduce): unknown {
  if (reduce === '_count' || reduce === '_sum') return values.reduce(sum, 0)
  if (reduce === '_stats') return (values as AnyStats[]).reduce(addStats)
  return reduce(null, [...values], true)
}

const notNumbers = (name: string) =>
  bad('bad_request', `The ${name} function requires that map values be numbers, or lists of them`)

/** Numbers, or lists of them element by element, or objects member by member. */
function sum(total: unknown, value: unknown): unknown {
  if (typeof value === 'number' && typeof total === 'number') return total + value
  if (isObject(value) && (total === 0 || isObject(total))) return sumMembers(total || {}, value)
  const list = (one: unknown) => (Array.isArray(one) ? one : [one])
  const [a, b] = [list(total), list(value)]
  if (![...a, ...b].every((one) => typeof one === 'number')) throw notNumbers('_sum')
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => (a[i] ?? 0) + (b[i] ?? 0))
}

function sumMembers(total: object, value: Record<string, unknown>): unknown {
  const members = new Map<string, unknown>(Object.entries(total))
  for (const [name, one] of Object.entries(value))
    members.set(name, sum(members.get(name) ?? 0, one))
  return Object.fromEntries(members)
}

interface Stats {
  sum: number
  count: number
  min: number
  max: number
  sumsqr: number
}

/** Of a number, of what was counted before, or of each element of a list. */
type AnyStats = Stats | AnyStats[]

function statsOf(value: unknown): AnyStats {
  if (Array.isArray(value)) return value.map(statsOf)
  if (typeof value === 'number')
    return { sum: value, count: 1, min: value, max: value, sumsqr: value * value }
  const stats = value as Stats
  if (!isObject(value) || !statNames.every((name) => typeof stats[name] === 'number'))
    throw notNumbers('_stats')
  return stats
}

const statNames = ['sum', 'count', 'min', 'max', 'sumsqr'] as const

function addStats(a: AnyStats, b: AnyStats): AnyStats {
  if (Array.isArray(a) && Array.isArray(b) && a.length === b.length)
    return a.map((one, i) => addStats(one, b[i] as AnyStats))
  if (Array.isArray(a) || Array.isArray(b)) throw notNumbers('_stats')
  return {
    sum: a.sum + b.sum,
    count: a.count + b.count,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
    sumsqr: a.sumsqr + b.sumsqr,
  }
}
