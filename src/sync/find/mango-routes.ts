import { isObject, parseDocument } from '../document.ts'
import type { Wrote } from '../document-routes.ts'
import { writeOne } from '../edit.ts'
import { bad, syncFaults } from '../faults.ts'
import { demand } from '../permission.ts'
import { getDocument } from '../read.ts'
import { type Asked, bodyOf, jsonAnswer } from '../request.ts'
import { hex } from '../revision.ts'
import { findFaults } from './faults.ts'
import { explain } from './mango-explain.ts'
import { findDocuments } from './mango-find.ts'
import { indexesOf, isNamed, type MangoIndex, shownIndex } from './mango-index.ts'
import { checkKeys, parseFind, parseIndex, parseUse } from './mango-input.ts'

export async function postFind(asked: Asked): Promise<Response> {
  const { scope, place } = asked
  demand(place, 'read')
  const text = await findDocuments(scope, place, parseFind(await bodyOf(asked)))
  return jsonAnswer(text)
}

export async function postExplain(asked: Asked): Promise<Response> {
  const { scope, place } = asked
  demand(place, 'read')
  return Response.json(await explain(scope, place, parseFind(await bodyOf(asked))), { status: 200 })
}

export async function readIndexes({ scope, place, query }: Asked): Promise<Response> {
  demand(place, 'read')
  const { indexes } = await indexesOf(scope, place)
  const skip = listed(query, 'skip', 0, 0)
  const limit = listed(query, 'limit', indexes.length, 1)
  return Response.json(
    {
      total_rows: indexes.length,
      indexes: indexes.slice(skip, skip + limit).map(shownIndex),
    },
    { status: 200 },
  )
}

function listed(query: URLSearchParams, name: string, otherwise: number, least: number): number {
  const value = Number(query.get(name) ?? otherwise)
  if (!Number.isSafeInteger(value) || value < least) throw findFaults.invalid_list_index_params()
  return value
}

/** https://docs.couchdb.org/en/stable/api/database/find.html#db-index */
export const postIndex =
  (wrote: Wrote) =>
  async (asked: Asked): Promise<Response> => {
    const { scope, place } = asked
    demand(place, 'admin')
    const { fields, way, partial, given, ...input } = parseIndex(await bodyOf(asked))
    const shape = JSON.stringify([fields, way, partial])
    const digest = hex(
      await crypto.subtle.digest('SHA-256', new TextEncoder().encode(shape)),
    ).slice(0, 40)
    const { ddoc: design = digest, name = digest } = input
    const id = design.startsWith('_design/') ? design : `_design/${design}`
    const before = await designOf(asked, id)
    const views = isObject(before?.views) ? before.views : {}
    const view = {
      map: {
        fields: Object.fromEntries(fields.map((field) => [field, way])),
        partial_filter_selector: partial,
      },
      reduce: '_count',
      options: { def: { fields: given } },
    }
    if (before && before.language !== 'query')
      throw bad('bad_request', `The design document ${id} is of another language`)
    if (JSON.stringify(views[name]) === JSON.stringify(view))
      return Response.json({ result: 'exists', id, name }, { status: 200 })
    const doc = { ...before, _id: id, language: 'query', views: { ...views, [name]: view } }
    const { written } = await writeOne(scope, place, parseDocument(doc))
    wrote(asked, written)
    return Response.json({ result: 'created', id, name }, { status: 200 })
  }

/** All indexes of some design documents, each for itself. Two trips and more for each. */
export const bulkDelete =
  (wrote: Wrote) =>
  async (asked: Asked): Promise<Response> => {
    const { scope, place } = asked
    demand(place, 'admin')
    const body = await bodyOf(asked)
    checkKeys(body, ['docids', 'w'], 'docids')
    if (!Array.isArray(body.docids)) throw findFaults.invalid_bulk_docs()
    const ids = body.docids.map((id) => `_design/${parseUse(id)[0]}`)
    const { indexes } = await indexesOf(scope, place)
    const success: unknown[] = []
    const fail: unknown[] = []
    for (const id of ids) {
      const mine = indexes.filter(({ ddoc }) => ddoc === id)
      for (const index of mine) wrote(asked, (await dropIndex(asked, index)).written)
      if (mine.length > 0) success.push({ id, ok: true })
      else fail.push({ id, error: 'not_found' })
    }
    return Response.json({ success, fail }, { status: 200 })
  }

async function designOf(
  { scope, place }: Asked,
  id: string,
): Promise<Record<string, unknown> | null> {
  try {
    return JSON.parse((await getDocument(scope, place, { id, show: {} })).text)
  } catch (fault) {
    if ((fault as { code?: string }).code === 'not_found') return null
    throw fault
  }
}

async function dropIndex(asked: Asked, index: MangoIndex) {
  const { scope, place } = asked
  const before = await designOf(asked, index.ddoc as string)
  const { [index.name]: _, ...views } = (before?.views ?? {}) as Record<string, unknown>
  const left = Object.keys(views).length > 0
  const doc = left ? { ...before, views } : { _id: index.ddoc, _rev: before?._rev, _deleted: true }
  return writeOne(scope, place, parseDocument(doc))
}

async function indexNamed(
  { scope, place }: Asked,
  ddoc: string,
  name: string,
): Promise<MangoIndex> {
  const { indexes } = await indexesOf(scope, place)
  const found = indexes.find((index) => isNamed(index, [ddoc, name]))
  if (!found) throw syncFaults.not_found()
  return found
}

/** `DELETE _index/<ddoc>/json/<name>`, where the first may be two segments. */
export const removeIndex =
  (wrote: Wrote) =>
  async (asked: Asked): Promise<Response> => {
    demand(asked.place, 'admin')
    const parts = asked.rest.slice(1)
    const [ddoc = '', type, name = ''] =
      parts[0] === '_design' ? [`_design/${parts[1]}`, ...parts.slice(2)] : parts
    if (type !== 'json') throw syncFaults.not_found()
    const { written } = await dropIndex(asked, await indexNamed(asked, ddoc, name))
    wrote(asked, written)
    return Response.json({ ok: true }, { status: 200 })
  }
