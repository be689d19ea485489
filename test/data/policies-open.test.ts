import { beforeEach, describe, expect, it } from 'vitest'
import { everything, people, seed } from './owners.ts'
import { full, merge } from './preferences.ts'
import { alice, bob, call, fresh, store, stored } from './store.ts'

/*
 * Tables that are open to all: a guest may do there what the service may, in every way of writing. What they lead to keeps to
 * its own policies all the same.
 */

beforeEach(async () => {
  await fresh()
  await seed()
})

interface Open {
  /** A row, what finds it, and what changes it. */
  row: Record<string, unknown>
  filter: string
  change: Record<string, unknown>
  key: boolean
}

const open: Record<string, Open> = {
  kinds: {
    row: { id: 'k', words: 'one', whole: 3 },
    filter: 'id=eq.k',
    change: { words: 'two' },
    key: true,
  },
  comments: {
    row: { id: 1, note_id: 1, text: 'one' },
    filter: 'id=eq.1',
    change: { text: 'two' },
    key: true,
  },
  scores: {
    row: { player: 'p', game: 'g', points: 1 },
    filter: 'player=eq.p&game=eq.g',
    change: { points: 2 },
    key: true,
  },
  tags: { row: { name: 'one' }, filter: 'name=in.(one,two)', change: { name: 'two' }, key: false },
  lines: { row: { text: 'one' }, filter: 'text=in.(one,two)', change: { text: 'two' }, key: false },
}

const cases = Object.keys(open).flatMap((table) =>
  Object.entries(people).map(([who, as]) => [table, who, as] as const),
)

describe('a table that is open to all', () => {
  it.each(cases)('%s is open to: %s', async (table, _who, as) => {
    const { row, filter, change, key } = open[table] as Open
    const before = await everything()
    const one = `/${table}?${filter}`
    const rows = () => stored(`SELECT * FROM ${table}`)
    expect((await call(`/${table}`, { ...as, body: row, prefer: full })).body).toMatchObject([row])
    expect(await rows()).toMatchObject([row])
    expect((await call(one, as)).body).toMatchObject([row])
    const changed = { ...row, ...change }
    const patch = { ...as, method: 'PATCH', body: change, prefer: full }
    expect((await call(one, patch)).body).toMatchObject([changed])
    expect(await rows()).toMatchObject([changed])
    if (key) {
      expect((await call(`/${table}`, { ...as, body: row, prefer: merge })).status).toBe(200)
      expect(await rows()).toMatchObject([row])
      expect((await call(one, { ...as, method: 'PUT', body: changed })).status).toBe(204)
      expect(await rows()).toMatchObject([changed])
    }
    const counted = { ...as, method: 'HEAD', prefer: 'count=exact' }
    expect((await call(`/${table}`, counted)).headers.get('content-range')).toBe('0-0/1')
    expect((await call(one, { ...as, method: 'DELETE', prefer: full })).body).toMatchObject([
      changed,
    ])
    expect(await rows()).toEqual([])
    expect(await everything()).toEqual(before)
  })

  it('and each of them has that policy and no other', () => {
    for (const table of Object.keys(open)) {
      const { policies } = store.tables[table as 'tags']
      const org = { id: '', role: '', teams: [] }
      const guest = { id: '', role: 'anon', claims: {}, orgs: [], org } as const
      for (const operation of ['select', 'insert', 'update', 'delete'] as const)
        expect([table, operation, policies[operation]?.(guest)]).toEqual([table, operation, true])
    }
  })
})

describe('what an open table leads to is as closed as it is', () => {
  beforeEach(async () => {
    for (const [id, note_id] of [
      [1, 1],
      [2, 2],
      [3, 3],
    ])
      await call('/comments', { key: 'secret', body: { id, note_id, text: `of ${note_id}` } })
  })

  it.each([
    ['guest', {}, [2]],
    ['owner', { token: alice }, [1, 2]],
    ['stranger', { token: bob }, [2, 3]],
    ['service', { key: 'secret' as const }, [1, 2, 3]],
  ])('of the notes behind the comments, %s sees their own and public ones', async (_, as, ids) => {
    const all = (await call('/comments?select=id,notes(id,title)&order=id', as)).body
    expect(all.map(({ id }: { id: number }) => id)).toEqual([1, 2, 3])
    expect(all.flatMap(({ notes }: { notes?: { id: number } }) => notes?.id ?? [])).toEqual(ids)
    const inner = (path: string) =>
      call(`/comments?select=id${path}&order=id`, { ...as, prefer: 'count=exact' })
    for (const path of [',notes!inner()', ',notes()&notes=not.is.null', ',...notes!inner(title)']) {
      const { body, headers } = await inner(path)
      expect(body.map(({ id }: { id: number }) => id)).toEqual(ids)
      expect(headers.get('content-range')).toBe(`0-${ids.length - 1}/${ids.length}`)
    }
    const written = await call('/comments?id=eq.1&select=text,notes(title)', {
      ...as,
      method: 'PATCH',
      body: { text: 'x' },
      prefer: full,
    })
    expect(written.body).toEqual([
      { text: 'x', notes: ids.includes(1) ? { title: 'private' } : null },
    ])
  })

  it('35: a hidden column of the notes is none from there either', async () => {
    for (const path of [
      '?select=notes(secret)',
      '?select=...notes(secret)',
      '?select=id,notes(id)&notes.secret=eq.hush',
      '?select=id,notes(id)&order=notes(secret)',
      '?select=id,notes!inner(secret.max())',
    ])
      expect((await call(`/comments${path}`, { token: alice })).body.code).toBe('42703')
  })

  it('a comment may be put to a note that is not seen, as a foreign key has it, and tells nothing of it', async () => {
    const body = { id: 9, note_id: 3, text: 'x' }
    const { status, body: answer } = await call('/comments?select=id,notes(title)', {
      token: alice,
      body,
      prefer: full,
    })
    expect([status, answer]).toEqual([201, [{ id: 9, notes: null }]])
  })
})
