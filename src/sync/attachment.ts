import type { Scope } from '../core/scope.ts'
import { type Attachment, readAttachments, readBlobs, unpack } from './attachments.ts'
import type { Place } from './database.ts'
import { bad, syncFaults } from './faults.ts'
import { getDocument } from './read.ts'

/**
 * Answers with an attachment's bytes. Two trips.
 *
 * @throws {Fault} `not_found` (404), `requested_range_not_satisfiable` (416).
 * @see https://docs.couchdb.org/en/stable/api/document/attachments.html
 */
export async function getAttachment(
  scope: Scope,
  place: Place,
  {
    id,
    rev,
    name,
    request,
  }: { id: string; rev: string | undefined; name: string; request: Request },
): Promise<Response> {
  const { version, database } = await getDocument(scope, place, { id, rev, show: {} })
  const all = readAttachments(version.atts)
  const one = Object.hasOwn(all, name) ? (all[name] as Attachment) : undefined
  if (!one) throw bad('not_found', 'Document is missing attachment')
  const etag = `"${one.digest.slice(one.digest.indexOf('-') + 1)}"`
  const headers = new Headers({
    'content-type': one.content_type,
    etag,
    'accept-ranges': one.encoding ? 'none' : 'bytes',
    'cache-control': 'private, must-revalidate',
    // They are what anyone who may write put there: a page among them must not act as the site's own.
    'content-security-policy': "sandbox; default-src 'none'",
  })
  if (request.headers.get('if-none-match')?.includes(etag))
    return new Response(null, { status: 304, headers })
  const kept = (await readBlobs(scope, database.id, [one.hash])).get(one.hash)
  if (!kept) throw syncFaults.service_unavailable({ message: 'The bytes could not be read' })
  const bytes = await unpack(kept, one)
  if (!one.encoding) headers.set('content-md5', etag.slice(1, -1))
  const range = one.encoding ? null : rangeOf(request.headers.get('range'), bytes.length)
  if (!range) {
    // Of what is only asked about (HEAD) nothing else tells it.
    headers.set('content-length', String(bytes.length))
    return new Response(bytes as BodyInit, { headers })
  }
  headers.set('content-range', `bytes ${range.start}-${range.end}/${bytes.length}`)
  headers.delete('content-md5')
  return new Response(bytes.slice(range.start, range.end + 1), { status: 206, headers })
}

/**
 * A range of RFC 9110, 14.2. What is none, or asks for several or for all, is answered with the whole.
 *
 * @returns Both ends are part of it.
 */
function rangeOf(header: string | null, size: number): { start: number; end: number } | null {
  const [, from = '', to = ''] = header?.match(/^bytes=(?!0-$)(\d*)-(\d*)$/) ?? []
  if (from === '' && to === '') return null
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const end = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1)
  if (end < start || (from === '' && Number(to) === 0))
    throw syncFaults.requested_range_not_satisfiable({
      headers: { 'content-range': `bytes */${size}` },
    })
  return { start, end }
}
