import { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { readAttachments } from './attachments.ts'
import type { Place } from './database.ts'
import type { Written } from './definition.ts'
import { type Incoming, type IncomingAttachment, parseDocument } from './document.ts'
import { bad, syncFaults } from './faults.ts'
import { hostItself } from './permission.ts'
import { getDocument } from './read.ts'
import { parseRev } from './revision.ts'
import type { VersionRow } from './version.ts'
import { type Outcome, writeDocuments } from './write.ts'

/** What writing one document came to. */
export interface Edited {
  rev: string
  written: Written[]
}

/** The same place, past its rules of access. */
export const asHost = (place: Place): Place => ({ ...place, who: hostItself })

/** Writes documents of which each may fail: who changed one in between has written it. */
export const writeKept = (scope: Scope, place: Place, documents: readonly Incoming[]) =>
  writeDocuments(scope, place, { documents, newEdits: true })

/** Writes one document. @throws {Fault} also those that a bulk of documents tells of one by one. */
export async function writeOne(
  scope: Scope,
  place: Place,
  incoming: Incoming,
  newEdits = true,
): Promise<Edited> {
  const { outcomes, written } = await writeDocuments(scope, place, {
    documents: [incoming],
    newEdits,
  })
  const outcome = outcomes[0] as Outcome
  if ('fault' in outcome) throw outcome.fault
  return { rev: outcome.rev, written }
}

/**
 * The revision that a request names: in its URL, its `If-Match`, or the document.
 *
 * @throws {Fault} `bad_request` (400) if they differ.
 */
export function revOfRequest(
  request: Request,
  query: URLSearchParams,
  own?: unknown,
): string | undefined {
  const match = request.headers.get('if-match')?.replace(/^(W\/)?"(.*)"$/, '$2')
  const named = revOfQuery(query) ?? own
  const differ = (what: string) => bad('bad_request', `Document rev ${what} have different values`)
  if (own !== undefined && own !== named) throw differ('from request body and query string')
  if (match !== undefined && named !== undefined && match !== named) throw differ('and etag')
  const rev = named === undefined ? match : named
  if (rev !== undefined) parseRev(rev)
  return rev as string | undefined
}

/** The revision that a URL names. @throws {Fault} `bad_request` (400). */
export function revOfQuery(query: URLSearchParams): string | undefined {
  const rev = query.get('rev') ?? undefined
  if (rev !== undefined) parseRev(rev)
  return rev
}

/** @throws {Fault} `not_found` (404), `conflict` (409). */
export async function deleteDocument(
  scope: Scope,
  place: Place,
  { id, rev }: { id: string; rev: string | undefined },
): Promise<Edited> {
  try {
    if (rev === undefined) throw syncFaults.conflict()
    return await writeOne(scope, place, parseDocument({ _id: id, _rev: rev, _deleted: true }))
  } catch (fault) {
    if (!(fault instanceof Fault) || fault.code !== 'conflict') throw fault
    // What is not there is told from what has another revision, only where it matters.
    await getDocument(scope, place, { id, show: {} })
    throw fault
  }
}

/** A version's attachments as those of a new one, without their bytes. */
const kept = (version: VersionRow): IncomingAttachment[] =>
  Object.entries(readAttachments(version.atts)).map(([name, known]) => ({
    name,
    type: known.content_type,
    known,
  }))

/** A version as a document that is to be written. */
export const again = (version: VersionRow, id: string, rev: string | null): Incoming => ({
  ...parseDocument({ ...JSON.parse(version.body), _id: id, ...(rev ? { _rev: rev } : {}) }),
  attachments: version.atts === null ? null : kept(version),
})

/** Copies a document, with its attachments. @throws {Fault} `not_found` (404), `conflict` (409). */
export async function copyDocument(
  scope: Scope,
  place: Place,
  {
    id,
    rev,
    to,
    toRev,
  }: { id: string; rev?: string | undefined; to: string; toRev: string | null },
): Promise<Edited> {
  const { version } = await getDocument(scope, place, { id, rev, show: {} })
  return writeOne(scope, place, again(version, to, toRev))
}

/**
 * Adds, replaces or removes one attachment. A document that is not there is made.
 *
 * @throws {Fault} `not_found` (404), `conflict`, `missing_rev` (409).
 */
export async function writeAttachment(
  scope: Scope,
  place: Place,
  input: {
    id: string
    rev: string | undefined
    name: string
    attachment: IncomingAttachment | null
  },
): Promise<Edited> {
  const { id, rev, name, attachment } = input
  const before = await current(scope, place, { id, rev, make: attachment !== null })
  const others = (before ? kept(before) : []).filter((one) => one.name !== name)
  if (!attachment && before && !Object.hasOwn(readAttachments(before.atts), name))
    throw bad('not_found', 'Document is missing attachment')
  const attachments = attachment ? [...others, attachment] : others
  const incoming = before ? again(before, id, rev ?? null) : parseDocument({ _id: id })
  return writeOne(scope, place, {
    ...incoming,
    attachments: attachments.length > 0 ? attachments : null,
  })
}

async function current(
  scope: Scope,
  place: Place,
  { id, rev, make }: { id: string; rev: string | undefined; make: boolean },
) {
  try {
    return (await getDocument(scope, place, { id, rev, show: {} })).version
  } catch (fault) {
    if (!(fault instanceof Fault) || fault.code !== 'not_found') throw fault
    if (fault.message === 'Database does not exist.') throw fault
    if (rev !== undefined) throw syncFaults.missing_rev()
    if (!make) throw fault
    // Whether it conflicts is the write's to say.
    return null
  }
}
