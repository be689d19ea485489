import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { call, fresh, stored } from './store.ts'

beforeAll(fresh)

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
