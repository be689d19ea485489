import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { alice, call, client, fresh } from './store.ts'

const q = encodeURIComponent

describe('shapes', () => {
  beforeEach(async () => {
    await fresh()
    await env.DB.prepare(
      `INSERT INTO notes (id, owner_id, title, body, done, rank, meta, created_at, secret) VALUES
        (1, 'alice', 'one, "two"', NULL, 1, 1.5, '{"tags":["a,b"],"none":null}', 0, 'hush'),
        (2, 'alice', '', 'back\\slash', 0, NULL, NULL, 1000, 'hush')`,
    ).run()
  })
  const read = (query: string, headers = {}) => call(`/notes?${query}`, { token: alice, headers })

  it('selects, renames, quotes', async () => {
    const cases: [select: string, row: Record<string, unknown>][] = [
      ['id', { id: 1 }],
      ['id,title', { id: 1, title: 'one, "two"' }],
      ['title,id', { title: 'one, "two"', id: 1 }],
      [' id , title ', { id: 1, title: 'one, "two"' }],
      ['number:id', { number: 1 }],
      ['a:id,b:id,id', { a: 1, b: 1, id: 1 }],
      ['"id"', { id: 1 }],
      ['"a b, c:d":id', { 'a b, c:d': 1 }],
      ['"with \\"quotes\\" and \\\\":id', { 'with "quotes" and \\': 1 }],
      ['größe:id', { größe: 1 }],
      ['$a_1-b:id', { '$a_1-b': 1 }],
      ['title:id', { title: 1 }],
      ['constructor:id,toString:id', { constructor: 1, toString: 1 }],
      ['"lean:to":id', { 'lean:to': 1 }],
      ['id,id', { id: 1 }],
      ['', {}],
    ]
    for (const [select, expected] of cases) {
      const { body } = await read(`id=eq.1&select=${q(select)}`)
      expect(body).toEqual([expected])
      expect(Object.keys(body[0])).toEqual(Object.keys(expected))
    }
    const { body } = await read('id=eq.1&select=*,again:title')
    expect(body).toEqual([
      {
        id: 1,
        owner_id: 'alice',
        title: 'one, "two"',
        body: null,
        done: true,
        public: false,
        rank: 1.5,
        meta: { tags: ['a,b'], none: null },
        created_at: '1970-01-01T00:00:00.000Z',
        score: 0,
        again: 'one, "two"',
      },
    ])
  })

  it.each([
    ['id,', 'PGRST100'],
    [',id', 'PGRST100'],
    ['id title', '42703'],
    ['id;title', 'PGRST100'],
    ['"id', 'PGRST100'],
    ['"a\0b":id', 'PGRST100'],
    ['__proto__:id', 'PGRST100'],
    ['"__proto__":id', 'PGRST100'],
    ['id)', 'PGRST100'],
    ['*id', 'PGRST100'],
    ['nothing', '42703'],
    ['__proto__', '42703'],
    ['constructor', '42703'],
    ['ownerId', '42703'],
    ['ID', '42703'],
    ['a:nothing', '42703'],
    ['id::nonsense', '42704'],
    ['body::', 'PGRST100'],
    ['title->a', '42883'],
    ['meta->>tags->a', '42883'],
    ['id.median()', 'PGRST100'],
    ['title.sum()', '42883'],
    ['...nothing(id)', 'PGRST200'],
    ['nothing(id)', 'PGRST200'],
    ['comments(id', 'PGRST100'],
    ['comments!a!b!c(id)', 'PGRST100'],
  ])('select=%s is %s', async (select, code) => {
    const { status, body } = await read(`select=${q(select)}`)
    expect([status, body.code]).toEqual([code === '42883' ? 404 : 400, code])
  })

  it('one object, or 406', async () => {
    for (const accept of ['application/vnd.pgrst.object+json', 'application/vnd.pgrst.object']) {
      const one = await read('id=eq.1&select=id', { accept })
      expect(one.body).toEqual({ id: 1 })
      expect(one.headers.get('content-type')).toBe(
        'application/vnd.pgrst.object+json; charset=utf-8',
      )
      expect(one.headers.get('content-range')).toBe('0-0/*')
      for (const [filter, count] of [
        ['', 2],
        ['id=eq.9', 0],
      ] as const)
        expect(await read(filter, { accept })).toMatchObject({
          status: 406,
          body: {
            code: 'PGRST116',
            message: 'Cannot coerce the result to a single JSON object',
            details: `The result contains ${count} rows`,
            hint: null,
          },
        })
    }
    const db = client(alice)
    expect((await db.from('notes').select('id').eq('id', 1).single()).data).toEqual({ id: 1 })
    expect((await db.from('notes').select('id').eq('id', 9).maybeSingle()).data).toBeNull()
    expect((await db.from('notes').select('id').single()).error?.code).toBe('PGRST116')
  })

  it('nulls=stripped', async () => {
    const accept = 'application/vnd.pgrst.array+json;nulls=stripped'
    const { body, headers } = await read('select=id,body,rank&order=id', { accept })
    expect(body).toEqual([
      { id: 1, rank: 1.5 },
      { id: 2, body: 'back\\slash' },
    ])
    expect(headers.get('content-type')).toBe('application/json;nulls=stripped; charset=utf-8')
    const one = await client(alice)
      .from('notes')
      .select('id,body')
      .eq('id', 1)
      .stripNulls()
      .single()
    expect(one.data).toEqual({ id: 1 })
  })

  it('CSV, quoted where it must be', async () => {
    const { text, headers } = await read('select=id,title,"a ""x":body,done,meta&order=id', {
      accept: 'text/csv',
    })
    expect(text).toContain('PGRST100')
    const good = await read(`select=${q('id,title,"a, \\"b\\"":body,done,meta')}&order=id`, {
      accept: 'text/csv',
    })
    expect(good.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    expect(good.text).toBe(
      [
        'id,title,"a, ""b""",done,meta',
        '1,"one, ""two""",,t,"{""tags"":[""a,b""],""none"":null}"',
        '2,"","back\\slash",f,',
      ].join('\n'),
    )
    expect(headers.get('content-type')).toContain('application/json')
    const empty = await read('select=id&id=eq.9', { accept: 'text/csv' })
    expect(empty.text).toBe('id')
    expect((await client(alice).from('notes').select('id').eq('id', 1).csv()).data).toBe('id\n1')
  })

  it.each<[string, number, string]>([
    ['*/*', 200, 'application/json'],
    ['application/json', 200, 'application/json'],
    ['application/*', 200, 'application/json'],
    ['text/html, application/json', 200, 'application/json'],
    ['text/csv;q=0.5, application/json', 200, 'application/json'],
    ['application/json;q=0.1, text/csv;q=0.9', 200, 'text/csv'],
    ['APPLICATION/JSON', 200, 'application/json'],
    ['application/json;q=0', 406, 'application/json'],
    ['text/html', 406, 'application/json'],
    ['image/png, text/plain', 406, 'application/json'],
    ['application/vnd.pgrst.plan', 406, 'application/json'],
    ['', 406, 'application/json'],
    ['nonsense', 406, 'application/json'],
  ])('Accept: %s', async (accept, status, type) => {
    const answer = await read('select=id', { accept })
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')?.split(';')[0]).toBe(type)
    if (status === 406) expect(answer.body.code).toBe('PGRST107')
  })

  it('profiles: the only schema is public', async () => {
    const named = await read('select=id', { 'accept-profile': 'public' })
    expect([named.status, named.headers.get('content-profile')]).toEqual([200, 'public'])
    expect((await read('select=id')).headers.get('content-profile')).toBeNull()
    for (const header of ['accept-profile', 'content-profile'])
      expect(await read('', { [header]: 'auth' })).toMatchObject({
        status: 406,
        body: {
          code: 'PGRST106',
          message: 'Invalid schema: auth',
          hint: 'Only the following schemas are exposed: public',
        },
      })
    expect((await client(alice).schema('public').from('notes').select('id')).status).toBe(200)
  })

  it('says what it served: content-location, preference-applied, vary', async () => {
    const { headers } = await read('select=id&id=eq.1', {
      prefer: 'count=exact, handling=lenient, x=y',
    })
    expect(headers.get('content-location')).toBe('/notes?select=id&id=eq.1')
    expect(headers.get('preference-applied')).toBe('count=exact, handling=lenient')
    expect(headers.get('vary')).toContain('Authorization')
  })

  it('handling=strict refuses what it does not know; tx has nothing to keep or undo', async () => {
    expect(await read('', { prefer: 'handling=strict, anything=1, count=exact' })).toMatchObject({
      status: 400,
      body: { code: 'PGRST122', details: 'Invalid preferences: anything=1' },
    })
    expect((await read('', { prefer: 'handling=strict, count=exact' })).status).toBe(200)
    for (const prefer of ['tx=rollback', 'tx=commit']) {
      const { status, headers } = await read('', { prefer })
      expect([status, headers.get('preference-applied')]).toEqual([200, prefer])
    }
  })
})
