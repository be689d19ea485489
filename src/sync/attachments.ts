import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { rowsOf } from './database.ts'
import type { IncomingAttachment } from './document.ts'
import { bad } from './faults.ts'

/** An attachment as a revision's row keeps it. */
export interface Attachment {
  content_type: string
  /** The generation that brought it. */
  revpos: number
  /** `md5-<base64>` of the bytes as they are kept, as CouchDB has it. */
  digest: string
  /** In bytes, unpacked. */
  length: number
  /** `gzip` if it came compressed, and is kept so. */
  encoding?: string
  encoded_length?: number
  /** SHA-256 of the bytes, by which they are kept: an MD5 can be made to collide. */
  hash: string
}

export type Attachments = Record<string, Attachment>

export const readAttachments = (text: string | null): Attachments =>
  text === null ? {} : JSON.parse(text)

/** What is kept of an attachment without its bytes. */
export const bytesOf = (attachments: Attachments): number =>
  Object.values(attachments).reduce((sum, one) => sum + (one.encoded_length ?? one.length), 0)

/** A part is a row's value: D1 ends those at 2 MB. */
const partSize = 1024 * 1024

const base64 = (bytes: ArrayBuffer): string => btoa(String.fromCharCode(...new Uint8Array(bytes)))

/** New bytes to keep, by their hash. */
export type Blobs = Map<string, Uint8Array>

/**
 * Gives a document's attachments what is known of them.
 *
 * @param before What the revision that was edited has, or those that the replicated one descends from.
 * @param blobs Takes the bytes that are new.
 * @throws {Fault} `missing_stub` (412), `attachment_too_large` (413).
 */
export async function settle(
  incoming: readonly IncomingAttachment[] | null,
  input: { before: readonly Attachments[]; revpos: number; limit: number; blobs: Blobs },
): Promise<Attachments | null> {
  if (!incoming) return null
  const settled: Attachments = {}
  for (const one of incoming) {
    const value = one.bytes
      ? await fresh(one as IncomingAttachment & { bytes: Uint8Array }, input)
      : (one.known ?? known(one, input.before))
    // A name such as `__proto__` is a name like any other.
    Object.defineProperty(settled, one.name, { value, enumerable: true, configurable: true })
  }
  return settled
}

function known(one: IncomingAttachment, before: readonly Attachments[]): Attachment {
  const found = before
    .filter((attachments) => Object.hasOwn(attachments, one.name))
    .map((attachments) => attachments[one.name] as Attachment)
  const match = found.find(
    ({ digest, revpos }) => (one.digest ?? digest) === digest && (one.revpos ?? revpos) === revpos,
  )
  if (!match) throw bad('missing_stub', `Invalid attachment stub in document for ${one.name}`)
  return match
}

async function fresh(
  { bytes, type, encoding, length, revpos, name }: IncomingAttachment & { bytes: Uint8Array },
  { revpos: now, limit, blobs }: { revpos: number; limit: number; blobs: Blobs },
): Promise<Attachment> {
  if (bytes.length > limit) throw bad('attachment_too_large', `Attachment ${name} is too large`)
  const [md5, sha] = await Promise.all([
    crypto.subtle.digest('MD5', bytes as BufferSource),
    crypto.subtle.digest('SHA-256', bytes as BufferSource),
  ])
  const hash = base64(sha)
  blobs.set(hash, bytes)
  return {
    content_type: type,
    revpos: revpos !== undefined && revpos > 0 && revpos <= now ? revpos : now,
    digest: `md5-${base64(md5)}`,
    length: encoding ? (length ?? bytes.length) : bytes.length,
    ...(encoding ? { encoding, encoded_length: bytes.length } : {}),
    hash,
  }
}

/** Statements that keep new bytes. What they keep and no document has, `compact` drops. */
export function keepBlobs(scope: Scope, database: number, blobs: Blobs): Statement[] {
  return [...blobs].flatMap(([hash, bytes]) =>
    // No bytes are a part too, so that it can be told from one that is missing.
    Array.from({ length: Math.max(1, Math.ceil(bytes.length / partSize)) }, (_, part) =>
      scope.db
        .prepare(
          `INSERT INTO leanto_sync_parts (db, hash, part, data) VALUES (?1, ?2, ?3, ?4)
           ON CONFLICT DO NOTHING`,
        )
        .bind(database, hash, part, bytes.slice(part * partSize, (part + 1) * partSize).buffer),
    ),
  )
}

interface PartRow {
  hash: string
  data: ArrayBuffer | number[]
}

/**
 * Reads bytes, in one trip for what fits one answer of D1.
 *
 * @returns By hash.
 */
export async function readBlobs(
  scope: Scope,
  database: number,
  hashes: readonly string[],
): Promise<Blobs> {
  const blobs: Blobs = new Map()
  const wanted = [...new Set(hashes)]
  if (wanted.length === 0) return blobs
  const results = await rowsOf<PartRow>(
    scope,
    scope.db
      .prepare(
        `SELECT p.hash, p.data FROM json_each(?2) w CROSS JOIN leanto_sync_parts p
       ON p.db = ?1 AND p.hash = w.value ORDER BY p.hash, p.part`,
      )
      .bind(database, JSON.stringify(wanted)),
  )
  const parts = new Map<string, Uint8Array[]>()
  for (const { hash, data } of results) {
    const list = parts.get(hash) ?? []
    list.push(new Uint8Array(data))
    parts.set(hash, list)
  }
  for (const [hash, list] of parts) blobs.set(hash, joined(list))
  return blobs
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** An attachment's bytes as a reader wants them: unpacked, if they are what they are said to be. */
export async function unpack(bytes: Uint8Array, { encoding }: Attachment): Promise<Uint8Array> {
  if (encoding !== 'gzip') return bytes
  const stream = new Response(bytes as BodyInit).body?.pipeThrough(new DecompressionStream('gzip'))
  const plain = new Response(stream).arrayBuffer()
  return plain.then(
    (buffer) => new Uint8Array(buffer),
    () => bytes,
  )
}
