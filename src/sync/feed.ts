import { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { type ChangeLine, type ChangesPage, changesPage, changesParts, seqText } from './changes.ts'
import type { FeedInput, PageInput } from './changes-input.ts'
import type { Place } from './database.ts'
import { followMembership } from './membership.ts'
import { demand } from './permission.ts'
import type { Asked } from './request.ts'
import type { Watcher } from './watch.ts'

const encoder = new TextEncoder()
const headers = { 'content-type': 'application/json' }

/** Feeds are held no longer than this, in milliseconds: their clients come again, with a token that is still good. */
const longestHold = 5 * 60 * 1000

/**
 * Answers `_changes`: https://docs.couchdb.org/en/stable/api/database/changes.html
 *
 * @throws {Fault} what the first reading throws; after that a held feed only ends.
 */
export async function changesFeed(
  asked: Asked,
  input: FeedInput,
  watcher: Watcher,
): Promise<Response> {
  const { scope, place } = asked
  await followMembership(scope, place)
  if (input.feed === 'normal') return normal(scope, place, input)
  const first = await changesPage(scope, place, input.feed === 'longpoll' ? input : held(input))
  if (input.feed === 'longpoll') return longpoll({ asked, input, first, watcher })
  return continuous({ asked, input, first, watcher })
}

/** Bounded, so that a page of a long feed is sent before all of it is read. */
const held = (input: FeedInput): FeedInput => ({
  ...input,
  descending: false,
  limit: Math.min(input.limit, 500),
})

const seqOf = ({ lastSeq, scan }: ChangesPage): string => seqText(lastSeq, scan)

const tail = (page: ChangesPage): string =>
  `\n],\n"last_seq":${seqOf(page)},"pending":${page.pending}}\n`

/** Every so many rows have their sequence. */
function spacing({ seqInterval }: PageInput) {
  let n = 0
  return ({ text }: ChangeLine): string =>
    ++n % seqInterval === 0 ? text : text.replace(/^\{"seq":[^,]+/, '{"seq":null')
}

async function normal(scope: Scope, place: Place, input: FeedInput): Promise<Response> {
  const parts = changesParts(scope, place, input)
  const space = spacing(input)
  const first = (await parts.next()).value as ChangesPage
  const second = first.pending > 0 && first.lines.length < input.limit ? await parts.next() : null
  const head = `{"results":[\n${first.lines.map(space).join(',\n')}`
  if (!second || second.done) return new Response(head + tail(first), { status: 200, headers })
  return streamed('application/json', async (send) => {
    await send(head)
    let begun = first.lines.length > 0
    let last = second.value
    const sendPart = async (part: ChangesPage) => {
      if (part.lines.length > 0)
        await send(`${begun ? ',\n' : ''}${part.lines.map(space).join(',\n')}`)
      begun ||= part.lines.length > 0
      last = part
    }
    await sendPart(second.value)
    for await (const part of parts) await sendPart(part)
    await send(tail(last))
  })
}

interface Holding {
  asked: Asked
  input: FeedInput
  first: ChangesPage
  watcher: Watcher
}

async function longpoll(holding: Holding): Promise<Response> {
  const { input, first } = holding
  const space = spacing(input)
  const body = (page: ChangesPage) => page.lines.map(space).join(',\n') + tail(page)
  const head = '{"results":[\n'
  if (first.lines.length > 0 || input.timeout === 0)
    return new Response(head + body(first), { status: 200, headers })
  return streamed('application/json', async (send) => {
    await send(head)
    let page = first
    for await (const next of pages(holding, send, '\n')) {
      page = next
      if (page.lines.length > 0) break
    }
    await send(body(page))
  })
}

async function continuous(holding: Holding): Promise<Response> {
  const { input, first } = holding
  const events = input.feed === 'eventsource'
  const type = events ? 'text/event-stream' : 'application/json'
  const space = spacing(input)
  const text = (line: ChangeLine): string =>
    events ? `data: ${space(line)}\nid: ${line.seq}\n\n` : `${space(line)}\n`
  const beat = events ? 'event: heartbeat\ndata: \n\n' : '\n'
  return streamed(type, async (send) => {
    let left = input.limit
    let page = first
    const sendPage = async () => {
      left -= page.lines.length
      if (page.lines.length > 0) await send(page.lines.map(text).join(''))
    }
    await sendPage()
    if (left > 0)
      for await (const next of pages(holding, send, beat)) {
        page = { ...next, lines: next.lines.slice(0, left) }
        await sendPage()
        if (left <= 0) break
      }
    if (!events) await send(`{"last_seq":${seqOf(page)},"pending":${page.pending}}\n`)
  })
}

/** What comes after a page, as it comes, until nothing has come for the time that was asked for. */
async function* pages(
  { asked, input, first, watcher }: Holding,
  send: (text: string) => Promise<void>,
  beat: string,
): AsyncGenerator<ChangesPage> {
  const { scope } = asked
  const watch = await watcher.open(scope, asked.place)
  const held = Date.now() + longestHold
  let quiet = Date.now() + input.timeout
  let at = first
  try {
    for (;;) {
      const left = Math.min(held, quiet) - Date.now()
      if (at.pending === 0) {
        if (left <= 0 || watch.spent()) return
        const more = await watch.next(at.lastSeq, Math.min(left, input.heartbeat ?? left))
        if (!more) {
          if (input.heartbeat !== null) await send(beat)
          continue
        }
      }
      const next: PageInput = {
        ...input,
        descending: false,
        since: at.lastSeq,
        scan: input.scan && (at.scan ?? { base: at.lastSeq, after: input.scan.after }),
        limit: Math.min(input.limit, 500),
      }
      // Who may not read any more, or not all, is not told what comes.
      const place = await asked.again()
      demand(place, 'read')
      await followMembership(scope, place)
      at = await changesPage(scope, place, next)
      if (at.lines.length > 0) quiet = Date.now() + input.timeout
      yield at
    }
  } catch (error) {
    // Gone, or out of reach for now: the client asks again, and is told.
    if (!(error instanceof Fault)) throw error
  } finally {
    watch.close()
  }
}

/** A body that is written while it is read. Whoever writes learns by the next `send` that its reader has gone. */
function streamed(
  type: string,
  write: (send: (text: string) => Promise<void>) => Promise<void>,
): Response {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const send = (text: string) => writer.write(encoder.encode(text))
  void write(send)
    .then(
      () => writer.close(),
      (error) => writer.abort(error).catch(() => {}),
    )
    .catch(() => {})
  return new Response(readable, {
    status: 200,
    headers: {
      'content-type': type,
      'cache-control': 'no-store',
      // Compressed, a heartbeat would wait for more to come with it.
      'content-encoding': 'identity',
    },
  })
}
