import type { Accepted } from './accept.ts'
import type { View } from './compile.ts'
import { entityTag, matchesTag } from './etag.ts'
import { geoJson } from './geojson.ts'
import type { Preferences } from './prefer.ts'
import type { ReadResult } from './read.ts'
import { bodyOf, contentTypeOf, decoded, type Output, type Row, wireValue } from './rows.ts'
import { etagOf } from './version.ts'
import type { WriteResult } from './write.ts'

interface ReadAnswer {
  result: ReadResult
  offset: number
  prefer: Preferences
  accepted: Accepted
}

/**
 * The answer to a read: `Content-Range` says which rows of how many; 206 if they are known not to be all. Its tag is a
 * digest; whoever names it in `If-None-Match` gets 304 and no body.
 *
 * @throws {Fault} PGRST107 for GeoJSON of a table that declares no point.
 */
export async function readAnswer(
  request: Request,
  view: View,
  { result, offset, prefer, accepted }: ReadAnswer,
): Promise<Response> {
  const { rows, outputs, total, count, next } = result
  const headers: Record<string, string> = {
    'content-type': contentTypeOf(accepted),
    'content-range': rangeOf(result, offset),
    'content-location': `/${encodeURIComponent(view.resource.name)}${new URL(request.url).search}`,
    ...common(request.headers.has('accept-profile'), prefer, ['count', 'handling', 'tx']),
    ...(next === undefined ? {} : { 'next-cursor': next }),
  }
  const status = total !== null && count < total ? 206 : 200
  // HEAD may have counted rows without reading them.
  if (rows.length !== count) return new Response(null, { status, headers })
  const body =
    accepted.format === 'geojson'
      ? geoJson(request, view, decoded(rows, outputs))
      : bodyOf(rows, outputs, accepted)
  const digest = await entityTag(
    body,
    headers['content-type'] as string,
    headers['content-range'] as string,
  )
  headers.etag = etagOf(result.version, digest) as string
  if (matchesTag(request.headers.get('if-none-match'), headers.etag))
    return new Response(null, { status: 304, headers })
  return new Response(request.method === 'HEAD' ? null : body, { status, headers })
}

/** `Content-Range` of rows: which of how many. */
export const rangeOf = (
  { count, total }: Pick<ReadResult, 'count' | 'total'>,
  offset: number,
): string => `${count === 0 ? '*' : `${offset}-${offset + count - 1}`}/${total ?? '*'}`

interface WriteAnswer {
  result: WriteResult
  /** With rows, and without. */
  status: { full: 200 | 201; empty: 200 | 201 | 204 }
  /** Before the slash of `Content-Range`; none for PUT. */
  range: string | undefined
  prefer: Preferences
  accepted: Accepted
}

/**
 * The answer to a write.
 *
 * @throws {Fault} PGRST107 for GeoJSON of a table that declares no point.
 */
export function writeAnswer(
  request: Request,
  view: View,
  { result, status, range, prefer, accepted }: WriteAnswer,
): Response {
  const { rows, outputs, affected, etag } = result
  const headers: Record<string, string> = {
    ...common(false, prefer, [
      'return',
      'resolution',
      'missing',
      'count',
      'handling',
      'max-affected',
      'tx',
    ]),
    ...(etag === undefined ? {} : { etag }),
  }
  if (range !== undefined) headers['content-range'] = `${range}/${prefer.count ? affected : '*'}`
  const [row] = rows
  if (prefer.return === 'headers-only' && row && rows.length === 1 && status.empty !== 204)
    headers.location = `/${encodeURIComponent(view.resource.name)}?${outputs.map((output) => keyFilter(output, row)).join('&')}`
  if (prefer.return !== 'representation')
    return new Response(null, { status: status.empty, headers })
  headers['content-type'] = contentTypeOf(accepted)
  const body =
    accepted.format === 'geojson'
      ? geoJson(request, view, decoded(rows, outputs))
      : bodyOf(rows, outputs, accepted)
  return new Response(body, { status: status.full, headers })
}

/** `id=eq.5`: a filter that finds the row again. */
function keyFilter(output: Output, row: Row): string {
  const value = wireValue(output, row)
  const test = value === null ? 'is.null' : `eq.${encodeURIComponent(String(value))}`
  const plain = /^[\p{L}\p{N}_]+$/u.test(output.name)
  const name = plain ? output.name : `"${output.name.replaceAll(/["\\]/g, '\\$&')}"`
  return `${encodeURIComponent(name)}=${test}`
}

export function common(
  profiled: boolean,
  prefer: Preferences,
  names: readonly string[],
): Record<string, string> {
  const applied = prefer.applied.filter((preference) =>
    names.includes(preference.split('=')[0] as string),
  )
  return {
    vary: 'Accept, Prefer, Range, Authorization',
    ...(profiled ? { 'content-profile': 'public' } : {}),
    ...(applied.length > 0 ? { 'preference-applied': applied.join(', ') } : {}),
  }
}
