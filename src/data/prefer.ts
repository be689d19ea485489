import { dataFaults } from './faults.ts'

/** The `Prefer` header (RFC 7240) as PostgREST reads it: https://docs.postgrest.org/en/v14/references/api/preferences.html */
export interface Preferences {
  readonly return?: 'minimal' | 'representation' | 'headers-only'
  readonly count?: 'exact' | 'planned' | 'estimated'
  readonly resolution?: 'merge-duplicates' | 'ignore-duplicates'
  readonly missing?: 'default' | 'null'
  readonly handling?: 'strict' | 'lenient'
  readonly maxAffected?: number
  /** `rollback`: a dry run. */
  readonly tx?: 'commit' | 'rollback'
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

/** @throws {Fault} PGRST122 for an unknown preference under `handling=strict`. */
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
  if (read.handling !== 'strict') delete read.maxAffected
  return { ...read, applied }
}

/** Without a key there are no duplicates: PostgREST then ignores `resolution`, and does not say that it applied it. */
export const withoutResolution = (prefer: Preferences): Preferences => ({
  ...prefer,
  resolution: undefined,
  applied: prefer.applied.filter((preference) => !preference.startsWith('resolution=')),
})

export interface Window {
  offset: number
  limit?: number
}

/**
 * What `limit` and `offset` have in common with the `Range` header (items, inclusive, RFC 9110's form).
 *
 * @throws {Fault} PGRST103 (416) if its end is before its start, or they have nothing in common.
 */
export function narrow(window: Window, request: Request): Window {
  const header = request.headers
    .get('range')
    ?.trim()
    .replace(/^items=/, '')
  const match = header?.match(/^(\d{1,15})-(\d{1,15})?$/)
  if (!match || (request.method !== 'GET' && request.method !== 'HEAD')) return window
  const from = Number(match[1])
  const to = match[2] === undefined ? Number.POSITIVE_INFINITY : Number(match[2])
  const offset = Math.max(window.offset, from)
  const end = Math.min(to + 1, window.offset + (window.limit ?? Number.POSITIVE_INFINITY))
  if (to < from || (end <= offset && window.limit !== 0))
    throw dataFaults.PGRST103({
      details:
        'The lower boundary must be lower than or equal to the upper boundary in the Range header.',
    })
  if (end === Number.POSITIVE_INFINITY) return { offset }
  return { offset, limit: Math.max(end - offset, 0) }
}
