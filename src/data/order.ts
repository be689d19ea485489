import type { Output, Row } from './rows.ts'
import { bytesOf, utf8 } from './stored.ts'
import type { OrderTerm } from './where.ts'
import { textPathType } from './wire.ts'

const nameOf = (index: number) => `leanto:order:${index}`

/** The columns that `sorted` needs to see, whether the client asked for them or not. */
export const orderOutputs = (terms: readonly OrderTerm[]): Output[] =>
  terms.map(({ value }, i) => ({ kind: 'value', name: nameOf(i), value, type: textPathType }))

/** What a write returned, in the order that the client asked for: `RETURNING` knows none. */
export const sorted = (rows: Row[], terms: readonly OrderTerm[]): Row[] =>
  terms.length === 0 ? rows : rows.sort((a, b) => compareBy(a, b, terms))

function compareBy(a: Row, b: Row, terms: readonly OrderTerm[]): number {
  for (const [i, term] of terms.entries()) {
    const difference = compare(a[nameOf(i)], b[nameOf(i)], term)
    if (difference !== 0) return difference
  }
  return 0
}

function compare(a: unknown, b: unknown, { descending, nulls }: OrderTerm): number {
  if (a === null || b === null) {
    if (a === b) return 0
    return (a === null) === (nulls === 'first') ? -1 : 1
  }
  return descending ? compareStored(b, a) : compareStored(a, b)
}

/** As SQLite compares: numbers before text before blobs, text by its UTF-8 bytes. */
function compareStored(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const difference = classOf(a) - classOf(b)
  return difference === 0 ? compareBytes(comparable(a), comparable(b)) : difference
}

const classOf = (value: unknown): number =>
  typeof value === 'number' ? 0 : typeof value === 'string' ? 1 : 2

const comparable = (value: unknown): Uint8Array =>
  typeof value === 'string' ? new Uint8Array(utf8(value)) : bytesOf(value)

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return (a[i] ?? 0) - (b[i] ?? 0)
  return a.length - b.length
}
