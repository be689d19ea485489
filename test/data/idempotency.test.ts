import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { type Ask, clock, type Env, makeBase, mount } from '../kit/world.ts'
import { alice, bob } from './store.ts'
import { nameOf, writes } from './writes.ts'
import { call, client, dump, makeWorld, rows, seed, world } from './writing-world.ts'

beforeEach(seed)

const full = 'return=representation'
const uuid = '6c0f4b1e-9a63-4b3f-8a57-0d4b7f1e2a33'
const keyed = (key = uuid) => ({ 'idempotency-key': key })

const shown = ({ status, headers, text }: Awaited<ReturnType<typeof call>>) => ({
  status,
  text,
  headers: Object.fromEntries([...headers].filter(([name]) => name !== 'x-d1-bookmark')),
})

const answersKept = () => rows('SELECT * FROM leanto_data_answers')

describe('a repeat answers what the first request was answered, and writes nothing', () => {
  it.each(writes.map((write, i) => [nameOf(write, i), write] as const))('%s', async (_, write) => {
    const options = { token: alice, ...write, headers: { ...write.headers, ...keyed() } }
    const first = await call(write.path, options)
    expect(first.status, first.text).toBeLessThan(300)
    const before = await dump()
    const repeated = await call(write.path, options)
    expect(shown(repeated)).toEqual(shown(first))
    expect(await dump()).toBe(before)
    // Its answer is that of a request without a key.
    await seed()
    const plain = await call(write.path, { token: alice, ...write })
    expect(shown(first)).toEqual(shown(plain))
  })

  it('also when the rows have changed, or are gone', async () => {
    const insert = { token: alice, body: { text: 'first' }, prefer: full, headers: keyed() }
    const first = await call('/plain', insert)
    await call('/plain', { method: 'DELETE', token: bob })
    expect(shown(await call('/plain', insert))).toEqual(shown(first))
    expect(await rows('SELECT * FROM plain')).toEqual([])
  })

  it('supabase-js sends it as a header', async () => {
    const insert = () =>
      client(alice)
        .from('plain')
        .insert({ text: 'once' })
        .setHeader('Idempotency-Key', uuid)
        .select()
    const [one, two] = [await insert(), await insert()]
    expect(one).toEqual({ ...two, data: [{ id: 8, text: 'once' }] })
    expect(await rows(`SELECT count(*) AS n FROM plain WHERE text = 'once'`)).toEqual([{ n: 1 }])
  })
})

describe('the key', () => {
  const insert = (headers: Record<string, string>, more: Ask = {}) =>
    call('/plain', { token: alice, body: { text: 'x' }, headers, ...more })

  it('of another request is 422, and nothing is written', async () => {
    expect((await insert(keyed(), { headers: { ...keyed(), prefer: full } })).status).toBe(201)
    const before = await dump()
    const others: [string, Ask & { prefer?: string }][] = [
      ['/plain', { body: { text: 'y' } }],
      ['/plain', { body: '{"text": "x"}' }],
      ['/plain?select=id', { body: { text: 'x' } }],
      ['/keyless', { body: { text: 'x' } }],
      ['/plain', { body: { text: 'x' }, prefer: 'return=minimal' }],
      ['/plain', { body: { text: 'x' }, headers: { accept: 'text/csv' } }],
      ['/plain', { method: 'PATCH', body: { text: 'x' } }],
      ['/plain', { method: 'DELETE' }],
    ]
    for (const [path, options] of others) {
      const answer = await call(path, {
        token: alice,
        prefer: full,
        ...options,
        headers: { ...keyed(), ...options.headers },
      })
      expect(answer).toMatchObject({ status: 422, body: { code: 'PT422' } })
    }
    expect(await dump()).toBe(before)
  })

  it('is the same in quotes', async () => {
    await insert({ 'idempotency-key': `"${uuid}"` })
    await insert(keyed())
    expect(await rows(`SELECT count(*) AS n FROM plain WHERE text = 'x'`)).toEqual([{ n: 1 }])
  })

  it.each(['', '""', 'a b', 'a"b', 'x'.repeat(256), '"a\\"b"'])('%j is refused', async (key) => {
    const before = await dump()
    const answer = await insert(keyed(key))
    expect(answer).toMatchObject({ status: 400, body: { code: 'PT400' } })
    expect(await dump()).toBe(before)
  })

  it('case 42: belongs to whoever uses it: a stranger, a guest and the service write their own', async () => {
    const mine = await insert(keyed(), { headers: { ...keyed(), prefer: full } })
    const theirs = [
      await insert(keyed(), { headers: { ...keyed(), prefer: full }, token: bob }),
      await insert(keyed(), { headers: { ...keyed(), prefer: full }, token: '' }),
      await insert(keyed(), { headers: { ...keyed(), prefer: full }, token: '', key: 'secret' }),
    ]
    expect([mine, ...theirs].map(({ body }) => body[0].id)).toEqual([8, 9, 10, 11])
    expect((await insert(keyed(), { headers: { ...keyed(), prefer: full } })).text).toBe(mine.text)
  })

  it('of a guest must be hard to guess', async () => {
    const answer = await insert(keyed('order-5'), { token: '' })
    expect(answer).toMatchObject({
      status: 400,
      body: { code: 'PT400', hint: 'Use a random UUID.' },
    })
    expect((await insert(keyed('order-5'))).status).toBe(201)
  })

  it('is not stored as it is, nor is the body', async () => {
    await insert(keyed(), { body: { text: 'a private text' } })
    expect(JSON.stringify(await answersKept())).not.toMatch(/6c0f4b1e|private|alice/)
  })

  it('of a read has no meaning', async () => {
    await call('/plain', { token: alice, headers: keyed() })
    expect(await answersKept()).toEqual([])
  })

  it('of a dry run is not used up', async () => {
    await insert({ ...keyed(), prefer: 'tx=rollback' })
    expect(await answersKept()).toEqual([])
    expect((await insert(keyed())).status).toBe(201)
  })
})

describe('a request that failed leaves its key free', () => {
  it.each([
    ['a constraint', '/notes', { title: 'a' }],
    ['a policy', '/notes', { title: 'x', owner_id: 'bob' }],
    ['a bad value', '/notes', { title: 5 }],
    ['no such table', '/nothing', { title: 'x' }],
  ])('%s', async (_, path, body) => {
    const failed = await call(path, { token: alice, body, headers: keyed() })
    expect(failed.status).toBeGreaterThanOrEqual(400)
    expect(await answersKept()).toEqual([])
    expect(
      (await call('/notes', { token: alice, body: { title: 'fine' }, headers: keyed() })).status,
    ).toBe(201)
  })
})

describe('faults of D1', () => {
  const failing = (verdict: () => boolean | 'after') =>
    mount({ '/rest/v1': makeWorld(makeBase({ db: (e: Env) => faulty(e.DB as never, verdict) })) })
  const post = (asked: ReturnType<typeof mount>) =>
    asked('/rest/v1/plain', {
      token: alice,
      body: { text: 'x' },
      headers: { ...keyed(), prefer: full },
    })
  const count = async () => (await rows(`SELECT count(*) AS n FROM plain WHERE text = 'x'`))[0]?.n

  it('before the commit: nothing was done, and the repeat does it', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    let down = true
    const asked = failing(() => down)
    expect((await post(asked)).status).toBe(500)
    expect([await count(), await answersKept()]).toEqual([0, []])
    down = false
    expect((await post(asked)).status).toBe(201)
    expect(await count()).toBe(1)
    log.mockRestore()
  })

  it('after the commit: the answer was lost, and the repeat gets it', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    let lost = true
    const asked = failing(() => (lost ? 'after' : false))
    expect((await post(asked)).status).toBe(500)
    expect(await count()).toBe(1)
    lost = false
    const repeated = await post(asked)
    expect([repeated.status, await repeated.json()]).toEqual([201, [{ id: 8, text: 'x' }]])
    expect(await count()).toBe(1)
    log.mockRestore()
  })
})

it('case 19: of 50 parallel requests one writes, and all get its answer', async () => {
  const all = await Promise.all(
    Array.from({ length: 50 }, () =>
      call('/plain', { token: alice, body: { text: 'x' }, prefer: full, headers: keyed() }),
    ),
  )
  expect(new Set(all.map(({ status, text }) => `${status} ${text}`))).toEqual(
    new Set(['201 [{"id":8,"text":"x"}]']),
  )
  expect(await rows(`SELECT count(*) AS n FROM plain WHERE text = 'x'`)).toEqual([{ n: 1 }])
})

describe('its time', () => {
  const insert = () => call('/plain', { token: alice, body: { text: 'x' }, headers: keyed() })
  const day = 24 * 60 * 60

  it('is one day: then the key is free, with or without the upkeep', async () => {
    await insert()
    clock.advance(day - 1)
    await insert()
    expect(await rows(`SELECT count(*) AS n FROM plain WHERE text = 'x'`)).toEqual([{ n: 1 }])
    clock.advance(2)
    await insert()
    expect(await rows(`SELECT count(*) AS n FROM plain WHERE text = 'x'`)).toEqual([{ n: 2 }])
  })

  it('the upkeep removes what is over, in slices, and nothing else', async () => {
    await insert()
    const many = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)`
    await env.DB.prepare(
      `${many} INSERT INTO leanto_data_answers (key, n, part, expires_at, found) SELECT 'k' || i, 0, 0, 5, 0 FROM n`,
    ).run()
    const scope = makeBase().scope({ env: env as never })
    await world.scheduled?.(scope, 0)
    expect(scope.cost.trips).toBe(3)
    expect(await rows('SELECT count(*) AS n FROM leanto_data_answers')).toEqual([{ n: 2 }])
    expect((await insert()).status).toBe(201)
    expect(await rows(`SELECT count(*) AS n FROM plain WHERE text = 'x'`)).toEqual([{ n: 1 }])
  })
})

it('an answer that the app could no longer read is 409, and nothing is written', async () => {
  const insert = () =>
    call('/plain', { token: alice, body: { text: 'x' }, prefer: full, headers: keyed() })
  await insert()
  await env.DB.prepare(
    `UPDATE leanto_data_answers SET kept = json_replace(kept, '$[1]', 'another shape') WHERE n = -1`,
  ).run()
  const before = await dump()
  expect(await insert()).toMatchObject({ status: 409, body: { code: 'PT409' } })
  expect(await dump()).toBe(before)
})

it('an answer of more than one value may hold is refused before anything is written', async () => {
  const body = Array.from({ length: 20 }, (_, i) => ({ text: `${i}${'x'.repeat(20_000)}` }))
  const before = await dump()
  const wide = { token: alice, prefer: full, headers: keyed() }
  const answer = await call('/plain', {
    method: 'PATCH',
    body: { text: 'x'.repeat(700_000) },
    ...wide,
  })
  expect(answer).toMatchObject({ status: 400, body: { code: '54000' } })
  expect(await dump()).toBe(before)
  expect((await call('/plain', { body, ...wide })).body).toHaveLength(20)
})
