import { beforeEach, describe, expect, it } from 'vitest'
import { parseCsv } from '../../src/data/csv.ts'
import { alice } from './store.ts'
import { call, client, dump, rows, seed } from './writing-world.ts'

beforeEach(seed)

const full = 'return=representation'
const csv = { 'content-type': 'text/csv' }
const form = { 'content-type': 'application/x-www-form-urlencoded' }
const post = (path: string, body: string, headers: Record<string, string>, method = 'POST') =>
  call(path, { method, token: alice, body, headers, prefer: full })

describe('CSV (RFC 4180)', () => {
  it.each([
    [
      'id,text\n10,a\n11,b',
      [
        { id: 10, text: 'a' },
        { id: 11, text: 'b' },
      ],
    ],
    [
      'id,text\r\n10,a\r\n11,b\r\n',
      [
        { id: 10, text: 'a' },
        { id: 11, text: 'b' },
      ],
    ],
    ['id,text\r10,a\r', [{ id: 10, text: 'a' }]],
    ['text\n"a, ""b""\r\nc"', [{ id: 8, text: 'a, "b"\r\nc' }]],
    ['"text","id"\n"",10', [{ id: 10, text: '' }]],
    [
      'id,text\n10,NULL\n11,"NULL"\n12,null\n13,',
      [
        { id: 10, text: null },
        { id: 11, text: null },
        { id: 12, text: 'null' },
        { id: 13, text: '' },
      ],
    ],
    [
      'text\n\na\n\n""\n',
      [
        { id: 8, text: 'a' },
        { id: 9, text: '' },
      ],
    ],
    ['text\n ü😀 ', [{ id: 8, text: ' ü😀 ' }]],
    ['\ufefftext\na', [{ id: 8, text: 'a' }]],
    ['id,text', []],
    // Of a column named twice the last one counts, for the policy as well.
    ['text,text\na,b', [{ id: 8, text: 'b' }]],
  ])('%j', async (body, expected) => {
    const answer = await post('/plain', body, csv)
    expect([answer.status, answer.body]).toEqual([201, expected])
  })

  it.each([
    '',
    '\n',
    'id,text\n10',
    'id,text\n10,a,b',
    'text\n"a',
    'text\na"b',
    'text\n"a"b',
    'text\n"a""',
    '"text\na',
    'id,text\n10,a\n\n11',
  ])('%j is PGRST102, and nothing is written', async (body) => {
    const before = await dump()
    const answer = await post('/plain', body, csv)
    expect([answer.status, answer.body.code]).toEqual([400, 'PGRST102'])
    expect(await dump()).toBe(before)
  })

  it.each([
    ['nothing\na', 'PGRST204'],
    ['__proto__\na', 'PGRST204'],
    ['constructor\na', 'PGRST204'],
    ['id\nx', '22P02'],
    ['id\n', 'PGRST102x'],
  ])('%j is %s', async (body, code) => {
    const answer = await post('/plain', body, csv)
    if (code.endsWith('x')) expect(answer.body).toEqual([])
    else expect(answer.body.code).toBe(code)
  })

  it('types come from the table, as Postgres reads them', async () => {
    const answer = await post(
      '/bytes?select=id,data,at,big,json',
      'id,data,at,big,json\n\\xaa,\\x0102,2024-01-01T00:00:00Z,12345678901234567890,"{""a"":1}"',
      csv,
    )
    expect(answer.body).toEqual([
      {
        id: '\\xaa',
        data: '\\x0102',
        at: '2024-01-01T00:00:00.000Z',
        big: '12345678901234567890',
        json: '{"a":1}',
      },
    ])
    const note = await post('/notes?select=title,rank,public', 'title,rank,public\nx,1.5,t', csv)
    expect(note.body).toEqual([{ title: 'x', rank: 1.5, public: true }])
  })

  it('changes one row, upserts many, and is bounded by columns', async () => {
    const changed = await post('/plain?id=eq.1', 'text\nnew', csv, 'PATCH')
    expect(changed.body).toEqual([{ id: 1, text: 'new' }])
    expect((await post('/plain?id=eq.1', 'text\na\nb', csv, 'PATCH')).body.code).toBe('PGRST102')
    const put = await post('/plain?id=eq.1', 'id,text\n1,put', csv, 'PUT')
    expect(put.body).toEqual([{ id: 1, text: 'put' }])
    const upsert = await call('/plain?columns=id', {
      token: alice,
      body: 'id,text\n1,x\n50,y',
      headers: csv,
      prefer: `${full}, resolution=merge-duplicates`,
    })
    expect(upsert.body).toEqual([
      { id: 1, text: 'put' },
      { id: 50, text: null },
    ])
  })

  it('10,000 lines', async () => {
    const lines = Array.from({ length: 10_000 }, (_, i) => `${100 + i},"t ""${i}"""`)
    const answer = await call('/plain', {
      token: alice,
      body: `id,text\n${lines.join('\n')}`,
      headers: csv,
    })
    expect(answer.status).toBe(201)
    expect(await rows('SELECT count(*) AS n FROM plain')).toEqual([{ n: 10_003 }])
  })

  it('case 50: is read in linear time, however it is made', () => {
    for (const text of [
      `a\n"${'""'.repeat(500_000)}`,
      `a\n"${'x'.repeat(1_000_000)}`,
      `a\n${'"'.repeat(999_999)}`,
      `a\n${'\n'.repeat(1_000_000)}"`,
    ])
      expect(() => parseCsv(text)).toThrow('invalid csv')
    expect(() => parseCsv(`a${','.repeat(100_000)}\n1`)).toThrow('same number of fields')
  })

  it('what supabase-js reads as CSV can be written as CSV', async () => {
    const { data } = await client(alice).from('plain').select().csv()
    await call('/plain', { method: 'DELETE', token: alice })
    await post('/plain', data as string, csv)
    expect(await rows('SELECT * FROM plain ORDER BY id')).toEqual([
      { id: 1, text: 'one' },
      { id: 2, text: 'two' },
      { id: 7, text: 'seven' },
    ])
  })
})

describe('a form', () => {
  it.each([
    ['text=a', [{ id: 8, text: 'a' }]],
    ['id=10&text=a+b%20c%26%3D%C3%BC', [{ id: 10, text: 'a b c&=ü' }]],
    ['text=', [{ id: 8, text: '' }]],
    ['text', [{ id: 8, text: '' }]],
    ['text=a=b', [{ id: 8, text: 'a=b' }]],
    ['text=NULL', [{ id: 8, text: 'NULL' }]],
    ['text=a&text=b', [{ id: 8, text: 'b' }]],
    ['', [{ id: 8, text: null }]],
  ])('%j', async (body, expected) => {
    const answer = await post('/plain', body, form)
    expect([answer.status, answer.body]).toEqual([201, expected])
  })

  it.each([
    ['text=%', 'PGRST102'],
    ['text=%zz', 'PGRST102'],
    ['text=%ff', 'PGRST102'],
    ['%=a', 'PGRST102'],
    ['text=a&', 'PGRST204'],
    ['nothing=a', 'PGRST204'],
    ['__proto__=a', 'PGRST204'],
    ['id=x', '22P02'],
    ['text=%00', '22P05'],
    ['{"text":"a"}', 'PGRST204'],
  ])('%j is %s, and nothing is written', async (body, code) => {
    const before = await dump()
    const answer = await post('/plain', body, form)
    expect([answer.status, answer.body.code]).toEqual([400, code])
    expect(await dump()).toBe(before)
  })

  it('changes rows, and puts one', async () => {
    expect((await post('/plain?id=gt.1', 'text=new', form, 'PATCH')).body).toHaveLength(2)
    expect((await post('/plain?id=eq.1', 'id=1&text=put', form, 'PUT')).body).toEqual([
      { id: 1, text: 'put' },
    ])
  })
})

it('case 67: the limit holds for each of them', async () => {
  const before = await dump()
  for (const headers of [csv, form]) {
    const answer = await post(
      '/plain',
      `text${headers === csv ? '\n' : '='}${'x'.repeat(11 * 1024 * 1024)}`,
      headers,
    )
    expect([answer.status, answer.body.code]).toEqual([413, 'PT413'])
  }
  expect(await dump()).toBe(before)
})
