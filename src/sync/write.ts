import { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { type Blobs, keepBlobs, readAttachments, settle } from './attachments.ts'
import { type DatabaseRow, databaseId, inDatabase, type Place, placed, runAll } from './database.ts'
import { type Doc, limitsOf, type Written } from './definition.ts'
import type { Incoming } from './document.ts'
import { syncFaults } from './faults.ts'
import { checkWrite, docOf } from './permission.ts'
import { revOf } from './rev-tree.ts'
import {
  applyEdit,
  applyReplicated,
  attachmentsOf,
  type DocumentRow,
  isKnown,
  type Plan,
  parentOf,
  pathOfIncoming,
  planOf,
  type State,
  stateOf,
  winnerOf,
} from './state.ts'
import type { Validator } from './stored.ts'
import { writeStatements } from './write-sql.ts'

/** What became of one document: its revision, or why it was not written. */
export type Outcome = { id: string; rev: string } | { id: string; rev?: string; fault: Fault }

export interface WriteInput {
  documents: readonly Incoming[]
  /** Whether revisions are made here; `false` for replication, which brings its own. */
  newEdits: boolean
}

/** D1's parameters end at 2 MB. In bytes. */
const largestParameter = 1_900_000
const chunkBytes = 1_500_000
const chunkDocuments = 500
/** How often a document that others write at the same time is tried again. */
const rounds = 20

/**
 * Writes documents: one trip that reads what is there, one that writes, for each 500 of them. A document that another
 * request changed in between is read and decided again. Where all can only be new they are written as such at once, in
 * one trip; those that are not go on as the others do.
 *
 * @returns In the order of the documents.
 * @throws {Fault} `missing_stub` (412), `document_too_large`, `attachment_too_large`, `database_full` (413),
 * `bad_request` (400) for a replicated document without a revision.
 */
export async function writeDocuments(
  scope: Scope,
  place: Place,
  { documents, newEdits }: WriteInput,
): Promise<{ outcomes: Outcome[]; written: Written[] }> {
  const { document } = limitsOf(place.definition.rules)
  for (const incoming of documents) {
    if (incoming.size > document) throw syncFaults.document_too_large()
    if (!newEdits) pathOfIncoming(incoming)
  }
  const outcomes = new Map<Incoming, Outcome>()
  const written: Written[] = []
  for (const chunk of chunksOf(documents)) {
    let left = chunk
    for (let round = 0; left.length > 0 && round < rounds; round++)
      left = await writeRound(scope, place, {
        documents: left,
        newEdits,
        outcomes,
        written,
        fresh: round === 0 && areFirst(place, left),
      })
    for (const { id } of left)
      for (const one of chunk)
        if (one.id === id) outcomes.set(one, { id, fault: syncFaults.conflict() })
  }
  return { outcomes: documents.map((one) => outcomes.get(one) as Outcome), written }
}

/** Whether nothing has to be known to write them, if they are new. */
const areFirst = (place: Place, documents: readonly Incoming[]): boolean =>
  !place.definition.scripts &&
  documents.every(
    ({ rev, path, attachments }) => !attachments && (path ?? rev ?? { pos: 1 }).pos === 1,
  )

function chunksOf(documents: readonly Incoming[]): Incoming[][] {
  const chunks: Incoming[][] = []
  let chunk: Incoming[] = []
  let bytes = 0
  for (const document of documents) {
    // As it travels: JSON text in JSON text, where every quote is escaped.
    const size = JSON.stringify(document.body).length + document.size - document.body.length + 500
    if (size > largestParameter) throw syncFaults.document_too_large()
    if (chunk.length > 0 && (chunk.length >= chunkDocuments || bytes + size > chunkBytes)) {
      chunks.push(chunk)
      chunk = []
      bytes = 0
    }
    chunk.push(document)
    bytes += size
  }
  return chunk.length > 0 ? [...chunks, chunk] : chunks
}

interface Round extends WriteInput {
  outcomes: Map<Incoming, Outcome>
  written: Written[]
  /** Takes all of them for new, without a look: what comes of it is undone if they are not. */
  fresh: boolean
}

/** @returns The documents that were changed by others in between, or were not as they were taken for. */
async function writeRound(
  scope: Scope,
  place: Place,
  { documents, newEdits, outcomes, written, fresh }: Round,
): Promise<Incoming[]> {
  const { rules } = place.definition
  const { database, states, validator } = fresh
    ? { states: new Map(documents.map(({ id }) => [id, stateOf(id, undefined)])) }
    : await readStates(scope, place, documents)
  const blobs: Blobs = new Map()
  const edit = async (incoming: Incoming) => {
    const state = states.get(incoming.id) as State
    try {
      const rev = await apply(place, state, incoming, { newEdits, blobs, validator })
      outcomes.set(incoming, { id: incoming.id, rev })
    } catch (error) {
      if (!(error instanceof Fault) || !perDocument.has(error.code)) throw error
      const rev = incoming.rev && revOf(incoming.rev)
      outcomes.set(incoming, { id: incoming.id, ...(rev ? { rev } : {}), fault: error })
    }
  }
  const inTurn = async (edits: readonly Incoming[]) => {
    for (const one of edits) await edit(one)
  }
  // Digests take their time: those of different documents are made side by side, edits of one after the other. An
  // interpreter has one thing to do at a time.
  if (validator) await inTurn(documents)
  else await Promise.all([...Map.groupBy(documents, ({ id }) => id).values()].map(inTurn))
  const limit = database?.revs_limit ?? rules.revsLimit ?? 200
  const plans = [...states.values()].flatMap(
    (state) => planOf(state, limit, rules.keepRevisions ?? false) ?? [],
  )
  if (plans.length === 0) return fresh ? [...documents] : []
  const room = roomFor(plans, limitsOf(rules).database)
  if (database && database.bytes > room) throw syncFaults.database_full()
  const { statements, rowsAt } = writeStatements(scope, place, {
    database: database?.id ?? null,
    plans,
    room,
  })
  const kept = database ? keepBlobs(scope, database.id, blobs) : []
  const all = [...kept, ...statements]
  const results = database
    ? await runAll(scope, all)
    : (await inDatabase(scope, place, all)).results
  const won = new Map(
    ((results[kept.length + rowsAt]?.results ?? []) as { id: string; seq: number }[]).map(
      (row) => [row.id, row.seq] as const,
    ),
  )
  for (const { id, rev, deleted } of plans) {
    const seq = won.get(id)
    if (seq !== undefined)
      written.push({ database: place.name, owner: place.owner, seq, id, rev, deleted })
  }
  const lost = new Set(plans.map(({ id }) => id).filter((id) => !won.has(id)))
  return documents.filter(
    (one) => lost.has(one.id) || (fresh && 'fault' in (outcomes.get(one) as Outcome)),
  )
}

/** What a database may weigh before these plans: one that only shrinks is never refused. */
function roomFor(plans: readonly Plan[], limit: number): number {
  const growth = plans.reduce((sum, { size, oldSize }) => sum + (size ?? oldSize) - oldSize, 0)
  return growth > 0 ? limit - growth : Number.MAX_SAFE_INTEGER
}

/** Those errors that are one document's, as CouchDB tells them; any other is the whole request's. */
const perDocument = new Set([
  'conflict',
  'forbidden',
  'unauthorized',
  'compilation_error',
  'invalid_design_doc',
])

interface AsideRow {
  id: string
  rev: string
  atts: string
}

async function readStates(
  scope: Scope,
  place: Place,
  documents: readonly Incoming[],
): Promise<{
  database: DatabaseRow
  states: Map<string, State>
  validator: Validator | undefined
}> {
  const ids = [...new Set(documents.map(({ id }) => id))]
  const { rules, scripts } = place.definition
  const body = rules.validate || rules.channels || scripts ? 'd.body' : 'NULL AS body'
  // Attachments of leaves other than the winner, which stubs may mean.
  const stubs = documents.filter(({ attachments }) => attachments?.some(({ bytes }) => !bytes))
  const { database, results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `SELECT r.id, r.rev, r.atts FROM json_each(?3) w CROSS JOIN leanto_sync_revisions r
       ON r.db = ${databaseId} AND r.id = w.value WHERE r.atts IS NOT NULL`,
      [JSON.stringify(stubs.map(({ id }) => id))],
    ),
    placed(
      scope,
      place,
      `SELECT d.seq, d.id, d.rev, d.deleted, d.size, d.tree, d.channels, d.atts, ${body}
       FROM json_each(?3) w CROSS JOIN leanto_sync_documents d ON d.db = ${databaseId} AND d.id = w.value`,
      [JSON.stringify(ids)],
    ),
    ...(scripts ? [scripts.designs(scope, place)] : []),
  ])
  const rows = new Map(
    ((results[1]?.results ?? []) as unknown as DocumentRow[]).map((row) => [row.id, row]),
  )
  const states = new Map(ids.map((id) => [id, stateOf(id, rows.get(id))]))
  for (const { id, rev, atts } of (results[0]?.results ?? []) as unknown as AsideRow[])
    states.get(id)?.aside.set(rev, readAttachments(atts))
  const validator = scripts?.validator(place, database, results[2]?.results ?? [])
  return { database, states, validator }
}

async function apply(
  place: Place,
  state: State,
  incoming: Incoming,
  {
    newEdits,
    blobs,
    validator,
  }: { newEdits: boolean; blobs: Blobs; validator: Validator | undefined },
): Promise<string> {
  if (!newEdits && isKnown(state, incoming)) return applyReplicated(state, incoming, null, null)
  const parent = newEdits ? parentOf(state, incoming) : null
  const path = newEdits ? null : pathOfIncoming(incoming)
  const revpos = path?.pos ?? (parent?.pos ?? 0) + 1
  const attachments = await settle(incoming.attachments, {
    before: attachmentsOf(state, parent && revOf(parent)),
    revpos,
    limit: limitsOf(place.definition.rules).attachment,
    blobs,
  })
  const old = oldDocument(state)
  const rev = path ? `${path.pos}-${path.hashes[0]}` : undefined
  const version = { incoming, attachments, rev, old, oldChannels: oldChannels(state) }
  const channels = checkWrite(place, version)
  await validator?.(docOf(incoming, attachments, rev), old)
  return newEdits
    ? applyEdit(state, incoming, { parent, attachments, channels })
    : applyReplicated(state, incoming, attachments, channels)
}

/** The winning version before, as the host's rules see it; `null` for none. */
function oldDocument(state: State): Doc | null {
  const winner = winnerOf(state)
  if (!winner) return null
  const rev = revOf(winner)
  const body = state.brought.get(rev)?.body ?? state.row?.body
  if (body === null || body === undefined) return null
  return {
    ...JSON.parse(body),
    _id: state.id,
    _rev: rev,
    ...(winner.deleted ? { _deleted: true } : {}),
  }
}

function oldChannels(state: State): readonly string[] | null {
  const winner = winnerOf(state)
  if (!winner) return null
  const brought = state.brought.get(revOf(winner))
  if (brought) return brought.channels
  return state.row?.channels ? (JSON.parse(state.row.channels) as string[]) : null
}
