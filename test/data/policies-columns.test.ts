import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { everything, people, seed } from './owners.ts'
import { full, merge } from './preferences.ts'
import { alice, call, fresh, stored } from './store.ts'

beforeEach(async () => {
  await fresh()
  await seed()
})

describe('hidden columns (cases 35, 36, 37)', () => {
  const uses: [how: string, path: (name: string) => string, options?: object][] = [
    ['select', (name) => `/notes?select=id,${name}`],
    ['quoted', (name) => `/notes?select="${name}"`],
    ['rename', (name) => `/notes?select=title:${name}`],
    ['filter', (name) => `/notes?${name}=eq.hush`],
    ['is', (name) => `/notes?${name}=not.is.null`],
    ['in', (name) => `/notes?${name}=in.(hush)`],
    ['like', (name) => `/notes?${name}=like.h*`],
    ['or', (name) => `/notes?or=(id.eq.1,${name}.like.h*)`],
    ['nested', (name) => `/notes?not.and=(id.eq.1,or(${name}.gt.h,id.eq.2))`],
    ['order', (name) => `/notes?order=id,${name}.desc`],
    ['count', (name) => `/notes?${name}=eq.hush`, { method: 'HEAD', prefer: 'count=exact' }],
    [
      'on_conflict',
      (name) => `/notes?on_conflict=${name}`,
      { body: { title: 'x' }, prefer: merge },
    ],
    ['body', () => '/notes', { named: true }],
    ['bulk', () => '/notes', { named: true, list: true }],
    ['columns', (name) => `/notes?columns=title,${name}`, { body: { title: 'x' } }],
    ['patch', () => '/notes?id=eq.1', { method: 'PATCH', named: true }],
    [
      'patch columns',
      (name) => `/notes?id=eq.1&columns=${name}`,
      { method: 'PATCH', body: { body: 'x' } },
    ],
    ['patch filter', (name) => `/notes?${name}=eq.hush`, { method: 'PATCH', body: { body: 'x' } }],
    ['delete filter', (name) => `/notes?${name}=eq.hush`, { method: 'DELETE' }],
    ['returned', (name) => `/notes?select=${name}`, { body: { title: 'x' }, prefer: full }],
    ['returned order', (name) => `/notes?order=${name}`, { body: { title: 'x' }, prefer: full }],
    ['put', (name) => `/notes?${name}=eq.1`, { method: 'PUT', named: true }],
    ['csv', (name) => `/notes?select=${name}`, { headers: { accept: 'text/csv' } }],
  ]
  it.each(uses)('%s answers as for a column that never was', async (_, path, options = {}) => {
    const before = await everything()
    const ask = async (name: string) => {
      const { named, list, ...rest } = options as { named?: boolean; list?: boolean }
      const row = { title: 'x', [name]: 'y' }
      const body = named ? { body: list ? [row, row] : row } : {}
      const answer = await call(path(name), { token: alice, ...rest, ...body })
      expect(answer.status).toBeGreaterThanOrEqual(400)
      return [answer.status, answer.text.replaceAll(name, 'NAME')]
    }
    expect(await ask('secret')).toEqual(await ask('sekret'))
    expect(await ask('secret')).toEqual(await ask('ownerId'))
    expect(await everything()).toEqual(before)
  })

  it('are in no answer, and `service` sees them', async () => {
    for (const options of [
      { path: '/notes' },
      { path: '/notes?select=*' },
      { path: '/notes', headers: { accept: 'text/csv' } },
      { path: '/notes', body: { title: 'x' }, prefer: full },
      { path: '/notes?id=eq.1', method: 'PATCH', body: { body: 'x' }, prefer: full },
      { path: '/notes?id=eq.1', method: 'DELETE', prefer: full },
    ]) {
      const { path, ...rest } = options
      const answer = await call(path, { token: alice, ...rest })
      expect(answer.status).toBeLessThan(300)
      expect(answer.text).not.toMatch(/secret|hush/)
    }
    expect(
      (await call('/notes?secret=eq.hush&select=secret', { key: 'secret' })).body,
    ).toHaveLength(2)
  })

  /** Requests of every kind, as three people; every value that they see is the same in both worlds. */
  const corpus: [path: string, options?: object][] = [
    ['/notes?order=id'],
    ['/notes?order=title.desc,body', { prefer: 'count=exact' }],
    ['/notes?order=body&limit=1&offset=1', { prefer: 'count=exact' }],
    ['/notes?offset=3', { prefer: 'count=exact' }],
    ['/notes', { method: 'HEAD', prefer: 'count=exact' }],
    ['/notes', { headers: { accept: 'text/csv' } }],
    ['/notes?id=eq.3', { headers: { accept: 'application/vnd.pgrst.object+json' } }],
    ['/notes?body=like.*c*'],
    ['/notes?body=gt.b'],
    ['/notes?or=(title.eq.bobs,score.gt.2,meta.eq.5)'],
    ['/notes?meta=neq.{"a":1}'],
    ['/notes?title=ilike.*S*', { prefer: 'count=exact' }],
    ['/notes?score=in.(1,2,3,77)'],
    ['/notes?secret=eq.hush'],
    ['/notes?select=x:secret'],
    ['/notes?order=secret'],
    ['/notes', { body: { owner_id: 'bob', title: 'bobs', created_at: '2026-01-01' } }],
    ['/notes', { body: { owner_id: 'bob', title: 'other', created_at: '2026-01-01' } }],
    ['/notes', { body: { id: 3, owner_id: 'bob', title: 'bobs' }, prefer: merge }],
    ['/notes', { body: { id: 3, title: 'mine' }, prefer: merge }],
    [
      '/notes?on_conflict=owner_id,title',
      { body: { owner_id: 'bob', title: 'bobs' }, prefer: merge },
    ],
    ['/notes?id=eq.3', { method: 'PUT', body: { id: 3, title: 'mine' } }],
    ['/notes?id=eq.3', { method: 'PATCH', body: { body: 'x' }, prefer: `${full}, count=exact` }],
    ['/notes?title=eq.bobs', { method: 'PATCH', body: { body: 'x' }, prefer: 'count=exact' }],
    ['/notes?body=like.*z*', { method: 'DELETE', prefer: `${full}, count=exact` }],
    ['/notes?id=eq.1', { method: 'PATCH', body: { owner_id: 'bob', title: 'bobs' } }],
    [
      '/notes?select=id,title,score',
      { method: 'PATCH', body: { rank: 1 }, prefer: `${full}, count=exact` },
    ],
    ['/notes?select=id,title', { body: { id: 50, title: 'new' }, prefer: full }],
    ['/notes?id=lt.3', { method: 'DELETE', prefer: 'count=exact' }],
    ['/notes', { method: 'DELETE', prefer: 'handling=strict, max-affected=1, count=exact' }],
  ]
  it('property: no answer depends on a hidden or unreadable value', async () => {
    const run = async (variant: string[]) => {
      const answers: unknown[] = []
      for (const who of ['guest', 'owner', 'third'] as const) {
        await fresh()
        await seed(variant[0])
        // What alice and the others may not see of bob's row: all but its key.
        await env.DB.prepare(
          'UPDATE notes SET title = ?, body = ?, score = ?, rank = ?, meta = ?, done = ?, created_at = ? WHERE id = 3',
        )
          .bind(...variant.slice(1))
          .run()
        const as = who === 'third' ? { token: 'user-carol' } : people[who]
        for (const [path, options] of corpus) {
          const { status, text, headers } = await call(path, { ...as, ...options })
          const shown = [...headers].filter(([name]) => name !== 'x-d1-bookmark')
          answers.push([who, path, status, text, shown])
        }
      }
      return answers
    }
    const worlds = [
      ['hush', 'bobs', 'c', 3, 0.5, '{"a":1}', 0, 0],
      ['', 'AAA', '', -1, null, null, 1, 99],
      ['zzz', 'zzz', 'zzz', 77, 1e9, '{broken', 1, 8e12],
      ["'; --", '"quotes"', '%*_', 2, -1, `${'['.repeat(2000)}`, 0, 5],
    ]
    const [first, ...others] = [
      await run(worlds[0] as never),
      await run(worlds[1] as never),
      await run(worlds[2] as never),
      await run(worlds[3] as never),
    ]
    for (const other of others) expect(other).toEqual(first)
  })
})

describe('read-only columns and mass assignment (case 40)', () => {
  it('are refused wherever a body can name them', async () => {
    const before = await everything()
    for (const [path, options] of [
      ['/notes', { body: { title: 'x', score: 99 } }],
      ['/notes', { body: [{ title: 'x', score: 99 }] }],
      ['/notes?columns=title,score', { body: { title: 'x', score: 99 } }],
      ['/notes', { body: { id: 1, title: 'x', score: 99 }, prefer: merge }],
      ['/notes?id=eq.1', { method: 'PATCH', body: { score: 99 } }],
      ['/notes?id=eq.1&columns=score', { method: 'PATCH', body: { score: 99 } }],
      ['/notes?id=eq.1', { method: 'PUT', body: { id: 1, title: 'x', score: 99 } }],
    ] as const)
      expect(await call(path, { token: alice, ...options })).toMatchObject({
        status: 403,
        body: { code: '42501', message: 'permission denied for column score of table notes' },
      })
    expect(await everything()).toEqual(before)
    // What `columns` leaves out is not written, and may be there.
    await call('/notes?columns=title', {
      token: alice,
      body: { title: 'x', score: 99, secret: 's' },
    })
    expect(await stored(`SELECT score, secret FROM notes WHERE title = 'x'`)).toEqual([
      { score: 0, secret: null },
    ])
    expect((await call('/notes?id=eq.1&score=eq.1', { token: alice })).body).toHaveLength(1)
  })
})
