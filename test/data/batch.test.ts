import { beforeEach, describe, expect, it } from 'vitest'
import type { Ask } from '../kit/world.ts'
import { batch, type Operation, prefer } from './batches.ts'
import { full } from './preferences.ts'
import { alice, bob } from './store.ts'
import { call, dump, seed } from './writing-world.ts'

beforeEach(seed)

const one = 'application/vnd.pgrst.object+json'

describe('POST /batch', () => {
  it('does all, in order; each sees what the ones before it wrote', async () => {
    const answer = await batch([
      { method: 'POST', path: '/plain?select=id', body: { text: 'new' }, headers: prefer },
      { method: 'GET', path: '/plain?text=eq.new&select=id,text' },
      { id: 'change', method: 'PATCH', path: '/plain?text=eq.new', body: { text: 'newer' } },
      { method: 'HEAD', path: '/plain', headers: { prefer: 'count=exact' } },
      { method: 'GET', path: '/plain?id=eq.8&select=text', headers: { accept: one } },
      { method: 'PUT', path: '/plain?id=eq.50', body: { id: 50, text: 'put' } },
      {
        method: 'DELETE',
        path: '/plain?id=eq.1&select=text',
        headers: { prefer: full, accept: 'text/csv' },
      },
      { method: 'GET', path: '/plain?select=id&order=id' },
    ])
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
    const brief = answer.body.results.map(({ id, status, body }: Record<string, unknown>) => [
      id,
      status,
      body,
    ])
    expect(brief).toEqual(
      [
        ['0', 201, [{ id: 8 }]],
        ['1', 200, [{ id: 8, text: 'new' }]],
        ['change', 204, null],
        ['3', 200, null],
        ['4', 200, { text: 'newer' }],
        ['5', 201, null],
        ['6', 200, 'text\none'],
        ['7', 200, [{ id: 2 }, { id: 7 }, { id: 8 }, { id: 50 }]],
      ].map((row) => (row[0] === '5' ? ['5', 204, null] : row)),
    )
    expect(answer.body.results[0].headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'content-range': '*/*',
      'preference-applied': full,
    })
    expect(answer.body.results[3].headers['content-range']).toBe('0-3/4')
  })

  it('all or nothing: the error of an operation names it', async () => {
    const before = await dump()
    const answer = await batch([
      { method: 'POST', path: '/plain', body: { text: 'x' } },
      { method: 'POST', path: '/notes', body: { title: 'x' } },
      { id: 'twice', method: 'POST', path: '/notes', body: { title: 'a' } },
      { method: 'POST', path: '/plain', body: { text: 'y' } },
    ])
    expect([answer.status, answer.body]).toEqual([
      409,
      {
        code: '23505',
        message: 'duplicate key value violates unique constraint "notes_owner_title"',
        details: 'Key (owner_id, title) already exists.',
        hint: null,
        operation: { index: 2, id: 'twice' },
      },
    ])
    expect(answer.headers.get('proxy-status')).toBe('leanto; error=23505')
    expect(await dump()).toBe(before)
  })

  it('finds the one that failed, wherever it stands', async () => {
    const fine = (i: number): Operation => ({
      method: 'POST',
      path: '/plain',
      body: { text: `t${i}` },
    })
    const before = await dump()
    for (const count of [1, 2, 3, 7, 50])
      for (const at of new Set([0, 1, Math.floor(count / 2), count - 1])) {
        if (at >= count) continue
        const operations = Array.from({ length: count }, (_, i) =>
          i === at ? { method: 'POST', path: '/plain', body: { id: 1, text: 'twice' } } : fine(i),
        )
        const { status, body } = await batch(operations)
        expect([count, status, body.code, body.operation]).toEqual([
          count,
          409,
          '23505',
          { index: at, id: String(at) },
        ])
      }
    expect(await dump()).toBe(before)
  })

  const refused: [name: string, operation: Operation, status: number, code: string][] = [
    [
      'a policy',
      { method: 'POST', path: '/notes', body: { title: 'x', owner_id: 'bob' } },
      403,
      '42501',
    ],
    ['no policy', { method: 'PATCH', path: '/box', body: { text: 'x' } }, 403, '42501'],
    ['a hidden column', { method: 'POST', path: '/notes', body: { secret: 'x' } }, 400, 'PGRST204'],
    ['a hidden column in a filter', { method: 'GET', path: '/notes?secret=eq.hush' }, 400, '42703'],
    [
      'a version',
      {
        method: 'PATCH',
        path: '/versioned?id=eq.1',
        body: { text: 'x' },
        headers: { 'if-match': '"1"' },
      },
      412,
      'PT412',
    ],
    [
      'not one row',
      { method: 'PATCH', path: '/plain', body: { text: 'x' }, headers: { accept: one } },
      406,
      'PGRST116',
    ],
    [
      'not one row to read',
      { method: 'GET', path: '/plain', headers: { accept: one } },
      406,
      'PGRST116',
    ],
    [
      'no row to read',
      { method: 'GET', path: '/plain?id=eq.99', headers: { accept: one } },
      406,
      'PGRST116',
    ],
    [
      'an offset past the end',
      { method: 'GET', path: '/plain?offset=9', headers: { prefer: 'count=exact' } },
      416,
      'PGRST103',
    ],
    [
      'too many rows',
      { method: 'DELETE', path: '/plain', headers: { prefer: 'handling=strict, max-affected=1' } },
      400,
      'PGRST124',
    ],
    [
      'a constraint',
      { method: 'POST', path: '/comments', body: { note_id: 99, text: 'x' } },
      409,
      '23503',
    ],
    ['a value', { method: 'POST', path: '/plain', body: { id: 'x' } }, 400, '22P02'],
    ['a cast', { method: 'GET', path: '/plain?select=text::int' }, 400, '22P02'],
    ['a filter', { method: 'GET', path: '/plain?id=nonsense.1' }, 400, 'PGRST100'],
    ['a limit without order', { method: 'DELETE', path: '/plain?limit=1' }, 400, 'PGRST109'],
    ['no table', { method: 'GET', path: '/nothing' }, 404, 'PGRST205'],
    [
      'a format',
      { method: 'GET', path: '/plain', headers: { accept: 'image/png' } },
      406,
      'PGRST107',
    ],
    [
      'a plan',
      { method: 'GET', path: '/plain', headers: { accept: 'application/vnd.pgrst.plan' } },
      406,
      'PGRST107',
    ],
    [
      'a schema',
      { method: 'GET', path: '/plain', headers: { 'accept-profile': 'private' } },
      406,
      'PGRST106',
    ],
    [
      'a preference',
      { method: 'GET', path: '/plain', headers: { prefer: 'handling=strict, x=y' } },
      400,
      'PGRST122',
    ],
    [
      'a PUT of another key',
      { method: 'PUT', path: '/plain?id=eq.1', body: { id: 2 } },
      400,
      'PGRST115',
    ],
  ]
  it.each(refused)(
    'case 72: %s refuses it as it does alone, and undoes the rest',
    async (_, operation, status, code) => {
      const { method, path, body, headers } = operation
      const alone = await call(path, {
        method,
        token: alice,
        ...(body === undefined ? {} : { body }),
        ...(headers ? { headers } : {}),
      })
      const before = await dump()
      const answer = await batch([
        { method: 'POST', path: '/keyless', body: { text: 'x' } },
        operation,
        { method: 'POST', path: '/keyless', body: { text: 'y' } },
      ])
      expect([answer.status, answer.body.code, answer.body.operation]).toEqual([
        status,
        code,
        { index: 1, id: '1' },
      ])
      // A plan is for a request of its own.
      if (!headers?.accept?.includes('plan'))
        expect({ ...answer.body, operation: undefined }).toEqual({
          ...alone.body,
          operation: undefined,
        })
      expect(await dump()).toBe(before)
    },
  )

  it('the others: a guest, a stranger and the service have their own verdicts', async () => {
    const operations: Operation[] = [
      { method: 'GET', path: '/notes?select=id&order=id' },
      { method: 'PATCH', path: '/notes?select=id&order=id', body: { rank: 9 }, headers: prefer },
      { method: 'DELETE', path: '/notes?id=eq.4&select=id', headers: prefer },
    ]
    const seen = async (options: Ask) => {
      const { body } = await batch(operations, options)
      await seed()
      return body.results.map((result: { body: { id: number }[] }) =>
        result.body.map(({ id }) => id),
      )
    }
    expect(await seen({ token: '' })).toEqual([[2], [], []])
    expect(await seen({ token: bob })).toEqual([[2, 3], [3], []])
    expect(await seen({ token: alice })).toEqual([[1, 2, 4], [1, 2, 4], [4]])
    expect(await seen({ token: '', key: 'secret' })).toEqual([[1, 2, 3, 4], [1, 2, 3, 4], [4]])
  })

  it('no operation can say who asks, or be another route', async () => {
    const before = await dump()
    for (const headers of [
      { authorization: `Bearer ${bob}` },
      { Apikey: 'x' },
      { cookie: 'x' },
      { 'idempotency-key': 'x' },
      { 'x-http-method-override': 'DELETE' },
      { 'content-type': 'text/csv' },
    ])
      expect(
        await batch([{ method: 'GET', path: '/notes', headers: headers as never }]),
      ).toMatchObject({
        status: 400,
        body: { code: 'PT400' },
      })
    const paths: [string, number][] = [
      ['/batch', 404],
      ['//notes', 400],
      ['/notes/', 400],
      ['/notes/../plain', 400],
      ['/rpc/fn', 400],
      ['/rpc%2ffn', 404],
      ['/%2fnotes', 404],
      ['/Notes', 404],
      ['/NOTES', 404],
      ['/..', 404],
      ['/.', 404],
      ['/%2e%2e', 404],
      ['/%', 404],
      ['notes', 400],
      ['https://elsewhere.example/notes', 400],
      ['/\\elsewhere.example/notes', 400],
      ['/notes#x', 400],
      ['', 400],
      ['/', 400],
      ['/constructor', 404],
      ['/__proto__', 404],
      ['/leanto_data_answers', 404],
    ]
    for (const [path, status] of paths) {
      const answer = await batch([{ method: 'POST', path, body: { title: 'x' } }])
      expect([path, answer.status]).toEqual([path, status])
    }
    for (const method of ['get', 'PURGE', 'CONNECT', 'OPTIONS', '', 5])
      expect((await batch([{ method: method as string, path: '/notes' }])).status).toBe(400)
    expect(await dump()).toBe(before)
  })

  it.each([
    ['', 'PGRST102'],
    ['[]', 'PT400'],
    ['null', 'PT400'],
    ['{}', 'PT400'],
    ['{"operations":{}}', 'PT400'],
    ['{"operations":[]}', 'PT400'],
    ['{"operations":[null]}', 'PT400'],
    ['{"operations":[[]]}', 'PT400'],
    ['{"operations":[{"method":"GET"}]}', 'PT400'],
    ['{"operations":[{"method":"GET","path":"/notes","body":{}}]}', 'PT400'],
    ['{"operations":[{"method":"POST","path":"/notes"}]}', 'PT400'],
    ['{"operations":[{"method":"GET","path":"/notes","more":1}]}', 'PT400'],
    ['{"operations":[{"method":"GET","path":"/notes"}],"more":1}', 'PT400'],
    ['{"operations":[{"method":"GET","path":"/notes","headers":[]}]}', 'PT400'],
    ['{"operations":[{"method":"GET","path":"/notes","headers":{"prefer":1}}]}', 'PT400'],
    [
      '{"operations":[{"method":"GET","path":"/notes","headers":{"prefer":"a\\r\\nb: c"}}]}',
      'PT400',
    ],
    [
      '{"operations":[{"method":"GET","path":"/notes","headers":{"prefer":"a","Prefer":"b"}}]}',
      'PT400',
    ],
    [
      '{"operations":[{"method":"GET","path":"/notes","headers":{"prefer":"tx=rollback"}}]}',
      'PT400',
    ],
    ['{"operations":[{"id":"","method":"GET","path":"/notes"}]}', 'PT400'],
    ['{"operations":[{"id":5,"method":"GET","path":"/notes"}]}', 'PT400'],
    ['{"operations":[{"id":"1","method":"GET","path":"/notes"}]}', 'PT400'],
    [
      '{"operations":[{"id":"a","method":"GET","path":"/notes"},{"id":"a","method":"GET","path":"/notes"}]}',
      'PT400',
    ],
    ['{"operations":[{"id":"__proto__","method":"GET","path":"/notes?id=eq.x"}]}', '22P02'],
  ])('%s is %s', async (body, code) => {
    const before = await dump()
    const answer = await call('/batch', { token: alice, body })
    expect([answer.status, answer.body.code]).toEqual([400, code])
    expect(await dump()).toBe(before)
  })

  it('answers no other method, and a bad token is 401', async () => {
    expect((await call('/batch', { token: alice })).status).toBe(404)
    expect((await call('/batch', { method: 'DELETE', token: alice })).status).toBe(404)
    expect((await batch([{ method: 'GET', path: '/notes' }], { token: 'nobody' })).status).toBe(401)
  })
})
