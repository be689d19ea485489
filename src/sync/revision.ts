import { bad } from './faults.ts'
import type { RevPath } from './rev-tree.ts'

/** `<generation>-<hash>`; the hash is any word, as other stores make them in other ways. */
const revShape = /^(\d{1,15})-([^\s"\\]{1,128})$/

const isRev = (value: unknown): value is string =>
  typeof value === 'string' && revShape.test(value) && !value.startsWith('0')

/** @throws {Fault} `bad_request` (400) "Invalid rev format". */
export function parseRev(value: unknown): { pos: number; hash: string } {
  const [, pos, hash] = (typeof value === 'string' && value.match(revShape)) || []
  if (!pos || !hash || Number(pos) === 0) throw bad('bad_request', 'Invalid rev format')
  return { pos: Number(pos), hash }
}

/**
 * A document's `_revisions`: `{ start, ids }`, the newest first.
 *
 * @throws {Fault} `doc_validation` (400).
 */
export function parseRevisions(value: unknown): RevPath {
  const { start, ids } = (value ?? {}) as { start?: unknown; ids?: unknown }
  if (!Number.isSafeInteger(start) || (start as number) < 0)
    throw bad('doc_validation', "_revisions.start isn't an integer.")
  if (!Array.isArray(ids)) throw bad('doc_validation', "_revisions.ids isn't a array.")
  if (!ids.every((id) => typeof id === 'string' && isRev(`1-${id}`)))
    throw bad('doc_validation', "RevId isn't a string")
  if (ids.length > (start as number))
    throw bad('doc_validation', '_revisions.start is less than the number of _revisions.ids')
  return { pos: start as number, hashes: ids }
}

/** What decides the name of an edit. Equal edits get equal names on every server, so that they are no conflict. */
export interface Edit {
  deleted: boolean
  /** The revision that was edited, `null` for none. */
  parent: { pos: number; hash: string } | null
  /** The document's own members, as JSON text. */
  body: string
  attachments: readonly (readonly [name: string, type: string, digest: string])[]
}

const encoder = new TextEncoder()

/** @returns 32 hex digits. Nobody checks how they were made, as CouchDB's own way depends on Erlang. */
export async function hashOf({ deleted, parent, body, attachments }: Edit): Promise<string> {
  const text = JSON.stringify([deleted, parent?.pos ?? 0, parent?.hash ?? '', body, attachments])
  return hex(await crypto.subtle.digest('SHA-256', encoder.encode(text))).slice(0, 32)
}

export const hex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('')

/** 32 random hex digits, as CouchDB's `/_uuids` gives. */
export const randomId = (): string => crypto.randomUUID().replaceAll('-', '')
