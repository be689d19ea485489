import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'
import { client, counters, deepl, gateway, Upstream } from './world.ts'

describe('upkeep', () => {
  it('forgets counters whose window is over', async () => {
    clock.time = Date.parse('2026-06-01T12:00:00Z')
    const base = makeBase()
    const quota = { user: { requests: { minute: 9, day: 9 } } }
    const module = gateway({ deepl: deepl(new Upstream(), { quota }) }, {}, base)
    await freshDatabase([module])
    const body = { text: ['Hello'], target_lang: 'DE' }
    await client(module, base)('/deepl/v2/translate', { body, token: 'ada' })
    clock.advance(59)
    await module.scheduled?.(makeBase().scope({ env }), clock.time)
    expect(Object.keys(await counters())).toHaveLength(2)
    clock.advance(1)
    await module.scheduled?.(makeBase().scope({ env }), clock.time)
    expect(Object.keys(await counters())).toEqual(['deepl:user:ada:day'])
  })
})
