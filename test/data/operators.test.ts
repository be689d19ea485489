import { env } from 'cloudflare:workers'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import fc from 'fast-check'
import { data, expose } from 'leanto/data'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { freshDatabase, makeBase, mount } from '../kit/world.ts'
import { people } from './store.ts'

const things = sqliteTable('things', {
  id: integer('id').primaryKey(),
  json: text('json', { mode: 'json' }),
  word: text('word'),
  size: integer('size'),
})
const store = data(makeBase(), {
  identity: people,
  tables: { things: expose(things, { select: () => true }) },
})
const ask = mount({ '/r': store })

beforeAll(() =>
  freshDatabase(
    [store],
    ['CREATE TABLE things (id INTEGER PRIMARY KEY, json TEXT, word TEXT, size INTEGER)'],
  ),
)
beforeEach(() => env.DB.prepare('DELETE FROM things').run())

const fill = (column: 'json' | 'word' | 'size', values: readonly unknown[]) =>
  env.DB.prepare(`INSERT INTO things (id, ${column}) SELECT key + 1, value FROM json_each(?1)`)
    .bind(
      JSON.stringify(
        column === 'json'
          ? values.map((value) => (value === undefined ? null : JSON.stringify(value)))
          : values,
      ),
    )
    .run()

/** The ids that a filter finds, or its error. */
async function find(column: string, test: string): Promise<number[] | string> {
  const response = await ask(
    `/r/things?${new URLSearchParams([
      ['select', 'id'],
      [column, test],
    ])}`,
  )
  const body = (await response.json()) as { id: number }[] & { code: string }
  return response.ok ? body.map(({ id }) => id) : `${response.status} ${body.code}`
}

type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

const isList = (value: Json): value is Json[] => Array.isArray(value)
const isObject = (value: Json): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !isList(value)

/** jsonb's `@>`. */
function contains(whole: Json, part: Json, top = true): boolean {
  if (isObject(whole) && isObject(part))
    return Object.entries(part).every(
      ([key, value]) => Object.hasOwn(whole, key) && contains(whole[key] as Json, value, false),
    )
  if (isList(whole) && isList(part))
    return part.every((value) => whole.some((one) => contains(one, value, false)))
  if (isList(whole) && !isObject(part) && top) return whole.some((one) => one === part)
  return !isObject(whole) && !isList(whole) && whole === part
}

const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    fc.constantFrom<Json>('a', 'b', '1', 1, 2, 1.5, true, false, null, ''),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'x y', '"'), tie('value'), { maxKeys: 3 }),
  ),
})).value

describe('cs and cd are jsonb’s containment', () => {
  it.each([
    ['cs.{"a":1}', [1, 2]],
    ['cs.{"a":1,"b":{"c":[2]}}', [2]],
    ['cs.["x"]', [3]],
    ['cs.{x,y}', [3]],
    ['cs."x"', [3]],
    ['cs.[]', [3, 4, 8]],
    ['cs.{}', [1, 2, 3, 4, 8]],
    ['cs.{1}', [4, 8]],
    ['cs.{"1"}', [4, 8]],
    ['cs.[1]', [4, 8]],
    ['cs.["1"]', []],
    ['cs.[[2]]', [8]],
    ['cs.null', [7]],
    ['cd.{"a":1,"z":0}', [1]],
    ['cd.["x","y","z"]', [3]],
    ['cd.{x,y,z}', [3]],
    ['cd.[1,2]', [4, 6]],
    ['ov.{y,q}', [3]],
    ['ov.{1,q}', [4, 8]],
    ['ov.[1]', [4, 8]],
    ['ov.["1"]', []],
    ['ov.{}', []],
    ['not.cs.{"a":1}', [3, 4, 6, 7, 8]],
    ['cs.{"a":', '400 22P02'],
    ['cs.nonsense', '400 22P02'],
    ['ov.{"a":1}', '400 22P02'],
    [`cs.${JSON.stringify(Array.from({ length: 65 }, (_, i) => i))}`, '400 54000'],
    [`cs.${'['.repeat(10)}${']'.repeat(10)}`, '400 54000'],
  ] as const)('%s', async (test, ids) => {
    const nested = [1, [2, 3]]
    await fill('json', [
      { a: 1 },
      { a: 1, b: { c: [1, 2] } },
      ['x', 'y'],
      [1, 2],
      undefined,
      1,
      null,
      nested,
    ])
    expect(await find('json', test)).toEqual(ids)
  })

  it('random values, against a model', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(json, { minLength: 8, maxLength: 8 }),
        fc.array(json, { minLength: 6, maxLength: 6 }),
        async (stored, operands) => {
          await env.DB.prepare('DELETE FROM things').run()
          await fill('json', stored)
          for (const operand of operands) {
            const literal = JSON.stringify(operand)
            // `{}` is also Postgres’s empty array.
            if (literal === '{}') continue
            const ids = (holds: (value: Json) => boolean) =>
              stored.flatMap((value, i) => (holds(value) ? [i + 1] : []))
            expect([literal, await find('json', `cs.${literal}`)]).toEqual([
              literal,
              ids((value) => contains(value, operand)),
            ])
            expect([literal, await find('json', `cd.${literal}`)]).toEqual([
              literal,
              ids((value) => contains(operand, value)),
            ])
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  it('is asked of JSON alone', async () => {
    for (const [column, operator] of [
      ['word', 'cs.{a}'],
      ['size', 'ov.{1}'],
      ['json->>a', 'cd.{a}'],
      ['size', 'sl.[1,2]'],
      ['word', 'adj.[1,2]'],
    ] as const)
      expect([column, operator, await find(column, operator)]).toEqual([
        column,
        operator,
        '404 42883',
      ])
  })

  it('35: of what is no JSON nothing is asked', async () => {
    await env.DB.prepare(`INSERT INTO things (id, json) VALUES (1, '{oops'), (2, '[1]')`).run()
    expect(await find('json', 'cs.[1]')).toEqual([2])
    expect(await find('json', 'not.cs.[2]')).toEqual([2])
  })
})

describe('any and all', () => {
  it.each([
    ['size', 'eq(any).{1,3}', [1, 3]],
    ['size', 'eq(all).{1}', [1]],
    ['size', 'gt(any).{2,4}', [3, 4, 5]],
    ['size', 'gt(all).{2,4}', [5]],
    ['size', 'lte(all).{2,4}', [1, 2]],
    ['size', 'not.gt(any).{2,4}', [1, 2]],
    ['size', 'gt(any).{}', []],
    ['size', 'gt(all).{}', [1, 2, 3, 4, 5, 6]],
    ['size', 'gt(any).{x}', '400 22P02'],
    ['size', 'neq(any).{1}', '400 PGRST100'],
    ['size', 'eq(some).{1}', '400 PGRST100'],
    ['size', 'eq(any).1', '400 PGRST100'],
    ['size', 'like(any).{1}', '404 42883'],
  ] as const)('%s %s', async (column, test, ids) => {
    await fill('size', [1, 2, 3, 4, 5, null])
    expect(await find(column, test)).toEqual(ids)
  })

  it('of patterns', async () => {
    await fill('word', ['apple', 'Avocado', 'banana', null])
    expect(await find('word', 'like(any).{a*,b*}')).toEqual([1, 3])
    expect(await find('word', 'like(all).{*a*,*n*}')).toEqual([3])
    expect(await find('word', 'ilike(any).{a*}')).toEqual([1, 2])
    expect(await find('word', 'match(any).{^a,a$}')).toEqual([1, 3])
    expect(await find('word', 'not.like(any).{a*,b*}')).toEqual([2])
    expect(await find('word', `like(any).{${Array.from({ length: 51 }, () => 'a')}}`)).toBe(
      '400 54000',
    )
  })

  it('500 values are one parameter, and find by the index', async () => {
    await fill(
      'size',
      Array.from({ length: 1000 }, (_, i) => i),
    )
    await env.DB.prepare('CREATE INDEX things_size ON things (size)').run()
    const values = Array.from({ length: 500 }, (_, i) => i * 2).join()
    expect(await find('size', `in.(${values})`)).toHaveLength(500)
    expect(await find('size', `eq(any).{${values}}`)).toHaveLength(500)
    expect(await find('size', `gt(all).{${values}}`)).toHaveLength(1)
    const local = mount({ '/r': store }, 'http://localhost:8787')
    const accept = 'application/vnd.pgrst.plan+text'
    for (const test of ['in.(1,2)', 'eq(any).{1,2}']) {
      const plan = await (
        await local(`/r/things?select=id&size=${test}`, { headers: { accept } })
      ).text()
      expect(plan).toMatch(/SEARCH things USING (COVERING )?INDEX things_size/)
    }
    await env.DB.prepare('DROP INDEX things_size').run()
  })
})

describe('match and imatch', () => {
  const words = [
    'apple',
    'Apple',
    'a',
    '',
    'ab',
    'abc',
    'a.c',
    'a*c',
    'a[c',
    'a]c',
    'a^c',
    'a-c',
    'a?c',
    '123',
    '12a',
    'x y',
    'über',
    'foo_bar',
    'a\nb',
    '-',
    '^',
    'aab',
    'b',
  ]

  it.each([
    'a',
    '^a',
    'e$',
    '^a$',
    '^$',
    '',
    'a.c',
    'a\\.c',
    '^a.*c$',
    'a.+c',
    '^ab?$',
    '^ab{0,1}c?$',
    '^[0-9]+$',
    '^[^0-9]*$',
    '^\\d{3}$',
    '^\\w+$',
    '\\s',
    '^[[:alpha:]]+$',
    '[a-c]b',
    '(foo|app)',
    '^(a|ab)c?$',
    'foo|12',
    '[*]',
    '[[]',
    'a[]]c',
    'a[\\^]c',
    '[-x]',
    'a[?*.]c',
    '^[a-z_]+$',
    'a+b',
    'ab*',
    '^.{3}$',
    '^.{2,3}$',
    '^..?$',
    'p{2}',
    '(?:ab)c',
    '\\*',
    '^\\S+$',
    '^a*?',
    '^[^a]',
    '[a^]',
    '^[-^]$',
  ])('%s', async (pattern) => {
    await fill('word', words)
    const regex = new RegExp(
      pattern
        .replace('[[:alpha:]]', '[a-zA-Z]')
        .replace('[]]', '[\\]]')
        .replace(/^\[\[\]$/, '[[]'),
      's',
    )
    const expected = words.flatMap((word, i) => (regex.test(word) ? [i + 1] : []))
    expect(await find('word', `match.${pattern}`)).toEqual(expected)
    const folded = new RegExp(regex.source, 'si')
    expect(await find('word', `imatch.${pattern}`)).toEqual(
      words.flatMap((word, i) => (folded.test(word) ? [i + 1] : [])),
    )
  })

  it('50: what is no expression is 2201B, what cannot be is PGRST127, and nothing runs', async () => {
    for (const pattern of ['(', ')', '[', 'a{2,1}', '*', 'a**', '[z-a]', '\\', '[[:nope:]]', 'a)'])
      expect([pattern, await find('word', `match.${pattern}`)]).toEqual([pattern, '400 2201B'])
    for (const pattern of [
      '(a+)+$',
      '(ab)*',
      '(?=a)',
      '(?<!a)',
      '\\b',
      '(a)\\1',
      'a[b]*c',
      '(a|b){9}',
      'a$b',
      `${'(a|b)'.repeat(9)}`,
      'x'.repeat(501),
    ])
      expect([pattern, await find('word', `match.${pattern}`)]).toEqual([pattern, '400 PGRST127'])
    expect(await find('word', `match.${'a'.repeat(60)}`)).toBe('400 54000')
    expect(await find('word', 'imatch.É')).toBe('400 PGRST127')
    expect(await find('word', 'match.É')).toEqual([])
    expect(await find('size', 'match.a')).toBe('404 42883')
  })

  it('random expressions, against the language’s own', { timeout: 60_000 }, async () => {
    const atom = fc.oneof(
      fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\d', '[a-c]', '1'),
      fc.constantFrom('a?', 'b?', '.?', '.*', '.+', 'a{2}', '[ab]{1,2}'),
    )
    const pattern = fc
      .tuple(
        fc.constantFrom('', '^'),
        fc.array(atom, { minLength: 1, maxLength: 4 }),
        fc.constantFrom('', '$'),
        fc.option(fc.constantFrom('a', '^b', '1$')),
      )
      .map(
        ([start, atoms, end, other]) =>
          start + atoms.join('') + end + (other === null ? '' : `|${other}`),
      )
    const subjects = [
      '',
      'a',
      'b',
      'ab',
      'ba',
      'aab',
      'abc',
      '1',
      'a1',
      '1b',
      'cab',
      'bb1',
      'aaaa',
      'a\nb',
      'é',
    ]
    await fill('word', subjects)
    await fc.assert(
      fc.asyncProperty(pattern, async (text) => {
        const regex = new RegExp(text, 'su')
        const found = await find('word', `match.${text}`)
        if (typeof found === 'string') return expect(found).toMatch(/PGRST127|54000/)
        expect([text, found]).toEqual([
          text,
          subjects.flatMap((word, i) => (regex.test(word) ? [i + 1] : [])),
        ])
      }),
      { numRuns: 300 },
    )
  })
})
