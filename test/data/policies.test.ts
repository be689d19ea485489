import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { alice, bob, call, fresh, store, stored } from './store.ts'

const full = 'return=representation'
const merge = 'resolution=merge-duplicates'
const q = encodeURIComponent

/** 1 is alice's own, 2 is alice's and public, 3 is bob's own. */
const seed = (plain = 'hush', secret = plain.replaceAll("'", "''")) =>
  env.DB.batch(
    [
      `INSERT INTO notes (id, owner_id, title, body, public, created_at, secret, score) VALUES
        (1, 'alice', 'private', 'a', 0, 0, '${secret}', 1), (2, 'alice', 'public', 'b', 1, 0, '${secret}', 2),
        (3, 'bob', 'bobs', 'c', 0, 0, '${secret}', 3)`,
      `INSERT INTO closed (id, text) VALUES (1, 'closed')`,
      `INSERT INTO dropbox (id, text) VALUES (1, 'dropped')`,
      `INSERT INTO tickets (id, owner_id, state, value) VALUES
        ('open', 'alice', 'open', 1), ('done', 'alice', 'done', 2), ('bobs', 'bob', 'open', 3)`,
    ].map((sql) => env.DB.prepare(sql)),
  )

beforeEach(async () => {
  await fresh()
  await seed()
})

const everything = async () => ({
  notes: await stored('SELECT * FROM notes ORDER BY id'),
  closed: await stored('SELECT * FROM closed'),
  dropbox: await stored('SELECT * FROM dropbox ORDER BY id'),
  tickets: await stored('SELECT * FROM tickets ORDER BY id'),
})

const people = {
  guest: {},
  owner: { token: alice },
  stranger: { token: bob },
  service: { key: 'secret' as const },
}
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

describe('names that mean something elsewhere (cases 38, 39, 46)', () => {
  const odd = [
    '*',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'prototype',
    'null',
    '',
    ' ',
  ]

  it('system tables, and tables that were not exposed, are not there', async () => {
    for (const table of [
      'sqlite_master',
      'sqlite_schema',
      'sqlite_sequence',
      'leanto_core_migrations',
      'leanto_core_limits',
      'd1_migrations',
      '_cf_KV',
      '_cf_METADATA',
      'json_each',
      'pragma_table_info',
      'main.notes',
      'notes as n',
      '"notes"',
      ...odd.filter((name) => name.trim() !== ''),
    ])
      for (const method of ['GET', 'POST', 'PATCH', 'PUT', 'DELETE'])
        for (const person of [{}, { key: 'secret' as const }]) {
          const body = method === 'GET' || method === 'DELETE' ? undefined : {}
          const answer = await call(`/${q(table)}`, { method, body, ...person })
          expect([table, answer.status, answer.body.code]).toEqual([table, 404, 'PGRST205'])
        }
  })

  it('columns by those names are unknown ones', async () => {
    for (const name of odd) {
      const quoted = q(`"${name}"`)
      for (const query of [
        ...(name === '*' ? [] : [`select=${quoted}`]),
        `order=${quoted}`,
        `${quoted}=eq.1`,
        `or=(${quoted}.eq.1)`,
      ])
        expect((await call(`/notes?${query}`, { token: alice })).body.code).toBe('42703')
      const body = `{"title":"x",${JSON.stringify(name)}:"alice"}`
      for (const method of ['POST', 'PATCH'])
        expect((await call('/notes', { method, token: alice, body })).body.code).toBe('PGRST204')
    }
    expect(({} as Record<string, unknown>).alice).toBeUndefined()
  })

  it('a user by such a name owns what is theirs, and no more', async () => {
    for (const name of [
      '*',
      '__proto__',
      'constructor',
      'role:service',
      'service',
      'null',
      '%',
      'alice%00',
    ]) {
      const token = `user-${name}`
      const made = await call('/notes', { token, body: { title: name }, prefer: full })
      if (made.status === 401) continue
      expect(made.body[0].owner_id).toBe(name)
      expect((await call('/notes?select=title&public=is.false', { token })).body).toEqual([
        { title: name },
      ])
      await call('/notes', { method: 'DELETE', token })
    }
    expect(await everything()).toMatchObject({ notes: { length: 3 } })
  })

  it('values by those names are values', async () => {
    for (const name of odd) {
      await call('/tags', { body: { name } })
      expect((await call(`/tags?name=eq.${q(name)}`)).body).toEqual([{ name }])
      expect((await call(`/tags?name=in.(${q(`"${name}"`)})`)).body).toEqual([{ name }])
    }
  })
})

it('every table of the store says who may what', () => {
  // A reminder: a table without a line in this file is a table without a test.
  expect(Object.keys(store.tables)).toEqual([
    'notes',
    'kinds',
    'comments',
    'scores',
    'tags',
    'lines',
    'closed',
    'dropbox',
    'tickets',
  ])
})
