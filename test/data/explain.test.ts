import { beforeAll, describe, expect, it } from 'vitest'
import { mount } from '../kit/world.ts'
import { client, fresh, get, library, whole } from './library.ts'
import { alice } from './store.ts'

beforeAll(fresh)

const local = mount({ '/rest/v1': library }, 'http://localhost:8787')

interface Explained {
  trips: number
  statements: { statement: string; plan: string[]; rowsRead?: number }[]
}

const explained = async (path: string, options: Parameters<typeof local>[1] = {}) => {
  const response = await local(`/rest/v1${path}`, {
    ...options,
    headers: { accept: 'application/vnd.pgrst.plan+json', ...options.headers },
  })
  expect(response.status).toBe(200)
  return ((await response.json()) as [Explained])[0]
}

describe('explain', () => {
  it('tells statements, plans and trips of a read', async () => {
    const { trips, statements } = await explained('/books?select=id,loans(days)&id=eq.1', {
      token: alice,
      headers: { prefer: 'count=exact' },
    })
    expect(trips).toBe(1)
    expect(statements.map(({ statement }) => statement.slice(0, 15))).toEqual([
      'select count(*)',
      'select "books".',
    ])
    expect(statements[1]?.plan).toEqual(
      expect.arrayContaining([
        'SEARCH books USING INTEGER PRIMARY KEY (rowid=?)',
        expect.stringContaining('SEARCH loans USING INDEX loans_book'),
      ]),
    )
    expect(JSON.stringify(statements)).not.toContain('alice')
  })

  it('analyze tells what was read', async () => {
    const accept =
      'application/vnd.pgrst.plan+json; for="application/json"; options=analyze|verbose;'
    const { statements } = await explained('/genres?select=name', { headers: { accept } })
    expect(statements.map(({ rowsRead }) => rowsRead)).toEqual([3])
  })

  it('a write is explained, and not run', async () => {
    for (const [method, path, body] of [
      ['POST', '/genres', { name: 'new' }],
      ['PATCH', '/genres?name=eq.crime', { rank: 9 }],
      ['DELETE', '/genres?name=eq.verse', undefined],
    ] as const) {
      const { statements } = await explained(path, { method, ...(body ? { body } : {}) })
      expect(statements.length).toBeGreaterThan(0)
      expect(statements[0]?.plan).toBeInstanceOf(Array)
    }
    expect(await get('/genres?select=name,rank')).toEqual([
      { name: 'crime', rank: 2 },
      { name: 'drama', rank: 1 },
      { name: 'verse', rank: null },
    ])
  })

  it('as text, as the stock client asks', async () => {
    const accept = 'application/vnd.pgrst.plan+text'
    const response = await local('/rest/v1/genres?select=name', { headers: { accept } })
    expect(await response.text()).toMatch(
      /^select "genres"\."name"[^\n]*\n {2}-> SCAN genres\ntrips: 1$/,
    )
  })

  it('is for development and for service alone', async () => {
    const { data, error } = await client(alice).from('books').select('id').explain()
    expect([data, error?.code]).toEqual([null, 'PGRST107'])
    const headers = { accept: 'application/vnd.pgrst.plan+json' }
    expect(await get('/books', { headers })).toBe('406 PGRST107')
    expect(await get('/books', { headers, key: 'publishable' })).toBe('406 PGRST107')
    expect((await whole('/books', { headers, key: 'secret' })).status).toBe(200)
  })
})
