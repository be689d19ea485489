import type { Identity, Principal } from 'leanto'
import { shared, sync } from 'leanto/sync'
import { find } from 'leanto/sync/find'
import { upkeep } from 'leanto/sync/upkeep'
import { describe, expect, it } from 'vitest'
import { freshDatabase, makeBase, mount } from '../kit/world.ts'
import { makeDocs, open, people } from './store.ts'
import { openDatabase } from './world.ts'

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Reads a body as it comes. */
function reading(response: Response) {
  let text = ''
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  const done = (async () => {
    for (;;) {
      const chunk = await reader?.read()
      if (!chunk || chunk.done) return text
      text += chunk.value
    }
  })()
  return { done, soFar: () => text }
}

/** One person whose rights change while they listen. */
function changing() {
  const now: { who: Principal } = {
    who: { id: 'ann', role: 'authenticated', claims: { channels: ['red'] } },
  }
  const identity: Identity = { principal: async () => now.who }
  const docs = sync(makeBase(), {
    identity,
    databases: {
      a: shared({
        ...open,
        read: ({ claims }) => (claims.channels as string[]).length > 0,
        channels: (doc) => (doc.in ?? []) as string[],
        member: ({ claims }) => claims.channels as string[],
      }),
    },
  })
  return { now, docs, ask: mount({ '/': docs }) }
}

const held = async (ask: ReturnType<typeof mount>, query: string) =>
  reading(await ask(`/a/_changes?feed=continuous&${query}`))

describe('attacks', () => {
  it('case 39: ids that are named like roles, patterns or parts of objects are ids like others', async () => {
    const db = await openDatabase()
    for (const id of [
      'constructor',
      'hasOwnProperty',
      'toString',
      '*',
      'role:admin',
      "a'; DROP TABLE x; --",
      'a%b',
      'a"b',
      '‮x',
    ]) {
      const path = `/${encodeURIComponent(id)}`
      expect([id, (await db.put(path, { __proto: 1, own: id })).status]).toEqual([id, 400])
      const put = await db.call(
        'PUT',
        `/open-a${path}`,
        `{"__proto__":{"x":1},"own":${JSON.stringify(id)}}`,
      )
      expect([id, put.status]).toEqual([id, put.status === 400 ? 400 : 201])
      if (put.status === 400) await db.put(path, { own: id })
      expect((await db.get(path)).body).toMatchObject({ _id: id, own: id })
      expect((await db.post('/_revs_diff', { [id]: ['1-x'] })).body).toHaveProperty([id])
    }
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  it('case 45: of a name that a body has twice, rule and writer see the same', async () => {
    const docs = sync(makeBase(), {
      identity: people,
      databases: {
        a: shared({
          ...open,
          validate(doc) {
            if (doc.role !== 'user') throw new Error('a rule that was passed by')
          },
        }),
      },
    })
    await freshDatabase([docs])
    const ask = mount({ '/': docs })
    await ask('/a/x', { method: 'PUT', body: '{"role":"admin","role":"user"}' })
    expect(await (await ask('/a/x')).json()).toMatchObject({ role: 'user' })
  })

  it('case 46: names of an object’s own parts are no databases, filters, views or attachments', async () => {
    const db = await openDatabase('lean-a')
    await db.put('/x', {})
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
      expect((await db.call('GET', `/${name.toLowerCase().replaceAll('_', 'q')}`)).status).toBe(404)
      expect((await db.get(`/_changes?filter=${name}`)).status).toBe(404)
      expect((await db.get(`/_changes?filter=_view&view=${name}/${name}`)).status).toBe(404)
      expect((await db.get(`/_design/${name}/_view/${name}`)).status).toBe(404)
      expect((await db.get(`/x/${name}`)).status).toBe(404)
    }
  })

  it('cases 47 and 51: no name, option or path reaches SQL, and no error tells of it', async () => {
    const db = await openDatabase('lean-a')
    await db.put('/x', { "a'b": 1, 'a"b': 2 })
    const hostile = [
      `'`,
      `"`,
      `'; DROP TABLE leanto_sync_documents; --`,
      `$.a`,
      `a') OR 1=1 --`,
      '\\',
      '%',
      '[0]',
      '?1',
      '\u0000',
    ]
    for (const text of hostile) {
      const encoded = encodeURIComponent(text)
      const answers = await Promise.all([
        db.get(`/_all_docs?startkey=${encodeURIComponent(JSON.stringify(text))}`),
        db.get(`/_changes?since=${encoded}`),
        db.get(
          `/_design/all/_view/ids?reduce=false&key=${encodeURIComponent(JSON.stringify(text))}`,
        ),
        db.get(`/${encoded}`),
        db.get(`/x/${encoded}`),
        db.get(`/x?rev=${encoded}`),
        db.post('/_find', { selector: { [text]: text }, fields: [text] }),
        db.post('/_index', { index: { fields: [text] } }),
        db.post('/_find', { selector: { [text]: { $gt: null } }, sort: [text] }),
        db.post('/_bulk_get', { docs: [{ id: text, rev: text }] }),
      ])
      for (const { status, body } of answers) {
        expect(status).toBeLessThan(500)
        expect(JSON.stringify(body)).not.toMatch(/SQLITE|D1_ERROR|leanto_sync_documents(?!; --)/)
      }
    }
    expect((await db.get('/x')).status).toBe(200)
  })

  it('cases 49 and 50: deep selectors, long lists and expressions that never end are refused', async () => {
    const db = await openDatabase()
    await db.put('/x', { a: 'a'.repeat(50) })
    let deep: object = { a: 1 }
    for (let i = 0; i < 500; i++) deep = { $and: [deep] }
    expect((await db.post('/_find', { selector: deep })).body.error).toBe('bad_arg')
    for (const pattern of [
      '(a+)+$',
      '(a|aa)*b',
      '(a*)*',
      '([a-z]+){3,}',
      '(.*)\\1',
      'a'.repeat(400),
      '[',
    ])
      expect([
        pattern,
        (await db.post('/_find', { selector: { a: { $regex: pattern } } })).body.error,
      ]).toEqual([pattern, 'bad_arg'])
    expect((await db.get('/_uuids?count=100000', {})).status).toBe(404)
    expect((await db.call('GET', '/_uuids?count=100000')).status).toBe(400)
    expect(
      (await db.post('/_bulk_get', { docs: Array.from({ length: 10_001 }, () => ({ id: 'x' })) }))
        .status,
    ).toBe(413)
  })

  it('case 56: what was uploaded is served so that it can do nothing as the site', async () => {
    const db = await openDatabase()
    for (const type of ['text/html', 'image/svg+xml', 'text/xml', 'text/html;x=1']) {
      await db.call('PUT', `/open-a/${encodeURIComponent(type)}/f`, '<script>1</script>', {
        'content-type': type,
      })
      for (const range of [{ accept: '*/*' }, { range: 'bytes=0-3' }] as Record<string, string>[]) {
        const { headers } = await db.get(`/${encodeURIComponent(type)}/f`, range)
        expect(headers.get('content-security-policy')).toContain('sandbox')
        expect(headers.get('x-content-type-options')).toBe('nosniff')
      }
    }
  })

  it('case 58: no value breaks out of an event, a part or a header', async () => {
    const db = await openDatabase()
    const evil = 'x\r\ndata: {"evil":true}\n\nevent: evil'
    await db.put(`/${encodeURIComponent(evil)}`, { text: evil })
    const events = (await db.get('/_changes?feed=eventsource&include_docs=true&limit=1'))
      .body as string
    expect(
      events.split('\n').filter((line) => line.startsWith('data:') || line.startsWith('event:')),
    ).toHaveLength(1)
    const name = 'a"\r\nX-Evil: 1'
    await db.call('PUT', `/open-a/doc/${encodeURIComponent(name)}`, 'x', {
      'content-type': 'text/plain',
    })
    const parts = (await db.get('/doc?attachments=true', { accept: 'multipart/related' }))
      .body as string
    expect(parts).not.toMatch(/^X-Evil/m)
    const put = await db.put('/y', {
      _attachments: { b: { content_type: 'text/plain\r\nX-Evil: 1', data: '' } },
    })
    expect(put.status).toBe(201)
    expect((await db.get('/y/b')).headers.get('content-type')).toBe('application/octet-stream')
  })

  it('case 65: credentials never go with any origin, and answers vary by it', async () => {
    for (const [origins, credentials] of [
      ['*', null],
      [['https://a.example'], 'true'],
    ] as const) {
      const docs = sync(makeBase({ origins } as never), {
        identity: people,
        databases: { a: shared(open) },
      })
      await freshDatabase([docs])
      const { headers } = await mount({ '/': docs })('/a', {
        headers: { origin: 'https://a.example' },
      })
      expect(headers.get('access-control-allow-credentials')).toBe(credentials)
      if (credentials) expect(headers.get('vary')).toContain('Origin')
    }
  })

  it('case 67: a body’s limit holds whatever its length is said to be', async () => {
    const docs = makeDocs(makeBase())
    await freshDatabase([docs])
    const { env } = await import('cloudflare:workers')
    const bytes = new TextEncoder().encode(JSON.stringify({ docs: [{ a: 'x'.repeat(200_000) }] }))
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 10_000)
          controller.enqueue(bytes.slice(at, at + 10_000))
        controller.close()
      },
    })
    const response = await docs.routes.fetch(
      new Request('https://app.example/club/_bulk_docs', {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', authorization: 'Bearer user-alice' },
      }),
      env as never,
      { waitUntil() {}, passThroughOnException() {} } as never,
    )
    expect(response.status).toBe(413)
  })

  it('cases 68 and 69: a held feed ends with the right to read, and tells of no channel that was left', async () => {
    const { now, docs, ask } = changing()
    await freshDatabase([docs])
    const { env } = await import('cloudflare:workers')
    const put = (id: string, channel: string) =>
      docs.put(makeBase().scope({ env }), { database: 'a', doc: { _id: id, in: [channel] } })
    await put('r1', 'red')
    const feed = await held(ask, 'since=0&timeout=4000')
    await expect.poll(feed.soFar).toContain('"r1"')
    await put('b1', 'blue')
    await put('r2', 'red')
    await expect.poll(feed.soFar, { timeout: 5000 }).toContain('"r2"')
    expect(feed.soFar()).not.toContain('"b1"')
    now.who = { ...now.who, claims: { channels: ['green'] } }
    await put('r3', 'red')
    await put('g1', 'green')
    await expect.poll(feed.soFar, { timeout: 5000 }).toContain('"g1"')
    expect(feed.soFar()).not.toContain('"r3"')
    now.who = { ...now.who, claims: { channels: [] } }
    await put('g2', 'green')
    const all = await feed.done
    expect(all).not.toContain('"g2"')
    await wait(10)
  }, 20_000)

  it('case 72: single, bulk, replicated, multipart and copied writes are judged the same', async () => {
    const docs = makeDocs(makeBase())
    await freshDatabase([docs])
    const ask = mount({ '/': docs })
    const write = async (token: string | undefined, by: string) => {
      const more = token ? { token } : {}
      const id = crypto.randomUUID()
      const one = await ask(`/club/${id}`, { method: 'PUT', body: { by }, ...more })
      const posted = await ask('/club', { body: { by }, ...more })
      const bulk = await ask('/club/_bulk_docs', { body: { docs: [{ by }] }, ...more })
      const replicated = await ask('/club/_bulk_docs', {
        body: { new_edits: false, docs: [{ _id: `${id}r`, _rev: '1-a', by }] },
        ...more,
      })
      const related = await ask(`/club/${id}m`, {
        method: 'PUT',
        headers: { 'content-type': 'multipart/related; boundary=b' },
        body: `--b\r\nContent-Type: application/json\r\n\r\n${JSON.stringify({ by })}\r\n--b--`,
        ...more,
      })
      const lines = async (response: Response) => {
        const body = await response.json()
        return Array.isArray(body)
          ? ((body[0]?.error as string) ?? 'ok')
          : ((body as { error?: string }).error ?? 'ok')
      }
      return Promise.all([one, posted, bulk, replicated, related].map(lines))
    }
    expect(await write('user-alice', 'alice')).toEqual(Array.from({ length: 5 }, () => 'ok'))
    expect(await write('user-alice', 'bob')).toEqual(
      Array.from({ length: 5 }, () => 'unauthorized'),
    )
    expect(await write('user-bob', 'bob')).toEqual(Array.from({ length: 5 }, () => 'forbidden'))
    expect(await write(undefined, 'x')).toEqual(Array.from({ length: 5 }, () => 'unauthorized'))
  })

  it('case 70: two tenants with databases of one name never mix', async () => {
    const { env } = await import('cloudflare:workers')
    const docs = sync(
      makeBase({
        db: (e: Cloudflare.Env, c: { req?: { raw: Request } } = {}) =>
          (c.req?.raw.headers.get('x-tenant') === 'b' ? e.OTHER_DB : e.DB) as never,
      } as never),
      { identity: people, parts: [find, upkeep], databases: { a: shared(open) } },
    )
    await freshDatabase([docs])
    const { migrate } = await import('leanto')
    await migrate(env.OTHER_DB as never, [docs])
    const ask = mount({ '/': docs })
    const of = (tenant: string) => ({ headers: { 'x-tenant': tenant } })
    await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        ask('/a/_bulk_docs', {
          body: { docs: [{ _id: `${i % 2 ? 'b' : 'a'}${i}` }] },
          ...of(i % 2 ? 'b' : 'a'),
        }),
      ),
    )
    for (const tenant of ['a', 'b']) {
      const { rows } = (await (await ask('/a/_all_docs', of(tenant))).json()) as {
        rows: { id: string }[]
      }
      expect(rows).toHaveLength(30)
      expect(rows.every(({ id }) => id.startsWith(tenant))).toBe(true)
    }
  })
})
