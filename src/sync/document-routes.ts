import { readBytes } from '../core/body.ts'
import { getAttachment } from './attachment.ts'
import type { Written } from './definition.ts'
import { limitsOf } from './definition.ts'
import { checkAttachmentName, checkDocId, isObject, parseDocument } from './document.ts'
import {
  copyDocument,
  deleteDocument,
  revOfQuery,
  revOfRequest,
  writeAttachment,
  writeOne,
} from './edit.ts'
import { bad, syncFaults } from './faults.ts'
import { deleteLocal, getLocal, isLocal, putLocal } from './local.ts'
import { boundaryOf, readRelated, withBytes } from './multipart.ts'
import { mixedAnswer, relatedAnswer } from './multipart-answer.ts'
import { demand } from './permission.ts'
import { on, optionsOf } from './query.ts'
import { getDocument, getRevisions } from './read.ts'
import { type Asked, demandJson, jsonAnswer as json, jsonOf } from './request.ts'
import { randomId } from './revision.ts'
import { revList, showOf } from './show.ts'

/** Takes what was written to whoever waits for it. */
export type Wrote = (asked: Asked, written: readonly Written[]) => void

/** The answer to a write. @param name Of the attachment that was written. */
const wroteOne = (
  { mount, place, request, query }: Asked,
  id: string,
  rev: string,
  status: number,
  name = '',
): Response => {
  // Whoever asks for a batch does not wait for the revision.
  if (query.get('batch') === 'ok') return Response.json({ ok: true, id }, { status: 202 })
  const named = encodeURIComponent(id).replace(/^_design%2F/, '_design/')
  const path = `${mount}/${encodeURIComponent(place.name)}/${named}${name && `/${encodeURIComponent(name)}`}`
  const location = new URL(path, request.url).href
  return Response.json(
    { ok: true, id, rev },
    { status, headers: { etag: `"${rev}"`, ...(status === 201 ? { location } : {}) } },
  )
}

/** What is there, but not by the method that came as far as documents. */
const endpoints =
  /^_(all_docs|bulk_docs|bulk_get|changes|compact|design_docs|ensure_full_commit|explain|find|index|local_docs|missing_revs|purge|revs_diff|revs_limit|security|snapshot|view_cleanup)$/

/** The id that a path names, where `_design/…` and `_local/…` may be two segments. */
function idOf(asked: Asked): { id: string; left: readonly string[] } {
  const { rest } = asked
  const [first = '', second] = rest
  const two = (first === '_design' || first === '_local') && second !== undefined
  const id = two ? `${first}/${second}` : first
  if (/^_(?!design\/|local\/)/.test(id)) {
    if (endpoints.test(id)) throw syncFaults.method_not_allowed()
    if (asked.request.method !== 'PUT') throw syncFaults.not_found()
  }
  return { id: checkDocId(id), left: rest.slice(two ? 2 : 1) }
}

export async function readDocument(asked: Asked): Promise<Response> {
  const { scope, place, query, request } = asked
  demand(place, 'read')
  const { id } = idOf(asked)
  if (isLocal(id)) return json(await getLocal(scope, place, id))
  const options = optionsOf(query)
  const show = showOf(options)
  const latest = on(options, 'latest')
  const open = options.open_revs
  if (open !== undefined) {
    const revs = open === 'all' ? 'all' : revList(open)
    const mixed = accepts(request, 'multipart/mixed')
    const { revisions } = await getRevisions(scope, place, {
      id,
      revs,
      latest,
      show: mixed ? { ...show, attachments: true, follows: true } : show,
    })
    if (mixed) return mixedAnswer(revisions)
    return json(
      `[${revisions
        .map(({ rev, text }) =>
          text === null ? JSON.stringify({ missing: rev }) : `{"ok":${text}}`,
        )
        .join(',')}]`,
    )
  }
  const rev = revOfQuery(query)
  const related = show.attachments && accepts(request, 'multipart/related')
  const input = { id, rev, latest, show: related ? { ...show, follows: true } : show }
  const { text, rev: found, attached } = await getDocument(scope, place, input)
  if (related && attached.length > 0) return relatedAnswer(text, attached)
  const etag = `"${found}"`
  const plain = Object.entries(show).every(([, on]) => !on)
  if (plain && request.headers.get('if-none-match') === etag)
    return new Response(null, { status: 304, headers: { etag } })
  return json(text, plain ? { etag } : {})
}

const accepts = (request: Request, type: string): boolean =>
  (request.headers.get('accept') ?? '').split(',').some((one) => one.split(';')[0]?.trim() === type)

/** A document that is sent as it is, or with its attachments after it. */
async function documentOf(
  asked: Asked,
): Promise<{ value: Record<string, unknown>; follow: Map<string, Uint8Array> | null }> {
  const { request, place } = asked
  const boundary = boundaryOf(request.headers.get('content-type'))
  if (boundary !== undefined)
    return readRelated(request, boundary, limitsOf(place.definition.rules).request)
  const value = await jsonOf(asked)
  if (!isObject(value)) throw bad('bad_request', 'Document must be a JSON object')
  return { value, follow: null }
}

const mayWriteLocal = ({ place }: Asked): void =>
  // Someone who only reads may say how far they have read.
  demand(place, place.who.role === 'anon' ? 'write' : 'read')

export const putDocument =
  (wrote: Wrote) =>
  async (asked: Asked): Promise<Response> => {
    const { scope, place, query, request } = asked
    const { id } = idOf(asked)
    if (isLocal(id)) mayWriteLocal(asked)
    else demand(place, 'write')
    const { value, follow } = await documentOf(asked)
    if (isLocal(id)) {
      const rev = await putLocal(scope, place, { id, value, rev: query.get('rev') ?? undefined })
      return wroteOne(asked, id, rev, 201)
    }
    const rev = revOfRequest(request, query, value._rev)
    const parsed = parseDocument({ ...value, _id: id, _rev: rev })
    const incoming = follow
      ? { ...parsed, attachments: withBytes(parsed.attachments, follow) }
      : parsed
    const edited = await writeOne(scope, place, incoming, query.get('new_edits') !== 'false')
    wrote(asked, edited.written)
    return wroteOne(asked, id, edited.rev, incoming.deleted ? 200 : 201)
  }

export const postDocument =
  (wrote: Wrote) =>
  async (asked: Asked): Promise<Response> => {
    const { scope, place } = asked
    demandJson(asked)
    const value = await jsonOf(asked)
    if (!isObject(value)) throw bad('bad_request', 'Document must be a JSON object')
    const id = value._id === undefined ? randomId() : checkDocId(value._id)
    if (isLocal(id)) {
      mayWriteLocal(asked)
      return wroteOne(asked, id, await putLocal(scope, place, { id, value }), 201)
    }
    demand(place, 'write')
    const edited = await writeOne(scope, place, parseDocument(value, id))
    wrote(asked, edited.written)
    return wroteOne(asked, id, edited.rev, 201)
  }

export const removeDocument =
  (wrote: Wrote) =>
  async (asked: Asked): Promise<Response> => {
    const { scope, place, query, request } = asked
    const { id } = idOf(asked)
    if (isLocal(id)) {
      mayWriteLocal(asked)
      if (!(await deleteLocal(scope, place, id))) throw syncFaults.not_found()
      return wroteOne(asked, id, '0-0', 200)
    }
    demand(place, 'write')
    const { rev, written } = await deleteDocument(scope, place, {
      id,
      rev: revOfRequest(request, query),
    })
    wrote(asked, written)
    return wroteOne(asked, id, rev, 200)
  }

export const copy =
  (wrote: Wrote) =>
  async (asked: Asked): Promise<Response> => {
    const { scope, place, query, request } = asked
    demand(place, 'read')
    demand(place, 'write')
    const { id } = idOf(asked)
    const destination = request.headers.get('destination')
    if (!destination) throw bad('bad_request', 'Destination header is mandatory for COPY.')
    if (/^https?:\/\//i.test(destination))
      throw bad('bad_request', 'Destination URL must be relative.')
    const [path = '', search = ''] = destination.split('?')
    const to = checkDocId(decoded(path))
    const { rev, written } = await copyDocument(scope, place, {
      id,
      rev: revOfQuery(query),
      to,
      toRev: new URLSearchParams(search).get('rev'),
    })
    wrote(asked, written)
    return wroteOne(asked, to, rev, 201)
  }

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw bad('bad_request', 'The path is not URL-encoded UTF-8')
  }
}

/** The document and the attachment that a path names; the latter's name may have slashes. */
function attachmentOf(asked: Asked): { id: string; name: string } {
  const { id, left } = idOf(asked)
  if (isLocal(id)) throw bad('bad_request', '_local documents do not accept attachments.')
  return { id, name: left.join('/') }
}

export async function readAttachment(asked: Asked): Promise<Response> {
  const { scope, place, query, request } = asked
  demand(place, 'read')
  return getAttachment(scope, place, { ...attachmentOf(asked), rev: revOfQuery(query), request })
}

export const putAttachment =
  (wrote: Wrote) =>
  async (asked: Asked): Promise<Response> => {
    const { scope, place, query, request } = asked
    demand(place, 'write')
    const { id, name } = attachmentOf(asked)
    checkAttachmentName(name)
    const bytes = await readBytes(request, limitsOf(place.definition.rules).attachment)
    const type = request.headers.get('content-type') ?? 'application/octet-stream'
    const encoding = request.headers.get('content-encoding')?.toLowerCase() ?? 'identity'
    if (!/^(gzip|identity)$/.test(encoding))
      throw bad('bad_content_type', 'Only gzip and identity content-encodings are supported')
    const edited = await writeAttachment(scope, place, {
      id,
      rev: revOfRequest(request, query),
      name,
      attachment: { name, type, bytes, ...(encoding === 'gzip' ? { encoding } : {}) },
    })
    wrote(asked, edited.written)
    return wroteOne(asked, id, edited.rev, 201, name)
  }

export const removeAttachment =
  (wrote: Wrote) =>
  async (asked: Asked): Promise<Response> => {
    const { scope, place, query, request } = asked
    demand(place, 'write')
    const edited = await writeAttachment(scope, place, {
      ...attachmentOf(asked),
      rev: revOfRequest(request, query),
      attachment: null,
    })
    wrote(asked, edited.written)
    return wroteOne(asked, attachmentOf(asked).id, edited.rev, 200)
  }
