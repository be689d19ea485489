import { data, expose } from 'leanto/data'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { type Ask, type Env, makeBase, mount } from '../kit/world.ts'
import { alice, bob, people } from './store.ts'
import {
  call,
  dump,
  makeWorld,
  nameOf,
  notes,
  rows,
  seed,
  type Write,
  writes,
} from './writing-world.ts'

beforeEach(seed)

const full = 'return=representation'
const one = 'application/vnd.pgrst.object+json'
const prefer = { prefer: full }

interface Operation {
  id?: string
  method: string
  path: string
  headers?: Record<string, string>
  body?: unknown
}

const batch = (operations: readonly Operation[], options: Ask & { prefer?: string } = {}) =>
  call('/batch', { token: alice, ...options, body: { operations } })

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

describe('cases 49 and 54: the bounds of a batch', () => {
  const inserts = (count: number): Operation[] =>
    Array.from({ length: count }, (_, i) => ({
      method: 'POST',
      path: '/plain',
      body: { text: `${i}` },
    }))

  it('operations, before any of them is looked at', async () => {
    expect((await batch(inserts(50))).status).toBe(200)
    const before = await dump()
    const many = await batch(inserts(51))
    expect([many.status, many.body]).toMatchObject([
      400,
      { code: 'PT400', message: 'operations must hold 1 to 50 operations' },
    ])
    const huge = await batch([...inserts(20_000), { method: 'nonsense', path: '' }])
    expect(huge.body.message).toContain('1 to 50')
    expect(await dump()).toBe(before)
  })

  const small = mount({
    '/': data(makeBase(), {
      identity: people,
      tables: { notes: expose(notes, { insert: () => true }) },
      batch: { operations: 3, statements: 2 },
      bodyLimit: 1000,
    }),
  })
  const send = (operations: Operation[]) => small('/batch', { token: alice, body: { operations } })
  const insert = (title: string): Operation => ({
    method: 'POST',
    path: '/notes',
    body: { title, owner_id: 'alice' },
  })

  it('statements, before any of them is run', async () => {
    expect((await send([insert('x'), insert('y')])).status).toBe(200)
    const refused = await send([insert('v'), insert('w'), insert('z')])
    expect([refused.status, await refused.json()]).toMatchObject([400, { code: '54000' }])
    expect(await rows(`SELECT count(*) AS n FROM notes`)).toEqual([{ n: 6 }])
  })

  it('case 67: the body', async () => {
    const refused = await send([insert('x'.repeat(2000))])
    expect([refused.status, await refused.json()]).toMatchObject([413, { code: 'PT413' }])
  })

  it('are whole numbers, and no table takes the route’s name', () => {
    const make = (options: object) => () =>
      data(makeBase(), {
        identity: people,
        tables: { notes: expose(notes, {}) },
        ...options,
      } as never)
    for (const batch of [
      { operations: 0 },
      { operations: 1.5 },
      { statements: -1 },
      { statements: '5' },
    ])
      expect(make({ batch })).toThrow('must be a whole number')
    for (const name of ['batch', 'rpc'])
      expect(make({ tables: { [name]: expose(notes, {}) } })).toThrow(
        `\`tables.${name}\` must have another name`,
      )
    for (const answers of [{ keepFor: 0 }, { keepFor: Number.NaN }, { keepFor: '1' }])
      expect(make({ answers })).toThrow('`answers.keepFor` must be a number of days')
  })
})

/** A write as an operation; a body that is no JSON cannot be one. */
const asOperation = ({ method, path, body, prefer = '', headers = {} }: Write): Operation => ({
  method,
  path,
  headers: { ...headers, ...(prefer ? { prefer } : {}) },
  ...(method === 'DELETE' ? {} : { body }),
})
const operable = writes.filter(({ body }) => typeof body !== 'string')

const shownHeaders = ({ headers }: Awaited<ReturnType<typeof call>>) =>
  Object.fromEntries(
    ['content-type', 'content-range', 'etag', 'location', 'preference-applied'].flatMap((name) => {
      const value = headers.get(name)
      return value === null ? [] : [[name, value]]
    }),
  )

describe('case 72: a write in a batch is the write alone', () => {
  it.each(operable.map((write, i) => [nameOf(write, i), write] as const))(
    '%s',
    async (_, write) => {
      const alone = await call(write.path, { token: alice, ...write })
      const after = await dump()
      await seed()
      const answer = await batch([asOperation(write)])
      expect(answer.body.results).toEqual([
        {
          id: '0',
          status: alone.status,
          headers: shownHeaders(alone),
          body: alone.body === '' ? null : alone.body,
        },
      ])
      expect(await dump()).toBe(after)
    },
  )

  it('and so are many of them, one after the other', async () => {
    const some = operable
      .filter(({ path }) => /^\/(plain|pairs|bytes|keyless)/.test(path))
      .slice(0, 30)
    const alone: Awaited<ReturnType<typeof call>>[] = []
    for (const write of some) alone.push(await call(write.path, { token: alice, ...write }))
    const kept = some.filter((_, i) => (alone[i]?.status ?? 500) < 300)
    const after = await dump()
    await seed()
    const answer = await batch(kept.map(asOperation))
    expect(
      answer.body.results.map(({ status, body }: Record<string, unknown>) => [status, body]),
    ).toEqual(
      alone
        .filter(({ status }) => status < 300)
        .map(({ status, body }) => [status, body === '' ? null : body]),
    )
    expect(await dump()).toBe(after)
  })
})

describe('tx=rollback of a batch', () => {
  it('answers what it would have answered, and keeps nothing', async () => {
    const operations: Operation[] = [
      ...operable.slice(0, 8).map(asOperation),
      { method: 'GET', path: '/plain?select=id,text&order=id', headers: { prefer: 'count=exact' } },
      { method: 'GET', path: '/notes?select=public,count()&order=public' },
      { method: 'HEAD', path: '/plain', headers: { prefer: 'count=exact' } },
      { method: 'GET', path: '/notes?select=id,comments(text)&order=id&limit=2' },
    ]
    const before = await dump()
    const tried = await batch(operations, { prefer: 'tx=rollback' })
    expect([tried.status, tried.headers.get('preference-applied')]).toEqual([200, 'tx=rollback'])
    expect(await dump()).toBe(before)
    const done = await batch(operations)
    expect(tried.text).toBe(done.text)
    expect(await dump()).not.toBe(before)
  })

  it('names the operation that fails', async () => {
    const before = await dump()
    const answer = await batch(
      [
        { method: 'POST', path: '/plain', body: {} },
        { method: 'POST', path: '/plain', body: { id: 1 } },
      ],
      { prefer: 'tx=rollback' },
    )
    expect([answer.status, answer.body.operation]).toEqual([409, { index: 1, id: '1' }])
    expect(await dump()).toBe(before)
  })
})

describe('Idempotency-Key of a batch', () => {
  const key = '6c0f4b1e-9a63-4b3f-8a57-0d4b7f1e2a33'
  const operations: Operation[] = [
    { id: 'a', method: 'POST', path: '/notes', body: { title: 'new' }, headers: prefer },
    {
      method: 'POST',
      path: '/comments',
      body: { note_id: { $ref: 'a.id' }, text: 'first' },
      headers: prefer,
    },
    { method: 'GET', path: '/comments?select=text,notes(title)&order=id.desc&limit=1' },
    { method: 'PATCH', path: '/plain?id=eq.1', body: {} },
  ]
  const keyed = { headers: { 'idempotency-key': key } }

  it('a repeat answers the same, and writes nothing', async () => {
    const first = await batch(operations, keyed)
    expect(first.status, first.text).toBe(200)
    await call('/comments', { method: 'DELETE', token: alice })
    const before = await dump()
    const repeated = await batch(operations, keyed)
    expect(repeated.text).toBe(first.text)
    expect(await dump()).toBe(before)
    expect((await batch(operations.slice(0, 1), keyed)).body).toMatchObject({ code: 'PT422' })
    const stranger = await batch(operations, { ...keyed, token: bob })
    expect(stranger.body.results[0].body[0].owner_id).toBe('bob')
  })

  it('its answer is that of a batch without', async () => {
    const first = await batch(operations, keyed)
    await seed()
    expect((await batch(operations)).text).toBe(first.text)
    // Nothing stays behind of what was captured for the reference.
    expect(await rows('SELECT * FROM leanto_data_answers')).toEqual([])
  })

  it('a failed one leaves its key free', async () => {
    const failed = await batch(
      [...operations, { method: 'POST', path: '/plain', body: { id: 1 } }],
      keyed,
    )
    expect([failed.status, failed.body.operation]).toEqual([409, { index: 4, id: '4' }])
    expect(await rows('SELECT * FROM leanto_data_answers')).toEqual([])
    expect((await batch(operations, keyed)).status).toBe(200)
  })

  it('of 50 parallel ones, one writes', async () => {
    const all = await Promise.all(Array.from({ length: 50 }, () => batch(operations, keyed)))
    expect(new Set(all.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(await rows(`SELECT count(*) AS n FROM notes WHERE title = 'new'`)).toEqual([{ n: 1 }])
  })

  it('a lost answer is given again', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    let lost = true
    const asked = mount({
      '/rest/v1': makeWorld(
        makeBase({ db: (e: Env) => faulty(e.DB as never, () => (lost ? 'after' : false)) }),
      ),
    })
    const send = () => asked('/rest/v1/batch', { token: alice, body: { operations }, ...keyed })
    expect((await send()).status).toBe(500)
    lost = false
    const again = await send()
    expect(again.status).toBe(200)
    expect(await again.text()).toBe((await batch(operations, keyed)).text)
    expect(await rows(`SELECT count(*) AS n FROM notes WHERE title = 'new'`)).toEqual([{ n: 1 }])
    log.mockRestore()
  })
})

it('a database that cannot be reached is 503, and of no operation', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  const base = makeBase({
    db: () =>
      ({
        prepare: () => ({ bind: () => ({}) }),
        batch: () => Promise.reject(new Error('D1_ERROR: Network connection lost.')),
      }) as never,
  })
  const asked = mount({ '/': makeWorld(base) })
  const response = await asked('/batch', {
    token: alice,
    body: {
      operations: [
        { method: 'POST', path: '/plain', body: {} },
        { method: 'POST', path: '/plain', body: {} },
      ],
    },
  })
  expect([response.status, await response.json()]).toEqual([
    503,
    { code: 'PGRST001', message: 'Could not reach the database', details: null, hint: null },
  ])
  log.mockRestore()
})
