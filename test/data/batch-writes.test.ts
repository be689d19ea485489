import { beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { type Env, makeBase, mount } from '../kit/world.ts'
import { batch, type Operation, prefer } from './batches.ts'
import { alice, bob } from './store.ts'
import { nameOf, type Write, writes } from './writes.ts'
import { call, dump, makeWorld, rows, seed } from './writing-world.ts'

beforeEach(seed)

/** A write as an operation; a body that is no JSON cannot be one. */
const asOperation = ({ method, path, body, prefer = '', headers = {} }: Write): Operation => ({
  method,
  path,
  headers: { ...headers, ...(prefer ? { prefer } : {}) },
  ...(method === 'DELETE' ? {} : { body }),
})
const operable = writes.filter(({ body }) => typeof body !== 'string')

const shownHeaders = ({ headers }: Awaited<ReturnType<typeof call>>) =>
  Object.fromEntries(
    ['content-type', 'content-range', 'etag', 'location', 'preference-applied'].flatMap((name) => {
      const value = headers.get(name)
      return value === null ? [] : [[name, value]]
    }),
  )

describe('case 72: a write in a batch is the write alone', () => {
  it.each(operable.map((write, i) => [nameOf(write, i), write] as const))(
    '%s',
    async (_, write) => {
      const alone = await call(write.path, { token: alice, ...write })
      const after = await dump()
      await seed()
      const answer = await batch([asOperation(write)])
      expect(answer.body.results).toEqual([
        {
          id: '0',
          status: alone.status,
          headers: shownHeaders(alone),
          body: alone.body === '' ? null : alone.body,
        },
      ])
      expect(await dump()).toBe(after)
    },
  )

  it('and so are many of them, one after the other', async () => {
    const some = operable
      .filter(({ path }) => /^\/(plain|pairs|bytes|keyless)/.test(path))
      .slice(0, 30)
    const alone: Awaited<ReturnType<typeof call>>[] = []
    for (const write of some) alone.push(await call(write.path, { token: alice, ...write }))
    const kept = some.filter((_, i) => (alone[i]?.status ?? 500) < 300)
    const after = await dump()
    await seed()
    const answer = await batch(kept.map(asOperation))
    expect(
      answer.body.results.map(({ status, body }: Record<string, unknown>) => [status, body]),
    ).toEqual(
      alone
        .filter(({ status }) => status < 300)
        .map(({ status, body }) => [status, body === '' ? null : body]),
    )
    expect(await dump()).toBe(after)
  })
})

describe('tx=rollback of a batch', () => {
  it('answers what it would have answered, and keeps nothing', async () => {
    const operations: Operation[] = [
      ...operable.slice(0, 8).map(asOperation),
      { method: 'GET', path: '/plain?select=id,text&order=id', headers: { prefer: 'count=exact' } },
      { method: 'GET', path: '/notes?select=public,count()&order=public' },
      { method: 'HEAD', path: '/plain', headers: { prefer: 'count=exact' } },
      { method: 'GET', path: '/notes?select=id,comments(text)&order=id&limit=2' },
    ]
    const before = await dump()
    const tried = await batch(operations, { prefer: 'tx=rollback' })
    expect([tried.status, tried.headers.get('preference-applied')]).toEqual([200, 'tx=rollback'])
    expect(await dump()).toBe(before)
    const done = await batch(operations)
    expect(tried.text).toBe(done.text)
    expect(await dump()).not.toBe(before)
  })

  it('names the operation that fails', async () => {
    const before = await dump()
    const answer = await batch(
      [
        { method: 'POST', path: '/plain', body: {} },
        { method: 'POST', path: '/plain', body: { id: 1 } },
      ],
      { prefer: 'tx=rollback' },
    )
    expect([answer.status, answer.body.operation]).toEqual([409, { index: 1, id: '1' }])
    expect(await dump()).toBe(before)
  })
})

describe('Idempotency-Key of a batch', () => {
  const key = '6c0f4b1e-9a63-4b3f-8a57-0d4b7f1e2a33'
  const operations: Operation[] = [
    { id: 'a', method: 'POST', path: '/notes', body: { title: 'new' }, headers: prefer },
    {
      method: 'POST',
      path: '/comments',
      body: { note_id: { $ref: 'a.id' }, text: 'first' },
      headers: prefer,
    },
    { method: 'GET', path: '/comments?select=text,notes(title)&order=id.desc&limit=1' },
    { method: 'PATCH', path: '/plain?id=eq.1', body: {} },
  ]
  const keyed = { headers: { 'idempotency-key': key } }

  it('a repeat answers the same, and writes nothing', async () => {
    const first = await batch(operations, keyed)
    expect(first.status, first.text).toBe(200)
    await call('/comments', { method: 'DELETE', token: alice })
    const before = await dump()
    const repeated = await batch(operations, keyed)
    expect(repeated.text).toBe(first.text)
    expect(await dump()).toBe(before)
    expect((await batch(operations.slice(0, 1), keyed)).body).toMatchObject({ code: 'PT422' })
    const stranger = await batch(operations, { ...keyed, token: bob })
    expect(stranger.body.results[0].body[0].owner_id).toBe('bob')
  })

  it('its answer is that of a batch without', async () => {
    const first = await batch(operations, keyed)
    await seed()
    expect((await batch(operations)).text).toBe(first.text)
    // Nothing stays behind of what was captured for the reference.
    expect(await rows('SELECT * FROM leanto_data_answers')).toEqual([])
  })

  it('a failed one leaves its key free', async () => {
    const failed = await batch(
      [...operations, { method: 'POST', path: '/plain', body: { id: 1 } }],
      keyed,
    )
    expect([failed.status, failed.body.operation]).toEqual([409, { index: 4, id: '4' }])
    expect(await rows('SELECT * FROM leanto_data_answers')).toEqual([])
    expect((await batch(operations, keyed)).status).toBe(200)
  })

  it('of 50 parallel ones, one writes', async () => {
    const all = await Promise.all(Array.from({ length: 50 }, () => batch(operations, keyed)))
    expect(new Set(all.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(await rows(`SELECT count(*) AS n FROM notes WHERE title = 'new'`)).toEqual([{ n: 1 }])
  })

  it('a lost answer is given again', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    let lost = true
    const asked = mount({
      '/rest/v1': makeWorld(
        makeBase({ db: (e: Env) => faulty(e.DB as never, () => (lost ? 'after' : false)) }),
      ),
    })
    const send = () => asked('/rest/v1/batch', { token: alice, body: { operations }, ...keyed })
    expect((await send()).status).toBe(500)
    lost = false
    const again = await send()
    expect(again.status).toBe(200)
    expect(await again.text()).toBe((await batch(operations, keyed)).text)
    expect(await rows(`SELECT count(*) AS n FROM notes WHERE title = 'new'`)).toEqual([{ n: 1 }])
    log.mockRestore()
  })
})
