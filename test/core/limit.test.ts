import { env } from 'cloudflare:workers'
import { exceeded, networkOf, refund, spend } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import { purgeLimits } from '../../src/core/limit.ts'
import { freshDatabase, makeBase } from '../kit/world.ts'

const limit = { max: 3, seconds: 60 }
// The start of a window; the clock of the other tests may stand anywhere in one.
const minute = Date.parse('2026-06-01T12:00:00Z')
const scope = () => makeBase().scope({ env })
const spent = async (key: string, now = minute) =>
  (await spend(scope().db, key, limit, now).first<{ spent: number }>())?.spent

describe('a limit', () => {
  beforeEach(() => freshDatabase([]))

  it('counts in one statement, each key and each window by itself', async () => {
    expect(await spent('a')).toBe(1)
    expect(await spent('a')).toBe(2)
    expect(await spent('b')).toBe(1)
    expect(await spent('a', minute + 60_000)).toBe(1)
  })

  it('never counts two parallel events as one', async () => {
    const counts = await Promise.all(Array.from({ length: 50 }, () => spent('a')))
    expect(counts.sort((x, y) => Number(x) - Number(y))).toEqual(
      Array.from({ length: 50 }, (_, i) => i + 1),
    )
  })

  it('gives an event back, but none that was not spent', async () => {
    await spent('a')
    await refund(scope().db, 'a').run()
    await refund(scope().db, 'a').run()
    expect(await spent('a')).toBe(1)
  })

  it('says when to come again', () => {
    expect(exceeded(3, limit, minute)).toBeUndefined()
    const fault = exceeded(4, limit, minute + 20_000)
    expect(fault?.status).toBe(429)
    expect(fault?.headers['retry-after']).toBe('40')
  })

  it('fails closed when the count is missing', () => {
    expect(exceeded(undefined, limit, minute)?.status).toBe(429)
  })

  it('stands still past one before it, and answers nothing', async () => {
    const { db } = scope()
    const after = [{ key: 'mine', limit: { max: 2, seconds: 60 } }]
    const both = async () => {
      const results = await db.batch<{ spent: number }>([
        spend(db, 'mine', { max: 2, seconds: 60 }, minute),
        spend(db, 'shared', limit, minute, after),
      ])
      return results.map(({ results }) => results[0]?.spent)
    }
    expect(await both()).toEqual([1, 1])
    expect(await both()).toEqual([2, 2])
    for (const i of [3, 4, 5]) expect(await both()).toEqual([i, undefined])
    expect(await spent('shared')).toBe(3)
    // One that was never spent counts as exceeded.
    const never = [{ key: 'never', limit }]
    expect(await spend(db, 'shared', limit, minute, never).first()).toBe(null)
  })

  it('forgets what has passed', async () => {
    await spent('a')
    await purgeLimits(scope().db, minute + 30_000).run()
    expect(await spent('a')).toBe(2)
    await purgeLimits(scope().db, minute + 61_000).run()
    expect((await env.DB.prepare('SELECT count(*) AS n FROM leanto_core_limits').first())?.n).toBe(
      0,
    )
  })

  it('costs one trip', async () => {
    const one = scope()
    await spend(one.db, 'a', limit, minute).all()
    expect(one.cost).toEqual({ trips: 1, statements: 1, rowsRead: 1, rowsWritten: 2 })
  })
})

describe('the network of a request (case 52)', () => {
  const network = (headers: Record<string, string>) =>
    networkOf(new Request('https://app.example', { headers }))

  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2:ffff::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('of %s is %s', (address, expected) => {
    expect(network({ 'cf-connecting-ip': address })).toBe(expected)
  })

  it('does not change with headers that a client can set', () => {
    const forwarded = {
      'x-forwarded-for': '198.51.100.1',
      'x-real-ip': '198.51.100.2',
      forwarded: 'for=198.51.100.3',
    }
    expect(network({ 'cf-connecting-ip': '203.0.113.7', ...forwarded })).toBe('203.0.113.7')
    expect(network(forwarded)).toBeNull()
  })
})
