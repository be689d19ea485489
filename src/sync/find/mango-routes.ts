import { isObject, parseDocument } from '../document.ts'
import type { Wrote } from '../document-routes.ts'
import { writeOne } from '../edit.ts'
import { bad, syncFaults } from '../faults.ts'
import { demand } from '../permission.ts'
import { getDocument } from '../read.ts'
import { type Asked, bodyOf, jsonAnswer } from '../request.ts'
import { hex } from '../revision.ts'
import { parseSelector } from '../selector.ts'
import { explain, findDocuments, parseFind } from './mango-find.ts'
import { indexesOf, isNamed, type MangoIndex, parseSort, shownIndex } from './mango-index.ts'

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

export async function readIndexes({ scope, place }: Asked): Promise<Response> {
  demand(place, 'read')
  const { indexes } = await indexesOf(scope, place)
  return Response.json(
    { total_rows: indexes.length, indexes: indexes.map(shownIndex) },
    { status: 200 },
  )
}

interface Definition {
  fields: string[]
  ways: string[]
  partial: Record<string, unknown>
}

function parseIndex(index: unknown): Definition {
  if (!isObject(index)) throw bad('bad_request', 'Missing required key: index')
  const { fields: given, partial_filter_selector: partial = {} } = index
  if (!Array.isArray(given) || given.length === 0)
    throw bad('bad_request', 'Index fields must be a list of at least one')
  const { fields, descending } = parseSort(given)
  if (!isObject(partial)) throw bad('invalid_selector_json', 'Selector must be a JSON object')
  parseSelector(partial)
  return { fields, ways: fields.map(() => (descending ? 'desc' : 'asc')), partial }
}

/** https://docs.couchdb.org/en/stable/api/database/find.html#db-index */
export const postIndex =
  (wrote: Wrote) =>
  async (asked: Asked): Promise<Response> => {
    const { scope, place } = asked
    demand(place, 'admin')
    const body = await bodyOf(asked)
    const { type = 'json' } = body
    if (type !== 'json')
      throw bad('bad_request', `Indexes of type ${JSON.stringify(type)} are not offered`)
    const { fields, ways, partial } = parseIndex(body.index)
    const shape = JSON.stringify([fields, ways, partial])
    const digest = hex(
      await crypto.subtle.digest('SHA-256', new TextEncoder().encode(shape)),
    ).slice(0, 40)
    const text = (value: unknown, otherwise: string) =>
      value === undefined ? otherwise : typeof value === 'string' && value !== '' ? value : null
    const design = text(body.ddoc, digest)
    const name = text(body.name, digest)
    if (!design || !name) throw bad('bad_request', '`ddoc` and `name` must be text')
    const id = design.startsWith('_design/') ? design : `_design/${design}`
    const before = await designOf(asked, id)
    const views = isObject(before?.views) ? before.views : {}
    const view = {
      map: {
        fields: Object.fromEntries(fields.map((field, i) => [field, ways[i]])),
        ...(Object.keys(partial).length > 0 ? { partial_filter_selector: partial } : {}),
      },
      reduce: '_count',
      options: { def: { fields: fields.map((field, i) => ({ [field]: ways[i] })) } },
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
