import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { everything, seed } from './owners.ts'
import { full, merge } from './preferences.ts'
import { alice, bob, call, fresh } from './store.ts'

beforeEach(async () => {
  await fresh()
  await seed()
})

describe('old row and new row', () => {
  it('giving a row away, and stealing one', async () => {
    const before = await everything()
    for (const [options, status] of [
      [{ method: 'PATCH', token: alice, body: { owner_id: 'bob' }, path: '/notes?id=eq.1' }, 403],
      [{ method: 'PATCH', token: alice, body: { owner_id: 'alice' }, path: '/notes?id=eq.3' }, 204],
      [{ method: 'PATCH', token: bob, body: { owner_id: 'bob' }, path: '/notes?id=eq.2' }, 204],
      [
        { token: bob, body: { id: 2, title: 'x', owner_id: 'bob' }, prefer: merge, path: '/notes' },
        403,
      ],
      [{ token: bob, body: { id: 1, title: 'x' }, prefer: merge, path: '/notes' }, 403],
      [{ method: 'PUT', token: bob, body: { id: 1, title: 'x' }, path: '/notes?id=eq.1' }, 403],
      [
        {
          token: alice,
          body: { id: 1, title: 'x', owner_id: 'bob' },
          prefer: merge,
          path: '/notes',
        },
        403,
      ],
      // Under another unique constraint.
      [
        {
          token: bob,
          body: { owner_id: 'alice', title: 'public', body: 'x' },
          prefer: merge,
          path: '/notes?on_conflict=owner_id,title',
        },
        403,
      ],
    ] as const) {
      const { path, ...rest } = options
      expect((await call(path, rest)).status).toBe(status)
      expect(await everything()).toEqual(before)
    }
  })

  it('one row of many that must not be written undoes all', async () => {
    const before = await everything()
    const rows = [
      { id: 10, owner_id: 'alice', title: 'fine' },
      { id: 11, owner_id: 'bob', title: 'not' },
    ]
    expect((await call('/notes', { token: alice, body: rows })).status).toBe(403)
    const upsert = [
      { id: 1, owner_id: 'alice', title: 'fine' },
      { id: 3, owner_id: 'alice', title: 'not mine' },
    ]
    expect((await call('/notes', { token: alice, body: upsert, prefer: merge })).status).toBe(403)
    expect(await everything()).toEqual(before)
  })

  it('what may be inserted may be more than what may be changed', async () => {
    const patch = (id: string, body: unknown) =>
      call(`/tickets?id=eq.${id}`, { method: 'PATCH', token: alice, body })
    expect((await patch('open', { value: 5 })).status).toBe(204)
    // Closing takes it out of what may be changed: the new row fails.
    expect((await patch('open', { state: 'done' })).status).toBe(403)
    expect((await patch('done', { state: 'open' })).headers.get('content-range')).toBe('*/*')
    const inserted = await call('/tickets', {
      token: alice,
      body: { id: 'n', owner_id: 'alice', state: 'done' },
    })
    expect(inserted.status).toBe(201)
    const upsert = (id: string) =>
      call('/tickets', { token: alice, body: { id, owner_id: 'alice', value: 7 }, prefer: merge })
    expect((await upsert('open')).status).toBe(200)
    expect((await upsert('done')).status).toBe(403)
    expect((await upsert('bobs')).status).toBe(403)
    expect((await upsert('fresh')).status).toBe(201)
  })
})

describe('constraints are no oracle (case 36)', () => {
  it('what the policy refuses is 42501, whether it is there or not', async () => {
    const answers = await Promise.all(
      ['bobs', 'no such title'].flatMap((title) => [
        call('/notes', { token: alice, body: { owner_id: 'bob', title } }),
        call('/notes', { token: alice, body: { id: 3, owner_id: 'bob', title } }),
        call('/notes', { token: alice, body: { owner_id: 'bob', title }, prefer: merge }),
        call('/notes?on_conflict=owner_id,title', {
          token: alice,
          body: { owner_id: 'bob', title },
          prefer: `resolution=ignore-duplicates, ${full}`,
        }),
        call('/notes?id=eq.1', { method: 'PATCH', token: alice, body: { owner_id: 'bob', title } }),
        call('/notes?id=eq.1', {
          method: 'PATCH',
          token: alice,
          body: { owner_id: 'bob', title, id: 3 },
        }),
        call('/notes', { token: alice, body: { owner_id: 'bob', title: null } }),
        call('/notes', { token: alice, body: { owner_id: 'bob', title: 'x'.repeat(999) } }),
      ]),
    )
    for (const { status, body } of answers)
      expect({ status, body }).toEqual({
        status: 403,
        body: {
          code: '42501',
          message: 'new row violates row-level security policy for table "notes"',
          details: null,
          hint: null,
        },
      })
  })

  it('a constraint that a trigger hits in another table, or that has a hidden column, is not named', async () => {
    await env.DB.batch([
      env.DB.prepare('CREATE UNIQUE INDEX one_secret ON notes (title, secret)'),
      env.DB.prepare('CREATE TABLE audit (kind TEXT UNIQUE)'),
      env.DB.prepare(
        `CREATE TRIGGER audited AFTER INSERT ON tags BEGIN INSERT INTO audit VALUES ('x'); END`,
      ),
      env.DB.prepare(`UPDATE notes SET secret = 'x', public = 1`),
    ])
    await call('/tags', { body: { name: 'a' } })
    const audit = await call('/tags', { body: { name: 'b' } })
    expect(audit).toMatchObject({ status: 409, body: { code: '23505', details: null } })
    expect(audit.text).not.toMatch(/audit|kind/)
    const hidden = await call('/notes?id=eq.1', {
      method: 'PATCH',
      token: alice,
      body: { title: 'bobs' },
    })
    expect(hidden).toMatchObject({ status: 409, body: { code: '23505', details: null } })
    expect(hidden.text).not.toMatch(/secret/)
  })
})
