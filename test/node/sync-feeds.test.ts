import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answerOf, type SyncServer, startSync } from '../kit/sync-server.ts'

let server: SyncServer
let n = 0
beforeAll(async () => {
  server = await startSync()
})
afterAll(() => server.stop())

const post = (url: string, body: unknown) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

async function make(mount: string) {
  const url = `${server.url.replace(/couch$/, mount)}/feeds-${Date.now()}-${n++}`
  await fetch(url, { method: 'PUT' })
  await post(`${url}/_bulk_docs`, { docs: [{ _id: 'a' }, { _id: 'b' }] })
  return url
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** A body's text as it comes, and what has come so far. */
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
  return { soFar: () => text, done, cancel: () => reader?.cancel() }
}

describe.each(['couch', 'live'])('held feeds of /%s', (mount) => {
  it('longpoll answers at once with what there is, else with what comes', async () => {
    const url = await make(mount)
    const now = await answerOf(fetch(`${url}/_changes?feed=longpoll&since=1`))
    expect(now.results.map(({ id }: { id: string }) => id)).toEqual(['b'])
    const held = answerOf(fetch(`${url}/_changes?feed=longpoll&since=now`))
    await wait(300)
    await post(url, { _id: 'c' })
    expect((await held).results).toMatchObject([{ seq: 3, id: 'c' }])
  })

  it('a burst costs one answer', async () => {
    const url = await make(mount)
    const held = answerOf(fetch(`${url}/_changes?feed=longpoll&since=2`))
    await wait(300)
    await Promise.all(Array.from({ length: 10 }, (_, i) => post(url, { _id: `n${i}` })))
    expect((await held).results.length).toBeGreaterThan(1)
  })

  it('nothing is missed between a reading and the next', async () => {
    const url = await make(mount)
    const seen: string[] = []
    let writing = true
    const writes = (async () => {
      for (let i = 0; i < 40; i++) await post(url, { _id: `w${i}` })
      writing = false
    })()
    for (let since = 2; seen.length < 40; ) {
      const page = await answerOf(
        fetch(`${url}/_changes?feed=longpoll&since=${since}&timeout=3000`),
      )
      seen.push(...page.results.map(({ id }: { id: string }) => id))
      since = page.last_seq
      if (!writing && page.results.length === 0) break
    }
    await writes
    expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => `w${i}`))
  })

  it('heartbeats while nothing comes, and ends after the time that was asked for', async () => {
    const url = await make(mount)
    const quiet = await fetch(`${url}/_changes?feed=longpoll&since=now&heartbeat=200&timeout=900`)
    const text = await quiet.text()
    expect(text.match(/\n/g)?.length).toBeGreaterThan(5)
    expect(JSON.parse(text)).toEqual({ results: [], last_seq: 2, pending: 0 })
  })

  it('continuous sends a line for each change', async () => {
    const url = await make(mount)
    const feed = reading(await fetch(`${url}/_changes?feed=continuous&since=0&timeout=1500`))
    await expect.poll(() => feed.soFar().split('\n').length).toBe(3)
    await post(url, { _id: 'c' })
    const lines = (await feed.done)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toMatchObject([
      { id: 'a' },
      { id: 'b' },
      { id: 'c' },
      { last_seq: 3, pending: 0 },
    ])
    const limited = await (await fetch(`${url}/_changes?feed=continuous&limit=2`)).text()
    expect(limited.trim().split('\n')).toHaveLength(3)
  })

  it('eventsource sends events that can be gone on from', async () => {
    const url = await make(mount)
    const response = await fetch(`${url}/_changes?feed=eventsource&heartbeat=200`, {
      headers: { 'last-event-id': '1' },
    })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const feed = reading(response)
    await expect.poll(() => feed.soFar()).toMatch(/^data: \{.*"id":"b".*\}\nid: 2\n\n/)
    await expect.poll(() => feed.soFar()).toContain('event: heartbeat')
    await feed.cancel()
  })
})
