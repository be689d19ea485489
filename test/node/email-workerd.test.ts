import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { afterEach, describe, expect, it } from 'vitest'
import { type EmailServer, startEmail } from '../kit/email-server.ts'
import { removeFolder, temporaryFolder } from '../kit/running.ts'

/* The real thing: workerd with its database on disk, sockets of `cloudflare:sockets`, and a kill that nobody expects. */

const servers: EmailServer[] = []
const ends: (() => unknown)[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.kill()))
  for (const end of ends.splice(0)) await end()
})

async function start(mail: string, persist: string, trusted?: string) {
  const server = await startEmail(mail, persist, trusted)
  servers.push(server)
  return server
}
const place = () => {
  const folder = temporaryFolder()
  ends.push(() => removeFolder(folder))
  return folder
}
const post = async (server: EmailServer, path: string, body?: object) => {
  const response = await fetch(server.url + path, {
    method: 'POST',
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  expect(response.status, await response.text()).toBe(204)
}
/** Later than any hold or wait. */
const cron = (server: EmailServer, hours = 1) => post(server, `/cron?ahead=${hours * 3_600_000}`)

/** A provider that keeps count. */
async function provider(onMail: (response: ServerResponse, count: number) => void) {
  const keys: string[] = []
  const server = createServer(async (request, response) => {
    for await (const _ of request) {
    }
    keys.push(String(request.headers['idempotency-key']))
    onMail(response, keys.length)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { keys, mail: `resend http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}
const taken = (response: ServerResponse) => response.end('{"id":"re_1"}')

describe('a Worker that is killed', () => {
  it('while it sends, loses nothing: the mail is delivered once more at most', async () => {
    const persist = place()
    // Taken, but the answer never comes: for the Worker it is open what happened.
    const { keys, mail } = await provider((response, count) => count > 1 && taken(response))
    const first = await start(mail, persist)
    await post(first, '/mail', {})
    await expect.poll(() => keys.length, { timeout: 10_000 }).toBe(1)
    await first.kill()
    const second = await start(mail, persist)
    await cron(second, 0)
    expect(keys).toHaveLength(1)
    await cron(second)
    await expect.poll(() => keys.length).toBe(2)
    await cron(second, 2)
    expect(keys).toHaveLength(2)
    expect(new Set(keys).size).toBe(1)
  })

  it('before it sends what came in the caller’s batch, loses nothing', async () => {
    const persist = place()
    const { keys, mail } = await provider(taken)
    const first = await start(mail, persist)
    // By whom it is sent at first nobody is there to be asked: it dies before it looks.
    await post(first, '/within')
    await first.kill()
    const second = await start(mail, persist)
    await cron(second)
    await cron(second, 2)
    expect(keys.length).toBeGreaterThanOrEqual(1)
    expect(keys.length).toBeLessThanOrEqual(2)
    expect(new Set(keys).size).toBe(1)
  })
})

describe('a Worker that is killed, with jobs', () => {
  it('while it sends, loses nothing: the mail is delivered once more at most', async () => {
    const persist = place()
    const { keys, mail } = await provider((response, count) => count > 1 && taken(response))
    const first = await start(`${mail} jobs`, persist)
    await post(first, '/mail', {})
    await expect.poll(() => keys.length, { timeout: 10_000 }).toBe(1)
    await first.kill()
    const second = await start(`${mail} jobs`, persist)
    // The lease of its job still holds.
    await cron(second, 0)
    expect(keys).toHaveLength(1)
    await cron(second)
    await expect.poll(() => keys.length).toBe(2)
    await cron(second, 48)
    expect(keys).toHaveLength(2)
    expect(new Set(keys).size).toBe(1)
  })

  it('before the job has begun, loses nothing', async () => {
    const persist = place()
    const { keys, mail } = await provider(taken)
    const first = await start(`${mail} jobs`, persist)
    await post(first, '/within')
    await first.kill()
    const second = await start(`${mail} jobs`, persist)
    await cron(second)
    await cron(second, 48)
    expect(keys.length).toBeGreaterThanOrEqual(1)
    expect(keys.length).toBeLessThanOrEqual(2)
    expect(new Set(keys).size).toBe(1)
  })
})

it('SMTP over cloudflare:sockets: the mails of a request go on one connection', async () => {
  const got: { session: string; text: string }[] = []
  const smtp = new SMTPServer({
    ...{
      authOptional: true,
      disabledCommands: ['STARTTLS', 'AUTH'],
      closeTimeout: 100,
      logger: false,
    },
    onData(stream, { id }, done) {
      let text = ''
      stream.on('data', (chunk) => {
        text += chunk
      })
      stream.on('end', () => {
        got.push({ session: id, text })
        done()
      })
    },
  })
  const port = await new Promise<number>((resolve) => {
    const server = smtp.listen(0, '127.0.0.1', () =>
      resolve((server.address() as AddressInfo).port),
    )
  })
  ends.push(() => new Promise<void>((done) => smtp.close(() => done())))
  const worker = await start(`smtp 127.0.0.1 ${port} unsafe-off`, place())
  await post(worker, '/mails/5')
  await expect.poll(() => got.length, { timeout: 10_000 }).toBe(5)
  expect(new Set(got.map(({ session }) => session)).size).toBe(1)
  expect(got[0]?.text).toMatch(/\r\n\r\n\.\r\n\.\r\n$/)
  await post(worker, '/mail', {})
  await expect.poll(() => got.length, { timeout: 10_000 }).toBe(6)
  expect(new Set(got.map(({ session }) => session)).size).toBe(2)
})

it('Cloudflare’s binding, as workerd has it, takes what it is given', async () => {
  const worker = await start('binding', place())
  await post(worker, '/mail', {})
  await post(worker, '/rich')
  const outbox = async () =>
    (await (await fetch(`${worker.url}/outbox`)).json()) as { state: string }[]
  await expect
    .poll(async () => (await outbox()).map(({ state }) => state), { timeout: 10_000 })
    .not.toContain('queued')
  expect(await outbox()).toEqual([
    { state: 'sent', error: null, remote: expect.any(String) },
    { state: 'sent', error: null, remote: expect.any(String) },
  ])
})
