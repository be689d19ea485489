import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { expose } from 'leanto/data'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import { alice, bob } from './store.ts'
import { call, client, dump, rows, seed } from './writing-world.ts'

beforeEach(seed)

const full = 'return=representation'
const one = { accept: 'application/vnd.pgrst.object+json' }
const ifMatch = (tag: string) => ({ 'if-match': tag })

describe('the version', () => {
  it('counts from 1, and up with every change, whoever makes it', async () => {
    const made = await call('/versioned', { token: alice, body: { text: 'x' }, prefer: full })
    expect([made.body[0].rev, made.headers.get('etag')]).toEqual([1, '"1"'])
    const id = made.body[0].id
    await call(`/versioned?id=eq.${id}`, { method: 'PATCH', token: alice, body: { text: 'y' } })
    await call(`/versioned?id=eq.${id}`, { method: 'PATCH', key: 'secret', body: { text: 'z' } })
    const merged = await call('/versioned', {
      token: alice,
      body: { id, text: 'm' },
      prefer: `${full}, resolution=merge-duplicates`,
    })
    expect([merged.body[0].rev, merged.headers.get('etag')]).toEqual([4, '"4"'])
    const put = await call(`/versioned?id=eq.${id}`, {
      method: 'PUT',
      token: alice,
      body: { id, text: 'p' },
    })
    expect([put.status, put.headers.get('etag')]).toEqual([204, '"5"'])
  })

  it('of a time is now, and never the same twice', async () => {
    const patch = async () => {
      await call('/timed?id=eq.a', { method: 'PATCH', token: alice, body: { text: 'x' } })
      return (await rows(`SELECT changed_at AS at FROM timed WHERE id = 'a'`))[0]?.at
    }
    expect([await patch(), await patch()]).toEqual([clock.time, clock.time + 1])
    await call('/timed?id=eq.b', { method: 'PATCH', token: alice, body: { text: 'x' } })
    expect(await rows(`SELECT changed_at AS at FROM timed WHERE id = 'b'`)).toEqual([
      { at: 100000000000000 },
    ])
  })

  it('is nobody’s to write: not the owner’s, not the service’s', async () => {
    const before = await dump()
    for (const who of [{ token: alice }, { key: 'secret' as const }])
      for (const [path, method, body] of [
        ['/versioned', 'POST', { text: 'x', owner_id: 'alice', rev: 99 }],
        ['/versioned?id=eq.1', 'PATCH', { rev: 99 }],
        ['/versioned?id=eq.1', 'PUT', { id: 1, owner_id: 'alice', rev: 99 }],
      ] as const) {
        const answer = await call(path, { method, body, ...who })
        expect([answer.status, answer.body.code]).toEqual([400, '428C9'])
      }
    expect(await dump()).toBe(before)
  })

  it('of an update in bulk goes up in each row', async () => {
    await call('/versioned', { method: 'PATCH', token: alice, body: { text: 'x' } })
    expect(await rows('SELECT id, rev FROM versioned ORDER BY id')).toEqual([
      { id: 1, rev: 6 },
      { id: 2, rev: 7 },
      { id: 3, rev: 7 },
    ])
  })
})

describe('ETag', () => {
  it('of a read of one row says its version, and serves If-Match', async () => {
    const read = await call('/versioned?id=eq.1&select=text', { token: alice, headers: one })
    const etag = read.headers.get('etag') as string
    expect(etag).toMatch(/^"5\.[0-9a-f]{32}"$/)
    expect(read.body).toEqual({ text: 'one' })
    expect(
      (
        await call('/versioned?id=eq.1&select=text', {
          token: alice,
          headers: { ...one, 'if-none-match': etag },
        })
      ).status,
    ).toBe(304)
    const patch = (tag: string) =>
      call('/versioned?id=eq.1', {
        method: 'PATCH',
        token: alice,
        body: { text: 'n' },
        headers: ifMatch(tag),
      })
    const done = await patch(etag)
    expect([done.status, done.headers.get('etag')]).toEqual([204, '"6"'])
    expect((await patch(etag)).status).toBe(412)
    expect((await patch('"6"')).status).toBe(204)
    expect(
      (
        await call('/versioned?id=eq.1&select=text', {
          token: alice,
          headers: { ...one, 'if-none-match': etag },
        })
      ).status,
    ).toBe(200)
  })

  it('of many rows, or of a table without versions, is of the answer alone', async () => {
    for (const path of ['/versioned', '/plain?id=eq.1'])
      expect((await call(path, { token: alice })).headers.get('etag')).toMatch(/^"[0-9a-f]{32}"$/)
    const list = await call('/versioned?id=eq.1', { token: alice })
    expect(list.headers.get('etag')).toMatch(/^"5\./)
    expect(Object.keys(list.body[0])).toEqual(['id', 'owner_id', 'text', 'rev'])
  })

  it('case 36: the digest changes with what is shown, not with what is hidden', async () => {
    const tag = async () =>
      (await call('/notes?select=id,title&order=id', { token: alice })).headers.get('etag')
    const before = await tag()
    const { env } = await import('cloudflare:workers')
    await env.DB.prepare(`UPDATE notes SET secret = 'other'`).run()
    await env.DB.prepare(`UPDATE notes SET title = 'other' WHERE id = 3`).run()
    expect(await tag()).toBe(before)
  })
})

describe('If-Match', () => {
  const requests = {
    patch: (tag: string, id = 1, token = alice) =>
      call(`/versioned?id=eq.${id}`, {
        method: 'PATCH',
        token,
        body: { text: 'n' },
        headers: ifMatch(tag),
      }),
    put: (tag: string, id = 1, token = alice) =>
      call(`/versioned?id=eq.${id}`, {
        method: 'PUT',
        token,
        body: { id, text: 'n' },
        headers: ifMatch(tag),
      }),
    del: (tag: string, id = 1, token = alice) =>
      call(`/versioned?id=eq.${id}`, { method: 'DELETE', token, headers: ifMatch(tag) }),
  }
  for (const [name, request] of Object.entries(requests)) {
    it.each(['"5"', '*', '"4", "5"', '"5.0123456789abcdef0123456789abcdef"'])(
      `${name} %s matches`,
      async (tag) => {
        expect((await request(tag)).status).toBe(204)
      },
    )

    it.each(['"4"', '"05"', '""', 'W/"5"', '"5" , W/"5"'.slice(6), '"x"', '"5 "', '"5\'"', '"%"'])(
      `${name} %s does not, and nothing is written`,
      async (tag) => {
        const before = await dump()
        const answer = await request(tag)
        if (answer.status === 400) expect(answer.body.code).toBe('PT400')
        else
          expect(answer).toMatchObject({
            status: 412,
            body: { code: 'PT412', message: 'The row is not as the precondition says' },
          })
        expect(await dump()).toBe(before)
      },
    )

    it(`${name} of a row that is not there, or not the caller's, is 412`, async () => {
      const before = await dump()
      expect((await request('*', 99)).status).toBe(412)
      expect((await request('"5"', 99)).status).toBe(412)
      // Bob may read it, but not write it: with the right version, PUT says so, the others reach no row.
      const stranger = await request('"5"', 1, bob)
      expect(stranger.status).toBe(name === 'put' ? 403 : 412)
      expect((await request('*', 1, '')).status).toBe(name === 'put' ? 401 : 412)
      expect(await dump()).toBe(before)
    })

    it(`${name} with a tag that is none is 400`, async () => {
      for (const tag of ['5', '"5', '"5" "6"', '5"', ',', '"a"b"'])
        expect(await request(tag)).toMatchObject({ status: 400, body: { code: 'PT400' } })
    })
  }

  it('holds for an update that changes nothing', async () => {
    const patch = (tag: string, path = '/versioned?id=eq.1') =>
      call(path, { method: 'PATCH', token: alice, body: {}, headers: ifMatch(tag) })
    expect((await patch('"5"')).status).toBe(204)
    expect((await patch('*')).status).toBe(204)
    expect((await patch('"4"')).status).toBe(412)
    expect((await patch('"5"', '/versioned')).status).toBe(412)
    expect((await patch('*', '/versioned?id=eq.99')).status).toBe(412)
    expect(await rows('SELECT rev FROM versioned WHERE id = 1')).toEqual([{ rev: 5 }])
  })

  it('of several rows: one that does not match undoes all', async () => {
    const patch = (tag: string) =>
      call('/versioned?owner_id=eq.alice', {
        method: 'PATCH',
        token: alice,
        body: { text: 'n' },
        headers: ifMatch(tag),
      })
    expect((await patch('"5"')).status).toBe(412)
    expect(await rows(`SELECT text FROM versioned WHERE text = 'n'`)).toEqual([])
    expect((await patch('"5", "6"')).status).toBe(204)
    const remove = await call('/versioned?owner_id=eq.alice', {
      method: 'DELETE',
      token: alice,
      headers: ifMatch('"6"'),
    })
    expect(remove.status).toBe(412)
    expect(await rows('SELECT count(*) AS n FROM versioned')).toEqual([{ n: 3 }])
  })

  it('of 50 parallel changes of one version, one is made', async () => {
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        call('/versioned?id=eq.1', {
          method: 'PATCH',
          token: alice,
          body: { text: `${i}` },
          headers: ifMatch('"5"'),
        }),
      ),
    )
    expect(all.filter(({ status }) => status === 204)).toHaveLength(1)
    expect(all.filter(({ status }) => status === 412)).toHaveLength(49)
    expect(await rows('SELECT rev FROM versioned WHERE id = 1')).toEqual([{ rev: 6 }])
  })

  it('of a table without versions: none of them, but any row', async () => {
    const patch = (tag: string) =>
      call('/plain?id=eq.1', {
        method: 'PATCH',
        token: alice,
        body: { text: 'n' },
        headers: ifMatch(tag),
      })
    expect((await patch('"1"')).status).toBe(412)
    expect((await patch('*')).status).toBe(204)
  })

  it('supabase-js sends it as a header, and reads the fault', async () => {
    const update = (tag: string) =>
      client(alice)
        .from('versioned')
        .update({ text: 'n' })
        .eq('id', 1)
        .setHeader('If-Match', tag)
        .select()
    const { error, status } = await update('"4"')
    expect([status, error?.code]).toEqual([412, 'PT412'])
    expect((await update('"5"')).data).toEqual([{ id: 1, owner_id: 'alice', text: 'n', rev: 6 }])
  })

  it('has no meaning for POST', async () => {
    const answer = await call('/plain', {
      token: alice,
      body: { text: 'n' },
      headers: ifMatch('*'),
    })
    expect(answer).toMatchObject({ status: 400, body: { code: 'PT400' } })
  })
})

describe('If-None-Match: *', () => {
  const put = (table: string, id: number, tag = '*', token = alice) =>
    call(`/${table}?id=eq.${id}`, {
      method: 'PUT',
      token,
      body: { id, text: 'n' },
      headers: { 'if-none-match': tag },
      prefer: full,
    })
  it('makes a row, and touches none that is there', async () => {
    for (const table of ['plain', 'versioned']) {
      const before = await dump()
      const refused = await put(table, 1)
      expect(refused).toMatchObject({ status: 412, body: { code: 'PT412' } })
      expect(await dump()).toBe(before)
      const made = await put(table, 50)
      expect([made.status, made.body[0].id]).toEqual([201, 50])
    }
  })
  it('knows nothing but the star, and PUT alone', async () => {
    expect((await put('plain', 1, '"5"')).body.code).toBe('PT400')
    for (const [method, body] of [
      ['POST', {}],
      ['PATCH', { text: 'x' }],
      ['DELETE', undefined],
    ] as const) {
      const answer = await call('/plain?id=eq.1', {
        method,
        token: alice,
        body,
        headers: { 'if-none-match': '*' },
      })
      expect(answer).toMatchObject({ status: 400, body: { code: 'PT400' } })
    }
    expect(await rows('SELECT text FROM plain WHERE id = 1')).toEqual([{ text: 'one' }])
  })
})

describe('expose refuses', () => {
  const table = sqliteTable('t', {
    id: integer('id').primaryKey(),
    text: text('text'),
    rev: integer('rev'),
  })
  it.each([
    [{ version: 'text' }, 'integer or timestamp'],
    [{ version: 'nothing' }, 'no column key'],
    [{ version: 'rev', hidden: ['rev'] }, 'must not be hidden'],
    [{ version: 'rev', set: { rev: () => 1 } }, 'set by `version` as well'],
    [{ set: { text: 'x' } }, 'must be a function'],
    [{ set: { text: () => 'x' }, defaults: { text: () => 'y' } }, 'set by `defaults` as well'],
    [{ set: { nothing: () => 'x' } }, 'no column key'],
    [{ schema: {} }, 'must be a Standard Schema'],
    [{ schema: { insert: () => true, update: () => true } }, 'must be a Standard Schema'],
  ])('%o: %s', (policies, message) => {
    expect(() => expose(table, policies as never)).toThrow(message)
  })
})
