import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { apiKeys } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import { freshDatabase, site, testSecret } from '../kit/world.ts'
import { bring, makeMoving, many, ndjson, readAnswer, results, send, user } from './users-world.ts'
import { type Asker, count, type Json, mountAuth, post } from './world.ts'

let users = makeMoving()
let ask: Asker = mountAuth(users)
beforeEach(async () => {
  users = makeMoving()
  ask = mountAuth(users)
  await freshDatabase([users])
})

describe('a line that is none', () => {
  /** Said to be refused by the admin API, too, as far as it has such a field (case 72). */
  const wrong: [string, unknown, string][] = [
    ['no JSON', '{"email": "a@example.com"', 'bad_json'],
    ['no UTF-8', '\uFFFDbad', 'bad_json'],
    ['a list', [], 'validation_failed'],
    ['null', null, 'validation_failed'],
    ['text', '"text"', 'validation_failed'],
    ['without an id', { email: 'a@example.com' }, 'validation_failed'],
    ['with a blank id', user(1, { foreign_id: '' }), 'validation_failed'],
    ['with an id that is none', user(1, { id: 'role:admin' }), 'validation_failed'],
    ['with a list for an id', user(1, { foreign_id: ['x'] }), 'validation_failed'],
    ['with a control character in its id', user(1, { foreign_id: 'a\nb' }), 'validation_failed'],
    ['with nobody to reach', { foreign_id: 'x' }, 'validation_failed'],
    ['with an address that is none', user(1, { email: 'nobody' }), 'validation_failed'],
    [
      'with two addresses in one',
      user(1, { email: 'a@example.com,b@example.com' }),
      'validation_failed',
    ],
    [
      'with a look-alike @',
      user(1, { email: 'a\uFF20evil.example@example.com' }),
      'validation_failed',
    ],
    ['with an object for an address', user(1, { email: { toString: 'x' } }), 'validation_failed'],
    ['with a number that is none', user(1, { phone: '12' }), 'validation_failed'],
    ['with a time that is none', user(1, { created_at: 'yesterday' }), 'validation_failed'],
    [
      'with a time without a zone',
      user(1, { created_at: '2024-01-01T00:00:00' }),
      'validation_failed',
    ],
    [
      'with a time that does not exist',
      user(1, { created_at: '2024-13-41T00:00:00Z' }),
      'validation_failed',
    ],
    ['with a number for a time', user(1, { created_at: 1 }), 'validation_failed'],
    ['with metadata that is a list', user(1, { user_metadata: [] }), 'validation_failed'],
    [
      'with too much metadata',
      user(1, { user_metadata: { x: 'x'.repeat(9000) } }),
      'validation_failed',
    ],
    [
      'with too much of the app’s metadata',
      user(1, { app_metadata: { x: 'x'.repeat(9000) } }),
      'validation_failed',
    ],
    [
      'with __proto__ in it',
      `{"foreign_id":"x","email":"a@example.com","user_metadata":{"__proto__":{"a":1}}}`,
      'validation_failed',
    ],
    ['with a NUL in it', user(1, { user_metadata: { x: '\0' } }), 'validation_failed'],
    [
      'with half a character in it',
      `{"foreign_id":"x","email":"a@example.com","user_metadata":{"x":"\\ud800"}}`,
      'validation_failed',
    ],
    [
      'with an identity of nobody',
      user(1, { identities: [{ provider: 'google' }] }),
      'validation_failed',
    ],
    [
      'with a provider that is none',
      user(1, { identities: [{ provider: 'a b', subject: '1' }] }),
      'validation_failed',
    ],
    [
      'with an identity twice',
      user(1, { identities: [1, 1].map(() => ({ provider: 'google', subject: '1' })) }),
      'validation_failed',
    ],
    [
      'with a number’s identity and no number',
      user(1, { identities: [{ provider: 'phone' }] }),
      'validation_failed',
    ],
    [
      'with too many identities',
      user(1, {
        identities: Array.from({ length: 51 }, (_, i) => ({ provider: 'g', subject: `${i}` })),
      }),
      'validation_failed',
    ],
    ['with a guest’s address', user(1, { is_anonymous: true }), 'validation_failed'],
    [
      'with a factor of no type',
      user(1, { factors: [{ factor_type: 'sms' }] }),
      'validation_failed',
    ],
    ['with text for a factor', user(1, { factors: ['x'] }), 'validation_failed'],
    [
      'with two factors of one name',
      user(1, {
        factors: [1, 1].map(() => ({
          factor_type: 'phone',
          phone: '15550001111',
          friendly_name: 'x',
        })),
      }),
      'validation_failed',
    ],
    ['with text for a passkey', user(1, { passkeys: ['x'] }), 'validation_failed'],
    ['longer than a line may be', user(1, { x: 'x'.repeat(70_000) }), 'too_large'],
  ]

  it.each(wrong)('%s is refused alone, and nothing of it is stored', async (_, line, code) => {
    const text = typeof line === 'string' ? line : JSON.stringify(line)
    const bytes = [...new TextEncoder().encode(text)]
    // U+FFFD stands for a byte that is no UTF-8.
    const raw = text.startsWith('\uFFFD') ? [0xff, ...bytes.slice(3)] : bytes
    const body = Uint8Array.from([
      ...new TextEncoder().encode(ndjson(many(2, 50))),
      ...raw,
      10,
      ...new TextEncoder().encode(ndjson(many(2, 52))),
    ])
    const response = await send(users, body)
    const answer = readAnswer(await response.text())
    expect(answer.lines.map(({ line, result, code }) => [line, code ?? result])).toEqual([
      [1, 'created'],
      [2, 'created'],
      [3, code],
      [4, 'created'],
      [5, 'created'],
    ])
    expect(answer.lines[2].message.length).toBeGreaterThan(5)
    for (const [table, rows] of Object.entries({
      users: 4,
      identities: 4,
      factors: 0,
      passkeys: 0,
    }))
      expect(await count(table)).toBe(rows)
    expect(({} as Json).a).toBeUndefined()
  })

  it('is as much refused by the admin API (case 72)', async () => {
    const service = { key: 'secret' } as const
    for (const more of [
      { email: 'nobody' },
      { phone: '12' },
      { id: 'role:admin' },
      { user_metadata: { x: 'x'.repeat(9000) } },
      { app_metadata: { x: 'x'.repeat(9000) } },
    ]) {
      const body = { email: 'a@example.com', ...more }
      expect((await post(ask, '/admin/users', body, service)).status).toBe(400)
      expect(results(await bring(ask, [{ foreign_id: 'x', ...body }]))).toEqual([
        'validation_failed',
      ])
    }
    expect(await count('users')).toBe(0)
  })

  it('holds no line that never ends', async () => {
    let sent = 0
    const piece = new TextEncoder().encode('x'.repeat(65_536))
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent++ < 500) controller.enqueue(piece.slice())
        else {
          controller.enqueue(new TextEncoder().encode(`\n${ndjson(many(1))}`))
          controller.close()
        }
      },
    })
    const answer = readAnswer(await (await send(users, body)).text())
    expect(results(answer)).toEqual(['too_large', 'created'])
  })
})

describe('asked wrongly', () => {
  it.each(['?existing=replace', '?dry_run=1', '?line=0', '?line=x', '?line='])(
    '%s is refused',
    async (query) => {
      expect((await send(users, ndjson(many(1)), query)).status).toBe(400)
      expect(await count('users')).toBe(0)
    },
  )

  it('nothing is an empty run', async () => {
    for (const body of [null, '', '\n\n'])
      expect(readAnswer(await (await send(users, body)).text()).lines).toEqual([])
  })

  it('nobody but the service is answered, and not a line is read (cases 40 and 41)', async () => {
    const { publishable } = await apiKeys(testSecret)
    let read = 0
    const body = () =>
      new ReadableStream(
        {
          pull(controller) {
            read++
            controller.enqueue(
              new TextEncoder().encode(ndjson([user(read, { role: 'service_role' })])),
            )
          },
        },
        { highWaterMark: 0 },
      )
    for (const headers of [{}, { apikey: publishable }] as Record<string, string>[]) {
      const request = new Request(`${site}/admin/users/import`, {
        method: 'POST',
        headers,
        body: body(),
      })
      const response = await users.routes.fetch(
        request,
        env as never,
        createExecutionContext() as never,
      )
      expect([401, 403]).toContain(response.status)
    }
    expect(await count('users')).toBe(0)
    expect(read).toBeLessThan(3)
  })
})
