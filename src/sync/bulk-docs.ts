import type { Written } from './definition.ts'
import { type Incoming, isObject, parseDocument } from './document.ts'
import { bad, errorOf } from './faults.ts'
import { isLocal, putLocal } from './local.ts'
import { type Asked, bodyOf } from './request.ts'
import { randomId } from './revision.ts'
import { type Outcome, writeDocuments } from './write.ts'

/**
 * Writes many documents, each for itself. One trip for each 500 that are new, two for others.
 *
 * @returns For new edits a line for each document; for replicated ones a line for each that was refused.
 * @throws {Fault} for what makes the whole request wrong: then nothing is written.
 * @see https://docs.couchdb.org/en/stable/api/database/bulk-api.html#db-bulk-docs
 */
export async function bulkDocs(asked: Asked): Promise<{ lines: unknown[]; written: Written[] }> {
  const { scope, place } = asked
  const body = await bodyOf(asked)
  if (!Array.isArray(body.docs))
    throw bad(
      'bad_request',
      body.docs === undefined
        ? 'POST body must include `docs` parameter.'
        : '`docs` parameter must be an array.',
    )
  const { new_edits: newEdits = true } = body
  if (typeof newEdits !== 'boolean')
    throw bad('bad_request', '`new_edits` parameter must be a boolean.')
  const parsed = body.docs.map((value) => parse(value))
  const outcomes = new Map<Incoming | Local, Outcome>()
  const documents = parsed.filter((one): one is Incoming => !('local' in one))
  const { outcomes: made, written } = await writeDocuments(scope, place, { documents, newEdits })
  for (const [i, one] of documents.entries()) outcomes.set(one, made[i] as Outcome)
  for (const one of parsed)
    if ('local' in one) {
      const { id, value } = one.local
      outcomes.set(one, { id, rev: await putLocal(scope, place, { id, value }) })
    }
  const lines = parsed.flatMap((one) => {
    const outcome = outcomes.get(one) as Outcome
    if ('fault' in outcome) {
      const { id, rev, fault } = outcome
      return { id, ...(newEdits || rev === undefined ? {} : { rev }), ...errorOf(fault) }
    }
    return newEdits ? { ok: true, id: outcome.id, rev: outcome.rev } : []
  })
  return { lines, written }
}

interface Local {
  local: { id: string; value: unknown }
}

function parse(value: unknown): Incoming | Local {
  if (isObject(value) && typeof value._id === 'string' && isLocal(value._id))
    return { local: { id: value._id, value } }
  if (!isObject(value)) throw bad('bad_request', 'Document must be a JSON object')
  return parseDocument(value, value._id === undefined ? randomId() : undefined)
}
