import { dataFaults } from './faults.ts'

/** The `Prefer` header (RFC 7240) as PostgREST reads it: https://docs.postgrest.org/en/v14/references/api/preferences.html */
export interface Preferences {
  readonly return?: 'minimal' | 'representation' | 'headers-only'
  readonly count?: 'exact' | 'planned' | 'estimated'
  readonly resolution?: 'merge-duplicates' | 'ignore-duplicates'
  readonly missing?: 'default' | 'null'
  readonly handling?: 'strict' | 'lenient'
  readonly maxAffected?: number
  /** What was understood, in the order given: `Preference-Applied`. */
  readonly applied: readonly string[]
}

const known = new Map<string, readonly string[]>([
  ['return', ['minimal', 'representation', 'headers-only']],
  ['count', ['exact', 'planned', 'estimated']],
  ['resolution', ['merge-duplicates', 'ignore-duplicates']],
  ['missing', ['default', 'null']],
  ['handling', ['strict', 'lenient']],
  ['tx', ['commit', 'rollback']],
])

/**
 * @throws {Fault} PGRST122 for an unknown preference under `handling=strict`; PGRST127 for `tx=rollback`, because to
 * ignore it would write what the client asked not to keep.
 */
export function parsePrefer(request: Request): Preferences {
  const read: Record<string, string | number> = {}
  const applied: string[] = []
  const invalid: string[] = []
  for (const item of (request.headers.get('prefer') ?? '').split(',').map((text) => text.trim())) {
    if (item === '') continue
    const [name = '', value = ''] = item.split('=').map((text) => text.trim())
    if (name === 'max-affected' && /^\d{1,15}$/.test(value)) read.maxAffected ??= Number(value)
    else if (known.get(name)?.includes(value)) {
      // The first of two counts, as in PostgREST.
      if (name in read) continue
      read[name] = value
    } else {
      invalid.push(item)
      continue
    }
    applied.push(`${name}=${value}`)
  }
  if (read.handling === 'strict' && invalid.length > 0)
    throw dataFaults.PGRST122({
      details: `Invalid preferences: ${invalid.join(', ').slice(0, 200)}`,
    })
  if (read.tx === 'rollback')
    throw dataFaults.PGRST127({
      details: 'Prefer: tx=rollback is not supported here, nothing was written.',
    })
  if (read.handling !== 'strict') delete read.maxAffected
  return { ...read, applied }
}

export type Format = 'array' | 'object' | 'csv'

export interface Accepted {
  readonly format: Format
  /** `nulls=stripped`: keys whose value is null are left out. */
  readonly stripNulls: boolean
}

/** @throws {Fault} PGRST107 (406) if no listed media type can be served. */
export function parseAccept(request: Request): Accepted {
  const header = request.headers.get('accept') ?? '*/*'
  for (const item of header.split(',')) {
    const [type = '', ...parameters] = item.split(';').map((text) => text.trim().toLowerCase())
    const format = formats.get(type)
    if (format)
      return { format, stripNulls: format !== 'csv' && parameters.includes('nulls=stripped') }
  }
  throw dataFaults.PGRST107({
    message: `None of these media types are available: ${header.slice(0, 200)}`,
  })
}

const formats = new Map<string, Format>([
  ['*/*', 'array'],
  ['application/*', 'array'],
  ['application/json', 'array'],
  ['application/vnd.pgrst.array', 'array'],
  ['application/vnd.pgrst.array+json', 'array'],
  ['application/vnd.pgrst.object', 'object'],
  ['application/vnd.pgrst.object+json', 'object'],
  ['text/csv', 'csv'],
])

export interface Window {
  offset: number
  limit?: number
}

/**
 * Narrows `limit` and `offset` by the `Range` header (items, inclusive, RFC 9110's form).
 *
 * @throws {Fault} PGRST103 (416) if its end is before its start.
 */
export function narrow(window: Window, request: Request): Window {
  const header = request.headers
    .get('range')
    ?.trim()
    .replace(/^items=/, '')
  const match = header?.match(/^(\d{1,15})-(\d{1,15})?$/)
  if (!match || (request.method !== 'GET' && request.method !== 'HEAD')) return window
  const from = Number(match[1])
  if (match[2] === undefined) return { ...window, offset: window.offset + from }
  const to = Number(match[2])
  if (to < from)
    throw dataFaults.PGRST103({
      details:
        'The lower boundary must be lower than or equal to the upper boundary in the Range header.',
    })
  const limit = Math.min(
    to - from + 1,
    window.limit === undefined ? Number.POSITIVE_INFINITY : window.limit - from,
  )
  return { offset: window.offset + from, limit: Math.max(limit, 0) }
}
