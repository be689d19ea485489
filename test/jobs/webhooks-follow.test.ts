import { env } from 'cloudflare:workers'
import { changes } from 'leanto/data'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { hostSql as liveSql, store } from '../data/changes-world.ts'
import { freshDatabase } from '../kit/world.ts'
import { type HooksWorld, hooksWorld } from './webhooks-world.ts'

let world: HooksWorld

beforeEach(async () => {
  world = hooksWorld()
  vi.spyOn(console, 'warn').mockImplementation(() => {})
  await freshDatabase([world.work])
})

const url = 'https://hooks.example/in'
const register = (more = {}) => world.hooks.register(world.scope(), { url, ...more })

describe('following a log of changes', () => {
  const log = { seq: 0, first: 1 }
  const read = async (since: number | 'now') => {
    if (since === 'now') return { changes: [], last: log.seq, more: false, gap: false }
    if (since + 1 < log.first) return { changes: [], last: log.seq, more: false, gap: true }
    const last = Math.min(since + 3, log.seq)
    const changes = Array.from({ length: last - since }, (_, i) => ({ seq: since + 1 + i }))
    return { changes, last, more: last < log.seq, gap: false }
  }
  const message = ({ seq }: { seq: number }) =>
    seq % 5 === 0 ? null : { type: 'note.changed', data: seq }
  const follow = () => world.hooks.follow(world.scope(), { name: 'notes', read, message })

  beforeEach(() => Object.assign(log, { seq: 10, first: 1 }))

  it('begins with what comes from now on, and sends each change once, however many follow', async () => {
    await register()
    expect(await follow()).toEqual({ sent: 0, more: false, gap: false })
    log.seq = 16
    const both = await Promise.all(Array.from({ length: 10 }, follow))
    expect(both.reduce((sum, { sent }) => sum + sent, 0)).toBeGreaterThanOrEqual(3)
    for (let more = true; more; ) ({ more } = await follow())
    await world.drain()
    const numbers = world.received.map((one) => JSON.parse(one.body).data)
    expect(numbers.sort((a, b) => a - b)).toEqual([11, 12, 13, 14, 16])
    expect(await follow()).toEqual({ sent: 0, more: false, gap: false })
  })

  it('says so when changes were lost, and goes on', async () => {
    await register()
    await follow()
    Object.assign(log, { seq: 100, first: 50 })
    expect(await follow()).toEqual({ sent: 0, more: false, gap: true })
    log.seq = 101
    expect(await follow()).toEqual({ sent: 1, more: false, gap: false })
  })
})

describe('following the change log of data', () => {
  it('tells an owner’s endpoints of its rows, whoever wrote them, two statements a page', async () => {
    await freshDatabase([world.work, store], liveSql)
    await register({ owner: 'alice' })
    await register({ owner: 'bob' })
    const scope = world.scope()
    const follow = () =>
      world.hooks.follow(scope, {
        name: 'notes',
        read: (since) => changes(scope, store, { since, tables: ['notes'] }),
        message: ({ operation, key, old }) =>
          old === null
            ? null
            : { type: `note.${operation}`, data: key, owner: String(old.owner_id) },
      })
    await follow()
    await env.DB.batch(
      [
        `INSERT INTO notes (id, owner_id, title) VALUES (1, 'alice', 'a'), (2, 'bob', 'b'), (3, 'eve', 'c')`,
        `UPDATE notes SET title = title || '!'`,
        'DELETE FROM notes WHERE id = 2',
      ].map((sql) => env.DB.prepare(sql)),
    )
    const before = scope.cost.statements
    expect(await follow()).toEqual({ sent: 4, more: false, gap: false })
    // The cursor, the two of the log, the messages, their jobs, and the cursor again.
    expect(scope.cost.statements - before).toBe(6)
    await world.drain()
    const told = world.received.map(({ body }) => JSON.parse(body))
    expect(told.map(({ type, data }) => `${type} ${data.id}`).sort()).toEqual([
      'note.delete 2',
      'note.update 1',
      'note.update 2',
    ])
  })
})
