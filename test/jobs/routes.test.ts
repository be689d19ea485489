import { giveUp } from 'leanto/jobs'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { clock, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { alice, bob, oneHandler, scopeOf } from './world.ts'

const base = makeBase({ origins: ['https://page.example'] })
const work = oneHandler(
  async (_, { n }, { progress }) => {
    await progress({ percent: 50 })
    if (n < 0) throw giveUp('the password of the database is hunter2')
    return { twice: n * 2 }
  },
  {},
  {},
  base,
)
const ask = mount({ '/jobs': work })
const enqueue = (n: number, owner?: string) =>
  work.enqueue(scopeOf(base), 'work', { n }, owner === undefined ? {} : { owner })

beforeEach(() => freshDatabase([work]))

const json = async (response: Promise<Response>) => (await response).json() as Promise<never>

describe('a client', () => {
  it('case 66: reads its own job, which nothing caches: state, progress and result, and neither payload nor error', async () => {
    const { id } = await enqueue(4, 'alice')
    const time = new Date(clock.time).toISOString()
    const before = {
      id,
      name: 'work',
      state: 'ready',
      attempt: 0,
      attempts: 10,
      progress: null,
      result: null,
      createdAt: time,
      scheduledAt: time,
      endedAt: null,
    }
    expect(await json(ask(`/jobs/${id}`, { token: alice }))).toEqual(before)
    await work.drain(scopeOf(base))
    const response = await ask(`/jobs/${id}`, { token: alice })
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.json()).toEqual({
      ...before,
      state: 'done',
      attempt: 1,
      progress: { percent: 50 },
      result: { twice: 8 },
      endedAt: time,
    })
  })

  it('is not told why a job failed; the service is', async () => {
    const { id } = await enqueue(-1, 'alice')
    await work.drain(scopeOf(base))
    const asked = await ask(`/jobs/${id}`, { token: alice })
    const text = await asked.text()
    expect(text).toContain('"dead"')
    expect(text).not.toContain('hunter2')
    expect(await json(ask(`/jobs/${id}`, { key: 'secret' }))).toMatchObject({
      owner: 'alice',
      payload: { n: -1 },
      error: 'the password of the database is hunter2',
    })
  })

  it('cases 42 and 60: finds another’s job no more than one that is not there, by HEAD neither', async () => {
    const { id } = await enqueue(1, 'alice')
    const { id: nobodys } = await enqueue(1)
    for (const path of [id, nobodys, 'nothing'])
      expect((await ask(`/jobs/${path}`, { method: 'HEAD', token: bob })).status).toBe(404)
    for (const method of ['GET', 'DELETE'])
      for (const path of [id, nobodys, 'nothing']) {
        const response = await ask(`/jobs/${path}`, { method, token: bob })
        expect(response.status).toBe(404)
        expect(await response.json()).toEqual({
          type: 'urn:leanto:fault:job_not_found',
          title: 'There is no such job',
          status: 404,
          code: 'job_not_found',
        })
      }
    expect(await work.read(scopeOf(base), id)).toMatchObject({ state: 'ready' })
  })

  it('case 39: gets nothing by an id that looks like a role, a pattern or a prototype', async () => {
    await enqueue(1, 'alice')
    await enqueue(2)
    for (const name of ['null', 'undefined', '__proto__', 'service', 'constructor'])
      expect(await json(ask('/jobs', { token: `user-${name}` }))).toEqual([])
    for (const id of ['%', '*', '__proto__', '%00', '%ED%A0%80'])
      expect((await ask(`/jobs/${id}`, { token: alice })).status).toBe(404)
  })

  it('lists its own, newest first, page by page', async () => {
    const ids: string[] = []
    for (const n of [1, 2, 3]) {
      clock.advance(1)
      ids.unshift((await enqueue(n, 'alice')).id)
      await enqueue(n, 'bob')
    }
    const list = async (query: string): Promise<string[]> =>
      ((await json(ask(`/jobs${query}`, { token: alice }))) as { id: string }[]).map((j) => j.id)
    expect(await list('')).toEqual(ids)
    expect(await list('?limit=2')).toEqual(ids.slice(0, 2))
    expect(await list(`?limit=2&before=${ids[1]}`)).toEqual(ids.slice(2))
    expect(await list('?name=work')).toEqual(ids)
    expect(await list('?name=other')).toEqual([])
    expect(await list('?state=dead')).toEqual([])
  })

  it.each([
    '?state=ready',
    '?limit=0',
    '?limit=201',
    '?limit=1e2',
    '?owner=bob',
    '?owner_id=bob',
    '?limit=1&limit=2',
    '?name=%00',
  ])('case 36: is refused the query %s', async (query) => {
    expect((await ask(`/jobs${query}`, { token: alice })).status).toBe(400)
  })

  it('cancels its own job, once', async () => {
    const { id } = await enqueue(1, 'alice')
    const all = await Promise.all(
      Array.from({ length: 50 }, () => ask(`/jobs/${id}`, { method: 'DELETE', token: alice })),
    )
    expect(all.filter(({ status }) => status === 204)).toHaveLength(1)
    expect(all.filter(({ status }) => status === 409)).toHaveLength(49)
    expect((await work.drain(scopeOf(base))).ran).toBe(0)
  })

  it('may be a page of an origin that the host lists', async () => {
    const { id } = await enqueue(1, 'alice')
    const headers = { origin: 'https://page.example' }
    const response = await ask(`/jobs/${id}`, { token: alice, headers })
    expect(response.headers.get('access-control-allow-origin')).toBe('https://page.example')
  })
})

describe('the service', () => {
  it('finds the dead letters, and retries one', async () => {
    const { id } = await enqueue(-1, 'alice')
    await enqueue(1, 'alice')
    await work.drain(scopeOf(base))
    const dead = await json(ask('/jobs?state=dead', { key: 'secret' }))
    expect(dead).toMatchObject([{ id, state: 'dead' }])
    expect((await ask(`/jobs/${id}/retry`, { method: 'POST', key: 'secret' })).status).toBe(202)
    expect(await work.drain(scopeOf(base))).toMatchObject({ ran: 1 })
    expect(await work.list(scopeOf(base))).toHaveLength(2)
  })
})

it('case 51: tells nothing of a database that fails', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  const broken = makeBase({ db: (e) => faulty(e.DB as never, () => true) })
  const failing = mount({ '/jobs': oneHandler(() => {}, {}, {}, broken) })
  for (const [path, method] of [
    ['', 'GET'],
    ['/x', 'GET'],
    ['/x', 'DELETE'],
    ['/x/retry', 'POST'],
  ] as const) {
    const response = await failing(`/jobs${path}`, { method, key: 'secret' })
    expect([response.status, response.headers.get('content-type')]).toEqual([
      500,
      'application/problem+json',
    ])
    expect(await response.text()).not.toMatch(/D1|SQL|table/)
  }
  log.mockRestore()
})

it('has no routes without an identity', async () => {
  const closed = oneHandler(() => {}, {}, { identity: undefined } as never)
  expect(closed.table).toEqual([])
  const { id } = await enqueue(1, 'alice')
  const response = await mount({ '/jobs': closed })(`/jobs/${id}`, { key: 'secret' })
  expect(response.status).toBe(404)
})
