import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { freshDatabase } from '../kit/world.ts'
import { answer, ask, base, bulk, design, docs, measure, put } from './scripts-world.ts'
import { alice, bob } from './store.ts'

beforeEach(() => freshDatabase([docs]))

describe('validate_doc_update', () => {
  const rule = `function (newDoc, oldDoc, userCtx, secObj) {
    if (newDoc.type === 'secret' && userCtx.roles.indexOf('_admin') < 0) throw({ unauthorized: 'Sign in as admin' })
    if (!newDoc._deleted && !isArray(newDoc.tags || [])) throw({ forbidden: 'tags must be a list' })
    if (oldDoc && oldDoc.author && oldDoc.author !== userCtx.name) throw({ forbidden: { by: oldDoc.author } })
    if (newDoc.broken) undefinedFunction()
    if (newDoc.weird) throw 'just text'
    if (newDoc._attachments && newDoc._attachments.a && newDoc._attachments.a.hash) throw({ forbidden: 'hash' })
    if (newDoc._attachments && !newDoc._attachments.a.stub) throw({ forbidden: 'no stub' })
  }`
  beforeEach(async () => {
    await design('rules', { validate_doc_update: rule })
  })

  it('refuses one document at a time, by 401, 403 and their reasons', async () => {
    expect(await put({ _id: 'a', tags: 1 } as never)).toEqual([
      403,
      { error: 'forbidden', reason: 'tags must be a list' },
    ])
    expect(await put({ _id: 'a', type: 'secret' } as never)).toEqual([
      401,
      { error: 'unauthorized', reason: 'Sign in as admin' },
    ])
    expect((await put({ _id: 'a', type: 'secret' } as never, { token: alice }))[0]).toBe(201)
    const [status, lines] = await bulk([
      { _id: 'b', tags: 1 },
      { _id: 'c' },
      { _id: 'd', type: 'secret' },
    ])
    expect([status, lines]).toMatchObject([
      201,
      [
        { id: 'b', error: 'forbidden' },
        { ok: true, id: 'c' },
        { id: 'd', error: 'unauthorized' },
      ],
    ])
    expect((await answer('/db/b'))[0]).toBe(404)
  })

  it('looks at what is replicated, deleted, copied and attached', async () => {
    expect(
      await bulk(
        [
          { _id: 'b', _rev: '1-aa', tags: 1 },
          { _id: 'c', _rev: '1-bb' },
        ],
        { new_edits: false },
      ),
    ).toEqual([201, [{ id: 'b', rev: '1-aa', error: 'forbidden', reason: 'tags must be a list' }]])
    expect((await answer('/db/b'))[0]).toBe(404)
    const [, { rev }] = await put({ _id: 'o', author: 'bob' } as never, { token: bob })
    const remove = (token: string) =>
      answer('/db/o', { method: 'DELETE', token, headers: { 'if-match': rev } })
    expect(await remove('user-carol')).toEqual([
      403,
      { error: 'forbidden', reason: '{"by":"bob"}' },
    ])
    const attached = await ask('/db/o/a', {
      method: 'PUT',
      token: 'user-carol',
      body: 'x',
      headers: { 'if-match': rev },
    })
    expect(attached.status).toBe(403)
    const copied = await ask('/db/o', {
      method: 'COPY',
      token: 'user-carol',
      headers: { destination: `o?rev=${rev}` },
    })
    expect(copied.status).toBe(403)
    const own = await ask('/db/o/a', {
      method: 'PUT',
      token: bob,
      body: 'x',
      headers: { 'if-match': rev },
    })
    expect(own.status).toBe(201)
  })

  it('refuses where it fails, and where it is not JavaScript', async () => {
    expect(await put({ _id: 'a', broken: true } as never)).toMatchObject([
      403,
      { error: 'forbidden', reason: expect.stringContaining('ReferenceError') },
    ])
    expect(await put({ _id: 'a', weird: true } as never)).toMatchObject([
      403,
      { reason: expect.stringContaining('just text') },
    ])
    await design('erl', { language: 'erlang', validate_doc_update: 'fun(_) -> ok end.' })
    expect(await put({ _id: 'a' })).toMatchObject([
      403,
      { reason: expect.stringContaining('not in JavaScript') },
    ])
  })

  it('asks those of every design document, and none of one that is deleted', async () => {
    const [, { rev }] = await design('z', {
      validate_doc_update: 'function (doc) { if (doc.z) throw({ forbidden: "z" }) }',
    })
    expect(await put({ _id: 'a', tags: 1, z: 1 } as never)).toMatchObject([
      403,
      { reason: 'tags must be a list' },
    ])
    expect(await put({ _id: 'a', z: 1 } as never)).toMatchObject([403, { reason: 'z' }])
    await ask('/db/_design/z', { method: 'DELETE', token: alice, headers: { 'if-match': rev } })
    expect((await put({ _id: 'a', z: 1 } as never))[0]).toBe(201)
  })

  it('looks at what the host itself writes, as an admin’s', async () => {
    const scope = base.scope({
      env,
      executionCtx: createExecutionContext(),
      req: { raw: new Request('https://a.example/') },
    } as never)
    const doc = { _id: 'h', type: 'secret' }
    expect(await docs.put(scope, { database: 'db', doc })).toMatch(/^1-/)
    await expect(docs.put(scope, { database: 'db', doc: { _id: 'i', tags: 1 } })).rejects.toThrow(
      'tags must be a list',
    )
  })

  it('tells nobody of a document that they may not see', async () => {
    const tell = 'function (doc, old) { if (old) throw({ forbidden: JSON.stringify(old) }) }'
    await design('tell', { validate_doc_update: tell }, 'board')
    const path = '/board/r'
    const body = { in: ['red'], secret: 'abc' }
    const [, { rev }] = await answer(path, { method: 'PUT', body, token: 'user-red.red' })
    const edit = { in: ['blue'], _rev: rev }
    const as = (token: string) => answer(path, { method: 'PUT', body: edit, token })
    expect((await as('user-both.red.blue'))[1].reason).toContain('abc')
    expect(JSON.stringify(await as('user-blue.blue'))).not.toContain('abc')
    const filters = {
      info: 'function (doc, req) { throw({ forbidden: JSON.stringify(req.info) }) }',
    }
    await design('f', { filters }, 'board')
    const told = (token: string) => answer('/board/_changes?filter=f/info', { token })
    expect(JSON.parse((await told('user-red.red'))[1].reason)).toEqual({ db_name: 'board' })
    expect(JSON.parse((await told('user-all.*'))[1].reason)).toMatchObject({ doc_count: 3 })
  })

  it('does not look at design documents, which admins alone write, nor at _local', async () => {
    await design('never', { validate_doc_update: 'function () { throw({ forbidden: "never" }) }' })
    expect((await put({ _id: 'a' }))[0]).toBe(403)
    expect((await design('more', {}))[0]).toBe(201)
    expect((await answer('/db/_design/other', { method: 'PUT', body: {}, token: bob }))[0]).toBe(
      403,
    )
    expect((await answer('/db/_local/a', { method: 'PUT', body: {}, token: bob }))[0]).toBe(201)
  })

  it('costs no trip more, and 2 rows read for each design document', async () => {
    const list = Array.from({ length: 20 }, (_, n) => ({ _id: `n${n}` }))
    const { cost } = await measure('/db/_bulk_docs', { body: { docs: list } })
    expect([cost.trips, cost.rowsWritten]).toEqual([2, 41])
    expect(cost.rowsRead).toBe(13 + 7 * 20 + 2)
  })
})
