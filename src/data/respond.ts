import type { View } from './compile.ts'
import type { Accepted, Preferences } from './prefer.ts'
import type { ReadResult } from './read.ts'
import { bodyOf, contentTypeOf, type Output, type Row, wireValue } from './rows.ts'
import type { WriteResult } from './write.ts'

interface ReadAnswer {
  result: ReadResult
  offset: number
  prefer: Preferences
  accepted: Accepted
}

/** The answer to a read: `Content-Range` says which rows of how many; 206 if they are known not to be all. */
export function readAnswer(
  request: Request,
  view: View,
  { result, offset, prefer, accepted }: ReadAnswer,
): Response {
  const { rows, outputs, total, count } = result
  const range = count === 0 ? '*' : `${offset}-${offset + count - 1}`
  const head = request.method === 'HEAD' && accepted.format !== 'object'
  return new Response(head ? null : bodyOf(rows, outputs, accepted), {
    status: total !== null && count < total ? 206 : 200,
    headers: {
      'content-type': contentTypeOf(accepted),
      'content-range': `${range}/${total ?? '*'}`,
      'content-location': `/${view.resource.name}${new URL(request.url).search}`,
      ...common(request.headers.has('accept-profile'), prefer, ['count', 'handling']),
    },
  })
}

interface WriteAnswer {
  result: WriteResult
  /** With rows, and without. */
  status: { full: 200 | 201; empty: 200 | 201 | 204 }
  /** Before the slash of `Content-Range`; none for PUT. */
  range: string | undefined
  prefer: Preferences
  accepted: Accepted
}

/** The answer to a write. */
export function writeAnswer(
  view: View,
  { result, status, range, prefer, accepted }: WriteAnswer,
): Response {
  const { rows, outputs, affected } = result
  const headers: Record<string, string> = {
    ...common(false, prefer, [
      'return',
      'resolution',
      'missing',
      'count',
      'handling',
      'max-affected',
    ]),
  }
  if (range !== undefined) headers['content-range'] = `${range}/${prefer.count ? affected : '*'}`
  const [row] = rows
  if (prefer.return === 'headers-only' && row && rows.length === 1 && status.empty !== 204)
    headers.location = `/${view.resource.name}?${outputs.map((output) => keyFilter(output, row)).join('&')}`
  if (prefer.return !== 'representation')
    return new Response(null, { status: status.empty, headers })
  headers['content-type'] = contentTypeOf(accepted)
  return new Response(bodyOf(rows, outputs, accepted), { status: status.full, headers })
}

/** `id=eq.5`: a filter that finds the row again. */
function keyFilter(output: Output, row: Row): string {
  const value = wireValue(output, row)
  const test = value === null ? 'is.null' : `eq.${encodeURIComponent(String(value))}`
  return `${encodeURIComponent(output.name)}=${test}`
}

function common(
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
