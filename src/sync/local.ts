import type { Scope } from '../core/scope.ts'
import { createDatabase, databaseId, inDatabase, type Place, placed, runAll } from './database.ts'
import { limitsOf } from './definition.ts'
import { isObject, parseDocument } from './document.ts'
import { bad, syncFaults } from './faults.ts'

/*
 * Local documents: what a client keeps here for itself, such as how far it has replicated. They have no history and are
 * in no feed. Each person has their own, as a replication's id can be guessed.
 */

export const ownerOf = ({ who }: Place): string => who.id ?? (who.role === 'service' ? '*' : '')

export interface LocalRow {
  rev: number
  body: string
}

/** @throws {Fault} `not_found` (404). */
export async function getLocal(scope: Scope, place: Place, id: string): Promise<string> {
  const { results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `SELECT rev, body FROM leanto_sync_locals WHERE db = ${databaseId} AND owner = ?3 AND id = ?4`,
      [ownerOf(place), id],
    ),
  ])
  const row = results[0]?.results[0] as LocalRow | undefined
  if (!row) throw syncFaults.not_found()
  return localText(id, row)
}

export const localText = (id: string, { rev, body }: LocalRow): string => {
  const members = body === '{}' ? '' : `,${body.slice(1, -1)}`
  return `{"_id":${JSON.stringify(id)},"_rev":"0-${rev}"${members}}`
}

/**
 * One trip, one row written. As CouchDB does, a revision is what the client says it was, and one more: nothing is compared.
 *
 * @returns Its revision, `0-<number>`; `0-0` for one with `_deleted`, which is removed.
 * @throws {Fault} `bad_request`, `doc_validation` (400), `document_too_large` (413).
 */
export async function putLocal(
  scope: Scope,
  place: Place,
  { id, value, rev: given }: { id: string; value: unknown; rev?: string | undefined },
): Promise<string> {
  if (!isObject(value)) throw bad('bad_request', 'Document must be a JSON object')
  const { _rev: own, _revisions: _, ...rest } = value
  const rev = numberOf(given ?? own) + 1
  const incoming = parseDocument({ ...rest, _id: id })
  if (incoming.attachments) throw bad('bad_request', 'Local documents may not have attachments')
  if (incoming.size > limitsOf(place.definition.rules).document)
    throw syncFaults.document_too_large()
  if (incoming.deleted) {
    await deleteLocal(scope, place, id)
    return '0-0'
  }
  const statement = placed(
    scope,
    place,
    `INSERT INTO leanto_sync_locals (db, owner, id, rev, body)
     SELECT d.id, ?3, ?4, ?5, ?6 FROM leanto_sync_databases d WHERE d.name = ?1 AND d.owner = ?2
     ON CONFLICT (db, owner, id) DO UPDATE SET rev = excluded.rev, body = excluded.body RETURNING rev`,
    [ownerOf(place), id, rev, incoming.body],
  )
  const [result] = await runAll(scope, [statement])
  if (result?.results.length === 0) {
    if (!place.lazy) throw bad('not_found', 'Database does not exist.')
    await createDatabase(scope, place)
    return putLocal(scope, place, { id, value, rev: given })
  }
  return `0-${rev}`
}

/** A local document's `_rev` is `0-<number>`, which no other's is. */
function numberOf(rev: unknown): number {
  if (rev === undefined) return 0
  const number = typeof rev === 'string' ? rev.match(/^0-(\d{1,15})$/)?.[1] : undefined
  if (number === undefined) throw bad('bad_request', 'Invalid rev format')
  return Number(number)
}

/** @returns Whether it was there. */
export async function deleteLocal(scope: Scope, place: Place, id: string): Promise<boolean> {
  const { results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `DELETE FROM leanto_sync_locals WHERE db = ${databaseId} AND owner = ?3 AND id = ?4 RETURNING id`,
      [ownerOf(place), id],
    ),
  ])
  return results[0]?.results.length === 1
}

export const isLocal = (id: string): boolean => id.startsWith('_local/')
