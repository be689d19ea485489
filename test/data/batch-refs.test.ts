import { beforeEach, describe, expect, it } from 'vitest'
import { batch, bodies, inFilter, note, type Operation, prefer, ref } from './batches.ts'
import { full } from './preferences.ts'
import { alice } from './store.ts'
import { call, dump, rows, seed } from './writing-world.ts'

beforeEach(seed)

describe('a value of an earlier operation', () => {
  it('is written by an insert, and by several rows of it', async () => {
    const answer = await batch([
      note,
      {
        method: 'POST',
        path: '/comments?select=note_id,text',
        headers: prefer,
        body: [
          { note_id: ref('a.id'), text: 'one' },
          { note_id: 1, text: 'two' },
          { note_id: ref('a.id'), text: ref('a.title') },
        ],
      },
    ])
    expect(bodies(answer)).toEqual([
      null,
      [
        { note_id: 5, text: 'one' },
        { note_id: 1, text: 'two' },
        { note_id: 5, text: 'new' },
      ],
    ])
    // The answer of the first one is what it would be without the reference.
    expect(answer.body.results[0]).toEqual({
      id: 'a',
      status: 201,
      headers: { 'content-range': '*/*' },
      body: null,
    })
    expect(await rows('SELECT * FROM leanto_data_answers')).toEqual([])
  })

  it('of any row, of an operation without a name, of a read, an update, a delete', async () => {
    const answer = await batch([
      { method: 'POST', path: '/plain', body: [{ text: 'p' }, { text: 'q' }] },
      { id: 'read', method: 'GET', path: '/pairs?order=a.desc&select=v' },
      { id: 'change', method: 'PATCH', path: '/keyless?n=eq.1', body: { text: 'changed' } },
      { id: 'gone', method: 'DELETE', path: '/plain?order=id.desc&id=lt.8' },
      {
        method: 'POST',
        path: '/plain',
        headers: prefer,
        body: [
          { id: 100, text: ref('0[1].text') },
          { id: 101, text: ref('read.a') },
          { id: 102, text: ref('change.text') },
          { id: 103, text: ref('gone[2].text') },
        ],
      },
    ])
    expect(bodies(answer).at(-1)).toEqual([
      { id: 100, text: 'q' },
      { id: 101, text: 'y' },
      { id: 102, text: 'changed' },
      { id: 103, text: 'one' },
    ])
  })

  it('changes rows, filters them, also in an embed, and chains', async () => {
    const answer = await batch([
      note,
      { id: 'b', method: 'POST', path: '/comments', body: { note_id: ref('a.id'), text: 'c' } },
      {
        method: 'PATCH',
        path: `/comments?id=eq.${inFilter('b.id')}`,
        headers: prefer,
        body: { text: ref('a.title'), note_id: ref('b.note_id') },
      },
      { method: 'GET', path: `/notes?id=eq.${inFilter('b.note_id')}&select=id,comments(text)` },
      {
        method: 'GET',
        path: `/notes?select=id,comments(id)&comments.note_id=gte.${inFilter('a.id')}&order=id.desc&limit=2`,
      },
      { method: 'GET', path: `/notes?select=id&id=not.lt.${inFilter('a.id')}` },
      { method: 'DELETE', path: `/comments?id=eq.${inFilter('b.id')}&select=id`, headers: prefer },
    ])
    expect(bodies(answer).slice(2)).toEqual([
      [{ id: 4, note_id: 5, text: 'new' }],
      [{ id: 5, comments: [{ text: 'new' }] }],
      [
        { id: 5, comments: [{ id: 4 }] },
        { id: 4, comments: [] },
      ],
      [{ id: 5 }],
      [{ id: 4 }],
    ])
  })

  it('of every kind of column comes as it is stored', async () => {
    const answer = await batch(
      [
        { id: 'a', method: 'GET', path: '/bytes?order=id' },
        {
          method: 'POST',
          path: '/bytes?select=data,json,at,big',
          headers: prefer,
          body: [
            {
              id: '\\xf0',
              data: ref('a.id'),
              json: ref('a.json'),
              at: ref('a.at'),
              big: ref('a.big'),
            },
            {
              id: '\\xf1',
              data: ref('a[1].data'),
              json: { plain: true },
              at: null,
              big: ref('a[1].big'),
            },
          ],
        },
        { method: 'GET', path: `/bytes?id=eq.${inFilter('a.id')}&select=id` },
        { method: 'GET', path: `/notes?rank=eq.${inFilter('n[1].rank')}&select=id` },
      ].flatMap((operation) =>
        operation.path.startsWith('/notes')
          ? [{ id: 'n', method: 'GET', path: '/notes?order=id' }, operation]
          : [operation],
      ),
    )
    expect(bodies(answer).slice(1)).toEqual([
      [
        {
          data: '\\x00ff',
          json: { a: [1, "it's"] },
          at: '1970-01-01T00:00:01.500Z',
          big: '12345678901234567890',
        },
        { data: null, json: { plain: true }, at: null, big: null },
      ],
      [{ id: '\\x00ff' }],
      expect.anything(),
      [{ id: 2 }],
    ])
  })

  it('that is null is null', async () => {
    const answer = await batch([
      { id: 'a', method: 'GET', path: '/notes?id=eq.4' },
      {
        method: 'PATCH',
        path: '/notes?id=eq.1&select=rank',
        headers: prefer,
        body: { rank: ref('a.rank') },
      },
      { method: 'GET', path: `/notes?rank=isdistinct.${inFilter('a.rank')}&select=id` },
    ])
    expect(bodies(answer).slice(1)).toEqual([[{ rank: null }], [{ id: 2 }]])
  })

  it('of a write follows its order, shown or not', async () => {
    const first = async (operation: Operation) =>
      bodies(
        await batch(
          [
            { id: 'a', ...operation },
            {
              method: 'POST',
              path: '/keyless?select=text',
              headers: prefer,
              body: { text: ref('a.text') },
            },
          ],
          { prefer: 'tx=rollback' },
        ),
      )[1]
    for (const headers of [{}, prefer]) {
      expect(
        await first({
          method: 'PATCH',
          path: '/plain?order=id.desc',
          body: { text: 'x' },
          headers,
        }),
      ).toEqual([{ text: 'x' }])
      expect(await first({ method: 'DELETE', path: '/plain?order=id.desc', headers })).toEqual([
        { text: 'seven' },
      ])
      expect(await first({ method: 'DELETE', path: '/plain?order=text.desc', headers })).toEqual([
        { text: 'two' },
      ])
      expect(
        await first({
          method: 'POST',
          path: '/plain',
          body: [{ text: 'm' }, { text: 'n' }],
          headers,
        }),
      ).toEqual([{ text: 'm' }])
    }
  })

  it('looks like one only where it is one: $literal is what it holds', async () => {
    const answer = await batch([
      {
        method: 'POST',
        path: '/bytes?select=json',
        headers: prefer,
        body: [
          { id: '\\x10', json: { $literal: { $ref: 'a.id' } } },
          { id: '\\x11', json: { $ref: 'a.id', more: 1 } },
          { id: '\\x12', json: { deep: { $ref: 'a.id' } } },
          { id: '\\x13', json: { $ref: 5 } },
          { id: '\\x14', json: { $literal: 'x' } },
        ],
      },
      { method: 'POST', path: '/plain', body: { text: '{"$ref":"a.id"}' } },
      {
        method: 'GET',
        path: `/plain?select=text&text=eq.${encodeURIComponent('{"$literal":"{\\"$ref\\":\\"a.id\\"}"}')}`,
      },
    ])
    expect(bodies(answer)).toEqual([
      [
        { json: { $ref: 'a.id' } },
        { json: { $ref: 'a.id', more: 1 } },
        { json: { deep: { $ref: 'a.id' } } },
        { json: { $ref: 5 } },
        { json: 'x' },
      ],
      null,
      [{ text: '{"$ref":"a.id"}' }],
    ])
    // Alone it is a value like any other.
    const alone = await call('/bytes?select=json', {
      token: alice,
      body: { id: '\\x20', json: ref('a.id') },
      prefer: full,
    })
    expect(alone.body).toEqual([{ json: { $ref: 'a.id' } }])
    expect((await call('/plain', { token: alice, body: { text: ref('a.id') } })).body.code).toBe(
      '22P02',
    )
  })
})

describe('with a dry run, a key, and rows that the database makes', () => {
  const operations: Operation[] = [
    { id: 'a', method: 'POST', path: '/made', body: [{ text: 'x' }, { text: 'y' }] },
    {
      method: 'POST',
      path: '/made?select=text',
      headers: prefer,
      body: [{ id: 'k9', text: ref('a[1].text') }],
    },
    { id: 'c', method: 'PATCH', path: '/made?text=eq.x', body: { text: 'changed' } },
    { method: 'GET', path: `/made?id=eq.${inFilter('a.id')}&select=text` },
  ]
  it('works', async () => {
    const expected = [null, [{ text: 'y' }], null, [{ text: 'changed' }]]
    const before = await dump()
    expect(bodies(await batch(operations, { prefer: 'tx=rollback' }))).toEqual(expected)
    expect(await dump()).toBe(before)
    expect(bodies(await batch(operations))).toEqual(expected)
    await seed()
    const headers = { 'idempotency-key': 'a-key' }
    expect(bodies(await batch(operations, { headers }))).toEqual(expected)
    expect(bodies(await batch(operations, { headers }))).toEqual(expected)
  })

  it('finds what failed behind a reference', async () => {
    const before = await dump()
    const answer = await batch([
      ...operations,
      { id: 'z', method: 'POST', path: '/plain', body: { id: 1 } },
      { ...note, id: 'n' },
    ])
    expect([answer.status, answer.body.operation]).toEqual([409, { index: 4, id: 'z' }])
    expect(await dump()).toBe(before)
  })
})
