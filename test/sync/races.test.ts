import { env } from 'cloudflare:workers'
import type { Database } from 'leanto'
import { describe, expect, it, vi } from 'vitest'
import { d1Error, faulty } from '../kit/faulty.ts'
import { makeBase, mount } from '../kit/world.ts'
import { makeDocs } from './store.ts'
import { type Json, openDatabase } from './world.ts'

const consistent = async () => {
  const { results } = await env.DB.prepare(
    `SELECT b.update_seq, b.doc_count, b.del_count, b.bytes,
       (SELECT count(*) FROM leanto_sync_documents d WHERE d.db = b.id AND d.deleted = 0) living,
       (SELECT count(*) FROM leanto_sync_documents d WHERE d.db = b.id AND d.deleted = 1) dead,
       (SELECT coalesce(sum(size), 0) FROM leanto_sync_documents d WHERE d.db = b.id) size,
       (SELECT coalesce(max(seq), 0) FROM leanto_sync_documents d WHERE d.db = b.id) newest
     FROM leanto_sync_databases b`,
  ).all<Record<string, number>>()
  for (const { doc_count, del_count, bytes, living, dead, size, update_seq, newest } of results) {
    expect([doc_count, del_count, bytes]).toEqual([living, dead, size])
    expect(update_seq).toBeGreaterThanOrEqual(newest as number)
  }
}

describe('races', () => {
  it('20 clients write one document at once: one wins, the others conflict', async () => {
    const db = await openDatabase()
    const first = await db.put('/a', { v: 0 })
    for (const _rev of [undefined, first.body.rev]) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => db.put(_rev ? '/a' : '/b', { v: i, _rev })),
      )
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
      expect(answers.filter(({ status }) => status === 409)).toHaveLength(19)
    }
    await consistent()
    const { body } = await db.get('/_changes')
    const seqs = body.results.map(({ seq }: { seq: number }) => seq)
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
    expect(new Set(seqs).size).toBe(seqs.length)
  })

  it('20 replicas bring their branches at once: all are there', async () => {
    const db = await openDatabase()
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        db.post('/_bulk_docs', {
          new_edits: false,
          docs: [
            { _id: 'a', _rev: `1-${String(i).padStart(2, '0')}`, v: i },
            { _id: `own${i}`, _rev: '1-a' },
          ],
        }),
      ),
    )
    expect(answers.map(({ status, body }) => [status, body])).toEqual(answers.map(() => [201, []]))
    const { body } = await db.get('/a?conflicts=true')
    expect([body._rev, body._conflicts.length]).toEqual(['1-19', 19])
    const leaves = (await db.get('/a?open_revs=all')).body as { ok: { v: number } }[]
    expect(leaves.map(({ ok }) => ok.v).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    )
    await consistent()
  })

  it('a branch that is edited while it is fetched is answered, by what it has become', async () => {
    const db = await openDatabase('lean-a')
    const branch = (rev: string, ids: string[]) => ({
      new_edits: false,
      docs: [{ _id: 'a', _rev: rev, _revisions: { start: ids.length, ids } }],
    })
    await db.post('/_bulk_docs', branch('2-c', ['c', 'r']))
    await db.post('/_bulk_docs', branch('2-b', ['b', 'r']))
    let calls = 0
    // Between the two trips of the reading, the losing branch grows and becomes the winner.
    const between = new Proxy(env.DB, {
      get(target, name) {
        if (name !== 'withSession')
          return typeof target[name as 'batch'] === 'function'
            ? target[name as 'batch'].bind(target)
            : target[name as 'batch']
        return (constraint: string) => {
          const session = target.withSession(constraint)
          return {
            prepare: session.prepare.bind(session),
            getBookmark: session.getBookmark.bind(session),
            async batch(statements: D1PreparedStatement[]) {
              if (++calls === 2) await db.post('/_bulk_docs', branch('3-z', ['z', 'b', 'r']))
              return session.batch(statements)
            },
          }
        }
      },
    })
    const ask = mount({ '/': makeDocs(makeBase({ db: () => between as never })) })
    const response = await ask('/lean-a/_bulk_get?revs=true&latest=true', {
      body: { docs: [{ id: 'a', rev: '2-b' }] },
    })
    const { results } = (await response.json()) as { results: Json[] }
    expect(calls).toBe(2)
    expect(results[0].docs).toMatchObject([{ ok: { _rev: '3-z' } }])
  })

  it('writes, deletions and bulks of many at once leave the counts right', async () => {
    const db = await openDatabase('lean-x')
    const ids = ['a', 'b', 'c', 'd']
    await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        const id = ids[i % 4] as string
        const { body } = await db.get(`/${id}`)
        await db.put(`/${id}`, { v: i, pad: 'x'.repeat(i * 10), _rev: body._rev })
        const again = await db.get(`/${id}`)
        if (i % 3 === 0) await db.del(`/${id}?rev=${again.body._rev}`)
        await db.post('/_bulk_docs', { docs: ids.map((_id) => ({ _id, v: i })) })
      }),
    )
    await consistent()
  })
})

describe('failures of D1', () => {
  const bodies: [name: string, method: string, path: string, body?: Json][] = [
    ['a new document', 'PUT', '/lean-f/new', { v: 1 }],
    [
      'an edit',
      'POST',
      '/lean-f/_bulk_docs',
      { docs: [{ _id: 'a', v: 2 }, { _id: 'n1' }, { _id: 'n2' }] },
    ],
    [
      'replicated branches',
      'POST',
      '/lean-f/_bulk_docs',
      {
        new_edits: false,
        docs: [
          { _id: 'a', _rev: '5-x' },
          { _id: 'r', _rev: '1-r', _attachments: { t: { data: btoa('bytes') } } },
        ],
      },
    ],
    ['a checkpoint', 'PUT', '/lean-f/_local/c', { at: 1 }],
    ['a page of the feed', 'GET', '/lean-f/_changes?include_docs=true'],
    ['a reading of ids', 'GET', '/lean-f/_all_docs'],
    ['documents', 'POST', '/lean-f/_bulk_get', { docs: [{ id: 'a' }] }],
    ['what is missing', 'POST', '/lean-f/_revs_diff', { a: ['1-x'] }],
    ['a search', 'POST', '/lean-f/_find', { selector: { v: 1 } }],
    ['a view', 'GET', '/lean-f/_design/all/_view/ids'],
    ['a purge', 'POST', '/lean-f/_purge', { a: ['1-x'] }],
    ['a compaction', 'POST', '/lean-f/_compact', {}],
    ['an attachment', 'PUT', '/lean-f/att/x', 'bytes'],
    ['the deletion of the database', 'DELETE', '/lean-f'],
  ]

  it.each(bodies)(
    '%s: every call fails in turn, or loses its answer; nothing is half done',
    async (_, method, path, body) => {
      const log = vi.spyOn(console, 'error').mockImplementation(() => {})
      for (const verdict of [true, 'after'] as const)
        for (let failing = 1, met = true; met; failing++) {
          const db = await openDatabase('lean-f')
          await db.put('/a', { v: 1 })
          let calls = 0
          met = false
          const broken = makeBase({
            db: (e) =>
              faulty(e.DB as unknown as Database, () => {
                calls++
                if (calls !== failing) return false
                met = true
                return verdict
              }) as never,
          })
          const ask = mount({ '/': makeDocs(broken) })
          const response = await ask(path, { method, ...(body === undefined ? {} : { body }) })
          const text = await response.text()
          expect(text).not.toContain(d1Error)
          if (met)
            expect([method, response.status, text.slice(0, 60)]).toEqual([
              method,
              response.status < 400 ? response.status : 503,
              expect.any(String),
            ])
          await consistent()
          // It heals: the same, asked again, is answered.
          const again = await db.call(method, path, body)
          expect(again.status).toBeLessThan(500)
          await consistent()
          if (failing > 20) throw new Error('it never comes to an end')
        }
      log.mockRestore()
    },
  )
})
