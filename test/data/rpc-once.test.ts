import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { clock, makeBase, mount } from '../kit/world.ts'
import { ask, entered, fresh, makeRpc } from './rpc-world.ts'
import { alice, bob } from './store.ts'

beforeEach(fresh)

const keyed = async (
  path: string,
  body: unknown,
  { key = 'k1', token = alice, headers = {}, by = ask } = {},
) => {
  const response = await by(`/rest/v1/rpc${path}`, {
    body,
    token,
    headers: { 'idempotency-key': key, ...headers },
  })
  const text = await response.text()
  return {
    status: response.status,
    range: response.headers.get('content-range'),
    text,
    code: response.ok ? undefined : (JSON.parse(text) as { code: string }).code,
  }
}

const count = async (like: string) =>
  (
    (await env.DB.prepare('SELECT count(*) AS n FROM notes WHERE title LIKE ?1')
      .bind(like)
      .first()) as {
      n: number
    }
  ).n

describe('Idempotency-Key of a function that writes', () => {
  it('a repeat is given the first answer, and writes nothing', async () => {
    const first = await keyed('/write?select=title&order=title', { title: 'new' })
    expect(first).toMatchObject({ status: 200, range: '0-1/*' })
    expect(JSON.parse(first.text)).toEqual([{ title: 'new' }, { title: 'new again' }])
    expect(await keyed('/write?select=title&order=title', { title: 'new' })).toEqual(first)
    expect([entered.count, await count('new%')]).toEqual([1, 2])
    // By drizzle, which writes by single statements.
    const one = await keyed('/by_drizzle_write', { title: 'one' }, { key: 'k2' })
    expect(one).toMatchObject({ status: 200, text: '[{"id":8,"title":"one"}]' })
    expect(await keyed('/by_drizzle_write', { title: 'one' }, { key: 'k2' })).toEqual(one)
    expect(await count('one')).toBe(1)
  })

  it('is another one for another caller, and none for another call', async () => {
    await keyed('/write', { title: 'new' })
    expect((await keyed('/write', { title: 'other' })).code).toBe('PT422')
    expect((await keyed('/write?select=id', { title: 'new' })).code).toBe('PT422')
    expect((await keyed('/by_drizzle_write', { title: 'new' })).code).toBe('PT422')
    expect((await keyed('/write', { title: 'bobs' }, { token: bob })).status).toBe(200)
    expect(
      (await keyed('/by_drizzle_write', { title: 'x' }, { token: '', key: 'short' })).code,
    ).toBe('PT400')
    expect(await count('other')).toBe(0)
  })

  it('a call that failed before it wrote leaves the key as it was', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    expect((await keyed('/write', { title: 'apple' })).code).toBe('23505')
    log.mockRestore()
    await env.DB.prepare(`UPDATE notes SET title = 'renamed' WHERE title = 'apple'`).run()
    expect((await keyed('/write', { title: 'apple' })).status).toBe(200)
    expect(entered.count).toBe(2)
  })

  it('a fault after a write is the answer; a repeat does not write again', async () => {
    const first = await keyed('/write_and_fail', { title: 'half' })
    expect(first).toMatchObject({ status: 402, code: 'too_poor' })
    expect(await keyed('/write_and_fail', { title: 'half' })).toEqual(first)
    expect([entered.count, await count('half')]).toEqual([1, 1])
  })

  it('an answer that was lost is not known, and nothing is written for it', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    // A database that is away once the handler has written.
    let batches = 0
    const away = mount({
      '/rest/v1': makeRpc(
        makeBase({
          db: () =>
            ({
              prepare: (text: string) => env.DB.prepare(text),
              batch: (statements: D1PreparedStatement[]) => {
                if (++batches === 2) throw new Error('D1_ERROR: Network connection lost.')
                return env.DB.batch(statements)
              },
            }) as never,
        }),
      ),
    })
    expect((await keyed('/write', { title: 'new' }, { by: away })).status).toBe(200)
    expect((await keyed('/write', { title: 'new' })).code).toBe('PT409')
    expect([entered.count, await count('new%')]).toEqual([1, 2])
    log.mockRestore()
  })

  it('of many at once, one writes (case 19)', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => keyed('/write', { title: 'race' })),
    )
    const statuses = new Set(answers.map(({ status }) => status))
    expect([...statuses].every((status) => status === 200 || status === 409)).toBe(true)
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(1)
    expect(await count('race%')).toBe(2)
  })

  it('is forgotten after its time', async () => {
    await keyed('/write', { title: 'new' })
    clock.advance(25 * 60 * 60)
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    expect((await keyed('/write', { title: 'new' })).code).toBe('23505')
    log.mockRestore()
    expect(entered.count).toBe(2)
    // Which leaves it free.
    expect((await keyed('/write', { title: 'other' })).status).toBe(200)
    expect((await keyed('/write', { title: 'new' })).code).toBe('PT422')
  })

  it('is nothing to a function that reads', async () => {
    expect((await keyed('/add', { a: 1 })).text).toBe('2')
    expect((await keyed('/add', { a: 2 })).text).toBe('3')
    const { results } = await env.DB.prepare('SELECT count(*) AS n FROM leanto_data_answers').all()
    expect(results).toEqual([{ n: 0 }])
  })
})
