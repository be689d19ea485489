import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { alice, call, client, fresh } from './store.ts'

const ids = async (path: string, token = alice) => {
  const { status, body } = await call(path, { token })
  expect({ path, status, body }).toMatchObject({ status: 200 })
  return body.map(({ id }: { id: unknown }) => id)
}

const q = encodeURIComponent

/** Three rows of each type: a low one, a high one, and one that is null throughout. */
const kindsSql = `INSERT INTO kinds
    (id, words, colour, short, whole, fraction, exact, amount, huge, flag, seconds, millis, json, blob_json, bytes, big)
  VALUES
    ('a', 'apple', 'blue', 'ab', -1, -0.5, '1.25', 1.25, '10', 0, 0, 0, '{"k":1}', CAST('[1,2]' AS BLOB), x'00ff', CAST('5' AS BLOB)),
    ('b', 'Berry', 'red', 'cd', 10, 2.5, '9.5', 9.5, '900', 1, 86400, 86400500, '"text"', CAST('7' AS BLOB), x'ff', CAST('50' AS BLOB)),
    ('n', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`

describe('operators by column type', () => {
  beforeAll(async () => {
    await fresh()
    await env.DB.prepare(kindsSql).run()
  })

  const ordered: [column: string, low: string, high: string][] = [
    ['words', 'Berry', 'apple'], // as the C collation has it: upper case before lower
    ['colour', 'blue', 'red'],
    ['short', 'ab', 'cd'],
    ['whole', '-1', '10'],
    ['fraction', '-0.5', '2.5'],
    ['exact', '1.25', '9.5'],
    ['amount', '1.25', '9.5'],
    ['huge', '10', '900'],
    ['flag', 'false', 'true'],
    ['seconds', '1970-01-01T00:00:00Z', '1970-01-02T00:00:00Z'],
    ['millis', '1970-01-01', '1970-01-02T00:00:00.5Z'],
    ['bytes', '\\x00ff', '\\xff'],
    ['double', '-2', '20'],
  ]
  it.each(ordered)('%s: eq neq gt gte lt lte isdistinct in', async (column, low, high) => {
    const [l, h] = column === 'words' ? ['b', 'a'] : ['a', 'b']
    const find = (filter: string) => ids(`/kinds?select=id&order=id&${column}=${q(filter)}`)
    const both = ['a', 'b']
    expect(await find(`eq.${low}`)).toEqual([l])
    expect(await find(`neq.${low}`)).toEqual([h])
    expect(await find(`not.eq.${low}`)).toEqual([h])
    expect(await find(`gt.${low}`)).toEqual([h])
    expect(await find(`gte.${low}`)).toEqual(both)
    expect(await find(`lt.${high}`)).toEqual([l])
    expect(await find(`lte.${high}`)).toEqual(both)
    expect(await find(`not.lte.${low}`)).toEqual([h])
    expect(await find(`isdistinct.${low}`)).toEqual([h, 'n'].sort())
    expect(await find(`not.isdistinct.${low}`)).toEqual([l])
    expect(await find(`in.("${low.replaceAll('\\', '\\\\')}")`)).toEqual([l])
    expect(await find(`in.(${low},"${high.replaceAll('\\', '\\\\')}")`)).toEqual(both)
    expect(await find(`not.in.(${high})`)).toEqual([l])
    expect(await find('is.null')).toEqual(['n'])
    expect(await find('not.is.null')).toEqual(both)
    expect(await find('is.not_null')).toEqual(both)
  })

  const unordered: [column: string, low: string, high: string][] = [
    ['json', '{ "k": 1 }', '"text"'],
    ['blob_json', '[1, 2]', '7'],
    ['big', '5', '50'],
  ]
  it.each(unordered)('%s: equality only', async (column, low, high) => {
    const find = (filter: string) => ids(`/kinds?select=id&order=id&${column}=${q(filter)}`)
    const quoted = (text: string) => `"${text.replaceAll('"', '\\"')}"`
    expect(await find(`eq.${low}`)).toEqual(['a'])
    expect(await find(`neq.${low}`)).toEqual(['b'])
    expect(await find(`isdistinct.${low}`)).toEqual(['b', 'n'])
    expect(await find(`in.(${quoted(low)},${quoted(high)})`)).toEqual(['a', 'b'])
    expect(await find(`in.(${quoted(high)})`)).toEqual(['b'])
    expect(await find('in.()')).toEqual([])
    expect(await find('is.null')).toEqual(['n'])
    for (const operator of ['gt', 'gte', 'lt', 'lte'])
      expect(await call(`/kinds?${column}=${operator}.${q(low)}`)).toMatchObject({
        status: 404,
        body: { code: '42883' },
      })
  })

  it('is.true, is.false and is.unknown ask booleans only', async () => {
    const find = (filter: string) => ids(`/kinds?select=id&order=id&flag=${filter}`)
    expect(await find('is.true')).toEqual(['b'])
    expect(await find('is.false')).toEqual(['a'])
    expect(await find('is.unknown')).toEqual(['n'])
    expect(await find('not.is.true')).toEqual(['a', 'n'])
    expect(await find('is.TRUE')).toEqual(['b'])
    expect(await call('/kinds?whole=is.true')).toMatchObject({
      status: 400,
      body: { code: '22P02' },
    })
    expect(await call('/kinds?flag=is.5')).toMatchObject({
      status: 400,
      body: { code: 'PGRST100' },
    })
  })

  it('like is for text', async () => {
    for (const column of ['whole', 'fraction', 'flag', 'millis', 'json', 'bytes', 'exact'])
      expect(await call(`/kinds?${column}=like.*1*`)).toMatchObject({
        status: 404,
        body: {
          code: '42883',
          message: expect.stringMatching(/^operator does not exist: [a-z ]+ ~~ unknown$/),
          hint: expect.any(String),
        },
      })
  })

  it.each([
    ['whole', '1.5'],
    ['whole', ''],
    ['whole', 'one'],
    ['whole', '1;2'],
    ['whole', '0x10'],
    ['fraction', 'NaN'],
    ['fraction', '1,5'],
    ['flag', 'maybe'],
    ['flag', '2'],
    ['json', '{'],
    ['bytes', 'ff'],
    ['bytes', '\\xf'],
    ['big', '1e5'],
    ['exact', 'ten'],
    ['huge', '1.5'],
  ])('%s=eq.%s is 22P02', async (column, value) => {
    const { status, body } = await call(`/kinds?${column}=eq.${q(value)}`)
    expect({ status, body }).toMatchObject({
      status: 400,
      body: { code: '22P02', message: expect.stringContaining('invalid input syntax for type') },
    })
  })

  it.each([
    ['whole', '9007199254740993', '22003'],
    ['fraction', '1e400', '22003'],
    ['big', '9'.repeat(2000), '22003'],
    ['exact', '1e999', '22003'],
    ['millis', 'yesterday', '22007'],
    ['millis', '2026-02-30', '22008'],
    ['millis', '2026-13-01', '22008'],
    ['millis', '2026-01-01T25:00:00', '22008'],
    ['words', 'a\0b', '22P05'],
  ])('%s=eq.%s is %s', async (column, value, code) => {
    expect(await call(`/kinds?${column}=eq.${q(value)}`)).toMatchObject({
      status: 400,
      body: { code },
    })
  })

  it('compares an instant exactly, also with a column of whole seconds', async () => {
    const find = (filter: string) => ids(`/kinds?select=id&order=id&seconds=${q(filter)}`)
    expect(await find('lt.1970-01-01T00:00:00.5Z')).toEqual(['a'])
    expect(await find('eq.1970-01-01T00:00:00.5Z')).toEqual([])
    expect(await find('eq.1970-01-01T01:00:00+01:00')).toEqual(['a'])
  })

  it('a row of the host that is no JSON is readable and equals nothing', async () => {
    await env.DB.prepare(`INSERT INTO kinds (id, json) VALUES ('z', '{broken')`).run()
    expect(await ids(`/kinds?select=id&json=eq.${q('{"k":1}')}`)).toEqual(['a'])
    expect((await call('/kinds?select=json&id=eq.z')).body).toEqual([{ json: '{broken' }])
    await env.DB.prepare(`DELETE FROM kinds WHERE id = 'z'`).run()
  })

  it('in() takes no value, one, and 500', async () => {
    expect(await ids('/kinds?select=id&id=in.()')).toEqual([])
    expect(await ids('/kinds?select=id&id=not.in.()&order=id')).toEqual(['a', 'b', 'n'])
    expect(await ids('/kinds?select=id&whole=in.(10)')).toEqual(['b'])
    const many = Array.from({ length: 500 }, (_, i) => i)
    expect(await ids(`/kinds?select=id&whole=in.(${many})`)).toEqual(['b'])
    const hex = many.map((i) => `"\\\\x${i.toString(16).padStart(4, '0')}"`)
    expect(await ids(`/kinds?select=id&bytes=in.(${q(hex.join())})`)).toEqual(['a'])
    expect(await ids(`/kinds?select=id&json=in.(${many},"\\"text\\"")`)).toEqual(['b'])
  })
})

describe('values', () => {
  const texts = [
    'plain',
    'with, comma',
    'with "quotes"',
    'back\\slash',
    '(parens)',
    'dots.and.more',
    'a:b::c',
    'ümläut 圍棋 👩‍👩‍👧',
    'per%cent_under*star',
    '[brackets] {braces} ^$?',
    "it's; DROP TABLE notes; --",
    ' spaces ',
    'null',
    '&amp=1#hash+plus/slash',
    'not.eq.5',
    '"',
    '\\',
    ',',
    ')',
    '\n\t\r',
  ]
  beforeAll(async () => {
    await fresh()
    await env.DB.batch(
      texts.map((text, i) =>
        env.DB.prepare('INSERT INTO comments (id, note_id, text) VALUES (?, 0, ?)').bind(i, text),
      ),
    ).catch(async () => {
      await env.DB.prepare(
        `INSERT INTO notes (id, owner_id, title) VALUES (0, 'alice', 'host')`,
      ).run()
      await env.DB.batch(
        texts.map((text, i) =>
          env.DB.prepare('INSERT INTO comments (id, note_id, text) VALUES (?, 0, ?)').bind(i, text),
        ),
      )
    })
  })

  const quote = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`

  it.each(texts.map((text, i) => [JSON.stringify(text), i, text] as const))(
    '%s is found by eq, in, or, like',
    async (_, i, text) => {
      const found = (query: string) => ids(`/comments?select=id&${query}`)
      expect(await found(`text=eq.${q(text)}`)).toEqual([i])
      expect(await found(`text=in.(${q(quote(text))})`)).toEqual([i])
      expect(await found(`or=(text.eq.${q(quote(text))},id.eq.-1)`)).toEqual([i])
      expect(await found(`or=(id.eq.-1,and(text.in.(${q(quote(text))}),id.eq.${i}))`)).toEqual([i])
      const literal = text.replace(/[\\%_]/g, '\\$&').replaceAll('*', '\\*')
      expect(await found(`text=like.${q(literal)}`)).toEqual([i])
      expect(await found(`text=ilike.${q(literal.toUpperCase())}`)).toEqual([i])
      const { data } = await client().from('comments').select('id').eq('text', text)
      expect(data).toEqual([{ id: i }])
      const many = await client().from('comments').select('id').in('text', [text, 'absent'])
      expect(many.data).toEqual([{ id: i }])
    },
  )
})

describe('like and ilike', () => {
  const long = 'a-long-word-'.repeat(20)
  const texts = [
    'hello',
    'Hello World',
    '100% sure',
    'snake_case',
    'back\\slash',
    'star*',
    'q?mark',
    '[set]',
    'GRÖSSE',
    'größe',
    'ΑΒΓ ΣΟΦΙΑ',
    'Ж',
    long,
    '',
  ]
  beforeAll(async () => {
    await fresh()
    await env.DB.batch(
      texts.map((text) => env.DB.prepare('INSERT INTO lines (text) VALUES (?)').bind(text)),
    )
  })
  const found = async (operator: string, pattern: string) =>
    (await call(`/lines?text=${operator}.${q(pattern)}`)).body.map(
      (row: { text: string }) => row.text,
    )

  it.each([
    ['like', 'hello', ['hello']],
    ['like', 'Hello*', ['Hello World']],
    ['like', 'h%', ['hello']],
    ['like', '%o', ['hello']],
    ['like', '*World', ['Hello World']],
    ['like', '%lo W%', ['Hello World']],
    ['like', 'h_llo', ['hello']],
    ['like', '_____', ['hello', 'star*', '[set]', 'größe']],
    ['like', 'h%l%o', ['hello']],
    ['like', '', ['']],
    ['like', '%', texts],
    ['like', '%%**%', texts],
    ['like', '%\\%%', ['100% sure']],
    ['like', '%\\_%', ['snake_case']],
    ['like', 'snake\\_c_se', ['snake_case']],
    ['like', 'snake\\-c_se', []],
    ['like', '%\\\\%', ['back\\slash']],
    ['like', 's_ar\\*', ['star*']],
    ['like', '%?m_rk', ['q?mark']],
    ['like', '[s_t]', ['[set]']],
    ['like', '[s%', ['[set]']],
    ['like', 'gr_ße', ['größe']],
    ['ilike', 'HELLO', ['hello']],
    ['ilike', 'hello*', ['hello', 'Hello World']],
    ['ilike', '%WORLD', ['Hello World']],
    ['ilike', '%O w%', ['Hello World']],
    ['ilike', 'H_LL%', ['hello', 'Hello World']],
    ['ilike', '100\\% _ure', ['100% sure']],
    ['ilike', 'GRÖ%', ['GRÖSSE', 'größe']],
    ['ilike', '%öss%', ['GRÖSSE']],
    ['ilike', 'gr_SSE', ['GRÖSSE']],
    ['ilike', 'g%ö%e', ['GRÖSSE', 'größe']],
    ['ilike', '%σοφι%', ['ΑΒΓ ΣΟΦΙΑ']],
    ['ilike', 'ж', ['Ж']],
    ['ilike', '%', texts],
  ])('%s.%s', async (operator, pattern, expected) => {
    expect(await found(operator, pattern)).toEqual(expected)
  })

  it('case 48: a pattern of one piece may be of any length; one of many pieces is bounded', async () => {
    expect(await found('like', long)).toEqual([long])
    expect(await found('like', `${long}%`)).toEqual([long])
    expect(await found('like', `%${long.slice(3)}`)).toEqual([long])
    expect(await found('like', `%${long.slice(3, -3)}%`)).toEqual([long])
    expect(await found('ilike', `%${long.slice(3, -3).toUpperCase()}%`)).toEqual([long])
    expect(await found('ilike', `%${'größenverhältnisse'.repeat(5)}%`)).toEqual([])
    for (const pattern of ['a%'.repeat(5000), 'a_'.repeat(30), `${'x'.repeat(60)}%y`])
      for (const operator of ['like', 'ilike'])
        expect(await call(`/lines?text=${operator}.${q(pattern)}`)).toMatchObject({
          status: 400,
          body: { code: '54000', hint: expect.any(String) },
        })
    const alphabet = Array.from({ length: 40 }, (_, i) => String.fromCodePoint(0x430 + i)).join('')
    expect(await call(`/lines?text=ilike.${q(alphabet)}`)).toMatchObject({
      status: 400,
      body: { code: '54000' },
    })
  })

  it('a pattern must not end within an escape', async () => {
    expect(await call(`/lines?text=like.${q('a\\')}`)).toMatchObject({
      status: 400,
      body: { code: '22025' },
    })
  })

  it('not.like and the stock client', async () => {
    expect(await found('not.like', '%e%')).not.toContain('hello')
    const { data } = await client().from('lines').select('text').ilike('text', '%WORLD%')
    expect(data).toEqual([{ text: 'Hello World' }])
  })
})

describe('logic', () => {
  beforeAll(async () => {
    await fresh()
    await env.DB.prepare(kindsSql).run()
  })
  it.each([
    ['or=(id.eq.a,id.eq.b)', ['a', 'b']],
    ['or=(id.eq.a,and(whole.gt.5,flag.is.true))', ['a', 'b']],
    ['and=(id.neq.a,id.neq.b)', ['n']],
    ['not.or=(id.eq.a,id.eq.b)', ['n']],
    ['not.and=(id.eq.a,whole.eq.-1)', ['b', 'n']],
    ['or=(id.not.in.(a,b),whole.not.gt.0)', ['a', 'n']],
    ['or=(not.and(id.eq.a,whole.eq.-1),id.eq.a)', ['a', 'b', 'n']],
    ['and=(or(id.eq.a,id.eq.n),not.or(id.eq.n,id.eq.b))', ['a']],
    ['or=( id.eq.a, id.eq.b)', ['a', 'b']],
    ['or=(id.eq.a)&or=(whole.eq.-1,whole.eq.10)', ['a']],
    ['id=neq.n&whole=gt.0', ['b']],
    ['whole=gt.-5&whole=lt.5', ['a']],
    ['or=("id".eq."a")', ['a']],
    ['or=(id.isdistinct.a)', ['b', 'n']],
    ['or=(words.ilike.APP*,words.like.B%25)', ['a', 'b']],
    [`or=(and(${'and('.repeat(6)}id.eq.a${')'.repeat(6)}))`, ['a']],
  ])('%s', async (query, expected) => {
    expect(await ids(`/kinds?select=id&order=id&${query}`)).toEqual(expected)
  })

  it.each([
    'or=id.eq.a',
    'or=(id.eq.a',
    'or=(id.eq.a))',
    'or=()',
    'or=(id)',
    'or=(id.eq)',
    'or=(id.eq.a,)',
    'or=(,id.eq.a)',
    'or=(id.xx.a)',
    'or=(id.eq."a)b"',
    'or=(id.in.a)',
    'not.or=',
    'id=eq',
    'id=a',
    'id=',
    'id=xx.a',
    'id=EQ.a',
    'id=in.a',
    'id=in.(a',
    'id=in.(a))',
    'id=not.not.eq.a',
    'unknown=1',
    `or=${'(and'.repeat(9)}(id.eq.a)${')'.repeat(9)}`,
  ])('%s is PGRST100, with the place', async (query) => {
    const { status, body } = await call(`/kinds?${query}`)
    expect({ status, body }).toMatchObject({ status: 400, body: { code: 'PGRST100' } })
    expect(body.details).toEqual(expect.any(String))
  })

  it.each([
    'id=fts.a',
    'id=cs.{a}',
    'id=match.^a',
    'id=eq(any).{a}',
    'json->k=eq.1',
    'id=wfts(x).a',
  ])('%s is not here, and says so', async (query) => {
    expect(await call(`/kinds?${query}`)).toMatchObject({ status: 400, body: { code: 'PGRST127' } })
  })

  it('64 terms pass, 65 do not (case 49)', async () => {
    const terms = (count: number) =>
      Array.from({ length: count }, (_, i) => `whole=not.eq.${i + 50}`)
    expect(await ids(`/kinds?select=id&order=id&${terms(64).join('&')}`)).toEqual(['a', 'b'])
    expect(await call(`/kinds?${terms(65).join('&')}`)).toMatchObject({
      status: 400,
      body: { code: 'PGRST100', message: 'too many filters (65)' },
    })
    const deep = Array.from({ length: 63 }, (_, i) => `words.not.ilike.*ß${i}ü*`)
    expect(await ids(`/kinds?select=id&order=id&not.or=(${deep})`)).toEqual([])
    const mixed = Array.from({ length: 57 }, (_, i) => `json.neq.${i + 50}`)
    expect(await ids(`/kinds?select=id&and=(${'and('.repeat(6)}${mixed}${')'.repeat(6)})`)).toEqual(
      ['a', 'b'],
    )
  })
})

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
    expect((await call('/kinds?order=json->k')).body.code).toBe('PGRST127')
    expect((await call('/kinds?order=notes(id)')).body.code).toBe('PGRST200')
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
      const differing = ['content-length', 'x-d1-bookmark']
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
      ['"leanto:ok":id', { 'leanto:ok': 1 }],
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
    ['id::text', 'PGRST127'],
    ['a:id::text', 'PGRST127'],
    ['meta->tags', 'PGRST127'],
    ['id.sum()', 'PGRST127'],
    ['...comments(id)', 'PGRST127'],
    ['comments(id)', 'PGRST200'],
    ['x:comments!inner(id)', 'PGRST200'],
    ['count()', 'PGRST200'],
  ])('select=%s is %s', async (select, code) => {
    const { status, body } = await read(`select=${q(select)}`)
    expect([status, body.code]).toEqual([400, code])
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

  it('handling=strict refuses what it does not know; tx=rollback would have to keep nothing', async () => {
    expect(await read('', { prefer: 'handling=strict, anything=1, count=exact' })).toMatchObject({
      status: 400,
      body: { code: 'PGRST122', details: 'Invalid preferences: anything=1' },
    })
    expect((await read('', { prefer: 'handling=strict, count=exact' })).status).toBe(200)
    expect((await read('', { prefer: 'tx=rollback' })).body.code).toBe('PGRST127')
    expect((await read('', { prefer: 'tx=commit' })).status).toBe(200)
  })
})
