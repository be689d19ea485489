import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { call, client, fresh, get, titles } from './rpc-world.ts'
import { alice, bob } from './store.ts'

beforeAll(fresh)

const geo = 'application/geo+json'
const object = 'application/vnd.pgrst.object+json'

describe('rows of a table', () => {
  it('are those that the caller may read, whatever the function finds', async () => {
    expect(await titles('/every')).toEqual(['apple', 'banana', 'cherry'])
    expect(await titles('/every', { token: alice })).toEqual([
      'apple',
      'avocado',
      'banana',
      'cherry',
    ])
    expect(await titles('/every', { key: 'secret' })).toHaveLength(5)
    expect(await titles('/search?words=a', { token: bob })).toEqual([
      'apple',
      'banana',
      'blackberry',
    ])
    expect(await titles('/by_ids?ids={2,4}')).toEqual([])
    expect(await titles('/none')).toEqual([])
    // Read by drizzle, and then only those that may be: the second is bob's own.
    expect(await titles('/by_drizzle')).toEqual(['banana'])
    expect(await titles('/by_drizzle', { token: bob })).toEqual(['banana', 'blackberry'])
  })

  it('are a table’s: its columns, and none of the hidden ones', async () => {
    expect(await get('/search?words=apple')).toEqual([
      {
        id: 1,
        owner_id: 'alice',
        title: 'apple',
        public: true,
        rank: 2.5,
        at: '1970-01-01T00:00:00.000Z',
      },
    ])
    expect(await get('/search?words=apple&select=shout,rank::text')).toEqual([
      { shout: 'APPLE', rank: '2.5' },
    ])
    for (const query of ['select=secret', 'secret=eq.s1', 'order=secret', 'select=secret.count()'])
      expect(await get(`/every?${query}`, { token: alice })).toBe('400 42703')
    expect(await get('/every?select=secret&id=eq.1', { key: 'secret' })).toEqual([{ secret: 's1' }])
  })

  it('are filtered, sorted, paged, counted and aggregated', async () => {
    expect(await titles('/every?rank=gte.3&order=title.desc')).toEqual(['cherry', 'banana'])
    // An argument and a filter of the same name.
    expect(await titles('/search?words=a&title=neq.apple')).toEqual(['banana'])
    expect(await titles('/every?or=(id.eq.1,shout.eq.CHERRY)')).toEqual(['apple', 'cherry'])
    expect(await titles('/every?order=id.desc&limit=1&offset=1')).toEqual(['banana'])
    expect(await get('/every?select=rank,count()&order=rank')).toEqual([
      { rank: 2.5, count: 1 },
      { rank: 3, count: 2 },
    ])
    const counted = await call('/every?limit=2', { headers: { prefer: 'count=exact' } })
    expect([counted.status, counted.headers.get('content-range')]).toEqual([206, '0-1/3'])
    const ranged = await call('/every', { headers: { range: '1-1', prefer: 'count=exact' } })
    expect([ranged.status, ranged.headers.get('content-range'), ranged.body]).toMatchObject([
      206,
      '1-1/3',
      [{ title: 'banana' }],
    ])
    expect(await get('/every?offset=9', { headers: { prefer: 'count=exact' } })).toBe(
      '416 PGRST103',
    )
    const page = await call('/every?cursor=&limit=2&order=rank.desc&select=id')
    expect(page.body).toEqual([{ id: 5 }, { id: 3 }])
    expect(
      await get(
        `/every?limit=2&order=rank.desc&select=id&cursor=${page.headers.get('next-cursor')}`,
      ),
    ).toEqual([{ id: 1 }])
  })

  it('embed what a table embeds, under the policies of what is embedded', async () => {
    const path = '/every?select=title,comments(words)&order=id'
    expect(await get(path)).toEqual(
      ['apple', 'banana', 'cherry'].map((title) => ({ title, comments: [] })),
    )
    expect(await get(path, { token: alice })).toEqual([
      { title: 'apple', comments: [{ words: 'thanks' }] },
      { title: 'avocado', comments: [] },
      { title: 'banana', comments: [{ words: 'hm' }] },
      { title: 'cherry', comments: [] },
    ])
    expect(await titles('/every?select=title,comments!inner()', { token: bob })).toEqual([
      'apple',
      'blackberry',
    ])
    expect(
      await get('/by_ids?ids={3,1}&select=id,...comments(words),n:comments(count())', {
        token: alice,
      }),
    ).toEqual([
      { id: 3, words: ['hm'], n: [{ count: 1 }] },
      { id: 1, words: ['thanks'], n: [{ count: 1 }] },
    ])
  })

  it('come as the function orders them, unless the client does', async () => {
    const alices = { token: alice }
    expect(await titles('/best', alices)).toEqual(['banana', 'cherry', 'apple', 'avocado'])
    expect(await titles('/best?order=title', alices)).toEqual([
      'apple',
      'avocado',
      'banana',
      'cherry',
    ])
    expect(await titles('/by_ids?ids={5,1,3,1,9}')).toEqual(['cherry', 'apple', 'banana'])
    expect(await titles('/by_ids?ids={5,1,3}&order=id&limit=2')).toEqual(['apple', 'banana'])
    expect(await titles('/by_ids?ids={5,1,3}&limit=1&offset=1')).toEqual(['apple'])
  })

  it('within the function’s own limit, of those that may be read', async () => {
    expect(await titles('/best?count=2')).toEqual(['banana', 'cherry'])
    expect(await titles('/best?count=2&title=neq.banana')).toEqual(['cherry'])
    expect(await titles('/best?count=3&order=title.desc&shout=neq.BANANA')).toEqual([
      'cherry',
      'apple',
    ])
    expect(await get('/best?count=2&select=shout,comments(words)', { token: alice })).toEqual([
      { shout: 'BANANA', comments: [{ words: 'hm' }] },
      { shout: 'CHERRY', comments: [] },
    ])
    const counted = await call('/best?count=2&limit=1', { headers: { prefer: 'count=exact' } })
    expect(counted.headers.get('content-range')).toBe('0-0/2')
    expect(await titles('/best?count=0')).toEqual([])
  })

  it('of a key of two columns, WITHOUT ROWID and with maxRows', async () => {
    const seats = (keys: unknown, query = '') =>
      get(`/seated${query}`, { body: { keys } }) as Promise<unknown>
    expect(
      await seats([
        { hall: 'B', no: 1 },
        { hall: 'A', no: 2 },
        { hall: 'A', no: 9 },
      ]),
    ).toMatchObject([{ hall: 'B' }, { hall: 'A', no: 2 }])
    expect(
      await seats(
        [
          { hall: 'A', no: 1 },
          { hall: 'A', no: 2 },
          { hall: 'B', no: 1 },
        ],
        '?order=lat.desc&select=lat',
      ),
    ).toEqual([{ lat: 5 }, { lat: 3 }])
    expect(await get('/hall?hall=A&select=no')).toEqual([{ no: 2 }, { no: 1 }])
    expect(await get('/hall?hall=A&select=no&order=lat')).toEqual([{ no: 1 }, { no: 2 }])
    const features = (await get('/hall?hall=B', { headers: { accept: geo } })) as never
    expect(features).toMatchObject({
      features: [{ geometry: { type: 'Point', coordinates: [6, 5] }, properties: { hall: 'B' } }],
    })
  })

  it('as one object, as CSV, explained for service', async () => {
    const as = (accept: string, more = {}) => ({ headers: { accept }, ...more })
    expect(await get('/search?words=apple&select=id', as(object))).toEqual({ id: 1 })
    expect(await get('/every', as(object))).toBe('406 PGRST116')
    expect((await call('/every?select=id,title', as('text/csv'))).text).toBe(
      'id,title\n1,apple\n3,banana\n5,cherry',
    )
    const plan = 'application/vnd.pgrst.plan+json'
    expect(await get('/by_ids?ids={1}', as(plan))).toBe('406 PGRST107')
    const [explained] = (await get('/by_ids?ids={1}', as(plan, { key: 'secret' }))) as [
      { statements: { plan: string[] }[] },
    ]
    expect(explained.statements[0]?.plan.join()).toContain('SEARCH notes USING INTEGER PRIMARY KEY')
    expect(await get('/add?a=1', as(plan, { key: 'secret' }))).toBe('406 PGRST107')
  })

  it('of a closed table are nobody’s, but by a function that says so', async () => {
    expect(await get('/gold')).toBe('401 42501')
    expect(await get('/gold', { token: alice })).toBe('403 42501')
    expect(await get('/gold', { key: 'secret' })).toHaveLength(2)
    expect(await get('/all_gold?gold=gt.100')).toEqual([{ id: 2, gold: 200 }])
    // Past the policy of the table; not past what is hidden, and not in what is embedded.
    expect(await titles('/drafts')).toEqual(['avocado', 'blackberry'])
    expect(await get('/drafts?select=secret')).toBe('400 42703')
    expect(await get('/drafts?select=id,comments(id)')).toEqual([
      { id: 2, comments: [] },
      { id: 4, comments: [] },
    ])
  })

  it('of a single one are an object, or null', async () => {
    expect(await get('/newest?owner=alice&select=title', { token: alice })).toEqual({
      title: 'avocado',
    })
    expect(await get('/newest?owner=alice&select=title')).toEqual({ title: 'apple' })
    expect(await get('/newest?owner=nobody')).toBeNull()
    expect(await get('/newest?owner=nobody', { headers: { accept: object } })).toBe('406 PGRST116')
    expect(
      await get('/newest?owner=carol&select=title,comments(id)', { headers: { accept: object } }),
    ).toEqual({ title: 'cherry', comments: [] })
    expect(await get('/newest?owner=carol&title=eq.other')).toBeNull()
    expect(await get('/one_of?ids={3,1}&select=id')).toEqual({ id: 3 })
    // The first is not the caller's: the next one is not shown in its stead.
    expect(await get('/one_of?ids={4,1}&select=id')).toBeNull()
    expect(await get('/one_of?ids={}')).toBeNull()
  })
})

describe('hidden rows and columns (cases 35, 36)', () => {
  it('change nothing in what a function answers', async () => {
    const queries = [
      '/every?order=rank',
      '/best?count=2',
      '/by_ids?ids={4,2,1}',
      '/search?words=e&select=title,comments(words)',
      '/newest?owner=bob',
      '/every?select=count()',
    ]
    const answers = async () =>
      Promise.all(
        queries.map(async (path) => {
          const { status, text, headers } = await call(path, { headers: { prefer: 'count=exact' } })
          return [status, text, headers.get('content-range'), headers.get('etag')]
        }),
      )
    const before = await answers()
    await env.DB.batch(
      [
        `UPDATE notes SET rank = 99, title = 'a' || title, at = 1e12, secret = 'z' WHERE public = 0`,
        `UPDATE notes SET secret = 'changed'`,
        `INSERT INTO notes VALUES (6, 'dora', 'elder', 0, 100, 9e12, 'x')`,
        `INSERT INTO comments VALUES (9, 1, 'dora', 'psst')`,
      ].map((sql) => env.DB.prepare(sql)),
    )
    expect(await answers()).toEqual(before)
    await fresh()
  })
})

describe('stock postgrest-js', () => {
  it('calls by POST, GET and HEAD', async () => {
    const guest = client()
    expect((await guest.rpc('add', { a: 1, b: 2 })).data).toBe(3)
    expect((await guest.rpc('add', { a: 1, b: 2 }, { get: true })).data).toBe(3)
    expect((await guest.rpc('numbers')).data).toEqual([1, 2, 3, null])
    const nothing = await guest.rpc('nothing')
    expect([nothing.status, nothing.data, nothing.error]).toEqual([204, null, null])
    const { data, count, status } = await guest.rpc('every', undefined, {
      head: true,
      count: 'exact',
    })
    expect([data, count, status]).toEqual([null, 3, 200])
    // An argument that no URL holds: asked by POST, with nothing wanted back.
    const posted = await guest.rpc(
      'seated',
      { keys: [{ hall: 'A', no: 1 }] },
      { head: true, count: 'exact' },
    )
    expect([posted.count, posted.error]).toEqual([1, null])
    const ids = await guest.rpc('by_ids', { ids: [3, 1] }, { get: true }).select('id')
    expect(ids.data).toEqual([{ id: 3 }, { id: 1 }])
  })

  it('filters, selects, embeds, counts', async () => {
    const { data, count } = await client(alice)
      .rpc('search', { words: 'a' }, { count: 'exact' })
      .select('title, loud:shout, comments(words)')
      .neq('title', 'avocado')
      .order('title', { ascending: false })
      .limit(1)
    expect(count).toBe(2)
    expect(data).toEqual([{ title: 'banana', loud: 'BANANA', comments: [{ words: 'hm' }] }])
    const ranged = await client().rpc('every', undefined, { get: true }).order('id').range(1, 2)
    expect(ranged.data?.map(({ id }) => id)).toEqual([3, 5])
  })

  it('single, maybeSingle, csv', async () => {
    const one = await client().rpc('search', { words: 'apple' }).select('title').single()
    expect(one.data).toEqual({ title: 'apple' })
    expect((await client().rpc('every').single()).error?.code).toBe('PGRST116')
    expect((await client().rpc('search', { words: 'zzz' }).maybeSingle()).data).toBeNull()
    expect((await client().rpc('search', { words: 'cherry' }).select('id').csv()).data).toBe(
      'id\n5',
    )
    expect((await client().rpc('newest', { owner: 'carol' })).data?.title).toBe('cherry')
  })

  it('reads the errors', async () => {
    const { error } = await client().rpc('add', { a: 'x' as never })
    expect(error).toMatchObject({ code: '22023', details: expect.stringContaining('a: ') })
    expect((await client().rpc('helo' as 'hello', { name: 'x' })).error?.hint).toContain('hello')
    const read = await client(alice).rpc('write', { title: 'x' }, { get: true })
    expect(read.error?.code).toBe('25006')
  })
})
