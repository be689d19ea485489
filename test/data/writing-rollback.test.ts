import { env } from 'cloudflare:workers'
import type { Database } from 'leanto'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { type Env, makeBase, mount } from '../kit/world.ts'
import { alice, bob } from './store.ts'
import { nameOf, type Write, writes } from './writes.ts'
import { call, dump, makeWorld, seed } from './writing-world.ts'

beforeEach(seed)

const withPrefer = (write: Write, more: string) => ({
  ...write,
  prefer: [write.prefer, more].filter(Boolean).join(', '),
})

const shown = ({ status, headers, text }: Awaited<ReturnType<typeof call>>) => ({
  status,
  text,
  headers: Object.fromEntries(
    [...headers].filter(([name]) => name !== 'x-d1-bookmark' && name !== 'preference-applied'),
  ),
})

describe('tx=rollback answers what would have been answered, and keeps nothing', () => {
  it.each(writes.map((write, i) => [nameOf(write, i), write] as const))('%s', async (_, write) => {
    const { path, ...options } = withPrefer(write, 'tx=rollback')
    const before = await dump()
    const tried = await call(path, { token: alice, ...options })
    expect(await dump()).toBe(before)
    expect(tried.headers.get('preference-applied')).toContain('tx=rollback')
    const done = await call(write.path, { token: alice, ...write })
    expect(done.status, done.text).toBeLessThan(300)
    expect(shown(tried)).toEqual(shown(done))
  })
})

/** A database whose errors come cut. */
const shortened = (real: Database, length: number): Database =>
  new Proxy(real, {
    get: (target, name) =>
      name === 'batch'
        ? (...args: Parameters<Database['batch']>) =>
            target.batch(...args).catch((error: Error) => {
              throw new Error(error.message.slice(0, length))
            })
        : name === 'withSession'
          ? undefined
          : target[name as 'prepare'].bind(target),
  })

const dry = 'tx=rollback'
const full = 'return=representation'

/** Tries a write without keeping it, and sees that nothing was kept. */
async function tried(path: string, options: Parameters<typeof call>[1] = {}) {
  const before = await dump()
  const answer = await call(path, {
    token: alice,
    ...options,
    prefer: [options.prefer, dry].filter(Boolean).join(', '),
  })
  expect(await dump()).toBe(before)
  return answer
}

describe('what is refused is refused', () => {
  it.each([
    ['/notes', { body: { title: 'a' } }, 409, '23505'],
    ['/notes', { body: { title: null } }, 400, '23502'],
    ['/notes', { body: { title: 'x', owner_id: 'bob' } }, 403, '42501'],
    ['/notes', { body: { title: 'x', secret: 'x' } }, 400, 'PGRST204'],
    ['/comments', { body: { note_id: 99, text: 'x' } }, 409, '23503'],
    ['/notes?id=eq.1', { method: 'PATCH', body: { owner_id: 'bob' } }, 403, '42501'],
    [
      '/plain',
      { method: 'DELETE', headers: { accept: 'application/vnd.pgrst.object+json' } },
      406,
      'PGRST116',
    ],
    ['/plain', { method: 'DELETE', prefer: 'handling=strict, max-affected=2' }, 400, 'PGRST124'],
    [
      '/versioned?id=eq.1',
      { method: 'PATCH', body: { text: 'x' }, headers: { 'if-match': '"1"' } },
      412,
      'PT412',
    ],
  ] as const)('%s %j is %i %s', async (path, options, status, code) => {
    const answer = await tried(path, options)
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  it('a guest and a stranger see and change nothing by it', async () => {
    const guest = await tried('/notes', {
      method: 'PATCH',
      body: { rank: 1 },
      prefer: full,
      token: '',
    })
    expect(guest.body).toEqual([])
    const stranger = await tried('/notes?select=id', {
      method: 'PATCH',
      body: { rank: 1 },
      prefer: full,
      token: bob,
    })
    expect(stranger.body).toEqual([{ id: 3 }])
    const secret = await tried('/notes', { body: { title: 'x' }, prefer: full })
    expect(secret.text).not.toContain('secret')
    const service = await tried('/notes?id=eq.1', {
      method: 'DELETE',
      prefer: full,
      token: '',
      key: 'secret',
    })
    expect(service.body.code).toBe('23503')
  })
})

describe('a read under tx=rollback is a read', () => {
  it('says so', async () => {
    const answer = await tried('/notes?select=id&order=id')
    expect(answer.body).toEqual([{ id: 1 }, { id: 2 }, { id: 4 }])
    expect(answer.headers.get('preference-applied')).toBe('tx=rollback')
    expect(
      (await call('/plain', { body: {}, prefer: 'tx=commit' })).headers.get('preference-applied'),
    ).toBe('tx=commit')
  })
})

describe('answers of any size that fits', () => {
  const text = `it's "${'ü😀\\'.repeat(100)}`
  it('a large one comes whole', async () => {
    const body = Array.from({ length: 900 }, () => ({ text }))
    const answer = await tried('/plain?select=text', { body, prefer: full })
    expect(answer.status).toBe(201)
    expect(answer.body).toEqual(body)
  })

  it('one that is too large is refused, not cut', async () => {
    const body = Array.from({ length: 2000 }, () => ({ text }))
    const answer = await tried('/plain', { body, prefer: full })
    expect([answer.status, answer.body.code]).toEqual([400, '54000'])
    // Without its rows it fits.
    expect(
      (await tried('/plain', { body, prefer: 'count=exact' })).headers.get('content-range'),
    ).toBe('*/2000')
  })

  it('one that was cut on its way is refused', async () => {
    for (const cut of [80, 120, 200]) {
      const base = makeBase({
        db: (e: Env) => shortened(e.DB as never, cut),
      })
      const asked = mount({ '/rest/v1': makeWorld(base) })
      const response = await asked('/rest/v1/plain', {
        body: { text: 'a long text that is in the answer, '.repeat(10) },
        headers: { prefer: `${full}, ${dry}` },
      })
      expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
        400,
        '54000',
      ])
    }
  })

  it('10 MB of rows are tried as well as written', async () => {
    const body = Array.from({ length: 40 }, (_, i) => ({ text: `${i}${'x'.repeat(200_000)}` }))
    const answer = await tried('/plain', { body, prefer: 'count=exact' })
    expect([answer.status, answer.headers.get('content-range')]).toEqual([201, '*/40'])
  })
})

describe('rows that the database makes', () => {
  it('a key by an SQL default, in a table with rowids', async () => {
    const body = [{ text: 'a' }, { text: 'b' }]
    const answer = await tried('/made?select=id,text', { body, prefer: full })
    expect(answer.body).toEqual(
      body.map((row) => ({ ...row, id: expect.stringMatching(/^[0-9a-f]{16}$/) })),
    )
    const ignored = await tried('/made?columns=id,text&select=id,text', {
      body: [{ id: 'k1', text: 'there' }, { text: 'made' }, { id: 'k3', text: 'new' }],
      prefer: `${full}, missing=default, resolution=ignore-duplicates`,
    })
    expect(ignored.body).toEqual([
      { id: expect.stringMatching(/^[0-9a-f]{16}$/), text: 'made' },
      { id: 'k3', text: 'new' },
    ])
  })

  it('a key by an SQL default, in a table without: refused, and without its rows it is not', async () => {
    for (let i = 0; i < 2; i++) {
      const answer = await tried('/made_here', { body: { text: 'a' }, prefer: full })
      expect(answer).toMatchObject({ status: 400, body: { code: 'PGRST127' } })
      expect(answer.body.details).toContain('"made_here" cannot be told apart')
    }
    expect((await tried('/made_here', { body: { text: 'a' }, prefer: 'count=exact' })).status).toBe(
      201,
    )
    const known = await tried('/made_here', { body: { id: 'k9', text: 'a' }, prefer: full })
    expect(known.body).toEqual([{ id: 'k9', text: 'a' }])
    const changed = await tried('/made_here?order=id', {
      method: 'PATCH',
      body: { text: 'a' },
      prefer: full,
    })
    expect(changed.body).toEqual([
      { id: 'k1', text: 'a' },
      { id: 'k2', text: 'a' },
    ])
  })

  it('a table whose own column is called rowid, and that has no key: refused', async () => {
    const answer = await tried('/rowids', { body: { rowid: 'x' }, prefer: full })
    expect(answer.body.code).toBe('PGRST127')
  })

  it('a rowid at its end: refused, since the next ones have no order', async () => {
    await env.DB.prepare(`INSERT INTO plain (id) VALUES (9223372036854775807)`).run()
    const answer = await tried('/plain', { body: { text: 'a' }, prefer: full })
    expect(answer.body.code).toBe('PGRST127')
  })
})

describe('triggers of the host', () => {
  const trigger = (text: string) => env.DB.prepare(`CREATE TRIGGER t ${text}`).run()

  it('that write elsewhere change nothing of the answer', async () => {
    await trigger(
      `AFTER INSERT ON plain BEGIN INSERT INTO keyless (text) VALUES ('1'), ('2'), ('3'); END`,
    )
    const answer = await tried('/plain', {
      body: [{ text: 'a' }, { text: 'b' }],
      prefer: `${full}, count=exact`,
    })
    expect([answer.body, answer.headers.get('content-range')]).toEqual([
      [
        { id: 8, text: 'a' },
        { id: 9, text: 'b' },
      ],
      '*/2',
    ])
  })

  it('that insert into the same table make its rows untellable, where the rows do not name their keys', async () => {
    await trigger(
      `AFTER INSERT ON plain WHEN new.text = 'a' BEGIN INSERT INTO plain (text) VALUES ('by trigger'); END`,
    )
    const answer = await tried('/plain', { body: { text: 'a' }, prefer: full })
    expect(answer).toMatchObject({ status: 400, body: { code: 'PGRST127' } })
    expect(answer.text).not.toContain('by trigger')
    const named = await tried('/plain', { body: { id: 100, text: 'a' }, prefer: full })
    expect(named.body).toEqual([{ id: 100, text: 'a' }])
    expect(
      (await tried('/plain', { body: { text: 'a' }, prefer: 'count=exact' })).headers.get(
        'content-range',
      ),
    ).toBe('*/1')
  })

  it('that change the row itself are seen: it is read after them, where RETURNING would be before', async () => {
    await trigger(
      `AFTER UPDATE OF text ON plain BEGIN UPDATE plain SET text = new.text || '!' WHERE id = new.id; END`,
    )
    const answer = await tried('/plain?id=eq.1', {
      method: 'PATCH',
      body: { text: 'a' },
      prefer: full,
    })
    expect(answer.body).toEqual([{ id: 1, text: 'a!' }])
  })

  it('that take the row out of sight: nothing of it is told', async () => {
    await trigger(
      `AFTER UPDATE OF title ON notes BEGIN UPDATE notes SET owner_id = 'bob', title = 'taken' WHERE id = new.id; END`,
    )
    const answer = await tried('/notes?id=eq.1', {
      method: 'PATCH',
      body: { title: 'x' },
      prefer: full,
    })
    expect(answer).toMatchObject({ status: 400, body: { code: 'PGRST127' } })
    expect(answer.text).not.toContain('taken')
  })
})

it('without the module’s table a dry run says what to do, and plain requests work', async () => {
  await env.DB.prepare('DROP TABLE leanto_data_answers').run()
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  const answer = await tried('/plain', { body: { text: 'a' } })
  log.mockRestore()
  expect([answer.status, answer.body.code]).toEqual([500, 'PT500'])
  expect(answer.body.message).toContain('npx leanto migrations')
  expect((await call('/plain', { body: { text: 'a' } })).status).toBe(201)
  expect((await call('/plain')).status).toBe(200)
})
