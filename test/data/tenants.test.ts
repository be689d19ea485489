import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { makeBase, mount } from '../kit/world.ts'
import { seed } from './intact.ts'
import { alice, bob, makeStore, stored } from './store.ts'

beforeEach(seed)

describe('tenants (case 70)', () => {
  it('1,000 interleaved requests of two tenants never mix', async () => {
    const tenants = makeStore(
      makeBase({
        db: (e, source) =>
          (source.req?.raw.headers.get('x-tenant') === 'b' ? e.OTHER_DB : e.DB) as never,
      }),
    )
    const ask = mount({ '/rest/v1': tenants })
    const sql = (await stored(`SELECT sql FROM sqlite_master WHERE name = 'notes'`))[0]
      ?.sql as string
    await env.OTHER_DB.prepare(sql).run()
    await env.DB.prepare('DELETE FROM notes').run()
    const people = [alice, bob]
    const requests = Array.from({ length: 1000 }, async (_, i) => {
      const tenant = i % 2 ? 'a' : 'b'
      const token = people[(i >> 1) % 2] as string
      const owner = token.slice(5)
      const headers = { 'x-tenant': tenant, prefer: 'return=representation' }
      if (i % 5 === 0) {
        const body = { title: `${tenant}-${owner}-${i}` }
        const response = await ask('/rest/v1/notes', { token, headers, body })
        const [row] = (await response.json()) as { owner_id: string; title: string }[]
        expect(row).toMatchObject({ owner_id: owner, title: body.title })
        return
      }
      const response = await ask('/rest/v1/notes?select=owner_id,title', { token, headers })
      for (const row of (await response.json()) as { owner_id: string; title: string }[])
        expect(row.title.startsWith(`${tenant}-${owner}-`) && row.owner_id === owner).toBe(true)
    })
    await Promise.all(requests)
    for (const [db, tenant] of [
      [env.DB, 'a'],
      [env.OTHER_DB, 'b'],
    ] as const) {
      const { results } = await db.prepare('SELECT title FROM notes').all<{ title: string }>()
      expect(results).toHaveLength(100)
      expect(results.every(({ title }) => title.startsWith(`${tenant}-`))).toBe(true)
    }
  })
})
