import { readBytes } from '../core/body.ts'
import type { IncomingAttachment } from './document.ts'
import { bad } from './faults.ts'

/*
 * Documents with their attachments as MIME parts, as CouchDB's replicator sends and asks for them:
 * https://docs.couchdb.org/en/stable/api/document/common.html#creating-multiple-attachments
 */

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export interface Part {
  headers: Record<string, string>
  body: string | Uint8Array
}

/** @returns Its boundary, `undefined` if the body is no multipart. */
export const boundaryOf = (type: string | null): string | undefined =>
  type
    ?.match(/^multipart\/related\s*;.*\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i)
    ?.slice(1)
    .find(Boolean)

/** Parts as one body. */
export function multipart(parts: readonly Part[], boundary: string): Uint8Array {
  const chunks: Uint8Array[] = []
  for (const [i, { headers, body }] of parts.entries()) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    chunks.push(encoder.encode(`${i === 0 ? '' : '\r\n'}--${boundary}\r\n${lines.join('')}\r\n`))
    chunks.push(typeof body === 'string' ? encoder.encode(body) : body)
  }
  chunks.push(encoder.encode(`\r\n--${boundary}--`))
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** Where bytes are found, from a place on; -1 if they are not. */
function indexOf(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  const [first] = wanted as unknown as [number]
  for (let at = bytes.indexOf(first, from); at !== -1; at = bytes.indexOf(first, at + 1))
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at
  return -1
}

/** Takes a multipart body apart. @throws {Fault} `bad_request` (400). */
function partsOf(bytes: Uint8Array, boundary: string): { headers: Headers; body: Uint8Array }[] {
  const line = encoder.encode(`--${boundary}`)
  const parts: { headers: Headers; body: Uint8Array }[] = []
  let at = indexOf(bytes, line, 0)
  while (at !== -1) {
    const start = at + line.length
    if (decoder.decode(bytes.subarray(start, start + 2)) === '--') return parts
    const next = indexOf(bytes, encoder.encode(`\r\n--${boundary}`), start)
    const split = indexOf(bytes, encoder.encode('\r\n\r\n'), start)
    if (next === -1 || split === -1 || split > next) break
    const headers = new Headers()
    for (const header of decoder.decode(bytes.subarray(start, split)).split('\r\n')) {
      const colon = header.indexOf(':')
      if (colon > 0) headers.append(header.slice(0, colon).trim(), header.slice(colon + 1).trim())
    }
    parts.push({ headers, body: bytes.subarray(split + 4, next) })
    at = next + 2
  }
  throw bad('bad_request', 'The multipart body is not complete')
}

/**
 * Reads a document whose attachments follow it, each in a part of its own: in the order of `_attachments`, or named.
 *
 * @param boundary Of the body.
 * @returns The document as JSON, its attachments with their bytes.
 * @throws {Fault} `bad_request` (400), `too_large` (413).
 */
export async function readRelated(
  request: Request,
  boundary: string,
  limit: number,
): Promise<{ value: Record<string, unknown>; follow: Map<string, Uint8Array> }> {
  const [first, ...rest] = partsOf(await readBytes(request, limit), boundary)
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(first?.body))
  } catch {
    throw bad('bad_request', 'invalid UTF-8 JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw bad('bad_request', 'Document must be a JSON object')
  const attachments = (value as { _attachments?: Record<string, { follows?: unknown }> })
    ._attachments
  const following = Object.entries(attachments ?? {}).filter(([, one]) => one?.follows === true)
  const follow = new Map<string, Uint8Array>()
  for (const [i, [name]] of following.entries()) {
    const part = rest.find(({ headers }) => filenameOf(headers) === name) ?? rest[i]
    if (!part) throw bad('bad_request', `The bytes of attachment ${name} do not follow`)
    follow.set(name, part.body)
  }
  return { value: value as Record<string, unknown>, follow }
}

const filenameOf = (headers: Headers): string | undefined =>
  headers
    .get('content-disposition')
    ?.match(/filename="((?:[^"\\]|\\.)*)"/)?.[1]
    ?.replace(/\\(.)/g, '$1')

/** Puts bytes that followed where the document names them. */
export const withBytes = (
  attachments: readonly IncomingAttachment[] | null,
  follow: ReadonlyMap<string, Uint8Array>,
): IncomingAttachment[] | null =>
  attachments?.map((one) => {
    const bytes = follow.get(one.name)
    return bytes ? { ...one, bytes } : one
  }) ?? null
