import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { type Ask, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { makeDocs } from './store.ts'

const base = makeBase()
const docs = makeDocs(base)
const measure = measurer(base, docs)
const ask = mount({ '/': docs })

const n = 50
let revs: Record<string, string>

const many = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ _id: `d${String(i + from).padStart(5, '0')}`, n: i }))

beforeEach(async () => {
  await freshDatabase([docs])
  for (const name of ['lean-a', 'lean-b', 'open-a']) {
    await ask(`/${name}`, { method: 'PUT' })
    await ask(`/${name}/_bulk_docs`, { body: { docs: many(1000) } })
  }
  const { rows } = (await (await ask('/lean-a/_all_docs')).json()) as {
    rows: { id: string; value: { rev: string } }[]
  }
  revs = Object.fromEntries(rows.map(({ id, value }) => [id, value.rev]))
  await env.DB.prepare('ANALYZE').run()
})

async function costs(
  path: string,
  options: Ask,
  expected: [trips: number, rowsRead: number, rowsWritten: number],
) {
  const { response, cost } = await measure(path, options)
  expect(response.status, await response.clone().text()).toBeLessThan(300)
  expect([cost.trips, cost.rowsRead, cost.rowsWritten]).toEqual(expected)
  return response
}

const ids = () => Object.keys(revs).slice(100, 100 + n)

describe('what it costs', () => {
  it('_revs_diff: 1 trip, 2 rows an id', () =>
    costs(
      '/lean-a/_revs_diff',
      { body: Object.fromEntries(ids().map((id) => [id, [revs[id], '9-zz']])) },
      [1, 2 + 2 * n, 0],
    ))

  it('_bulk_docs of new documents: 1 trip, 2n + 1 rows written', () =>
    costs('/lean-a/_bulk_docs', { body: { docs: many(n, 5000) } }, [1, 12 + 6 * n, 2 * n + 1]))

  it('_bulk_docs of what was taken for new: the trip more', () =>
    costs('/lean-a/_bulk_docs', { body: { docs: [...many(1, 7), ...many(n - 1, 6000)] } }, [
      2,
      14 + 6 * n,
      2 * n - 1,
    ]))

  it('_bulk_docs of edits: 2 trips, 2n + 1 rows written', () =>
    costs(
      '/lean-a/_bulk_docs',
      { body: { docs: ids().map((_id) => ({ _id, _rev: revs[_id], edited: true })) } },
      [2, 13 + 9 * n, 2 * n + 1],
    ))

  it('_bulk_docs of edits where old revisions are kept: n rows more', () =>
    costs(
      '/open-a/_bulk_docs',
      { body: { docs: ids().map((_id) => ({ _id, _rev: revs[_id], edited: true })) } },
      [2, 14 + 11 * n, 3 * n + 1],
    ))

  it('_bulk_docs of replicated documents: the same', () =>
    costs(
      '/lean-a/_bulk_docs',
      {
        body: {
          new_edits: false,
          docs: ids().map((_id) => ({
            _id,
            _rev: `2-b`,
            _revisions: { start: 2, ids: ['b', revs[_id]?.slice(2)] },
          })),
        },
      },
      [2, 13 + 9 * n, 2 * n + 1],
    ))

  it('_bulk_docs of what is known: 1 trip, nothing written; 2 of first revisions, which were taken for new', async () => {
    const known = (_rev: (id: string) => string | undefined) => ({
      body: { new_edits: false, docs: ids().map((_id) => ({ _id, _rev: _rev(_id) })) },
    })
    await costs(
      '/lean-a/_bulk_docs',
      known((id) => revs[id]),
      [2, 15 + 5 * n, 0],
    )
    await ask(
      '/lean-a/_bulk_docs',
      known(() => '2-b'),
    )
    await costs(
      '/lean-a/_bulk_docs',
      known(() => '2-b'),
      [1, 2 + 2 * n, 0],
    )
  })

  it('_bulk_get: 1 trip, 2 rows a document', () =>
    costs(
      '/lean-a/_bulk_get?revs=true&latest=true',
      { body: { docs: ids().map((id) => ({ id, rev: revs[id] })) } },
      [1, 2 + 2 * n, 0],
    ))

  it('_changes: 1 trip, a row a line', async () => {
    await costs(`/lean-a/_changes?since=500&limit=${n}&style=all_docs`, {}, [1, 2 + n, 0])
    await costs(`/lean-a/_changes?since=500&limit=${n}&include_docs=true`, {}, [1, 2 + n, 0])
  })

  it('_changes with nothing new: 1 trip, the row of the database', () =>
    costs('/lean-a/_changes?since=1000', {}, [1, 3, 0]))

  it('_changes of some ids: 1 trip, 3 rows an id', () =>
    costs('/lean-a/_changes?filter=_doc_ids', { body: { doc_ids: ids() } }, [1, 2 + 3 * n, 0]))

  it('a checkpoint: 1 trip to read, 1 trip and 1 row to write', async () => {
    await costs('/lean-a/_local/abc', { method: 'PUT', body: { last_seq: 1 } }, [1, 3, 1])
    await costs('/lean-a/_local/abc', { method: 'PUT', body: { last_seq: 2 } }, [1, 3, 1])
    await costs('/lean-a/_local/abc', {}, [1, 3, 0])
  })

  it('a document: 1 trip to read, 1 to make, 2 to change', async () => {
    await costs('/lean-a/d00007', {}, [1, 3, 0])
    await costs('/lean-a/new', { method: 'PUT', body: { a: 1 } }, [1, 18, 3])
    const body = { _rev: revs.d00007, a: 1 }
    await costs('/lean-a/d00007', { method: 'PUT', body }, [2, 22, 3])
  })

  it('_all_docs: 1 trip, a row a line', () =>
    costs(`/lean-a/_all_docs?startkey="d00100"&limit=${n}&include_docs=true`, {}, [1, 2 + n, 0]))

  it('_find of one id: 2 trips, and no other document', () =>
    costs('/lean-a/_find', { body: { selector: { _id: 'd00007' } } }, [2, 6, 0]))

  it('the database: 1 trip, 1 row', () => costs('/lean-a', {}, [1, 1, 0]))
})
