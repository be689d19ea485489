import PouchHttp from 'pouchdb-adapter-http'
import PouchMemory from 'pouchdb-adapter-memory'
import PouchCore from 'pouchdb-core'
import PouchReplication from 'pouchdb-replication'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answerOf, type SyncServer, startSync } from '../kit/sync-server.ts'

const PouchDB = PouchCore.plugin(PouchMemory).plugin(PouchHttp).plugin(PouchReplication)

let server: SyncServer
let n = 0
beforeAll(async () => {
  server = await startSync()
})
afterAll(() => server.stop())

const as =
  (token: string) =>
  (url: string | Request, options: RequestInit = {}) => {
    const headers = new Headers(options.headers)
    headers.set('authorization', `Bearer user-${token}`)
    return fetch(url, { ...options, headers })
  }

/** A team's database; `boss` sees all. */
async function team() {
  const url = `${server.url}/team-${Date.now()}-${n++}`
  await fetch(url, { method: 'PUT' })
  const remote = (token: string) => new PouchDB(url, { fetch: as(token) })
  return { url, remote, boss: remote('boss.*') }
}

const device = () => new PouchDB(`device-${Date.now()}-${n++}`, { adapter: 'memory' })
const ids = async (db: PouchDB.Database) => (await db.allDocs()).rows.map(({ id }) => id)

describe('channels', () => {
  it('let each person see and write what is in theirs, by every way', async () => {
    const { url, remote, boss } = await team()
    await boss.bulkDocs([
      { _id: 'r1', in: ['red'] },
      {
        _id: 'b1',
        in: ['blue'],
        _attachments: { a: { content_type: 'text/plain', data: btoa('x') } },
      },
      { _id: 'rb', in: ['red', 'blue'] },
      { _id: 'none' },
    ])
    const red = remote('ann.red')
    expect(await ids(red)).toEqual(['r1', 'rb'])
    expect((await red.info()).doc_count).toBe(2)
    const changes = await red.changes({ include_docs: true })
    expect(changes.results.map(({ id }) => id)).toEqual(['r1', 'rb'])
    await expect(red.get('b1')).rejects.toMatchObject({ status: 404 })
    await expect(red.getAttachment('b1', 'a')).rejects.toMatchObject({ status: 404 })
    const hidden = await boss.get('b1')
    const asked = await red.bulkGet({
      docs: [{ id: 'b1', rev: hidden._rev }, { id: 'r1' }],
    })
    expect(JSON.stringify(asked.results[0])).toContain('not_found')
    const found = await as('ann.red')(`${url}/_find`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"selector":{}}',
    })
    expect((await answerOf(found)).docs.map(({ _id }: { _id: string }) => _id)).toEqual([
      'r1',
      'rb',
    ])
    const diff = await as('ann.red')(`${url}/_revs_diff`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ b1: [hidden._rev] }),
    })
    expect(await diff.json()).toEqual({ b1: { missing: [hidden._rev] } })
    await expect(red.put({ _id: 'new', in: ['blue'] })).rejects.toMatchObject({
      status: 403,
    })
    await expect(red.put({ _id: 'b1', in: ['red'] })).rejects.toMatchObject({
      status: 409,
    })
    await expect(red.put({ ...hidden, in: ['red'] })).rejects.toMatchObject({
      status: 403,
    })
    await red.put({ _id: 'new', in: ['red'] })
    expect(await ids(boss)).toEqual(['b1', 'new', 'none', 'r1', 'rb'])
    expect(await ids(remote('eve'))).toEqual([])
  })

  it('take a document that leaves them from devices, which never push its removal', async () => {
    const { remote, boss } = await team()
    await boss.bulkDocs([
      { _id: 'a', in: ['red'], v: 1 },
      { _id: 'b', in: ['red'] },
    ])
    const phone = device()
    await phone.replicate.from(remote('ann.red'))
    expect(await ids(phone)).toEqual(['a', 'b'])
    await boss.put({ ...(await boss.get('a')), in: ['blue'] })
    await phone.sync(remote('ann.red'))
    expect(await ids(phone)).toEqual(['b'])
    const again = await phone.sync(remote('ann.red'))
    expect([again.push?.docs_written, again.pull?.docs_written]).toEqual([0, 0])
    expect(await boss.get('a')).toMatchObject({ v: 1, in: ['blue'] })
    // Back again, by an edit.
    await boss.put({ ...(await boss.get('a')), in: ['red'], v: 2 })
    await phone.sync(remote('ann.red'))
    expect(await phone.get('a')).toMatchObject({ v: 2 })
    await phone.put({ ...(await phone.get('a')), v: 3 })
    await phone.sync(remote('ann.red'))
    expect(await boss.get('a')).toMatchObject({ v: 3 })
  })

  it('follow a person who leaves one, comes back, and gains another', async () => {
    const { remote, boss } = await team()
    await boss.bulkDocs([
      { _id: 'r1', in: ['red'] },
      { _id: 'r2', in: ['red'] },
      { _id: 'b1', in: ['blue'] },
      { _id: 'rb', in: ['red', 'blue'] },
    ])
    const phone = device()
    await phone.sync(remote('ann.red'))
    expect(await ids(phone)).toEqual(['r1', 'r2', 'rb'])
    await phone.sync(remote('ann.blue'))
    expect(await ids(phone)).toEqual(['b1', 'rb'])
    await boss.put({ ...(await boss.get('r1')), secret: true })
    await phone.sync(remote('ann.blue'))
    expect(await ids(phone)).toEqual(['b1', 'rb'])
    await phone.sync(remote('ann.blue.red'))
    await phone.sync(remote('ann.blue.red'))
    expect(await ids(phone)).toEqual(['b1', 'r1', 'r2', 'rb'])
    expect(await phone.get('r1')).toMatchObject({ secret: true })
    await phone.put({ ...(await phone.get('r2')), by: 'ann' })
    await phone.sync(remote('ann.blue.red'))
    expect(await boss.get('r2', { conflicts: true })).toMatchObject({ by: 'ann' })
  })

  it('keep a refused write on its device, and say so', async () => {
    const { remote, boss } = await team()
    await boss.put({ _id: 'a', in: ['red'] })
    const phone = device()
    await phone.replicate.from(remote('ann.red'))
    await boss.put({ ...(await boss.get('a')), in: ['blue'] })
    await phone.put({ ...(await phone.get('a')), mine: true })
    const denied: unknown[] = []
    await phone.replicate.to(remote('ann.red')).on('denied', (one) => denied.push(one))
    expect(denied).toHaveLength(1)
    expect(await boss.get('a', { conflicts: true })).not.toHaveProperty('_conflicts')
  })
})

describe('owner databases', () => {
  it('are one for each, under one address, and made when first used', async () => {
    const url = `${server.url}/notes`
    const of = (token: string) => new PouchDB(url, { fetch: as(token) })
    const phone = device()
    await phone.put({ _id: 'mine' })
    await phone.sync(of('ann'))
    expect(await ids(of('ann'))).toEqual(['mine'])
    expect(await ids(of('bob'))).toEqual([])
    await expect(of('bob').get('mine')).rejects.toMatchObject({ status: 404 })
    expect((await fetch(`${url}/_all_docs`)).status).toBe(401)
  })
})
