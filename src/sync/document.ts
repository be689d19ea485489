import type { Attachment } from './attachments.ts'
import { bad } from './faults.ts'
import type { RevPath } from './rev-tree.ts'
import { parseRev, parseRevisions } from './revision.ts'

/** An attachment as it comes in: with its bytes, or as a stub of what an earlier revision has. */
export interface IncomingAttachment {
  readonly name: string
  readonly type: string
  /** Absent for a stub. */
  readonly bytes?: Uint8Array
  /** Set if the bytes are compressed; then `length` is what they unpack to, as the sender says. */
  readonly encoding?: string
  readonly length?: number
  readonly revpos?: number
  readonly digest?: string
  /** Where it is here already, whatever the document: then nothing has to be found. */
  readonly known?: Attachment
}

/** A document as it comes in, taken apart. */
export interface Incoming {
  readonly id: string
  readonly deleted: boolean
  /** `_rev`, as it was given. */
  readonly rev: { pos: number; hash: string } | null
  /** The revision with its history, for a replicated document. */
  readonly path: RevPath | null
  /** Its own members, as JSON text. */
  readonly body: string
  readonly members: Readonly<Record<string, unknown>>
  /** Of the body, in bytes. */
  readonly size: number
  /** `null` if there are none. */
  readonly attachments: readonly IncomingAttachment[] | null
}

/** Members that CouchDB adds to an answer, and drops when they come back. */
const dropped = new Set([
  '_id',
  '_rev',
  '_deleted',
  '_revisions',
  '_attachments',
  '_revs_info',
  '_conflicts',
  '_deleted_conflicts',
  '_local_seq',
  '_deleted_revs',
])

/** Members that its replicator keeps in documents. */
const kept = new Set([
  '_replication_id',
  '_replication_state',
  '_replication_state_time',
  '_replication_state_reason',
  '_replication_stats',
])

const encoder = new TextEncoder()

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** @throws {Fault} `illegal_docid` (400), or `bad_request` for what is no text. */
export function checkDocId(id: unknown): string {
  if (typeof id !== 'string') throw bad('illegal_docid', 'Document id must be a string')
  if (id === '') throw bad('illegal_docid', 'Document id must not be empty')
  if (id.length > 4096) throw bad('illegal_docid', 'Document id is too long')
  // A lone surrogate is no UTF-8, and SQLite would keep another id than the one that was asked for.
  if (!id.isWellFormed()) throw bad('illegal_docid', 'Document id must be valid UTF-8')
  if (id === '_design/' || id === '_local/')
    throw bad('illegal_docid', `Illegal document id \`${id}\``)
  if (id.startsWith('_') && !id.startsWith('_design/') && !id.startsWith('_local/'))
    throw bad('illegal_docid', 'Only reserved document ids may start with underscore.')
  return id
}

/**
 * Takes a document apart.
 *
 * @param id Used if it names none itself.
 * @throws {Fault} `bad_request`, `illegal_docid`, `doc_validation` (400).
 */
export function parseDocument(value: unknown, id?: string): Incoming {
  if (!isObject(value)) throw bad('bad_request', 'Document must be a JSON object')
  const given = value._id ?? id
  const docId = checkDocId(given)
  const rev = value._rev === undefined ? null : parseRev(value._rev)
  if (value._deleted !== undefined && typeof value._deleted !== 'boolean')
    throw bad('doc_validation', '_deleted must be a boolean')
  const members: Record<string, unknown> = {}
  for (const name of Object.keys(value)) {
    if (name.startsWith('_') && !kept.has(name)) {
      if (!dropped.has(name)) throw bad('doc_validation', `Bad special document member: ${name}`)
    } else {
      // A member named `__proto__` is data like any other.
      Object.defineProperty(members, name, {
        value: value[name],
        enumerable: true,
        writable: true,
        configurable: true,
      })
    }
  }
  const body = JSON.stringify(members)
  return {
    id: docId,
    deleted: value._deleted === true,
    rev,
    path: value._revisions === undefined ? null : parseRevisions(value._revisions),
    body,
    members,
    size: encoder.encode(body).length,
    attachments: parseAttachments(value._attachments),
  }
}

function parseAttachments(value: unknown): IncomingAttachment[] | null {
  if (value === undefined || value === null) return null
  if (!isObject(value)) throw bad('bad_request', 'Attachments must be a JSON object')
  const attachments = Object.entries(value).map(([name, entry]) => parseAttachment(name, entry))
  return attachments.length > 0 ? attachments : null
}

export function checkAttachmentName(name: string): string {
  if (name === '') throw bad('bad_request', 'Attachment name must not be empty')
  if (name.startsWith('_'))
    throw bad('bad_request', `Attachment name '${name}' starts with prohibited character '_'`)
  if (!name.isWellFormed()) throw bad('bad_request', 'Attachment name is not UTF-8 encoded')
  return name
}

function parseAttachment(name: string, entry: unknown): IncomingAttachment {
  checkAttachmentName(name)
  if (!isObject(entry)) throw bad('bad_request', 'Attachment must be a JSON object')
  const { content_type: type, data, stub, follows, encoding } = entry
  const known = {
    name,
    type:
      typeof type === 'string' && /^[\x20-\x7e]{1,255}$/.test(type)
        ? type
        : 'application/octet-stream',
    ...(typeof entry.revpos === 'number' ? { revpos: entry.revpos } : {}),
    ...(typeof entry.digest === 'string' ? { digest: entry.digest } : {}),
    ...(typeof entry.length === 'number' ? { length: entry.length } : {}),
    ...(typeof encoding === 'string' && encoding !== 'identity' ? { encoding } : {}),
  }
  if (stub === true) return known
  // Its bytes are in another part of a multipart body: whoever read that gives them.
  if (follows === true) return known
  if (typeof data !== 'string') throw bad('bad_request', `Invalid attachment data for ${name}`)
  // Base64 is of the plain bytes: only a stream carries them compressed.
  const { encoding: _, length: __, ...plain } = known
  return { ...plain, bytes: fromBase64(data, name) }
}

function fromBase64(text: string, name: string): Uint8Array {
  try {
    const binary = atob(text)
    const bytes = new Uint8Array(binary.length)
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
    return bytes
  } catch {
    throw bad('bad_request', `Invalid attachment data for ${name}`)
  }
}

export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += 8192)
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(binary)
}
