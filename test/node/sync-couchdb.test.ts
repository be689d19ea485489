/*
 * Replicates one database into another with the requests that CouchDB 3.4's own replicator sends: its protocol, its
 * headers, its multipart bodies. https://docs.couchdb.org/en/stable/replication/protocol.html
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answerOf, type SyncServer, startSync } from '../kit/sync-server.ts'

let server: SyncServer
beforeAll(async () => {
  server = await startSync()
})
afterAll(() => server.stop())

const json = { 'content-type': 'application/json', accept: 'application/json' }
const post = (url: string, body: unknown) =>
  answerOf(fetch(url, { method: 'POST', headers: json, body: JSON.stringify(body) }))

interface Part {
  headers: Map<string, string>
  body: Buffer
}

/** Takes a MIME body apart (RFC 2046, 5.1). */
function partsOf(bytes: Buffer, type: string): Part[] {
  const boundary = type.match(/boundary="?([^";]+)"?/)?.[1] ?? ''
  const text = bytes.toString('latin1')
  const delimiter = `--${boundary}`
  expect(text.startsWith(delimiter)).toBe(true)
  expect(text.trimEnd().endsWith(`${delimiter}--`)).toBe(true)
  return text
    .split(delimiter)
    .slice(1, -1)
    .map((part) => {
      const split = part.indexOf('\r\n\r\n')
      const headers = part
        .slice(2, split)
        .split('\r\n')
        .map((line) => line.split(/: */, 2) as [string, string])
      return {
        headers: new Map(headers.map(([name, value]) => [name.toLowerCase(), value])),
        body: Buffer.from(part.slice(split + 4, -2), 'latin1'),
      }
    })
}

/** What a leaf came as: JSON, or JSON and the bytes of its attachments. */
function leafOf({ headers, body }: Part): { doc: PouchDB.Doc; bytes: Buffer[] } | null {
  const type = headers.get('content-type') ?? ''
  if (type.includes('error="true"')) return null
  if (type.startsWith('application/json')) return { doc: JSON.parse(body.toString()), bytes: [] }
  const [first, ...rest] = partsOf(body, type)
  return { doc: JSON.parse(first?.body.toString() ?? ''), bytes: rest.map((part) => part.body) }
}

async function fetchLeaves(source: string, id: string, revs: string[]) {
  const query = `revs=true&open_revs=${encodeURIComponent(JSON.stringify(revs))}&latest=true`
  const response = await fetch(`${source}/${encodeURIComponent(id)}?${query}`, {
    headers: { accept: 'multipart/mixed' },
  })
  expect(response.status).toBe(200)
  const bytes = Buffer.from(await response.arrayBuffer())
  return partsOf(bytes, response.headers.get('content-type') ?? '').map(leafOf)
}

/** As the replicator sends a document with attachments. */
async function putRelated(target: string, doc: PouchDB.Doc, bytes: Buffer[]) {
  const boundary = 'c0ffee0123456789'
  const chunks = [
    Buffer.from(`--${boundary}\r\nContent-Type: application/json\r\n\r\n${JSON.stringify(doc)}`),
    ...bytes.flatMap((body, i) => {
      const name = Object.keys(doc._attachments)[i]
      const { content_type: type } = doc._attachments[name as string]
      const head = `Content-Disposition: attachment; filename="${name}"\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}`
      return [Buffer.from(`\r\n--${boundary}\r\n${head}\r\n\r\n`), body]
    }),
    Buffer.from(`\r\n--${boundary}--`),
  ]
  const response = await fetch(`${target}/${encodeURIComponent(doc._id)}?new_edits=false`, {
    method: 'PUT',
    headers: { 'content-type': `multipart/related; boundary="${boundary}"` },
    body: Buffer.concat(chunks),
  })
  expect([response.status, await response.json()]).toMatchObject([201, { ok: true }])
}

async function replicate(source: string, target: string) {
  for (const url of [source, target])
    expect(await answerOf(fetch(url))).toMatchObject({ instance_start_time: expect.any(String) })
  const log = `_local/${Buffer.from(`${source} ${target}`).toString('hex').slice(0, 32)}`
  const checkpoint = await fetch(`${target}/${log}`)
  const before = checkpoint.ok ? ((await checkpoint.json()) as PouchDB.Doc) : null
  const feed = await fetch(
    `${source}/_changes?feed=continuous&style=all_docs&since=${before?.source_last_seq ?? 0}&timeout=500`,
  )
  const lines = (await feed.text())
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  const { last_seq } = lines.pop()
  const revs = lines.map(({ id, changes }) => [id, changes.map(({ rev }: PouchDB.Doc) => rev)])
  const missing = await post(`${target}/_revs_diff`, Object.fromEntries(revs))
  const plain: PouchDB.Doc[] = []
  for (const [id, { missing: wanted }] of Object.entries<PouchDB.Doc>(missing))
    for (const leaf of await fetchLeaves(source, id, wanted)) {
      if (!leaf) continue
      if (leaf.bytes.length > 0) await putRelated(target, leaf.doc, leaf.bytes)
      else plain.push(leaf.doc)
    }
  expect(await post(`${target}/_bulk_docs`, { docs: plain, new_edits: false })).toEqual([])
  expect(await post(`${target}/_ensure_full_commit`, {})).toMatchObject({ ok: true })
  const saved = await fetch(`${target}/${log}`, {
    method: 'PUT',
    headers: json,
    body: JSON.stringify({ ...before, source_last_seq: last_seq }),
  })
  expect(saved.status).toBe(201)
  return Object.keys(missing).length
}

describe('CouchDB’s own replicator', () => {
  it('takes all there is, with attachments, conflicts and deletions, and then only what is new', async () => {
    const [source, target] = ['a', 'b'].map(
      (name) => `${server.url}/couch-${Date.now()}-${name}`,
    ) as [string, string]
    for (const url of [source, target]) await fetch(url, { method: 'PUT' })
    const image = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256))
    await post(`${source}/_bulk_docs`, {
      docs: [
        { _id: 'plain', v: 1 },
        {
          _id: 'mit Anhang/ü',
          _attachments: {
            'bild.bin': { content_type: 'image/x', data: image.toString('base64') },
            't.txt': { content_type: 'text/plain', data: btoa('\r\n--x\r\n') },
          },
        },
        { _id: 'gone', _deleted: true },
      ],
    })
    const branches = ['a', 'b'].map((hash) => ({
      _id: 'torn',
      _rev: `2-${hash}`,
      _revisions: { start: 2, ids: [hash, 'root'] },
      on: hash,
      ...(hash === 'a' ? { _attachments: { f: { data: btoa('of a') } } } : {}),
    }))
    await post(`${source}/_bulk_docs`, { docs: branches, new_edits: false })
    expect(await replicate(source, target)).toBe(4)
    expect(await replicate(source, target)).toBe(0)
    for (const path of [
      'plain',
      `${encodeURIComponent('mit Anhang/ü')}?attachments=true`,
      'torn?conflicts=true',
      'torn?open_revs=all&revs=true',
    ]) {
      const options = { headers: { accept: 'application/json' } }
      const [here, there] = await Promise.all(
        [source, target].map((url) => answerOf(fetch(`${url}/${path}`, options))),
      )
      expect(there).toEqual(here)
    }
    expect((await fetch(`${target}/gone`)).status).toBe(404)
    const bytes = await fetch(`${target}/${encodeURIComponent('mit Anhang/ü')}/bild.bin`)
    expect(Buffer.from(await bytes.arrayBuffer()).equals(image)).toBe(true)
    // And back, after an edit there.
    const doc = await answerOf(fetch(`${target}/plain`))
    await fetch(`${target}/plain`, {
      method: 'PUT',
      headers: json,
      body: JSON.stringify({ ...doc, v: 2 }),
    })
    expect(await replicate(target, source)).toBe(1)
    expect(await answerOf(fetch(`${source}/plain`))).toMatchObject({ v: 2 })
  })
})
