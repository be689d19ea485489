import { env } from 'cloudflare:workers'
import { customType, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { data, expose } from 'leanto/data'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeBase, mount } from '../kit/world.ts'
import { call, fresh, people, stored } from './store.ts'

const full = 'return=representation'
const q = encodeURIComponent

beforeAll(fresh)

/** Writes a value by insert and by update, and reads it back both ways and by GET. */
async function trip(column: string, json: string) {
  const body = `{"id":"t","${column}":${json}}`
  await call('/kinds?id=eq.t', { method: 'DELETE' })
  const made = await call(`/kinds?select=${column}`, { body, prefer: full })
  if (made.status !== 201) return made
  await call('/kinds?id=eq.t', { method: 'PATCH', body: { [column]: null } })
  const set = await call(`/kinds?id=eq.t&select=${column}`, {
    method: 'PATCH',
    body: `{"${column}":${json}}`,
    prefer: full,
  })
  const put = await call(`/kinds?id=eq.t&select=${column}`, { method: 'PUT', body, prefer: full })
  const got = await call(`/kinds?id=eq.t&select=${column}`)
  expect(set.body).toEqual(made.body)
  expect(put.body).toEqual(made.body)
  expect(got.body).toEqual(made.body)
  return { ...made, body: made.body[0][column] }
}

const raw = async (column: string) =>
  (
    await stored(`SELECT ${column} AS value, typeof(${column}) AS type FROM kinds WHERE id = 't'`)
  )[0]

describe('in and out', () => {
  it.each<[column: string, json: string, out: unknown, value: unknown, type: string]>([
    ['words', '"text"', 'text', 'text', 'text'],
    ['words', '""', '', '', 'text'],
    [
      'words',
      '"ümläut 圍棋 👩‍👩‍👧 \\u2028 \\n\\t\\"\\\\"',
      'ümläut 圍棋 👩‍👩‍👧 \u2028 \n\t"\\',
      expect.any(String),
      'text',
    ],
    ['words', '"5"', '5', '5', 'text'],
    ['words', '"{}"', '{}', '{}', 'text'],
    ['words', 'null', null, null, 'null'],
    ['colour', '"red"', 'red', 'red', 'text'],
    ['short', '"12345"', '12345', '12345', 'text'],
    ['short', '"👩👩👩👩👩"', '👩👩👩👩👩', '👩👩👩👩👩', 'text'],
    ['whole', '0', 0, 0, 'integer'],
    ['whole', '-7', -7, -7, 'integer'],
    ['whole', '1.0', 1, 1, 'integer'],
    ['whole', '1e3', 1000, 1000, 'integer'],
    ['whole', '"5"', 5, 5, 'integer'],
    ['whole', '" +5 "', 5, 5, 'integer'],
    ['whole', '9007199254740991', 2 ** 53 - 1, 2 ** 53 - 1, 'integer'],
    ['whole', '-9007199254740991', 1 - 2 ** 53, 1 - 2 ** 53, 'integer'],
    ['fraction', '1', 1, 1, 'real'],
    ['fraction', '0.1', 0.1, 0.1, 'real'],
    ['fraction', '-1.5e-300', -1.5e-300, -1.5e-300, 'real'],
    ['fraction', '1.7976931348623157e308', Number.MAX_VALUE, Number.MAX_VALUE, 'real'],
    ['fraction', '"2.50"', 2.5, 2.5, 'real'],
    ['fraction', '"1."', 1, 1, 'real'],
    ['fraction', '".5"', 0.5, 0.5, 'real'],
    ['exact', '"1.50"', '1.5', 1.5, 'real'],
    ['exact', '12', '12', 12, 'integer'],
    ['amount', '1.5', 1.5, 1.5, 'real'],
    ['huge', '"123"', '123', 123, 'integer'],
    ['flag', 'true', true, 1, 'integer'],
    ['flag', 'false', false, 0, 'integer'],
    ['flag', '"yes"', true, 1, 'integer'],
    ['flag', '"f"', false, 0, 'integer'],
    ['flag', 'null', null, null, 'null'],
    ['seconds', '"2026-06-01T12:00:00Z"', '2026-06-01T12:00:00.000Z', 1780315200, 'integer'],
    ['seconds', '"2026-06-01T12:00:00.999Z"', '2026-06-01T12:00:00.000Z', 1780315200, 'integer'],
    ['seconds', '"1969-12-31T23:59:59.5Z"', '1969-12-31T23:59:59.000Z', -1, 'integer'],
    ['millis', '"2026-06-01T12:00:00.123Z"', '2026-06-01T12:00:00.123Z', 1780315200123, 'integer'],
    [
      'millis',
      '"2026-06-01T12:00:00.123456+02:00"',
      '2026-06-01T10:00:00.123Z',
      1780308000123,
      'integer',
    ],
    ['millis', '"2026-06-01 12:00:00-0530"', '2026-06-01T17:30:00.000Z', 1780335000000, 'integer'],
    ['millis', '"2026-06-01T12:00+01"', '2026-06-01T11:00:00.000Z', 1780311600000, 'integer'],
    ['millis', '"2026-06-01T12:00:00"', '2026-06-01T12:00:00.000Z', 1780315200000, 'integer'],
    ['millis', '" 2026-06-01t12:00:00z "', '2026-06-01T12:00:00.000Z', 1780315200000, 'integer'],
    ['millis', '"2026-06-01"', '2026-06-01T00:00:00.000Z', 1780272000000, 'integer'],
    ['millis', '"2026-06-01T24:00:00Z"', '2026-06-02T00:00:00.000Z', 1780358400000, 'integer'],
    ['millis', '"2024-02-29"', '2024-02-29T00:00:00.000Z', 1709164800000, 'integer'],
    ['millis', '"0001-01-01"', '0001-01-01T00:00:00.000Z', -62135596800000, 'integer'],
    [
      'millis',
      '"9999-12-31T23:59:59.999Z"',
      '9999-12-31T23:59:59.999Z',
      253402300799999,
      'integer',
    ],
    [
      'json',
      '{"a":[1,{"b":null}],"ü":"\\n"}',
      { a: [1, { b: null }], ü: '\n' },
      '{"a":[1,{"b":null}],"ü":"\\n"}',
      'text',
    ],
    ['json', '"text"', 'text', '"text"', 'text'],
    ['json', '5', 5, '5', 'text'],
    ['json', 'true', true, 'true', 'text'],
    ['json', '[]', [], '[]', 'text'],
    [
      'json',
      '{"__proto__":1,"constructor":2}',
      JSON.parse('{"__proto__":1,"constructor":2}'),
      expect.any(String),
      'text',
    ],
    ['json', 'null', null, null, 'null'],
    ['json', '[null]', [null], '[null]', 'text'],
    ['blob_json', '{"a":1}', { a: 1 }, expect.anything(), 'blob'],
    ['blob_json', '"ü"', 'ü', expect.anything(), 'blob'],
    ['blob_json', 'null', null, null, 'null'],
    ['bytes', '"\\\\x"', '\\x', expect.anything(), 'blob'],
    ['bytes', '"\\\\x00FFab"', '\\x00ffab', expect.anything(), 'blob'],
    ['bytes', 'null', null, null, 'null'],
    [
      'big',
      '"123456789012345678901234567890"',
      '123456789012345678901234567890',
      expect.anything(),
      'blob',
    ],
    ['big', '-5', '-5', expect.anything(), 'blob'],
    ['big', '"007"', '7', expect.anything(), 'blob'],
  ])('%s: %s', async (column, json, out, value, type) => {
    const { status, body } = await trip(column, json)
    expect({ status, body }).toEqual({ status: 201, body: out })
    expect(await raw(column)).toEqual({ value, type })
  })
})

describe('what is not of the type is refused, and nothing is written', () => {
  const notText = ['5', 'true', '{}', '[]']
  const wrong: [column: string, values: string[], code?: string][] = [
    ['words', notText],
    ['words', ['"\\u0000"', '"a\\u0000b"'], '22P05'],
    ['words', ['"\\ud800"', '"\\udc00x"'], '22P02'],
    ['colour', ['"green"', '""', '"RED"', '5']],
    ['short', ['"123456"', '"👩👩👩👩👩👩"'], '22001'],
    [
      'whole',
      ['1.5', '"1.5"', '"five"', '""', '" "', 'true', '[1]', '{}', '"0x10"', '"1_000"', '"NaN"'],
    ],
    ['whole', ['9007199254740993', '"9007199254740993"', '1e21', '-1e300'], '22003'],
    ['whole', ['1e400']],
    ['fraction', ['"NaN"', '"Infinity"', '1e400', '"1e"', '"."', 'true', '[]', '"1,5"']],
    ['fraction', ['"1e400"'], '22003'],
    ['exact', ['"ten"', 'true', '{}', '""']],
    ['exact', ['"1e400"'], '22003'],
    ['amount', ['"x"', 'false']],
    ['huge', ['1.5', '"1.5"', 'true']],
    ['flag', ['1', '0', '"maybe"', '""', '"2"', '[]', '{}']],
    ['seconds', ['5', 'true', '{}', '1780315200']],
    [
      'seconds',
      ['"now"', '""', '"2026"', '"2026-6-1"', '"01/06/2026"', '"Mon Jun 01 2026"'],
      '22007',
    ],
    [
      'millis',
      ['"2026-06-01T12"', '"2026-06-01T12:00:00 Europe/Berlin"', '"x2026-06-01"'],
      '22007',
    ],
    [
      'millis',
      [
        '"2026-02-30"',
        '"2026-02-29T00:00:00Z"',
        '"2026-04-31"',
        '"2026-13-01"',
        '"2026-00-01"',
        '"2026-01-00"',
        '"2026-01-01T24:00:01Z"',
        '"2026-01-01T12:60:00Z"',
        '"2026-01-01T12:00:60Z"',
        '"2026-01-01T12:00:00+16:00"',
        '"2026-01-01T12:00:00+01:60"',
        '"0000-01-01"',
        '"10000-01-01"',
        '"9999-12-31T23:59:59-01:00"',
        '"0001-01-01T00:00:00+01:00"',
      ],
      '22008',
    ],
    ['json', ['{"a":1e400}', '[[1e999]]'], '22003'],
    ['json', ['"\\u0000"', '{"\\u0000":1}'], '22P05'],
    ['json', ['{"a":["\\ud800"]}'], '22P02'],
    [
      'json',
      [`${'['.repeat(501)}${']'.repeat(501)}`, `${'['.repeat(50_000)}${']'.repeat(50_000)}`],
      '54000',
    ],
    ['blob_json', [`${'['.repeat(1000)}${']'.repeat(1000)}`], '54000'],
    ['bytes', ['"ff"', '"\\\\xf"', '"\\\\xzz"', '5', '[1,2]', '""']],
    ['big', ['1.5', '"1e5"', '"abc"', '""', 'true', '9007199254740993', '1e30']],
    ['big', [`"${'9'.repeat(1001)}"`, `"${'9'.repeat(1_000_000)}"`], '22003'],
  ]
  it.each(wrong)('%s (%#)', async (column, values, code = '22P02') => {
    await env.DB.prepare(`DELETE FROM kinds`).run()
    await env.DB.prepare(`INSERT INTO kinds (id) VALUES ('t')`).run()
    for (const json of values) {
      const shown = json.slice(0, 50)
      for (const [path, method] of [
        ['/kinds', 'POST'],
        ['/kinds?id=eq.t', 'PATCH'],
        ['/kinds?id=eq.t', 'PUT'],
      ] as const) {
        const id = method === 'PUT' ? '"id":"t",' : ''
        const { status, body } = await call(path, { method, body: `{${id}"${column}":${json}}` })
        expect({ shown, method, status, body }).toEqual({
          shown,
          method,
          status: 400,
          body: { code, message: expect.any(String), details: body.details, hint: body.hint },
        })
      }
      const bulk = `[{"id":"ok","${column}":null},{"id":"bad","${column}":${json}}]`
      expect((await call('/kinds', { body: bulk })).body).toMatchObject({ code })
    }
    expect(await stored(`SELECT id, ${column} AS value FROM kinds`)).toEqual([
      { id: 't', value: null },
    ])
  })

  it('takes no time in the square of what it refuses', async () => {
    const started = Date.now()
    for (const [column, value] of [
      ['fraction', `${'1'.repeat(500_000)}x`],
      ['exact', `${'1'.repeat(500_000)}x`],
      ['whole', `5${' '.repeat(500_000)}x`],
      ['millis', `${' '.repeat(500_000)}x`],
      ['bytes', `\\x${'0'.repeat(500_001)}`],
      ['big', `${'1'.repeat(500_000)}x`],
    ] as const)
      expect((await call('/kinds', { body: { [column]: value } })).status).toBe(400)
    expect(Date.now() - started).toBeLessThan(2000)
  })

  it('says what it refused, in Postgres’s words, and not more than 100 characters of it', async () => {
    const message = async (column: string, value: unknown) =>
      (await call('/kinds', { body: { [column]: value } })).body.message
    expect(await message('whole', 'five')).toBe('invalid input syntax for type integer: "five"')
    expect(await message('fraction', [1])).toBe(
      'invalid input syntax for type double precision: "[1]"',
    )
    expect(await message('colour', 'green')).toBe('invalid input value for enum colour: "green"')
    expect(await message('short', '123456')).toBe('value too long for type character varying(5)')
    expect(await message('millis', '2026-02-30')).toBe(
      'date/time field value out of range: "2026-02-30"',
    )
    expect((await message('whole', 'x'.repeat(1000))).length).toBeLessThan(200)
  })
})

describe('nesting', () => {
  it('500 levels of JSON are kept, and can be looked for', async () => {
    const json = `${'['.repeat(500)}${']'.repeat(500)}`
    const { status } = await trip('json', json)
    expect(status).toBe(201)
    expect((await call(`/kinds?select=id&json=eq.${json}`)).body).toEqual([{ id: 't' }])
    expect((await call(`/kinds?select=id&json=eq.${json}[`)).body.code).toBe('22P02')
  })
})

/** A small generator of its own, so that a failure can be had again by its seed. */
function random(seed: number) {
  let state = seed
  const next = () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    let t = state
    t = Math.imul(t ^ (t >>> 16), 0x21f0aaad)
    t = Math.imul(t ^ (t >>> 15), 0x735a2d97)
    return ((t ^ (t >>> 15)) >>> 0) / 2 ** 32
  }
  const whole = (max: number) => Math.floor(next() * max)
  const text = (length = whole(30)): string =>
    Array.from({ length }, () => {
      const point = [
        whole(0x7e) + 1,
        whole(0xd7ff) + 1,
        0xe000 + whole(0x1fff),
        0x10000 + whole(0xfffff),
      ]
      return String.fromCodePoint(point[whole(4)] as number)
    }).join('')
  const bits = () => {
    const view = new DataView(new ArrayBuffer(8))
    view.setUint32(0, whole(2 ** 32))
    view.setUint32(4, whole(2 ** 32))
    const number = view.getFloat64(0)
    return Number.isFinite(number) ? number : next()
  }
  const json = (depth: number): unknown => {
    const kind = whole(depth > 3 ? 4 : 6)
    if (kind === 0) return text()
    if (kind === 1) return bits() || 0
    if (kind === 2) return next() < 0.5
    if (kind === 3) return whole(1000)
    if (kind === 4) return Array.from({ length: whole(4) }, () => json(depth + 1))
    return Object.fromEntries(Array.from({ length: whole(4) }, () => [text(5), json(depth + 1)]))
  }
  const maybe = <T>(value: T): T | null => (next() < 0.1 ? null : value)
  return { next, whole, text, bits, json, maybe }
}

describe('round trip of random values', () => {
  it.each([1, 2, 3])('seed %i', async (seed) => {
    await env.DB.prepare('DELETE FROM kinds').run()
    const r = random(seed)
    const rows = Array.from({ length: 150 }, (_, i) => ({
      id: `${i}`.padStart(3, '0'),
      words: r.maybe(r.text()),
      colour: r.maybe(r.next() < 0.5 ? 'red' : 'blue'),
      short: r.maybe(r.text(r.whole(6))),
      whole: r.maybe(Math.round((r.next() - 0.5) * 2 ** r.whole(52))) || 0,
      fraction: r.maybe(r.bits() || 0),
      flag: r.maybe(r.next() < 0.5),
      seconds: r.maybe(new Date(Math.floor((r.next() - 0.2) * 4e9) * 1000).toISOString()),
      millis: r.maybe(new Date(Math.floor((r.next() - 0.2) * 4e12)).toISOString()),
      json: r.maybe(r.json(0)),
      blob_json: r.maybe(r.json(0)),
      bytes: r.maybe(
        `\\x${Array.from({ length: r.whole(20) }, () => r.whole(256).toString(16).padStart(2, '0')).join('')}`,
      ),
      big: r.maybe(String(BigInt(Math.floor(r.bits() % 1e15)) * BigInt(r.whole(2 ** 32)))),
    }))
    const columns = Object.keys(rows[0] as object).join()
    const made = await call(`/kinds?select=${columns}`, { body: rows, prefer: full })
    expect(made.body).toEqual(rows)
    expect((await call(`/kinds?select=${columns}&order=id`)).body).toEqual(rows)
    for (const row of rows.slice(0, 60)) {
      const { id, ...rest } = row
      await call(`/kinds?id=eq.${id}`, {
        method: 'PATCH',
        body: Object.fromEntries(Object.keys(rest).map((key) => [key, null])),
      })
      const set = await call(`/kinds?id=eq.${id}&select=${columns}`, {
        method: 'PATCH',
        body: rest,
        prefer: full,
      })
      expect(set.body).toEqual([row])
      // And each value finds its row again.
      for (const [column, value] of Object.entries(rest)) {
        if (value === null) continue
        const text =
          typeof value === 'string' && !column.includes('json') ? value : JSON.stringify(value)
        const { status, body } = await call(`/kinds?select=id&id=eq.${id}&${column}=eq.${q(text)}`)
        expect({ column, text, status, body }).toEqual({
          column,
          text,
          status: 200,
          body: [{ id }],
        })
      }
    }
  })
})

describe('the host’s own types', () => {
  const upper = customType<{ data: string; driverData: string }>({
    dataType: () => 'text',
    toDriver: (value) => value.toUpperCase(),
    fromDriver: (value) => value.toLowerCase(),
  })
  const octets = customType<{ data: Uint8Array; driverData: ArrayBuffer }>({
    dataType: () => 'blob',
    toDriver: (value) => Uint8Array.from(value).buffer,
    fromDriver: (value) => [...new Uint8Array(value)] as never,
  })
  const own = sqliteTable('own', {
    id: integer('id').primaryKey(),
    name: upper('name'),
    data: octets('data'),
    made: text('made').$defaultFn(() => 'made here'),
  })
  const ask = mount({
    '/': data(makeBase(), {
      identity: people,
      tables: { own: expose(own, { select: () => true, insert: () => true, update: () => true }) },
    }),
  })
  it('are read and written by their own conversion', async () => {
    await env.DB.prepare(
      'CREATE TABLE IF NOT EXISTS own (id INTEGER PRIMARY KEY, name TEXT, data BLOB, made TEXT)',
    ).run()
    const made = await ask('/own', {
      body: { name: 'abc', data: [1, 2, 255] },
      headers: { prefer: full },
    })
    expect(await made.json()).toEqual([
      { id: 1, name: 'abc', data: [1, 2, 255], made: 'made here' },
    ])
    expect(await stored('SELECT name, hex(data) AS data FROM own')).toEqual([
      { name: 'ABC', data: '0102FF' },
    ])
    expect(await (await ask('/own?select=id&name=eq.aBc')).json()).toEqual([{ id: 1 }])
  })
  it('a value that its conversion cannot take is 22P02', async () => {
    for (const body of [{ name: 5 }, { name: { a: 1 } }, { name: [] }]) {
      const response = await ask('/own', { body })
      const { code } = (await response.json()) as { code: string }
      expect([body, response.status, code]).toEqual([body, 400, '22P02'])
    }
  })
})
