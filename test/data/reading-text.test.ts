import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { ids } from './kinds.ts'
import { call, client, fresh } from './store.ts'

const q = encodeURIComponent

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
