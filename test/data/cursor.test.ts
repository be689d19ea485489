import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { fresh, get, whole } from './library.ts'
import { alice } from './store.ts'

beforeEach(fresh)

/** Every page of a read, by its cursors. */
async function pages(path: string, between?: (page: number) => Promise<unknown>) {
  const found: unknown[][] = []
  let cursor: string | null = ''
  for (let page = 0; cursor !== null; page++) {
    const { body, headers, status }: { body: unknown; headers: Headers; status: number } =
      await whole(`${path}&cursor=${cursor}`, { token: alice })
    expect(status).toBe(200)
    found.push(body as unknown[])
    cursor = headers.get('next-cursor')
    await between?.(page)
    expect(page).toBeLessThan(50)
  }
  return found
}

const insert = (...rows: string[]) =>
  env.DB.batch(
    rows.map((row) =>
      env.DB.prepare(`INSERT INTO books (id, title, author_id, price, pages) VALUES ${row}`),
    ),
  )

describe('cursor', () => {
  it('goes through all rows once, whatever the order', async () => {
    await insert(
      `(10, 'Alpha', 1, NULL, 250)`,
      `(11, 'Zeta', 2, 10.5, NULL)`,
      `(12, 'Eta', 2, NULL, NULL)`,
    )
    for (const order of [
      '',
      'title',
      'title.desc',
      'price',
      'price.desc',
      'price.nullsfirst',
      'price.desc.nullslast',
      'pages,title.desc',
      'price.desc,pages',
      'pages.nullsfirst,price',
      'meta->size',
      'meta->>lang.desc',
    ]) {
      const query = `/books?select=id${order ? `&order=${order}` : ''}`
      const all = (await get(query, { token: alice })) as unknown[]
      for (const limit of [1, 2, 3]) {
        const paged = (await pages(`${query}&limit=${limit}`)).flat()
        expect([order, limit, paged.length]).toEqual([order, limit, all.length])
        expect(new Set(paged.map((row) => (row as { id: number }).id)).size).toBe(all.length)
        if (!order.includes('desc')) expect(paged).toEqual(all)
      }
    }
  })

  it('rows that come and go in between are neither skipped nor twice', async () => {
    const found = await pages('/books?select=id&order=title&limit=1', async (page) => {
      if (page === 0) await insert(`(20, 'AAA', 1, 1, 1)`)
      if (page === 1) await env.DB.prepare('DELETE FROM books WHERE id = 20').run()
    })
    expect(found.flat()).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }])
  })

  it('a full last page is followed by an empty one, another by none', async () => {
    expect((await pages('/books?select=id&limit=2')).map((page) => page.length)).toEqual([2, 2, 0])
    expect((await pages('/books?select=id&limit=3')).map((page) => page.length)).toEqual([3, 1])
    expect((await pages('/books?select=id&limit=9')).map((page) => page.length)).toEqual([4])
  })

  it('blobs, text keys and two-column keys have a place too', async () => {
    expect((await pages('/genres?select=name&limit=1&order=rank')).flat()).toEqual([
      { name: 'drama' },
      { name: 'crime' },
      { name: 'verse' },
    ])
    expect((await pages('/book_genres?select=*&limit=1')).flat()).toHaveLength(4)
  })

  it('count is of all rows', async () => {
    const { headers } = await whole('/books?select=id&limit=1&cursor=', {
      headers: { prefer: 'count=exact' },
    })
    expect(headers.get('content-range')).toBe('0-0/3')
  })

  it('a wrong one is refused', async () => {
    const { headers } = await whole('/books?select=id&limit=1&order=title&cursor=')
    const cursor = headers.get('next-cursor') as string
    expect(cursor).toMatch(/^[\w-]+$/)
    expect(await get(`/books?select=id&order=title&cursor=${cursor}`)).toHaveLength(2)
    for (const wrong of [
      `order=title.desc&cursor=${cursor}`,
      `cursor=${cursor}`,
      'cursor=x',
      'cursor=W10',
      `order=title&offset=1&cursor=${cursor}`,
      'select=count()&cursor=',
      'cursor=&cursor=',
    ])
      expect([wrong, await get(`/books?${wrong}`)]).toEqual([wrong, '400 PGRST100'])
    expect(await get('/books?select=id,a:author_id(name)&order=a(name)&cursor=')).toBe(
      '400 PGRST127',
    )
  })

  it('forged values are values, and reach no more than the policy shows', async () => {
    const forged = btoa(JSON.stringify(['[]', [{ hex: '00' }]])).replace(/=+$/, '')
    expect(await get(`/books?select=id&cursor=${forged}`)).toEqual([])
    const before = btoa(JSON.stringify(['[]', [-1]])).replace(/=+$/, '')
    expect(await get(`/books?select=id&cursor=${before}`)).toHaveLength(3)
    const injected = btoa(JSON.stringify(['[]', ['1) or 1=1 --']])).replace(/=+$/, '')
    expect(await get(`/books?select=id&cursor=${injected}`)).toEqual([])
  })
})

describe('conditional reads', () => {
  it('304 without a body while nothing that is shown changes', async () => {
    const first = await whole('/books?select=id,title')
    const tag = first.headers.get('etag') as string
    expect(tag).toMatch(/^"[0-9a-f]{32}"$/)
    const { ask } = await import('./library.ts')
    const again = await ask('/rest/v1/books?select=id,title', { headers: { 'if-none-match': tag } })
    expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', tag])
    // What the policy hides changes nothing.
    await env.DB.prepare(`UPDATE books SET title = 'Hidden' WHERE id = 4`).run()
    expect(
      (
        await ask('/rest/v1/books?select=id,title', {
          headers: { 'if-none-match': `"x", W/${tag}` },
        })
      ).status,
    ).toBe(304)
    await env.DB.prepare(`UPDATE books SET title = 'Changed' WHERE id = 1`).run()
    const changed = await ask('/rest/v1/books?select=id,title', {
      headers: { 'if-none-match': tag },
    })
    expect([changed.status, changed.headers.get('etag') === tag]).toEqual([200, false])
  })
})
