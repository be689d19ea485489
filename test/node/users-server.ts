import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/*
 * A server that answers imports and exports as `leanto/auth/moving` does, line by line, and fails when it is told to. The
 * command line's tests meet it in place of an app; the app itself is met by `cli-users-real.test.ts`.
 */

export const key = 'sb_secret_of-the-tests'

interface Stored {
  readonly number: number
  readonly line: Record<string, unknown>
}

export async function startUsersServer() {
  /** By id or foreign id. */
  const users = new Map<string, Stored>()
  const asked: { url: string; key: string; lines: number }[] = []
  /** What the request of this number, from 1, meets in place of an answer. */
  let trouble: (number: number, response: ServerResponse) => boolean = () => false
  /** After how many lines an answer is cut, and how it ends then. */
  let cut: { request: number; after: number; how: 'destroy' | 'end' | 'error' } | undefined
  let slow = 0
  let refuse: (line: Record<string, unknown>) => string | undefined = () => undefined
  /** Of the export: users in all, and how many an answer holds. */
  let exported = { count: 0, page: 4000 }

  const textOf = async (request: IncomingMessage) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString()
  }

  async function receive(text: string, response: ServerResponse, request: number) {
    response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' })
    const lines = text.split('\n').filter((line) => line !== '')
    const say = (said: object) => response.write(`${JSON.stringify(said)}\n`)
    for (const [i, text] of lines.entries()) {
      if (cut?.request === request && cut.after === i) {
        if (cut.how === 'destroy') return void response.destroy()
        if (cut.how === 'error')
          say({ error: { code: 500, error_code: 'unexpected_failure', msg: 'It failed' } })
        return void response.end()
      }
      const line = JSON.parse(text)
      const id = String(line.id ?? line.foreign_id ?? '')
      const code = id === '' ? 'validation_failed' : refuse(line)
      if (code) say({ line: i + 1, result: 'refused', code, message: 'No' })
      else if (users.has(id)) say({ line: i + 1, result: 'exists', id })
      else {
        users.set(id, { number: users.size, line })
        say({ line: i + 1, result: 'created', id: `id of ${id}` })
      }
      if (i % 100 === 99) {
        say({ progress: {} })
        if (slow > 0) await new Promise((resolve) => setTimeout(resolve, slow))
      }
    }
    say({ done: { lines: lines.length } })
    response.end()
  }

  function send(url: URL, response: ServerResponse) {
    const after = url.searchParams.get('after') || '-1'
    response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' })
    const end = Math.min(exported.count, Number(after) + 1 + exported.page)
    for (let i = Number(after) + 1; i < end; i++) {
      if (cut?.request === asked.length && cut.after === i - Number(after) - 1) {
        response.write('{"id":"half a li')
        return void setTimeout(() => response.destroy(), 20)
      }
      response.write(
        `${JSON.stringify({ id: String(i).padStart(9, '0'), email: `user${i}@example.com` })}\n`,
      )
    }
    response.end()
  }

  const server = createServer(async (request, response) => {
    const text = await textOf(request)
    const url = new URL(request.url ?? '', 'http://localhost')
    asked.push({
      url: `${request.method} ${request.url}`,
      key: String(request.headers.apikey ?? ''),
      lines: text.split('\n').length - 1,
    })
    const number = asked.length
    if (trouble(number, response)) return
    const json = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    }
    if (request.headers.apikey !== key)
      return json(401, { code: 401, error_code: 'no_authorization', msg: 'Invalid API key' })
    if (url.pathname === '/auth/v1/admin/users/import') return receive(text, response, number)
    if (url.pathname === '/auth/v1/admin/users/export') return send(url, response)
    return json(404, { msg: 'no' })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/auth/v1`,
    users,
    asked,
    set: (given: {
      trouble?: typeof trouble
      cut?: typeof cut
      slow?: number
      refuse?: typeof refuse
      exported?: typeof exported
    }) => {
      trouble = given.trouble ?? (() => false)
      cut = given.cut
      slow = given.slow ?? 0
      refuse = given.refuse ?? (() => undefined)
      exported = given.exported ?? { count: 0, page: 4000 }
    },
    clear() {
      users.clear()
      asked.length = 0
      this.set({})
    },
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
