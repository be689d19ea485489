import { once } from 'node:events'
import { createWriteStream, existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { progressOf } from '../../src/cli/users/progress.ts'
import { type Ran, runLeanto } from './cli-run.ts'
import { host, write } from './cli-world.ts'
import { key, startUsersServer } from './users-server.ts'

/* Runs that are interrupted, by the app, the network, their user or the machine, and go on; and what a long one looks like. */

let server: Awaited<ReturnType<typeof startUsersServer>>
beforeAll(async () => {
  server = await startUsersServer()
})
afterAll(() => server?.stop())
beforeEach(() => server.clear())

const file = 'users.ndjson'
const state = `${file}.state.json`
const at = (name: string) => join(host, name)
const stateOf = () => JSON.parse(readFileSync(at(state), 'utf8'))

const users = (count: number) =>
  Array.from(
    { length: count },
    (_, i) => `${JSON.stringify({ foreign_id: `old|${i}`, email: `u${i}@example.com` })}\n`,
  ).join('')

const bring = (
  args: readonly string[] = [],
  given: Parameters<typeof runLeanto>[2] = {},
): Promise<Ran> =>
  runLeanto(host, ['users', 'import', file, '--from', 'leanto', '--to', server.url, ...args], {
    ...given,
    env: { LEANTO_KEY: key },
  })

/** Everyone, once, in the order of the file. */
const expectAll = (count: number) =>
  expect([...server.users.keys()]).toEqual(Array.from({ length: count }, (_, i) => `old|${i}`))

/** To the second request alone. */
const answering =
  (status: number, headers: Record<string, string> = {}) =>
  (number: number, response: ServerResponse): boolean => {
    if (number === 2) response.writeHead(status, headers).end('{"msg":"not now"}')
    return number === 2
  }

/** After so many requests, for good. */
const saying =
  (status: number, after: number) =>
  (number: number, response: ServerResponse): boolean => {
    if (number > after) response.writeHead(status).end()
    return number > after
  }

describe('an app that does not answer at once', () => {
  it.each([[500], [503], [429]])('by %i is asked again', async (status) => {
    write({ [file]: users(1200) })
    server.set({ trouble: answering(status) })
    const ran = await bring()
    expect(ran.stderr).toContain(`answers ${status}: not now; again in 1 s`)
    expect(ran.status).toBe(0)
    expect(server.asked.map(({ lines }) => lines)).toEqual([500, 500, 500, 200])
    expectAll(1200)
  })

  it('is waited for as it says', async () => {
    write({ [file]: users(600) })
    server.set({ trouble: answering(429, { 'retry-after': '2' }) })
    const before = Date.now()
    expect((await bring()).stderr).toContain('again in 2 s')
    expect(Date.now() - before).toBeGreaterThan(2000)
    expectAll(600)
  })

  it.each([[400], [403], [404]])('but says no by %i is not asked again', async (status) => {
    write({ [file]: users(1200) })
    server.set({ trouble: answering(status) })
    const ran = await bring()
    expect([ran.status, server.asked.length]).toEqual([1, 2])
    expect(ran.stderr).toContain(
      '500 users are done.\nGo on with what is left: the same command with --resume.',
    )
  })
})

describe('an answer that is cut', () => {
  it.each([
    ['by the network', 'destroy'],
    ['without its end', 'end'],
    ['by a failure', 'error'],
  ] as const)('%s goes on after the last user that was answered for', async (_, how) => {
    write({ [file]: users(700) })
    server.set({ cut: { request: 1, after: 321, how } })
    const ran = await bring()
    expect(ran.status).toBe(0)
    expect(ran.stdout).toMatch(/700 {2}users in the file/)
    expectAll(700)
    const [first, second, third] = server.asked.map(({ lines }) => lines)
    expect(first).toBe(500)
    // What was answered is not sent again.
    if (how !== 'destroy') expect(second).toBe(500 - 321)
    expect(third).toBe(200)
  })

  it.each([
    ['no JSON', 'what?\n'],
    ['of another server', '{"users": []}\n{"line": 7, "result": "created"}\n'],
  ])('that is %s is no answer', async (_, text) => {
    write({ [file]: users(3) })
    server.set({
      trouble: (_number, response) => {
        response.writeHead(200).end(text)
        return true
      },
    })
    const ran = await bring()
    expect([ran.status, server.asked.length]).toEqual([1, 1])
    expect(ran.stderr).toContain('The answer is not that of leanto/auth/moving.')
  })
})

describe('--resume', () => {
  it('goes on where a run gave up', async () => {
    write({ [file]: users(1700) })
    server.set({ trouble: saying(502, 2) })
    const ran = await bring(['--retries', '1'])
    expect(ran.status).toBe(1)
    expect(ran.stderr).toContain('Gave up: ')
    expect(ran.stderr).toContain('1,000 users are done.')
    expect(stateOf()).toMatchObject({ done: 1000, counts: { created: 1000 }, from: 'leanto' })
    expect(JSON.stringify(stateOf())).not.toContain(key)
    server.set({})
    server.asked.length = 0
    const next = await bring(['--resume'])
    expect(next.stdout).toContain('1,700  users in the file\n1,700  created')
    expect(next.status).toBe(0)
    expect(server.asked.map(({ lines }) => lines)).toEqual([500, 200])
    expect(existsSync(at(state))).toBe(false)
    expectAll(1700)
  })

  it.each([
    ['Ctrl-C', 'SIGINT', 130],
    ['the end of its terminal', 'SIGTERM', 130],
    ['a crash', 'SIGKILL', null],
  ] as const)('goes on after %s, in the middle of an answer', async (_, signal, status) => {
    write({ [file]: users(2000) })
    server.set({ slow: 60 })
    const ran = await bring([], {
      begun: (child) => {
        const timer = setInterval(() => {
          if (server.users.size < 750) return
          clearInterval(timer)
          child.kill(signal)
        }, 5)
      },
    })
    expect(ran.status).toBe(status)
    const { done } = stateOf()
    expect(done).toBeGreaterThanOrEqual(500)
    expect(done).toBeLessThan(1200)
    if (status) expect(ran.stderr).toContain('Stopped.')
    server.set({})
    const next = await bring(['--resume'])
    expect(next.status).toBe(0)
    expect(next.stdout).toContain('2,000  users in the file')
    expectAll(2000)
  })

  it('is for the same file, from and to the same places', async () => {
    write({ [file]: users(600) })
    const nothing = await bring(['--resume'])
    expect([nothing.status, nothing.stderr.includes('nothing to go on with')]).toEqual([1, true])
    server.set({ trouble: saying(403, 1) })
    await bring()
    const args = ['users', 'import', file, '--resume', '--to', server.url]
    const other = await runLeanto(host, [...args, '--from', 'clerk'], { env: { LEANTO_KEY: key } })
    expect(other.stderr).toContain('The run before was --from leanto.')
    writeFileSync(at(file), users(601))
    expect((await bring(['--resume'])).stderr).toContain('users.ndjson has changed since.')
    server.set({})
    const anew = await bring()
    expect(anew.stdout).toContain('101  created\n500  are there already')
    expectAll(601)
  })
})

describe('leanto users export', () => {
  const take = (args: readonly string[] = [], given: Parameters<typeof runLeanto>[2] = {}) =>
    runLeanto(host, ['users', 'export', '--from', server.url, ...args], {
      ...given,
      env: { LEANTO_KEY: key },
    })
  const ids = (text: string) =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line).id)
  const all = (count: number) => Array.from({ length: count }, (_, i) => String(i).padStart(9, '0'))

  it('writes every user to standard output, and how far it is to the other', async () => {
    server.set({ exported: { count: 950, page: 400 } })
    const { status, stdout, stderr } = await take()
    expect(ids(stdout)).toEqual(all(950))
    expect(stderr).toMatch(/^950 users/)
    expect(status).toBe(0)
    expect(server.asked.map(({ url }) => url.split('after=')[1])).toEqual([
      '',
      '000000399',
      '000000799',
      '000000949',
    ])
  })

  it.each(['an answer that is cut', 'an app that fails for a while'])(
    'comes through %s',
    async (what) => {
      const exported = { count: 950, page: 400 }
      server.set(
        what.startsWith('an answer')
          ? { exported, cut: { request: 2, after: 123, how: 'destroy' } }
          : { exported, trouble: answering(500) },
      )
      const { status, stdout } = await take()
      expect([status, ids(stdout)]).toEqual([0, all(950)])
    },
  )

  it('goes on with a file that was begun, without the half of a line', async () => {
    server.set({ exported: { count: 950, page: 400 }, trouble: saying(502, 2) })
    const ran = await take(['--out', 'out.ndjson', '--retries', '0'])
    expect(ran.status).toBe(1)
    expect(ran.stderr).toContain(
      '800 users are written.\nGo on with what is left: the same command with --resume.',
    )
    const text = readFileSync(at('out.ndjson'), 'utf8')
    expect(ids(text)).toEqual(all(800))
    writeFileSync(at('out.ndjson'), `${text}{"id":"0000008`)
    server.set({ exported: { count: 950, page: 400 } })
    expect((await take(['--out', 'out.ndjson'])).stderr).toContain('is there already')
    expect((await take(['--out', 'out.ndjson', '--resume'])).status).toBe(0)
    expect(ids(readFileSync(at('out.ndjson'), 'utf8'))).toEqual(all(950))
  })
})

describe('a file of 100,000 users', () => {
  const rss = `data:text/javascript,process.on('exit',()=>process.stderr.write('maxRSS '+process.resourceUsage().maxRSS+'\\n'))`
  /** In MiB. What holds a file of 100,000 users does not fit. */
  const heap = ['--max-old-space-size=64', '--max-semi-space-size=2']
  const memory = async (count: number) => {
    const stream = createWriteStream(at(file))
    for (let i = 0; i < count; i++) {
      const line = {
        foreign_id: `old|${i}`,
        email: `u${i}@example.com`,
        user_metadata: { x: 'x'.repeat(700) },
      }
      if (!stream.write(`${JSON.stringify(line)}\n`)) await once(stream, 'drain')
    }
    stream.end()
    await once(stream, 'finish')
    server.clear()
    const { status, stdout, stderr } = await bring([], { node: [...heap, '--import', rss] })
    expect([status, stdout.includes(`${count.toLocaleString('en')}  created`)]).toEqual([0, true])
    expect(server.users.size).toBe(count)
    return Number(stderr.match(/maxRSS (\d+)/)?.[1]) / 1024
  }

  it('is brought in the memory that one of 20,000 takes', async () => {
    const few = await memory(20_000)
    const many = await memory(100_000)
    console.log(
      `20,000 users: ${Math.round(few)} MiB; 100,000 users, 77 MB: ${Math.round(many)} MiB`,
    )
    expect(many).toBeLessThan(few + 60)
    expect(many).toBeLessThan(250)
  }, 180_000)
})

describe('how far it is', () => {
  const screen = (isTTY: boolean) => {
    let time = 0
    const written: string[] = []
    const stream = { isTTY, columns: 80, write: (text: string) => void written.push(text) }
    const progress = progressOf(0, stream as never, () => time)
    return { progress, written, wait: (ms: number) => (time += ms) }
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a terminal is sent.
  const plain = (text: string) => text.replaceAll(/\u001b\[\d+m/g, '')

  it('is one line in a terminal, drawn over ten times a second', () => {
    const { progress, written, wait } = screen(true)
    for (let i = 1; i <= 300; i++) {
      wait(10)
      progress({ part: i / 1000, done: i * 10, more: i > 200 ? '2 refused' : undefined })
    }
    progress.say('something that stays')
    progress.end({ part: 1, done: 10_000 })
    const drawn = written.filter((text) => text.includes('users'))
    expect(drawn.length).toBeGreaterThan(25)
    expect(drawn.length).toBeLessThan(35)
    expect(plain(drawn.at(-2) as string)).toMatch(
      /^━{24} {2}2\d % · 2,\d{3} users · 1,000\/s · 0:07 left · 2 refused$/,
    )
    // Never more than the line is wide: else it could not be drawn over.
    for (const text of drawn) expect(plain(text).length).toBeLessThan(80)
    expect(written.filter((text) => text === '\r\u001b[2K').length).toBe(drawn.length - 1)
    expect(written.at(-1)).toBe('\n')
  })

  it('is a plain line every five seconds elsewhere', () => {
    const { progress, written, wait } = screen(false)
    for (let i = 1; i <= 120; i++) {
      wait(100)
      progress({ part: i / 240, done: i * 100 })
    }
    progress.end({ part: 0.5, done: 12_000 })
    expect(written).toEqual([
      ' 20 % · 5,000 users · 1,000/s · 0:19 left\n',
      ' 41 % · 10,000 users · 1,000/s · 0:14 left\n',
      ' 50 % · 12,000 users · 1,000/s · 0:12 left\n',
    ])
  })
})
