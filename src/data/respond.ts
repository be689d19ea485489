import type { View } from './compile.ts'
import type { Accepted, Preferences } from './prefer.ts'
import type { ReadResult } from './read.ts'
import { bodyOf, contentTypes } from './rows.ts'
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
  const { rows, outputs, total } = result
  const range = rows.length === 0 ? '*' : `${offset}-${offset + rows.length - 1}`
  const body = bodyOf(rows, outputs, accepted)
  return new Response(request.method === 'HEAD' ? null : body, {
    status: total !== null && rows.length < total ? 206 : 200,
    headers: {
      'content-type': contentTypes[accepted.format],
      'content-range': `${range}/${total ?? '*'}`,
      'content-location': `/${view.resource.name}${new URL(request.url).search}`,
      ...common(request.headers.has('accept-profile'), prefer, ['count', 'handling']),
    },
  })
}

interface WriteAnswer {
  result: WriteResult
  /** If rows are returned; without them an update or delete is 204. */
  status: 200 | 201
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
  if (prefer.return === 'headers-only' && rows.length === 1 && range === '*' && status === 201) {
    const [row] = rows
    const key = outputs.map(
      ({ name }) => `${encodeURIComponent(name)}=eq.${encodeURIComponent(String(row?.[name]))}`,
    )
    headers.location = `/${view.resource.name}?${key.join('&')}`
  }
  if (prefer.return === 'representation') {
    headers['content-type'] = contentTypes[accepted.format]
    return new Response(bodyOf(rows, outputs, accepted), { status, headers })
  }
  const created = range === '*' && status === 201
  return new Response(null, {
    status: created ? 201 : status === 200 && range === '*' && prefer.resolution ? 200 : 204,
    headers,
  })
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
