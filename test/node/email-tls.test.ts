import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterEach, describe, expect, it } from 'vitest'
import { type Certified, selfSigned } from '../kit/certificate.ts'
import { type EmailServer, startEmail } from '../kit/email-server.ts'
import { removeFolder, temporaryFolder } from '../kit/running.ts'

/* SMTP by workerd's own TLS, with a real server behind it. workerd trusts the certificate that is called `localhost`. */

const trusted = selfSigned('localhost')
const stranger = selfSigned('localhost', 'ec', false)
const otherName = selfSigned('mail.example')

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Got {
  secure: boolean
  text: string
  user: unknown
}

/** A server that takes mail over TLS alone, and notes it. */
async function listen({ keyPem: key, certificate: cert }: Certified, options: SMTPServerOptions) {
  const got: Got[] = []
  const said: string[] = []
  const server = new SMTPServer({
    ...{ key, cert, closeTimeout: 100, logger: false },
    ...options,
    onAuth({ username, password }, { secure }, done) {
      said.push(`${secure} ${username} ${password}`)
      done(null, { user: username })
    },
    onData(stream, { secure, user }, done) {
      let text = ''
      stream.on('data', (chunk) => {
        text += chunk
      })
      stream.on('end', () => {
        got.push({ secure, text, user })
        done()
      })
    },
  })
  // Whoever does not trust it breaks off.
  server.on('error', () => {})
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  ends.push(() => new Promise<void>((done) => server.close(() => done())))
  return { got, said, port: (server.server.address() as AddressInfo).port }
}

async function start(mail: string, certificates: readonly Certified[]): Promise<EmailServer> {
  const folder = temporaryFolder()
  ends.push(() => removeFolder(folder))
  const file = join(folder, 'trusted.pem')
  writeFileSync(file, certificates.map(({ certificate }) => certificate).join(''))
  const server = await startEmail(mail, join(folder, 'state'), file)
  ends.push(() => server.kill())
  return server
}

const post = async (server: EmailServer) =>
  expect((await fetch(`${server.url}/mail`, { method: 'POST', body: '{}' })).status).toBe(204)

const outbox = async (server: EmailServer) =>
  (await (await fetch(`${server.url}/outbox`)).json()) as { state: string; error: string | null }[]

describe.each([
  ['TLS from the start', 'on', { secure: true }],
  ['STARTTLS', 'starttls', {}],
] as const)('%s, in workerd', (_what, tls, options) => {
  it('sends by a certificate that is trusted, and tells the password under it alone', async () => {
    const { got, said, port } = await listen(trusted, options)
    const worker = await start(`smtp localhost ${port} ${tls} ann secret`, [trusted])
    await post(worker)
    await expect.poll(() => outbox(worker), { timeout: 10_000 }).toMatchObject([{ state: 'sent' }])
    expect(got).toMatchObject([{ secure: true, user: 'ann' }])
    expect(got[0]?.text).toContain('Subject: Hello')
    expect(said).toEqual(['true ann secret'])
  })

  it.each([
    ['that nobody vouches for', stranger],
    ['of another name', otherName],
  ])('sends nothing by a certificate %s, and keeps the mail', async (_which, shown) => {
    const { got, said, port } = await listen(shown, options)
    const worker = await start(`smtp localhost ${port} ${tls} ann secret`, [trusted, otherName])
    await post(worker)
    await expect
      .poll(async () => (await outbox(worker))[0]?.error, { timeout: 10_000 })
      .toMatch(/broke off|could not be reached/)
    expect(await outbox(worker)).toMatchObject([{ state: 'queued' }])
    expect([got, said]).toEqual([[], []])
  })
})

it('STARTTLS is demanded of a server that does not offer it', async () => {
  const { got, said, port } = await listen(trusted, { disabledCommands: ['STARTTLS'] })
  const worker = await start(`smtp localhost ${port} starttls ann secret`, [trusted])
  await post(worker)
  await expect
    .poll(async () => (await outbox(worker))[0]?.error, { timeout: 10_000 })
    .toContain('does not offer STARTTLS')
  expect(await outbox(worker)).toMatchObject([{ state: 'queued' }])
  expect([got, said]).toEqual([[], []])
})
