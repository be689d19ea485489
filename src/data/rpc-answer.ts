import { type Accepted, notAcceptable } from './accept.ts'
import type { View } from './compile.ts'
import { entityTag, matchesTag } from './etag.ts'
import { dataFaults } from './faults.ts'
import { geoJson } from './geojson.ts'
import type { Preferences } from './prefer.ts'
import type { ReadResult } from './read.ts'
import { common, rangeOf } from './respond.ts'
import { bodyOf, contentTypeOf, decoded, type ValueOutput } from './rows.ts'
import { etagOf } from './version.ts'
import { textPathType } from './wire.ts'

/** What a function has answered, as it will be sent. */
export type Outcome =
  | { readonly kind: 'void' }
  /** One value, or a list of which a window is shown. */
  | { readonly kind: 'value'; readonly value: unknown; readonly window?: Window }
  /** Rows, or one row. */
  | {
      readonly kind: 'rows' | 'row'
      readonly result: ReadResult
      readonly offset: number
      readonly view: View | undefined
    }

interface Window {
  readonly count: number
  readonly total: number | null
  readonly offset: number
}

interface Answering {
  readonly prefer: Preferences
  readonly accepted: Accepted
}

/**
 * The answer to a call: https://docs.postgrest.org/en/v14/references/api/functions.html
 *
 * @throws {Fault} PGRST107 for GeoJSON of what has no point, PGRST116 if one object was asked for and there is not one row,
 * PGRST124 and PGRST128 for `max-affected`.
 */
export async function callAnswer(
  request: Request,
  outcome: Outcome,
  { prefer, accepted }: Answering,
): Promise<Response> {
  const { count, total, offset } = windowOf(outcome)
  if (prefer.maxAffected !== undefined) mustBeWithin(prefer.maxAffected, outcome, count)
  const profiled = request.headers.has('accept-profile')
  const headers: Record<string, string> = {
    'content-range': rangeOf({ count, total: prefer.count ? total : null }, offset),
    ...common(profiled, prefer, ['count', 'handling', 'tx', 'max-affected', ...minimal(prefer)]),
  }
  if (outcome.kind === 'void') return new Response(null, { status: 204, headers })
  const status = total !== null && count < total ? 206 : 200
  headers['content-type'] = contentTypeOf(accepted)
  const { result } = outcome as { result?: ReadResult }
  if (result?.next !== undefined) headers['next-cursor'] = result.next
  const isUnread = result !== undefined && result.rows.length !== result.count
  if (prefer.return === 'minimal' || isUnread) return new Response(null, { status, headers })
  const body = textOf(request, outcome, accepted)
  if (request.method === 'POST') return new Response(body, { status, headers })
  const tag = await entityTag(body, headers['content-type'], headers['content-range'] as string)
  headers.etag = etagOf(result?.version, tag) as string
  if (matchesTag(request.headers.get('if-none-match'), headers.etag))
    return new Response(null, { status: 304, headers })
  return new Response(request.method === 'HEAD' ? null : body, { status, headers })
}

// supabase-js asks so for what it would ask by HEAD, but for an argument that no URL can hold.
const minimal = (prefer: Preferences) => (prefer.return === 'minimal' ? ['return'] : [])

function windowOf(outcome: Outcome): Window {
  if (outcome.kind === 'void') return { count: 1, total: 1, offset: 0 }
  if (outcome.kind === 'value') return outcome.window ?? { count: 1, total: 1, offset: 0 }
  return { ...outcome.result, offset: outcome.offset }
}

function mustBeWithin(most: number, { kind, ...outcome }: Outcome, count: number) {
  if (kind !== 'rows' && !('window' in outcome && outcome.window)) throw dataFaults.PGRST128()
  if (count > most) throw dataFaults.PGRST124({ details: `The query affects ${count} rows` })
}

function textOf(request: Request, outcome: Outcome, accepted: Accepted): string {
  if (outcome.kind === 'value') return valueText(request, outcome.value, accepted)
  const { kind, result, view } = outcome as Extract<Outcome, { result: ReadResult }>
  const { rows, outputs } = result
  if (accepted.format === 'geojson') {
    if (!view) throw notAcceptable(request)
    return geoJson(request, view, decoded(rows, outputs))
  }
  if (kind === 'rows' || accepted.format !== 'array') return bodyOf(rows, outputs, accepted)
  return rows.length === 0 ? 'null' : bodyOf(rows, outputs, { ...accepted, format: 'object' })
}

// PostgREST's own name for it.
const scalar: ValueOutput = {
  kind: 'value',
  name: 'pgrst_scalar',
  value: undefined as never,
  type: textPathType,
}

function valueText(request: Request, value: unknown, accepted: Accepted): string {
  if (accepted.format === 'geojson') throw notAcceptable(request)
  if (accepted.format !== 'csv') return JSON.stringify(value)
  return bodyOf(
    [value].flat().map((one: unknown) => ({ [scalar.name]: one })),
    [scalar],
    accepted,
  )
}
