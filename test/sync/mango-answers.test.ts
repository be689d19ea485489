import { findFaults } from 'leanto/sync/find'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Answer, type Open, openDatabase } from './world.ts'

/* What CouchDB 3.4 answers to questions of Mango; read off its source, its tests and its documentation. */

let db: Open
beforeEach(async () => {
  db = await openDatabase()
})

const brief = ({ status, body }: Answer) => [status, body.error, body.reason]

describe('Mango', () => {
  const codes = Object.keys(findFaults) as (keyof typeof findFaults)[]
  /** A request for each of its faults. */
  const wrong: Record<string, [path: string, body: unknown] | [path: string]> = {
    missing_required_key: ['/_find', {}],
    invalid_key: ['/_find', { selector: {}, foo: 1 }],
    invalid_selector: ['/_find', { selector: { $gt: 2 } }],
    invalid_sort_json: ['/_find', { selector: {}, sort: 'a' }],
    invalid_sort_field: ['/_find', { selector: {}, sort: [{ a: 'asc', b: 'asc' }] }],
    unsupported_mixed_sort: ['/_find', { selector: {}, sort: [{ a: 'asc' }, { b: 'desc' }] }],
    invalid_fields: ['/_find', { selector: {}, fields: 'a' }],
    invalid_field: ['/_find', { selector: {}, fields: ['a', 2] }],
    invalid_string: ['/_index', { index: { fields: ['a'] }, name: true }],
    invalid_boolean: ['/_find', { selector: {}, conflicts: 'x' }],
    invalid_pos_integer: ['/_find', { selector: {}, r: 0 }],
    invalid_non_neg_integer: ['/_find', { selector: {}, limit: -1 }],
    invalid_index_name: ['/_find', { selector: {}, use_index: ['a', 'b', 'c'] }],
    invalid_bookmark: ['/_find', { selector: {}, bookmark: 'bad!' }],
    invalid_index: ['/_index', { index: { fields: ['a'] }, type: 'geo' }],
    invalid_bulk_docs: ['/_index/_bulk_delete', { docids: 5 }],
    invalid_list_index_params: ['/_index?limit=0'],
    no_usable_index: ['/_find', { selector: { a: 1 }, sort: ['b'] }],
  }

  it.each(codes)('tells %s', async (code) => {
    const [path, body] = wrong[code] as [string, unknown?]
    const answer = body === undefined ? await db.get(path) : await db.post(path, body)
    expect([answer.status, answer.body.error]).toEqual([400, code])
  })

  it('lists its indexes in pages, and removes several', async () => {
    for (const name of ['b', 'a'])
      await db.post('/_index', { index: { fields: [{ [name]: 'desc' }] }, ddoc: 'd', name })
    const names = async (query = '') =>
      (await db.get(`/_index${query}`)).body.indexes.map(({ name }: { name: string }) => name)
    expect(await names()).toEqual(['_all_docs', 'a', 'b'])
    expect(await names('?skip=1&limit=1')).toEqual(['a'])
    expect((await db.get('/_index')).body.indexes[1].def.fields).toEqual([{ a: 'desc' }])
    expect((await db.get('/_design/d')).body.views.a).toEqual({
      map: { fields: { a: 'desc' }, partial_filter_selector: {} },
      reduce: '_count',
      options: { def: { fields: [{ a: 'desc' }] } },
    })
    const { body } = await db.post('/_index/_bulk_delete', { docids: ['_design/d', 'none'] })
    expect(body).toEqual({
      success: [{ id: '_design/d', ok: true }],
      fail: [{ id: '_design/none', error: 'not_found' }],
    })
    expect(await names()).toEqual(['_all_docs'])
  })

  it('explains itself', async () => {
    await db.post('/_index', { index: { fields: ['age', 'name'] }, ddoc: 'a', name: 'two' })
    await db.post('/_index', { index: { fields: ['age'] }, ddoc: 'b', name: 'one' })
    const selector = { age: { $gte: 5, $lt: 9 }, name: 'x', $not: { city: 'y' } }
    const { body } = await db.post('/_explain', {
      selector,
      sort: [{ age: 'desc' }],
      fields: ['age', '_id'],
    })
    expect(body).toMatchObject({
      index: { ddoc: '_design/b', name: 'one' },
      partitioned: false,
      selector: {
        $and: [
          { $and: [{ age: { $gte: 5 } }, { age: { $lt: 9 } }] },
          { name: { $eq: 'x' } },
          { city: { $ne: 'y' } },
        ],
      },
      opts: { sort: { age: 'desc' }, r: 1, allow_fallback: true, bookmark: 'nil' },
      fields: ['age', '_id'],
      mrargs: { direction: 'rev', start_key: [9, '<MAX>'], end_key: [5] },
      covering: true,
      index_candidates: [
        {
          index: { name: '_all_docs' },
          analysis: { usable: true, reasons: [{ name: 'unfavored_type' }], covering: null },
        },
        {
          index: { name: 'two' },
          analysis: { usable: true, reasons: [{ name: 'too_many_fields' }], covering: true },
        },
      ],
      selector_hints: [
        { type: 'json', indexable_fields: ['age', 'name'], unindexable_fields: ['city'] },
      ],
    })
    expect((await db.post('/_explain', { selector: { _id: 'x' } })).body).toMatchObject({
      index: { type: 'special' },
      mrargs: { start_key: 'x', end_key: 'x' },
    })
  })

  it('warns of indexes that were not used, or do little', async () => {
    await db.post('/_index', { index: { fields: ['age'] }, ddoc: 'a', name: 'age' })
    const docs = Array.from({ length: 12 }, (_, age) => ({ _id: `d${age}`, age, city: age % 11 }))
    await db.post('/_bulk_docs', { docs })
    const warning = async (more: object) => (await db.post('/_find', more)).body.warning
    expect(await warning({ selector: { age: 3 } })).toBeUndefined()
    expect(await warning({ selector: { city: { $lt: 5 } }, use_index: 'a' })).toBe(
      '_design/a was not used because it does not contain a valid index for this query.\nNo matching index found, create an index to optimize query time.',
    )
    expect(await warning({ selector: { age: 3 }, use_index: ['none', 'x'] })).toBe(
      '_design/none, x was not used because it is not a valid index for this query.',
    )
    expect(await warning({ selector: { age: { $gte: 0 }, city: 4 } })).toMatch(
      /^The number of documents examined is high/,
    )
    expect(
      brief(
        await db.post('/_find', { selector: { city: 1 }, use_index: 'a', allow_fallback: false }),
      )[1],
    ).toBe('no_usable_index')
  })

  it('orders ids by code point, and other text without its control characters', async () => {
    for (const id of ['B', 'a', 'b']) await db.put(`/${id}`, { name: `\u0001${id}` })
    const found = async (selector: object) =>
      (await db.post('/_find', { selector, fields: ['_id'] })).body.docs.map(
        ({ _id }: { _id: string }) => _id,
      )
    expect(await found({ _id: { $gt: 'a' } })).toEqual(['b'])
    expect(await found({ _id: { $lt: 'a' } })).toEqual(['B'])
    expect(await found({ _id: { $gt: {} } })).toEqual(['B', 'a', 'b'])
    expect(await found({ _id: { $lt: [] } })).toEqual([])
    expect(await found({ name: 'a' })).toEqual(['a'])
    expect(await found({ name: { $gt: 'a' } })).toEqual(['B', 'b'])
    await db.post('/_index', { index: { fields: ['_id', 'name'] }, ddoc: 'ids' })
    expect(await found({ _id: { $gt: 'a' }, name: { $gt: null } })).toEqual(['b'])
  })
})
