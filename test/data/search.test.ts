import { beforeAll, describe, expect, it } from 'vitest'
import { ask, client, found, fresh, ids } from './search-world.ts'

beforeAll(fresh)

describe('fts is to_tsquery', () => {
  it.each([
    ['cat', [1]],
    ['cats', [1]],
    ['CAT', [1]],
    ['fat & rat', [2, 5]],
    ['fat&rat', [2, 5]],
    ['cat | dog', [1, 4]],
    ['fat & !cat', [2, 5]],
    ['!cat', [2, 4, 5]],
    ['!!cat', [1]],
    ['!cat & !dog', [2, 5]],
    ['!cat | dog', [2, 4, 5]],
    ['!(fat & rat)', [1, 4]],
    ['!(fat | dog)', []],
    ['fat <-> rat', [2]],
    ['fat<->rat', [2]],
    ['fat <1> rat', [2]],
    ['fat <-> (cat | rat)', [1, 2]],
    ['(fat | thin) <-> (cat | rat)', [1, 2]],
    ['the <-> fat <-> cat', [1]],
    ["'fat rat'", [2]],
    ["'fat rat' | dog", [2, 4]],
    ["'fat'' rat'", [2]],
    ['dog:*', [4]],
    ['do:*', []],
    ['ra:* & fat', [2, 5]],
    ["'fat c':*", [1]],
    ['fat <-> c:*', [1]],
    ['((((dog))))', [4]],
    // Stop words ask nothing; nothing asked is nothing found.
    ['the & cat', [1]],
    ['the | cat', [1]],
    ['!the', []],
    ['the', []],
    ['', []],
    ['   ', []],
    ['.', []],
    ["''", []],
    ['\\&cat', [1]],
    ['"cat"', [1]],
    ['title:*', []],
    ['cat*', [1]],
    ['NEAR & cat', []],
    ['fat rat', '400 42601'],
    ['fat &', '400 42601'],
    ['& fat', '400 42601'],
    ['(fat', '400 42601'],
    ['fat)', '400 42601'],
    ['!', '400 42601'],
    ['<-> fat', '400 42601'],
    ['fat < rat', '400 42601'],
    ['()', '400 42601'],
    ["'fat", '400 42601'],
    ['cat\\', '400 42601'],
    ['fat <2> rat', '400 PGRST127'],
    ['fat <0> rat', '400 PGRST127'],
    ['fat <-> (cat & rat)', '400 PGRST127'],
    ['fat <-> !rat', '400 PGRST127'],
    ['ca:* <-> rat', '400 PGRST127'],
    ['cat:A', '400 PGRST127'],
    [`${'('.repeat(9)}cat${')'.repeat(9)}`, '400 54000'],
    [Array.from({ length: 101 }, (_, i) => `w${i}`).join('|'), '400 54000'],
    [Array.from({ length: 8 }, () => '(a1|b1|c1)').join('<->'), '400 54000'],
    ['cat\0', '400 22P05'],
  ])('%s', async (query, expected) => {
    expect(await ids('title', `fts.${query}`)).toEqual(expected)
    // In a group it is the same, quoted.
    const quoted = `"${query.replaceAll(/["\\]/g, '\\$&')}"`
    expect(await ids('or', `(title.fts.${quoted})`)).toEqual(expected)
  })

  it('says what was wrong, as Postgres does', async () => {
    const error = async (query: string) => {
      const response = await ask(`/rest/v1/posts?title=fts.${encodeURIComponent(query)}`)
      return response.json()
    }
    expect(await error('fat rat')).toEqual({
      code: '42601',
      message: 'syntax error in tsquery: "fat rat"',
      details: null,
      hint: null,
    })
    expect(await error('fat &')).toMatchObject({ message: 'no operand in tsquery: "fat &"' })
  })
})

describe('plfts, phfts and wfts take any text', () => {
  it.each([
    ['plfts', 'fat cats', [1]],
    ['plfts', 'cats fat', [1]],
    ['plfts', 'fat & !cat | "', [1]],
    ['plfts', 'the cat', [1]],
    ['plfts', '', []],
    ['plfts', '***', []],
    ['phfts', 'fat cats', [1]],
    ['phfts', 'cats fat', []],
    ['phfts', 'the fat cats', [1]],
    ['phfts', 'fat, rat!', [2]],
    ['wfts', 'fat cats', [1]],
    ['wfts', 'cats fat', [1]],
    ['wfts', '"fat rat"', [2]],
    ['wfts', '"fat rat', [2]],
    ['wfts', '"rat fat"', [5]],
    ['wfts', 'fat -cat', [2, 5]],
    ['wfts', '-cat', [2, 4, 5]],
    ['wfts', '- cat', [2, 4, 5]],
    ['wfts', '--cat', [1]],
    ['wfts', 'fat -"fat rat"', [1, 5]],
    ['wfts', 'cat or dog', [1, 4]],
    ['wfts', 'cat OR dog', [1, 4]],
    ['wfts', 'fat cat or dog', [1, 4]],
    ['wfts', 'or cat', [1]],
    ['wfts', 'cat or', [1]],
    ['wfts', 'cat or or dog', [1, 4]],
    ['wfts', 'cat "or" dog', []],
    ['wfts', ') | & ( :* <-> !', []],
    ['wfts', 'cat) AND (', [1]],
    ['wfts', '', []],
  ])('%s.%s', async (operator, query, expected) => {
    expect(await ids('title', `${operator}.${query}`)).toEqual(expected)
  })

  it('of another column, in one that may be null: that is neither found nor not', async () => {
    expect(await ids('body', 'wfts.rat')).toEqual([1])
    expect(await ids('body', 'wfts.-rat')).toEqual([4, 5])
    expect(await ids('body', 'not.wfts.rat')).toEqual([4, 5])
    expect(await ids('body', 'not.wfts.-rat')).toEqual([1])
    expect(await ids('body', 'not.wfts.the')).toEqual([1, 4, 5])
    expect(await ids('not.and', '(body.wfts.rat)')).toEqual([4, 5])
    expect(await ids('not.or', '(body.not.wfts.rat,id.eq.9)')).toEqual([1])
    expect(await ids('not.or', '(body.wfts.-rat,id.eq.9)')).toEqual([1])
    expect(await ids('or', '(body.wfts.rat,body.is.null)')).toEqual([1, 2])
    expect(await ids('body', 'fts.foo-bar')).toEqual([4])
    expect(await ids('body', 'plfts.über GRÖSSE')).toEqual([])
    expect(await ids('body', 'plfts.über GRÖßE')).toEqual([5])
    expect(await ids('body', 'plfts.uber')).toEqual([])
  })

  it('of several as one, by a generated column', async () => {
    expect(await ids('whole', 'wfts.cat rat')).toEqual([1])
    expect(await ids('whole', 'wfts.dog cat')).toEqual([4])
    expect(await ids('and', '(whole.wfts.rat,title.not.fts.cat)')).toEqual([2, 5])
  })
})

describe('the configuration', () => {
  it('is the table’s, by its name or unnamed; another is refused', async () => {
    expect(await ids('title', 'fts(english).cat')).toEqual([1])
    expect(await ids('title', 'fts(simple).cat')).toBe('400 PGRST127')
    expect(await ids('title', 'wfts(german).cat')).toBe('400 PGRST127')
    expect(await ids('title', 'plfts(klingon).cat')).toBe('400 42704')
    expect(await ids('title', 'phfts(any).{cat}')).toBe('400 42704')
    expect(await ids('title', 'fts(any).{cat}')).toBe('400 42704')
    expect(await ids('title', 'fts(en-US).cat')).toBe('400 PGRST100')
  })

  it('simple takes words as they are', async () => {
    const bios = (test: string) => found(`/authors?select=id&bio=${test}`)
    expect(await bios('fts.running')).toEqual(['ann'])
    expect(await bios('fts(simple).runs')).toEqual(['bob'])
    expect(await bios('fts.run')).toEqual([])
    expect(await bios('fts.the')).toEqual(['ann'])
    expect(await bios('fts.run:*')).toEqual(['ann', 'bob'])
    expect(await bios('fts(english).run')).toBe('400 PGRST127')
  })
})

describe('what may be searched', () => {
  it('is what is declared, and is text', async () => {
    const response = await ask('/rest/v1/posts?unsearched=fts.cat')
    expect([response.status, await response.json()]).toEqual([
      404,
      {
        code: '42883',
        message: 'operator does not exist: text @@ unknown',
        details: null,
        hint: 'The column is not declared to be searched: expose(…, { search: ["unsearched"] }).',
      },
    ])
    expect(await ids('id', 'fts.1')).toBe('404 42883')
    expect(await ids('shout', 'fts.cat')).toBe('404 42883')
    expect(await ids('title->>a', 'fts.cat')).toBe('404 42883')
    expect(await found('/titles?body=fts.rat')).toBe('404 42883')
    expect(await found('/titles?select=id&title=fts.cat')).toEqual([1, 3])
  })

  it('is not what is hidden, which service alone sees (case 35)', async () => {
    expect(await ids('secret', 'fts.treasure')).toBe('400 42703')
    expect(await ids('secret', 'fts.treasure', { token: 'user-ann' })).toBe('400 42703')
    expect(await ids('secret', 'fts.treasure', { key: 'secret' })).toEqual([1, 2])
    expect(await ids('or', '(secret.not.wfts.treasure)')).toBe('400 42703')
  })

  it('is only of rows that the policy shows', async () => {
    expect(await ids('title', 'fts.hidden')).toEqual([])
    expect(await ids('title', 'not.fts.fat')).toEqual([4])
    expect(await ids('title', 'fts.hidden', { token: 'user-bob' })).toEqual([3])
    expect(await ids('title', 'not.fts.fat', { token: 'user-bob' })).toEqual([3, 4])
    const counted = await ask('/rest/v1/posts?title=fts.cat', {
      method: 'HEAD',
      headers: { prefer: 'count=exact' },
    })
    expect(counted.headers.get('content-range')).toBe('0-0/1')
  })
})

describe('wherever a filter stands', () => {
  it('on embeds, by every kind of key', async () => {
    const embedded = (query: string) => found(`/authors?${query}`)
    expect(
      await found('/authors?select=posts(id)&posts.title=wfts.fat&order=id&posts.order=id'),
    ).toEqual([[{ id: 1 }, { id: 2 }], [{ id: 5 }]])
    expect(await embedded('select=id,posts!inner()&posts.title=fts.cat')).toEqual(['ann'])
    expect(await embedded('select=id,posts!inner()&posts.or=(title.fts.dog,body.fts.mat)')).toEqual(
      ['ann', 'bob'],
    )
    expect(await embedded('select=id,pages!inner()&pages."or \\"der"=fts.rat')).toEqual(['ann'])
    expect(await embedded('select=id,pages!inner()&pages."or \\"der"=not.fts.cat')).toEqual(['ann'])
    expect(await found('/posts?select=id,authors!inner()&authors.bio=fts.poet')).toEqual([1, 2])
    expect(await found('/posts?select=id,authors!inner()&authors.bio=fts.-')).toEqual([])
  })

  it('without an integer key, and in what a function finds', async () => {
    const name = encodeURIComponent('"or \\"der"')
    expect(await found(`/pages?select=no&${name}=fts.fat`)).toEqual(['1'])
    expect(await found(`/pages?select=no&${name}=fts.fat`, { token: 'user-bob' })).toEqual([
      '1',
      '2',
    ])
    expect(await found(`/pages?select=book&${name}=wfts.-fat`)).toEqual(['b'])
    expect(await found(`/rpc/some?select=book&${name}=fts.rat`)).toEqual(['b'])
    expect(await found(`/rpc/some?select=book&${name}=fts.fat`)).toEqual(['a'])
  })

  it('in writes, and beside other filters', async () => {
    expect(await ids('and', '(title.wfts.fat,id.gt.1,or(title.fts.dog,body.is.null))')).toEqual([2])
    const changed = await ask('/rest/v1/posts?title=fts.hidden', {
      method: 'PATCH',
      body: { unsearched: 'x' },
      headers: { prefer: 'return=representation,tx=rollback' },
      token: 'user-bob',
    })
    expect(await changed.json()).toMatchObject([{ id: 3, unsearched: 'x' }])
    const gone = await ask('/rest/v1/posts?title=wfts.-fat&order=id&limit=1', {
      method: 'DELETE',
      headers: { prefer: 'return=representation,tx=rollback' },
    })
    expect(await gone.json()).toMatchObject([{ id: 4 }])
  })

  it('in a batch, also where its text looks like a reference', async () => {
    const path = (query: string) => `/posts?select=id&title=wfts.${encodeURIComponent(query)}`
    const response = await ask('/rest/v1/batch', {
      body: {
        operations: ['fat cat', '{"$ref":"a.id"}'].map((query) => ({
          method: 'GET',
          path: path(query),
        })),
      },
    })
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('[{"id":1}]')
  })

  it('64 of them, and as deep as filters go', async () => {
    const many = Array.from({ length: 63 }, (_, i) => `body.not.wfts.w${i} -x`)
    expect(await ids('not.or', `(${many})`)).toEqual([])
    const deep = `${'and('.repeat(6)}${many.slice(0, 50)}${')'.repeat(6)}`
    expect(await ids('and', `(${deep})`)).toEqual([1, 4, 5])
  })
})

describe('the stock client', () => {
  it.each([
    [undefined, 'fat & cat', [1]],
    ['plain', 'fat cat', [1]],
    ['phrase', 'fat rat', [2]],
    ['websearch', 'fat -cat or dog', [2, 4, 5]],
  ] as const)('searches by type %s', async (type, query, expected) => {
    for (const config of [undefined, 'english']) {
      const options = { ...(type ? { type } : {}), ...(config ? { config } : {}) }
      const { data, error } = await client()
        .from('posts')
        .select('id')
        .textSearch('title', query, options)
        .order('id')
      expect(error).toBeNull()
      expect(data?.map(({ id }) => id)).toEqual(expected)
    }
  })

  it('is told of a wrong one', async () => {
    const { error, status } = await client().from('posts').select('id').textSearch('title', 'a b')
    expect([status, error?.code]).toEqual([400, '42601'])
  })
})
