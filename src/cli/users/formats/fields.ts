import type { Fields } from '../records.ts'

/* How dumps write what is the same everywhere. */

/** A user as leanto imports one: see `docs/moving.md`. */
export type UserLine = Record<string, unknown>

export interface Converted {
  readonly line: UserLine
  /** What does not come along, in words such as `factor_encrypted`. */
  readonly notes: readonly string[]
}

export const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Of the first name that has any: text, or a number as text. */
export function textOf(fields: Fields, ...names: string[]): string | undefined {
  for (const name of names) {
    const value = fields[name]
    if (typeof value === 'string' && value !== '') return value
    if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  }
  return undefined
}

/** `true`, `t`, `1` and the like, as databases and CSV have it. */
export function isSet(fields: Fields, ...names: string[]): boolean {
  return names.some((name) => /^(?:true|t|1|yes)$/i.test(String(fields[name] ?? '')))
}

/** Objects of a list, which in CSV is JSON as text. */
export function listOf(fields: Fields, ...names: string[]): Fields[] {
  for (const name of names) {
    const value = unpacked(fields[name])
    if (Array.isArray(value)) return value.filter(isObject)
    if (isObject(value)) return [value]
  }
  return []
}

/** An object, which in CSV is JSON as text. */
export function objectOf(fields: Fields, ...names: string[]): Fields {
  for (const name of names) {
    const value = unpacked(fields[name])
    if (isObject(value)) return value
  }
  return {}
}

function unpacked(value: unknown): unknown {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}

const zoned = /(?:Z|[+-]\d\d(?::?\d\d)?)$/i

/**
 * A time as ISO 8601: from ISO, from Postgres (`2024-01-02 03:04:05.678+00`), MongoDB (`{ "$date": … }`), from Unix time
 * in seconds or milliseconds, as number or text. Without a zone it is UTC.
 */
export function timeOf(fields: Fields, ...names: string[]): string | undefined {
  for (const name of names) {
    const time = readTime(fields[name])
    if (time !== undefined) return time
  }
  return undefined
}

function readTime(value: unknown): string | undefined {
  if (isObject(value)) return readTime(value.$date ?? value.$numberLong)
  if (value === undefined || value === null || value === '' || typeof value === 'boolean')
    return undefined
  const text = String(value).trim()
  if (/^\d{1,16}$/.test(text)) {
    const number = Number(text)
    // As milliseconds, what is less would be before 1973; as seconds, after the year 5138.
    return number === 0 ? undefined : iso(number < 1e11 ? number * 1000 : number)
  }
  const joined = text.replace(/^(\d{4}-\d\d-\d\d) +/, '$1T').replace(/ *UTC$/, 'Z')
  const full = /T/.test(joined) ? joined : `${joined}T00:00:00`
  const padded = full.replace(/([+-]\d\d)(\d\d)?$/, (found, hours, minutes, at: number) =>
    at > 10 ? `${hours}:${minutes ?? '00'}` : found,
  )
  return iso(Date.parse(zoned.test(padded.slice(11)) ? padded : `${padded}Z`))
}

function iso(time: number): string | undefined {
  return Number.isNaN(time) || Math.abs(time) > 8.64e15 ? undefined : new Date(time).toISOString()
}

/** Far enough: who is disabled has no end of it. */
export const forever = '9999-12-31T23:59:59.000Z'

/** Without what is not there. */
export const trimmed = (fields: Fields): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== null),
  )

/** Base64 of any kind, as base64url. */
export const toBase64url = (text: string): string =>
  text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

/** Identities of providers, and those of addresses that a user signs in by. */
export function withOwn(
  identities: readonly Fields[],
  own: { email?: unknown; phone?: unknown },
): readonly Fields[] {
  return [
    ...(own.email ? [{ provider: 'email' }] : []),
    ...identities,
    ...(own.phone ? [{ provider: 'phone' }] : []),
  ]
}
