import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { ids, kindsSql } from './kinds.ts'
import { call, client, fresh } from './store.ts'

const q = encodeURIComponent

describe('order', () => {
  beforeAll(async () => {
    await fresh()
    await env.DB.prepare(kindsSql).run()
  })
  // Postgres: null is greater than everything, unless told otherwise.
  it.each([
    ['whole', ['a', 'b', 'n']],
    ['whole.asc', ['a', 'b', 'n']],
    ['whole.desc', ['n', 'b', 'a']],
    ['whole.nullsfirst', ['n', 'a', 'b']],
    ['whole.asc.nullsfirst', ['n', 'a', 'b']],
    ['whole.asc.nullslast', ['a', 'b', 'n']],
    ['whole.desc.nullslast', ['b', 'a', 'n']],
    ['whole.desc.nullsfirst', ['n', 'b', 'a']],
    ['flag.desc,id.desc', ['n', 'b', 'a']],
    ['id.desc', ['n', 'b', 'a']],
    ['"id".desc', ['n', 'b', 'a']],
    ['colour.desc.nullslast, id', ['b', 'a', 'n']],
    ['bytes', ['a', 'b', 'n']],
  ])('order=%s', async (order, expected) => {
    expect(await ids(`/kinds?select=id&order=${order}`)).toEqual(expected)
  })

  it('is by the column, also where an alias has its name', async () => {
    const { body } = await call('/kinds?select=whole:id,id&order=whole.desc.nullslast')
    expect(body.map((row: { id: string }) => row.id)).toEqual(['b', 'a', 'n'])
  })

  it.each(['id.up', 'id.asc.desc', 'id.', '.asc', 'id.nullsfirst.asc', '', 'id,,id', 'id;'])(
    'order=%s is PGRST100',
    async (order) => {
      expect(await call(`/kinds?order=${q(order)}`)).toMatchObject({
        status: 400,
        body: { code: 'PGRST100' },
      })
    },
  )

  it('knows no order by what is not there', async () => {
    expect(await call('/kinds?order=nothing')).toMatchObject({
      status: 400,
      body: { code: '42703' },
    })
    expect((await call('/kinds?order=words->k')).body.code).toBe('42883')
    expect((await call('/kinds?order=notes(id)')).body.code).toBe('PGRST108')
  })
})

describe('pages', () => {
  beforeAll(async () => {
    await fresh()
    await env.DB.batch(
      Array.from({ length: 15 }, (_, i) =>
        env.DB.prepare('INSERT INTO tags (name) VALUES (?)').bind(String(i).padStart(2, '0')),
      ),
    )
    await env.DB.batch(
      ['a', 'b', 'c', 'd'].map((id) =>
        env.DB.prepare(`INSERT INTO tickets (id, owner_id) VALUES (?, 'alice')`).bind(id),
      ),
    )
  })
  const page = async (query: string, headers: Record<string, string> = {}, method = 'GET') => {
    const {
      status,
      body,
      headers: got,
      text,
    } = await call(`/tags?order=name&${query}`, {
      headers,
      method,
    })
    const names = Array.isArray(body) ? body.map((row: { name: string }) => Number(row.name)) : text
    return [status, got.get('content-range'), names]
  }
  const counted = { prefer: 'count=exact' }
  const from = (a: number, b: number) => Array.from({ length: b - a + 1 }, (_, i) => a + i)

  it.each<[string, Record<string, string>, unknown[]]>([
    ['', {}, [200, '0-14/*', from(0, 14)]],
    ['', counted, [200, '0-14/15', from(0, 14)]],
    ['limit=3', {}, [200, '0-2/*', [0, 1, 2]]],
    ['limit=3', counted, [206, '0-2/15', [0, 1, 2]]],
    ['limit=3&offset=2', {}, [200, '2-4/*', [2, 3, 4]]],
    ['limit=5&offset=12', counted, [206, '12-14/15', [12, 13, 14]]],
    ['offset=15', counted, [206, '*/15', []]],
    ['offset=100', {}, [200, '*/*', []]],
    ['limit=0', {}, [200, '*/*', []]],
    ['limit=0', counted, [206, '*/15', []]],
    ['limit=999999', counted, [200, '0-14/15', from(0, 14)]],
    ['', { range: '0-1' }, [200, '0-1/*', [0, 1]]],
    ['', { range: '0-1', ...counted }, [206, '0-1/15', [0, 1]]],
    ['', { range: '10-100', 'range-unit': 'items' }, [200, '10-14/*', from(10, 14)]],
    ['', { range: '12-' }, [200, '12-14/*', from(12, 14)]],
    ['', { range: 'items=3-3' }, [200, '3-3/*', [3]]],
    ['', { range: 'bytes=0-1' }, [200, '0-14/*', from(0, 14)]],
    ['limit=3', { range: '0-1' }, [200, '0-1/*', [0, 1]]],
    ['limit=3&offset=2', { range: '3-9' }, [200, '3-4/*', [3, 4]]],
    ['offset=4', { range: '0-5' }, [200, '4-5/*', [4, 5]]],
    ['name=gt.50', counted, [200, '*/0', []]],
    ['', { prefer: 'count=planned' }, [200, '0-14/15', from(0, 14)]],
    ['limit=1', { prefer: 'count=estimated' }, [206, '0-0/15', [0]]],
  ])('%s %o', async (query, headers, expected) => {
    expect(await page(query, headers)).toEqual(expected)
  })

  it('416 outside', async () => {
    for (const [query, headers, details, range] of [
      ['offset=16', counted, 'An offset of 16 was requested, but there are only 15 rows.', '*/15'],
      [
        'offset=1&name=eq.x',
        counted,
        'An offset of 1 was requested, but there are only 0 rows.',
        '*/0',
      ],
      [
        '',
        { range: '20-30', ...counted },
        'An offset of 20 was requested, but there are only 15 rows.',
        '*/15',
      ],
      ['limit=-1', {}, 'Limit should be greater than or equal to zero.', null],
      [
        '',
        { range: '1-0' },
        'The lower boundary must be lower than or equal to the upper boundary in the Range header.',
        null,
      ],
      ['limit=2', { range: '5-9' }, expect.any(String), null],
    ] as const) {
      const answer = await call(`/tags?${query}`, { headers })
      expect(answer).toMatchObject({
        status: 416,
        body: { code: 'PGRST103', message: 'Requested range not satisfiable', details, hint: null },
      })
      expect(answer.headers.get('content-range')).toBe(range)
    }
  })

  it.each([
    'limit=x',
    'limit=1.5',
    'limit=',
    'offset=-1',
    'offset=1e3',
    'limit=99999999999999999999',
  ])('%s is PGRST100', async (query) => {
    expect(await call(`/tags?${query}`)).toMatchObject({ status: 400, body: { code: 'PGRST100' } })
  })

  it('a huge offset is an empty page', async () => {
    expect(await page('offset=9007199254740991')).toEqual([200, '*/*', []])
    expect(await page('', { range: '999999999999999-' })).toEqual([200, '*/*', []])
  })

  it('maxRows bounds every read', async () => {
    for (const query of ['', 'limit=100', 'limit=3'])
      expect(await call(`/tickets?${query}`, { prefer: 'count=exact' })).toMatchObject({
        status: 206,
        body: { length: 3 },
      })
    const { headers, body } = await call('/tickets?offset=3', { prefer: 'count=exact' })
    expect([headers.get('content-range'), body.length]).toEqual(['3-3/4', 1])
  })

  it('HEAD has the headers of GET, and no body', async () => {
    for (const [query, headers] of [
      ['', {}],
      ['', counted],
      ['limit=4&offset=2', counted],
      ['offset=14&limit=5', counted],
      ['offset=15', counted],
      ['limit=0', counted],
      ['', { range: '0-3', ...counted }],
      ['', { accept: 'text/csv' }],
    ] as const) {
      const got = await call(`/tags?order=name&${query}`, { headers })
      const head = await call(`/tags?order=name&${query}`, { headers, method: 'HEAD' })
      expect(head.text).toBe('')
      expect(head.status).toBe(got.status)
      // A HEAD that counts reads no rows, of which to make a tag.
      const differing = [
        'content-length',
        'x-d1-bookmark',
        ...(headers === counted || 'range' in headers ? ['etag'] : []),
      ]
      const plain = (h: Headers) => [...h].filter(([name]) => !differing.includes(name))
      expect(plain(head.headers)).toEqual(plain(got.headers))
    }
    expect((await call('/tags?offset=16', { headers: counted, method: 'HEAD' })).status).toBe(416)
    const single = { accept: 'application/vnd.pgrst.object+json' }
    expect((await call('/tags', { headers: single, method: 'HEAD' })).status).toBe(406)
  })

  it('the stock client counts and pages', async () => {
    const db = client()
    expect(await db.from('tags').select('*', { count: 'exact', head: true })).toMatchObject({
      count: 15,
      data: null,
      error: null,
      status: 200,
    })
    const { data, count } = await db
      .from('tags')
      .select('name', { count: 'exact' })
      .order('name', { ascending: false })
      .range(1, 2)
    expect([data, count]).toEqual([[{ name: '13' }, { name: '12' }], 15])
  })
})
