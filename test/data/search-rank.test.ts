import { beforeEach, describe, expect, it } from 'vitest'
import { ask, client, found, fresh, run } from './search-world.ts'

const bob = 'user-bob'
const rows = [
  [10, 'ann', 1, 'red'],
  [11, 'ann', 1, 'red green'],
  [12, 'ann', 1, 'blue red green'],
  [13, 'ann', 1, 'green red red red'],
  [14, 'bob', 0, 'blue green'],
  [15, 'ann', 1, 'grey'],
]

beforeEach(async () => {
  await fresh()
  await run(
    'DELETE FROM posts',
    ...rows.map(
      ([id, owner, open, title]) =>
        `INSERT INTO posts (id, owner_id, public, title, body) VALUES (${id}, '${owner}', ${open}, '${title}', iif(${id} = 10, 'green', NULL))`,
    ),
  )
})

const ranked = (query: string, asked = {}) => found(`/posts?select=id&${query}`, asked)
const enc = encodeURIComponent

describe('order by rank', () => {
  it('is by how many of the words and phrases a row has', async () => {
    const red = `title=fts.${enc('red | green | blue')}`
    expect(await ranked(`${red}&order=title.rank.desc`)).toEqual([12, 13, 11, 10])
    expect(await ranked(`${red}&order=title.rank`)).toEqual([10, 11, 13, 12])
    expect(await ranked(`${red}&order=title.rank.desc,id`)).toEqual([12, 11, 13, 10])
    expect(await ranked(`${red}&order=title.rank.desc.nullslast,id`)).toEqual([12, 11, 13, 10])
    expect(await ranked(`${red}&order=title.rank.desc,id&limit=2&offset=1`)).toEqual([11, 13])
    expect(await ranked(`${red}&order=title.rank.desc,id`, { token: bob })).toEqual([
      12, 11, 13, 14, 10,
    ])
    const phrase = enc('"red green" or red or green')
    expect(await ranked(`title=wfts.${phrase}&order=title.rank.desc,id`)).toEqual([11, 12, 13, 10])
    const begins = enc('gre:* | red')
    expect(await ranked(`title=fts.${begins}&order=title.rank.desc,id`)).toEqual([
      11, 12, 13, 10, 15,
    ])
  })

  it('counts what is asked for, wherever in the filters, and not what must not be there', async () => {
    const either = `or=(title.fts.red,and(title.fts.green,id.gt.0))`
    expect(await ranked(`${either}&order=title.rank.desc,id`)).toEqual([11, 12, 13, 10])
    expect(await ranked(`title=wfts.${enc('red -blue')}&order=title.rank.desc,id`)).toEqual([
      10, 11, 13,
    ])
    expect(await ranked(`title=not.fts.${enc('red & !green')}&order=title.rank.desc,id`)).toEqual([
      11, 12, 13, 15,
    ])
    expect(await ranked('not.or=(title.fts.grey)&order=title.rank.desc,id')).toEqual([
      10, 11, 12, 13,
    ])
    // The other column’s words are its own; null has none.
    const both = 'or=(title.fts.green,body.fts.green)'
    expect(await ranked(`${both}&order=body.rank.desc,title.rank.desc,id.desc`)).toEqual([
      10, 13, 12, 11,
    ])
    expect(await ranked('title=fts.the&order=title.rank.desc')).toEqual([])
  })

  it('in embeds, of tables without an integer key, in functions, and by cursor', async () => {
    const path =
      '/authors?select=posts(id)&id=eq.ann&posts.order=title.rank.desc,id&posts.title=fts.'
    expect(await found(path + enc('green | blue'))).toEqual([[12, 11, 13].map((id) => ({ id }))])
    await run(
      `UPDATE pages SET "or ""der" = 'thin and thinner rats' WHERE book = 'b'`,
      `UPDATE pages SET owner_id = 'ann'`,
    )
    const words = enc('"or \\"der"')
    const query = `${words}=fts.${enc('fat | rat | thin')}&order=${words}.rank.desc,no.desc`
    expect(await found(`/pages?select=no&${query}`)).toEqual(['2', '1', '1'])
    expect(await found(`/rpc/some?select=no&${query}`)).toEqual(['2', '1'])
    const embedded = query
      .split('&')
      .map((part) => `pages.${part}`)
      .join('&')
    expect(await found(`/authors?select=pages(no)&id=eq.ann&${embedded}`)).toEqual([
      ['2', '1', '1'].map((no) => ({ no })),
    ])
    const seen: unknown[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page = await ask(
        `/rest/v1/posts?select=id&title=fts.${enc('red|green|blue')}&order=title.rank.desc&limit=1&cursor=${cursor}`,
      )
      seen.push(...((await page.json()) as { id: number }[]).map(({ id }) => id))
      cursor = page.headers.get('next-cursor')
    }
    expect(seen).toEqual([12, 13, 11, 10])
  })

  it('by the stock client', async () => {
    const { data, error } = await client()
      .from('posts')
      .select('id')
      .textSearch('title', 'red | blue')
      .order('title.rank' as 'title', { ascending: false })
      .order('id')
    expect(error).toBeNull()
    expect(data?.map(({ id }) => id)).toEqual([12, 10, 11, 13])
  })

  it('tells nothing of rows that are not shown: it is of each row alone', async () => {
    const orders = ['title.rank', 'title.rank.desc', 'title.rank.desc,id.desc']
    const queries = ['red | green', 'blue | green | grey', 'gr:* | !red']
    const all = async () => {
      const answers = []
      for (const order of orders)
        for (const query of queries) {
          const answer = await ask(`/rest/v1/posts?title=fts.${enc(query)}&order=${order}`, {
            headers: { prefer: 'count=exact' },
          })
          answers.push([order, query, answer.headers.get('content-range'), await answer.text()])
        }
      return answers
    }
    const before = await all()
    await run(
      `UPDATE posts SET title = 'green green grey' WHERE public = 0`,
      ...Array.from(
        { length: 50 },
        (_, i) =>
          `INSERT INTO posts (owner_id, public, title) VALUES ('bob', 0, 'red blue ${i} ${'grey '.repeat(i)}')`,
      ),
    )
    expect(await all()).toEqual(before)
  })

  it.each([
    ['order=title.rank', '400 PGRST127'],
    ['body=fts.red&order=title.rank', '400 PGRST127'],
    ['title=eq.red&order=title.rank', '400 PGRST127'],
    ['title=fts.red&order=unsearched.rank', '404 42883'],
    ['title=fts.red&order=shout.rank', '404 42883'],
    ['title=fts.red&order=id.rank', '404 42883'],
    ['title=fts.red&order=secret.rank', '400 42703'],
    ['title=fts.red&order=title.rank.rank', '400 PGRST100'],
    ['title=fts.red&order=title.desc.rank', '400 PGRST100'],
    ['title=fts.red&select=title,count()&order=title.rank', '400 42803'],
    [
      `title=fts.${Array.from({ length: 33 }, (_, i) => `w${i}`).join('|')}&order=title.rank`,
      '400 54000',
    ],
  ])('%s is %s', async (query, expected) => {
    expect(await found(`/posts?${query}`)).toBe(expected)
  })

  it('is of reads, and not of a related row', async () => {
    const changed = await ask('/rest/v1/posts?title=fts.red&order=title.rank&limit=1', {
      method: 'PATCH',
      body: { body: 'x' },
      token: 'user-ann',
    })
    expect([changed.status, ((await changed.json()) as { code: string }).code]).toEqual([
      400,
      'PGRST127',
    ])
    expect(
      await found('/posts?select=id,authors(id)&authors.bio=fts.poet&order=authors(bio).rank'),
    ).toBe('400 PGRST127')
  })
})
