import { beforeAll, describe, expect, it } from 'vitest'
import { call, fresh, get } from './rpc-world.ts'

beforeAll(fresh)

const ids = async (query: string, path = '/fruits') => {
  const found = await get(`${path}?select=id&${query}`)
  return Array.isArray(found) ? found.map(({ id }) => id) : found
}

describe('rows of no table', () => {
  it('are as the function gave them, if nothing is asked of them', async () => {
    expect(await get('/fruits')).toEqual([
      {
        id: 1,
        Name: 'Pear',
        name: 'p',
        price: 1.5,
        ripe: true,
        tags: ['a'],
        at: '1970-01-01T00:00:00.000Z',
      },
      { id: 2, Name: 'Fig', name: 'f', price: 2, ripe: false, tags: [], more: { x: 1 } },
      { id: 3, Name: null, name: 'k', price: 0.5, ripe: true, tags: ['a', 'b'], 'a.b "c"': 1 },
    ])
    expect((await call('/fruits', { headers: { accept: 'text/csv' } })).text.split('\n')[0]).toBe(
      'id,Name,name,price,ripe,tags,at,more,"a.b ""c"""',
    )
  })

  it('are selected, renamed, cast and aggregated, by keys that differ in case alone as well', async () => {
    expect(await get('/fruits?select=Name,n:name,price::text,ripe&id=eq.1')).toEqual([
      { Name: 'Pear', n: 'p', price: '1.5', ripe: true },
    ])
    expect(await get('/fruits?select=more->x,tags->0,at&order=id')).toEqual([
      { x: null, tags: 'a', at: '1970-01-01T00:00:00.000Z' },
      { x: 1, tags: null, at: null },
      { x: null, tags: 'a', at: null },
    ])
    expect(await get('/fruits?select=ripe,price.sum(),count()&order=ripe')).toEqual([
      { ripe: false, sum: 2, count: 1 },
      { ripe: true, sum: 2, count: 2 },
    ])
    expect(await get('/fruits?select=*&id=eq.2')).toEqual([
      {
        id: 2,
        Name: 'Fig',
        name: 'f',
        price: 2,
        ripe: false,
        tags: [],
        at: null,
        more: { x: 1 },
        'a.b "c"': null,
      },
    ])
    expect(await get(`/fruits?select=${encodeURIComponent('"a.b \\"c\\""')}&id=eq.3`)).toEqual([
      { 'a.b "c"': 1 },
    ])
  })

  it('are filtered and sorted by the types that their values have', async () => {
    expect(await ids('price=gt.1')).toEqual([1, 2])
    expect(await ids('ripe=is.true')).toEqual([1, 3])
    expect(await ids('Name=like.P*')).toEqual([1])
    expect(await ids('Name=is.null')).toEqual([3])
    expect(await ids('name=in.(p,k)')).toEqual([1, 3])
    expect(await ids('or=(price.lt.1,Name.eq.Fig)')).toEqual([2, 3])
    expect(await ids('more->>x=eq.1')).toEqual([2])
    expect(await ids('order=price.desc')).toEqual([2, 1, 3])
    expect(await ids('order=Name')).toEqual([2, 1, 3])
    expect(await ids('order=ripe,id.desc')).toEqual([2, 3, 1])
    expect(await ids('id=not.eq.2')).toEqual([1, 3])
    expect(await ids('price=eq.x')).toBe('400 22P02')
    // In jsonb's order an array is more than a number.
    expect(await ids('tags=gt.1')).toEqual([1, 2, 3])
    expect(await ids('tags=gt.[1]')).toBe('400 PGRST127')
    expect(await ids('ripe=like.1')).toBe('404 42883')
    for (const wrong of ['select=nothing', 'nothing=eq.1', 'order=nothing', 'select=constructor'])
      expect(await get(`/fruits?${wrong}`)).toBe('400 42703')
    expect(await get('/fruits?select=id,notes(id)')).toBe('400 PGRST200')
    expect(await get('/fruits?cursor=&order=id')).toMatch(/^400 /)
  })

  it('come in pages, counted', async () => {
    const range = async (query: string, headers = {}) => {
      const found = await call(`/fruits?${query}`, { headers })
      return [found.status, found.headers.get('content-range'), (found.body as unknown[]).length]
    }
    const exact = { prefer: 'count=exact' }
    expect(await range('limit=2')).toEqual([200, '0-1/*', 2])
    expect(await range('limit=2&offset=2')).toEqual([200, '2-2/*', 1])
    expect(await range('offset=5')).toEqual([200, '*/*', 0])
    expect(await range('', exact)).toEqual([200, '0-2/3', 3])
    expect(await range('limit=2', exact)).toEqual([206, '0-1/3', 2])
    expect(await range('limit=1&price=gt.1', exact)).toEqual([206, '0-0/2', 1])
    expect(await range('order=id', { ...exact, range: '1-2' })).toEqual([206, '1-2/3', 2])
    expect(await get('/fruits?offset=5', { headers: exact })).toBe('416 PGRST103')
    expect(await get('/fruits?id=gt.0&offset=5', { headers: exact })).toBe('416 PGRST103')
    const head = await call('/fruits?price=gt.1', { method: 'HEAD', headers: exact })
    expect([head.status, head.headers.get('content-range')]).toEqual([200, '0-1/2'])
    // By POST there is no Range.
    expect(
      (await call('/fruits', { body: {}, headers: { range: '0-0' } })).headers.get('content-range'),
    ).toBe('0-2/*')
  })

  it('lists of values have windows, and no columns', async () => {
    expect(await get('/numbers?limit=2&offset=1')).toEqual([2, 3])
    const counted = await call('/numbers?limit=2', { headers: { prefer: 'count=exact' } })
    expect([counted.status, counted.headers.get('content-range')]).toEqual([206, '0-1/4'])
    for (const query of ['select=id', 'id=eq.1', 'order=id']) {
      expect(await get(`/numbers?${query}`)).toBe('400 42703')
      expect(await get(`/add?a=1&${query}`)).toBe('400 42703')
    }
  })

  it('one object is a row as well', async () => {
    expect(await get('/point?select=x')).toEqual({ x: 1 })
    expect(await get('/point?x=eq.1')).toEqual({ x: 1, y: null })
    expect(await get('/point?x=eq.2')).toBeNull()
    expect(
      await get('/point?x=eq.2', { headers: { accept: 'application/vnd.pgrst.object+json' } }),
    ).toBe('406 PGRST116')
  })
})

describe('rows of declared columns', () => {
  it('have those and no others, in their form on the wire', async () => {
    const all = [
      { id: 1, at: '1970-01-01T00:00:00.000Z', bytes: '\\x01', meta: { a: 1 } },
      { id: 2, at: null, bytes: null, meta: null },
    ]
    expect(await get('/typed')).toEqual(all)
    expect(await get('/typed?order=id')).toEqual(all)
    expect(await get('/typed?select=secret')).toBe('400 42703')
    expect((await call('/typed', { headers: { accept: 'text/csv' } })).text).toBe(
      'id,at,bytes,meta\n1,1970-01-01T00:00:00.000Z,"\\x01","{""a"":1}"\n2,,,',
    )
  })

  it('are filtered by their types, where there are none as well', async () => {
    expect(await ids('at=lt.1971-01-01', '/typed')).toEqual([1])
    expect(await ids('bytes=eq.\\x01', '/typed')).toEqual([1])
    expect(await ids('at=eq.soon', '/typed')).toBe('400 22007')
    expect(await ids('many=false&at=lt.1971-01-01', '/typed')).toEqual([])
    expect(await ids('many=false&nothing=eq.1', '/typed')).toBe('400 42703')
    expect(await get('/typed?many=false')).toEqual([])
    expect(await get('/typed?meta->a=eq.1&select=id')).toEqual([{ id: 1 }])
  })
})
