import { type ChildProcess, spawn } from 'node:child_process'
import { afterAll, describe, expect, it } from 'vitest'
import { freePort, quiet, removeFolder, root, temporaryFolder } from '../kit/running.ts'
import { answerOf } from '../kit/sync-server.ts'

const persist = temporaryFolder()
const running = new Set<ChildProcess>()
afterAll(() => {
  for (const child of running) kill(child)
  removeFolder(persist)
})

/** As when the machine goes: nothing of it has a chance to finish. */
function kill(child: ChildProcess) {
  running.delete(child)
  if (child.pid) process.kill(-child.pid, 'SIGKILL')
}

async function serve(): Promise<{ url: string; child: ChildProcess }> {
  const port = await freePort()
  const child = spawn(process.execPath, [`${root}test/kit/sync-serve.ts`], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...quiet, PORT: String(port), PERSIST: persist },
  })
  running.add(child)
  let printed = ''
  child.stdout?.on('data', (chunk) => {
    printed += chunk
  })
  await expect.poll(() => printed, { timeout: 30_000 }).toContain('sync: http')
  return { url: `http://127.0.0.1:${port}/couch/crash`, child }
}

const post = (url: string, body: unknown) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

describe('a runtime that is killed while it writes', () => {
  it('has all that it acknowledged, and nothing that is half there', async () => {
    const acknowledged = new Map<string, string>()
    const asked = new Set<string>()
    for (let life = 0; life < 3; life++) {
      const { url, child } = await serve()
      await fetch(url, { method: 'PUT' })
      let alive = true
      const writing = Array.from({ length: 4 }, async (_, writer) => {
        for (let i = 0; alive; i++) {
          const docs = Array.from({ length: 20 }, (_, n) => ({
            _id: `${life}-${writer}-${i}-${n}`,
            text: 'x'.repeat(200),
            _attachments: { a: { data: btoa(`bytes of ${life}-${writer}-${i}-${n}`) } },
          }))
          for (const { _id } of docs) asked.add(_id)
          const response = await post(`${url}/_bulk_docs`, { docs }).catch(() => null)
          const lines = await response?.json().catch(() => null)
          if (!lines) return
          for (const { id, rev } of lines as { id: string; rev: string }[])
            acknowledged.set(id, rev)
        }
      })
      await new Promise((resolve) => setTimeout(resolve, 700 + life * 333))
      kill(child)
      alive = false
      await Promise.all(writing)
    }
    expect(acknowledged.size).toBeGreaterThan(100)
    const { url, child } = await serve()
    const all = await answerOf(fetch(`${url}/_all_docs?include_docs=true&attachments=true`))
    expect(all).toHaveProperty('rows')
    const { rows } = all
    const there = new Map<string, PouchDB.Doc>(rows.map((row: PouchDB.Row) => [row.id, row.doc]))
    for (const [id, rev] of acknowledged) expect([id, there.get(id)?._rev]).toEqual([id, rev])
    for (const [id, doc] of there) {
      expect(asked.has(id)).toBe(true)
      expect([doc.text.length, doc._attachments.a.data]).toEqual([200, btoa(`bytes of ${id}`)])
    }
    const info = await answerOf(fetch(url))
    const { results, last_seq } = await answerOf(fetch(`${url}/_changes`))
    const seqs = results.map(({ seq }: { seq: number }) => seq)
    expect(info.doc_count).toBe(there.size)
    expect(new Set(seqs).size).toBe(there.size)
    expect(Math.max(...seqs)).toBeLessThanOrEqual(last_seq)
    kill(child)
  }, 90_000)
})
