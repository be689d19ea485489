import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { machine, seed } from './intact.ts'
import { alice, call, stored } from './store.ts'

const q = encodeURIComponent

beforeEach(seed)
afterEach(() => vi.restoreAllMocks())

describe('SQL injection (cases 47, 51)', () => {
  const pieces = [
    "'",
    '"',
    '`',
    ';',
    '--',
    '/*',
    '*/',
    '\\',
    ')',
    '(',
    ',',
    '.',
    ':',
    '::',
    '->',
    '->>',
    '*',
    '%',
    '_',
    '?',
    '?1',
    '$1',
    '@a',
    '#',
    '=',
    ' ',
    '\t',
    '\n',
    '\0',
    '\x7f',
    'ü',
    '\u2028',
    '👩',
    ' OR 1=1',
    ' UNION SELECT 1',
    'DROP TABLE notes',
    "x'00'",
    'rowid',
    'sqlite_master',
    'excluded.title',
    'notes',
    'id',
    'title',
    'secret',
    'not.',
    'eq.',
    'in.(',
    'is.null',
    'and(',
    'or(',
    '1e999',
    'NULL',
    'leanto:ok',
    '__proto__',
    '[',
    '{',
    '\ufffd',
    '!inner',
    '...',
    '..',
  ]
  let state = 42
  const below = (max: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return Math.floor((state / 0x80000000) * max)
  }
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const noise = () => Array.from({ length: 1 + below(6) }, () => pick(pieces)).join('')
  const quoted = () => (below(2) ? noise() : `"${noise().replace(/["\\]/g, '\\$&')}"`)
  const operators = ['eq', 'neq', 'gt', 'lt', 'like', 'ilike', 'in', 'is', 'isdistinct', 'xx']
  const columns = ['id', 'title', 'done', 'rank', 'meta', 'created_at', 'score']
  const filterOf = () =>
    `${below(2) ? 'not.' : ''}${pick(operators)}.${below(3) ? quoted() : `(${quoted()},${quoted()})`}`

  const shapes: (() => [path: string, options?: object])[] = [
    () => [`/notes?select=${q(quoted())}`],
    () => [`/notes?select=${q(`${quoted()}:${pick(columns)}`)},id`],
    () => [`/notes?select=${q(`"${noise().replace(/["\\]/g, '\\$&')}":title`)}`],
    () => [`/notes?${q(quoted())}=eq.1`],
    () => [`/notes?${pick(columns)}=${q(filterOf())}`],
    () => [`/notes?title=${q(`${pick(['eq', 'like', 'ilike'])}.${noise()}`)}`],
    () => [`/notes?title=in.(${q(quoted())},${q(quoted())})`],
    () => [`/notes?or=(${q(`${pick(columns)}.${filterOf()}`)},id.eq.1)`],
    () => [`/notes?and=${q(noise())}`],
    () => [`/notes?order=${q(`${quoted()}.desc`)}`],
    () => [`/notes?order=id.${q(noise())}`],
    () => [`/notes?limit=${q(noise())}`],
    () => [`/notes?offset=${q(noise())}`],
    () => [`/${q(noise())}`],
    () => [`/notes?columns=${q(quoted())}`, { body: { title: 'x' } }],
    () => [
      `/notes?on_conflict=${q(quoted())}`,
      { body: { title: 'x' }, prefer: 'resolution=merge-duplicates' },
    ],
    () => ['/notes', { body: { [noise()]: noise() } }],
    () => ['/notes', { body: { title: noise(), body: noise() }, prefer: 'return=representation' }],
    () => ['/notes', { body: { title: noise(), id: below(1e9) }, prefer: 'return=headers-only' }],
    () => [
      '/kinds',
      {
        body: {
          [pick(['whole', 'fraction', 'flag', 'millis', 'bytes', 'big', 'json', 'exact'])]: noise(),
        },
      },
    ],
    () => [
      `/notes?id=eq.1&select=${q(`${quoted()}:title`)}`,
      { method: 'PATCH', body: { body: noise() }, prefer: 'return=representation' },
    ],
    () => [`/notes?title=${q(filterOf())}&id=eq.0`, { method: 'DELETE' }],
    () => [`/tags?name=eq.${q(noise())}`, { method: 'PUT', body: { name: noise() } }],
    () => ['/notes', { headers: { prefer: `return=${noise().replace(/[^\x20-\x7e]/g, '')}` } }],
    () => ['/notes', { headers: { accept: noise().replace(/[^\x20-\x7e]/g, '') } }],
    () => ['/notes', { headers: { range: noise().replace(/[^\x20-\x7e]/g, '') } }],
    () => ['/notes', { headers: { 'accept-profile': noise().replace(/[^\x20-\x7e]/g, '') } }],
  ]

  it('4,000 random strings: never 5xx, never a word of the machine, never another’s row', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    const statuses = new Map<number, number>()
    for (let i = 0; i < 4000; i++) {
      const [path, options] = pick(shapes)()
      const answer = await call(path, { token: alice, ...options })
      const shown = JSON.stringify([path, options]).slice(0, 300)
      expect(answer.status, shown).toBeLessThan(500)
      if (
        answer.status >= 400 &&
        answer.text !== '' &&
        answer.headers.get('content-type')?.includes('json')
      )
        expect(answer.text, shown).not.toMatch(machine)
      if (answer.status < 300) expect(answer.text, shown).not.toContain('"his"')
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
    }
    expect(logged).not.toHaveBeenCalled()
    // The corpus is no good if all of it is refused.
    expect(statuses.get(200)).toBeGreaterThan(200)
    expect(statuses.get(400)).toBeGreaterThan(200)
    expect(await stored('SELECT owner_id, title FROM notes WHERE id = 2')).toEqual([
      { owner_id: 'bob', title: 'his' },
    ])
    expect(await stored(`SELECT count(*) AS n FROM sqlite_master WHERE name = 'notes'`)).toEqual([
      { n: 1 },
    ])
  })
})
