import { shared, sync } from 'leanto/sync'
import { find } from 'leanto/sync/find'
import { scripts } from 'leanto/sync/scripts'
import { measurer } from '../kit/measure.ts'
import { type Ask, makeBase, mount } from '../kit/world.ts'
import { alice, open, people } from './store.ts'

export const base = makeBase()
export const databases = {
  db: shared({ ...open, admin: ({ id }) => id === 'alice', keepRevisions: true }),
  board: shared({
    ...open,
    admin: ({ id }) => id === 'alice',
    channels: (doc) => (Array.isArray(doc.in) ? (doc.in as string[]) : []),
    member: ({ claims }) => (claims.channels ?? []) as string[],
  }),
}
export const docs = sync(base, { identity: people, parts: [find, scripts], databases })
export const ask = mount({ '/': docs })
export const measure = measurer(base, docs)

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
export type Answer = any
export const answer = async (path: string, options: Ask = {}): Promise<[number, Answer]> => {
  const response = await ask(path, options)
  return [response.status, await response.json()]
}
export const design = async (id: string, body: object, db = 'db') =>
  answer(`/${db}/_design/${id}`, { method: 'PUT', token: alice, body })
export const bulk = (list: readonly object[], more: object = {}, options: Ask = {}) =>
  answer('/db/_bulk_docs', { ...options, body: { docs: list, ...more } })
export const put = (doc: { _id: string }, options: Ask = {}) =>
  answer(`/db/${doc._id}`, { method: 'PUT', body: doc, ...options })
export const ids = (result: Answer) =>
  (result.rows ?? result.results)
    .map(({ id }: { id: string }) => id)
    .filter((id: string) => id[0] !== '_')

export const cities = ['Berlin', 'London', 'Paris']
export const persons = Array.from({ length: 12 }, (_, i) => ({
  _id: `p${String(i).padStart(2, '0')}`,
  n: i,
  city: cities[i % 3],
}))
