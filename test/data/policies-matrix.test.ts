import { beforeEach, describe, expect, it } from 'vitest'
import { everything, people, seed } from './owners.ts'
import { full, merge } from './preferences.ts'
import { alice, call, fresh, store, stored } from './store.ts'

beforeEach(async () => {
  await fresh()
  await seed()
})

type Person = keyof typeof people

describe('the matrix', () => {
  // What comes of it: a status, and whether the row was reached.
  type Outcome = [status: number, reached: boolean]
  const matrix: Record<string, Record<Person, Record<'private' | 'public', Outcome>>> = {
    select: {
      guest: { private: [200, false], public: [200, true] },
      owner: { private: [200, true], public: [200, true] },
      stranger: { private: [200, false], public: [200, true] },
      service: { private: [200, true], public: [200, true] },
    },
    update: {
      guest: { private: [204, false], public: [204, false] },
      owner: { private: [204, true], public: [204, true] },
      stranger: { private: [204, false], public: [204, false] },
      service: { private: [204, true], public: [204, true] },
    },
    delete: {
      guest: { private: [204, false], public: [204, false] },
      owner: { private: [204, true], public: [204, true] },
      stranger: { private: [204, false], public: [204, false] },
      service: { private: [204, true], public: [204, true] },
    },
    // As themselves, and in the owner's name.
    'upsert as self': {
      guest: { private: [401, false], public: [401, false] },
      owner: { private: [200, true], public: [200, true] },
      stranger: { private: [403, false], public: [403, false] },
      service: { private: [200, true], public: [200, true] },
    },
    'upsert as owner': {
      guest: { private: [401, false], public: [401, false] },
      owner: { private: [200, true], public: [200, true] },
      stranger: { private: [403, false], public: [403, false] },
      service: { private: [200, true], public: [200, true] },
    },
    'put as self': {
      guest: { private: [401, false], public: [401, false] },
      owner: { private: [204, true], public: [204, true] },
      stranger: { private: [403, false], public: [403, false] },
      service: { private: [204, true], public: [204, true] },
    },
    'put as owner': {
      guest: { private: [401, false], public: [401, false] },
      owner: { private: [204, true], public: [204, true] },
      stranger: { private: [403, false], public: [403, false] },
      service: { private: [204, true], public: [204, true] },
    },
  }
  const selves = { guest: null, owner: 'alice', stranger: 'bob', service: 'alice' }
  const cases = Object.entries(matrix).flatMap(([operation, by]) =>
    Object.entries(by).flatMap(([who, rows]) =>
      Object.entries(rows).map(
        ([row, outcome]) =>
          [operation, who as Person, row as 'private' | 'public', outcome] as const,
      ),
    ),
  )
  it.each(cases)('%s as %s on a %s row', async (operation, who, row, [status, reached]) => {
    const id = row === 'private' ? 1 : 2
    const before = await everything()
    const owner = operation.endsWith('self') ? selves[who] : 'alice'
    const body = { id, owner_id: owner, title: row, body: 'changed' }
    const ways = {
      select: { path: `/notes?id=eq.${id}` },
      update: { path: `/notes?id=eq.${id}`, method: 'PATCH', body: { body: 'changed' } },
      delete: { path: `/notes?id=eq.${id}`, method: 'DELETE' },
      upsert: { path: '/notes', body, prefer: merge },
      put: { path: `/notes?id=eq.${id}`, method: 'PUT', body },
    }
    const { path, ...options } = ways[operation.split(' ')[0] as keyof typeof ways]
    const answer = await call(path, { ...options, ...people[who] })
    expect(answer.status).toBe(status)
    if (status >= 400) {
      expect(answer.body).toEqual({
        code: '42501',
        message: 'new row violates row-level security policy for table "notes"',
        details: null,
        hint: null,
      })
      expect(answer.headers.get('www-authenticate')).toBe(status === 401 ? 'Bearer' : null)
    }
    const after = await everything()
    if (operation === 'select') expect(answer.body).toHaveLength(reached ? 1 : 0)
    else if (!reached) expect(after).toEqual(before)
    else if (operation === 'delete') expect(after.notes).toHaveLength(2)
    else
      expect(after.notes[id - 1]).toMatchObject({ body: 'changed', owner_id: 'alice', score: id })
  })

  it.each([
    ['guest', null, 401],
    ['guest', 'alice', 401],
    ['owner', 'alice', 201],
    ['owner', 'bob', 403],
    ['stranger', 'alice', 403],
    ['service', 'alice', 201],
    ['service', 'bob', 201],
  ] as const)('insert as %s for %s', async (who, owner, status) => {
    const answer = await call('/notes', {
      ...people[who],
      body: { owner_id: owner, title: 'new' },
    })
    expect(answer.status).toBe(status)
    expect(await stored(`SELECT owner_id FROM notes WHERE title = 'new'`)).toEqual(
      status === 201 ? [{ owner_id: owner }] : [],
    )
  })

  it('case 41: a guest who names a user is no user', async () => {
    for (const body of [{ owner_id: 'alice', title: 'x' }, { title: 'x' }])
      expect((await call('/notes', { body })).status).toBe(401)
    expect(await everything()).toMatchObject({ notes: { length: 3 } })
  })

  it('lists hold what each may see, and are counted so', async () => {
    const seen = async (who: Person) => {
      const { body, headers } = await call('/notes?select=id&order=id', {
        ...people[who],
        prefer: 'count=exact',
      })
      return [body.map(({ id }: { id: number }) => id), headers.get('content-range')]
    }
    expect(await seen('guest')).toEqual([[2], '0-0/1'])
    expect(await seen('owner')).toEqual([[1, 2], '0-1/2'])
    expect(await seen('stranger')).toEqual([[2, 3], '0-1/2'])
    expect(await seen('service')).toEqual([[1, 2, 3], '0-2/3'])
  })

  it('a filter widens nothing: or, not, is', async () => {
    for (const query of [
      'or=(id.gt.0,id.lt.0)',
      'not.and=(id.eq.99,id.eq.98)',
      'id=not.in.()',
      'title=not.is.null',
      'or=(public.is.false,public.is.true)',
      `owner_id=neq.x&or=(owner_id.eq.bob,owner_id.eq.alice)`,
    ])
      expect((await call(`/notes?${query}&select=id`)).body).toEqual([{ id: 2 }])
  })

  it('without a filter, update and delete reach one’s own rows alone', async () => {
    await call('/notes', { method: 'PATCH', token: alice, body: { body: 'mine' } })
    expect((await everything()).notes.map((row) => row.body)).toEqual(['mine', 'mine', 'c'])
    await call('/notes', { method: 'DELETE', token: alice })
    expect((await everything()).notes.map((row) => row.id)).toEqual([3])
  })
})

describe('closed by default', () => {
  it('no policy: nobody, by any method', async () => {
    const before = await everything()
    for (const [who, status] of [
      ['guest', 401],
      ['owner', 403],
    ] as const)
      for (const options of [
        {},
        { method: 'HEAD' },
        { body: { text: 'x' } },
        { body: [] },
        { body: { id: 1, text: 'x' }, prefer: merge },
        { method: 'PATCH', body: { text: 'x' } },
        { method: 'PATCH', body: {} },
        { method: 'DELETE' },
        { method: 'PUT', body: { id: 1, text: 'x' }, query: '?id=eq.1' },
      ]) {
        const { query = '', ...rest } = options as { query?: string }
        const answer = await call(`/closed${query}`, { ...people[who], ...rest })
        expect(answer.status).toBe(status)
        if (answer.text)
          expect(answer.body).toMatchObject({
            code: '42501',
            message: 'permission denied for table closed',
          })
      }
    expect(await everything()).toEqual(before)
    expect((await call('/closed', { key: 'secret' })).body).toEqual([{ id: 1, text: 'closed' }])
  })

  it('a box that all may fill and nobody read', async () => {
    const drop = (prefer: string, body: unknown = { text: 'x' }) =>
      call('/dropbox', { token: alice, body, prefer })
    expect((await drop('')).status).toBe(201)
    expect((await drop('return=minimal')).status).toBe(201)
    expect((await drop('resolution=ignore-duplicates', { id: 1, text: 'x' })).status).toBe(201)
    const before = await everything()
    expect((await drop(full)).status).toBe(403)
    expect((await drop('return=headers-only')).status).toBe(403)
    expect((await drop(merge, { id: 1, text: 'x' })).status).toBe(403)
    for (const method of ['GET', 'PATCH', 'DELETE'])
      expect(
        (
          await call('/dropbox', {
            method,
            token: alice,
            body: method === 'PATCH' ? {} : undefined,
          })
        ).status,
      ).toBe(403)
    expect(await everything()).toEqual(before)
    expect(before.dropbox[0]).toEqual({ id: 1, text: 'dropped' })
  })

  it('no delete policy: none is deleted', async () => {
    expect((await call('/tickets?id=eq.open', { method: 'DELETE', token: alice })).status).toBe(403)
    expect((await everything()).tickets).toHaveLength(3)
  })
})

describe('a table that is open to all and whose changes are logged', () => {
  it.each(Object.entries(people))('is open to: %s', async (_who, as) => {
    const row = { id: 1, owner_id: 'alice', text: 'first' }
    expect((await call('/jots', { ...as, body: row })).status).toBe(201)
    const patch = { ...as, method: 'PATCH', body: { text: 'second' } }
    expect((await call('/jots?id=eq.1', patch)).status).toBe(204)
    expect((await call('/jots', as)).body).toEqual([{ ...row, text: 'second' }])
    expect((await call('/jots?id=eq.1', { ...as, method: 'DELETE' })).status).toBe(204)
    expect(await stored('SELECT * FROM jots')).toEqual([])
  })

  it.each(Object.entries(people))('keeps its log from: %s (case 38)', async (_who, as) => {
    await call('/jots', { key: 'secret', body: { id: 1, owner_id: 'alice', text: 'x' } })
    const log = await stored('SELECT * FROM leanto_data_changes')
    expect(log).toHaveLength(1)
    for (const options of [{}, { method: 'DELETE' }, { body: {} }])
      expect((await call('/leanto_data_changes', { ...as, ...options })).status).toBe(404)
    expect(await stored('SELECT * FROM leanto_data_changes')).toEqual(log)
  })
})

it('every table of the store says who may what', () => {
  // A reminder: a table without a line here and in policies-open.test.ts is a table without a test.
  expect(Object.keys(store.tables)).toEqual([
    'notes',
    'kinds',
    'comments',
    'scores',
    'tags',
    'lines',
    'closed',
    'dropbox',
    'jots',
    'tickets',
  ])
})
