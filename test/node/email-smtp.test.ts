import {
  type AddressInfo,
  createServer,
  type Socket as NetSocket,
  connect as netConnect,
  type Server,
} from 'node:net'
import { Duplex } from 'node:stream'
import { TLSSocket, connect as tlsConnect } from 'node:tls'
import type { Scope } from 'leanto'
import { type SmtpOptions, smtp } from 'leanto/email/smtp'
import { simpleParser } from 'mailparser'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterEach, describe, expect, it } from 'vitest'
import { type Message, outgoing } from '../../src/email/message.ts'
import type { Socket } from '../../src/email/smtp/session.ts'
import { selfSigned } from '../kit/certificate.ts'

/* A real SMTP server; the sockets of workerd are stood in for by those of Node, of the same shape. */

const { keyPem: key, certificate: cert } = selfSigned('localhost')

const opened: NetSocket[] = []

function asWorkers(socket: NetSocket, hostname: string): Socket {
  opened.push(socket)
  socket.on('error', () => {})
  const { readable, writable } = Duplex.toWeb(socket) as never as Socket
  return {
    readable,
    writable,
    startTls: () => {
      // The streams have put what they want of the socket; TLS takes over what is below.
      socket.removeAllListeners('data')
      return asWorkers(tlsConnect({ socket, servername: hostname, ca: cert }), hostname)
    },
    close: async () => {
      socket.destroy()
    },
  }
}

const connect: SmtpOptions<unknown>['connect'] = ({ hostname, port }, { secureTransport }) =>
  new Promise((resolve, reject) => {
    const options = { host: 'localhost', port }
    const socket =
      secureTransport === 'on'
        ? tlsConnect({ ...options, servername: hostname, ca: cert }, () =>
            resolve(asWorkers(socket, hostname)),
          )
        : netConnect(options, () => resolve(asWorkers(socket, hostname)))
    socket.once('error', reject)
  })

interface Got {
  from: string
  to: string[]
  user: string | undefined
  secure: boolean
  session: string
  raw: Buffer
}

let servers: { close(done: () => void): unknown }[] = []
let waited: Promise<unknown>[] = []
let got: Got[] = []

afterEach(async () => {
  await Promise.all(waited)
  for (const socket of opened.splice(0)) socket.destroy()
  await Promise.all(servers.map((server) => new Promise<void>((done) => server.close(done))))
  servers = []
  waited = []
  got = []
})

async function serve(options: SMTPServerOptions = {}): Promise<number> {
  const server = new SMTPServer({
    ...{ key, cert, authOptional: true, logger: false, closeTimeout: 100 },
    onAuth: ({ username, password }, _, done) =>
      password === 'right' ? done(null, { user: username }) : done(new Error('wrong password')),
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk) => chunks.push(chunk))
      stream.on('end', () => {
        got.push({
          from: session.envelope.mailFrom ? session.envelope.mailFrom.address : '',
          to: session.envelope.rcptTo.map(({ address }) => address),
          user: session.user as string | undefined,
          secure: session.secure,
          session: session.id,
          raw: Buffer.concat(chunks),
        })
        done(null, 'queued as 1')
      })
    },
    ...options,
  })
  server.on('error', () => {})
  servers.push(server)
  return new Promise((resolve) => {
    const listening = server.listen(0, 'localhost', () =>
      resolve((listening.address() as AddressInfo).port),
    )
  })
}

/** A server that says what it is told to, line for line. */
async function script(
  onLine: (line: string, socket: NetSocket) => string | undefined,
  greeting = '220 hi\r\n',
) {
  const heard: string[] = []
  const server: Server = createServer((socket) => {
    opened.push(socket)
    socket.on('error', () => {})
    socket.write(greeting)
    let buffer = ''
    socket.on('data', (chunk) => {
      buffer += chunk
      for (let end = buffer.indexOf('\r\n'); end >= 0; end = buffer.indexOf('\r\n')) {
        const line = buffer.slice(0, end)
        buffer = buffer.slice(end + 2)
        heard.push(line)
        const answer = onLine(line, socket)
        if (answer) socket.write(answer)
      }
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  return { port: (server.address() as AddressInfo).port, heard }
}

const scope = (): Scope =>
  ({ env: {}, waitUntil: (work: Promise<unknown>) => waited.push(work) }) as never

let count = 0
const mail = (message: Partial<Message> = {}) =>
  outgoing(
    { to: 'ann@example.com', subject: 'Hello', text: 'Hi', ...message },
    {
      id: `01900000-0000-7000-8000-${String(++count).padStart(12, '0')}`,
      date: 0,
      from: 'Notes <hi@notes.example>',
    },
  )

const transport = (port: number, options: Partial<SmtpOptions<unknown>> = {}) =>
  smtp({ host: 'localhost', port, connect, tls: 'unsafe-off', ...options })

const about = { local: false }
const signedIn = { username: 'ann', password: 'right' }

describe('smtp, against smtp-server', () => {
  it('sends by STARTTLS, signed in, and leaves', async () => {
    let closed = 0
    const port = await serve({ onClose: () => closed++ })
    const { id } = await transport(port, { tls: 'starttls', ...signedIn }).send(
      scope(),
      mail(),
      about,
    )
    expect(id).toContain('queued as 1')
    expect(got).toMatchObject([
      { from: 'hi@notes.example', to: ['ann@example.com'], user: 'ann', secure: true },
    ])
    await Promise.all(waited)
    await expect.poll(() => closed).toBe(1)
  })

  it('sends by TLS from the start', async () => {
    const port = await serve({ secure: true })
    await transport(port, { tls: 'on', ...signedIn }).send(scope(), mail(), about)
    expect(got).toMatchObject([{ user: 'ann', secure: true }])
  })

  it('signs in by LOGIN where there is no PLAIN', async () => {
    const port = await serve({ secure: true, authMethods: ['LOGIN'] })
    await transport(port, { tls: 'on', ...signedIn }).send(scope(), mail(), about)
    expect(got).toMatchObject([{ user: 'ann' }])
  })

  it('keeps lines that begin with dots, and writes to those in Bcc without naming them', async () => {
    const port = await serve()
    const text = '.\r\n..\r\n.dot\r\nQUIT\r\nMAIL FROM:<evil@example.com>'
    await transport(port).send(
      scope(),
      mail({ text, to: 'ann@example.com', cc: 'bob@example.com', bcc: 'eve@example.com' }),
      about,
    )
    expect(got).toHaveLength(1)
    expect(got[0]?.to).toEqual(['ann@example.com', 'bob@example.com', 'eve@example.com'])
    const parsed = await simpleParser(got[0]?.raw ?? '')
    expect(parsed.text?.trim()).toBe(text.replaceAll('\r\n', '\n'))
    expect(got[0]?.raw.toString()).not.toContain('eve@example.com')
  })

  it('sends the mails of one request on one connection, those of another on another', async () => {
    const port = await serve()
    const by = transport(port)
    const [one, two] = [scope(), scope()]
    await Promise.all([...Array(5).keys()].map(() => by.send(one, mail(), about)))
    await by.send(one, mail(), about)
    await by.send(two, mail(), about)
    expect(new Set(got.slice(0, 6).map(({ session }) => session)).size).toBe(1)
    expect(new Set(got.map(({ session }) => session)).size).toBe(2)
  })

  it('goes on after a refusal, and says what was final', async () => {
    const port = await serve({
      onRcptTo({ address }, _, done) {
        const code = { nobody: 550, busy: 450 }[address.split('@')[0] as 'nobody']
        done(code ? Object.assign(new Error(`${address} no`), { responseCode: code }) : null)
      },
    })
    const by = transport(port)
    const one = scope()
    await expect(by.send(one, mail({ to: 'nobody@example.com' }), about)).rejects.toMatchObject({
      final: true,
    })
    await expect(by.send(one, mail({ to: 'busy@example.com' }), about)).rejects.toMatchObject({
      final: false,
    })
    // Those who could be written to now would get it twice.
    await expect(
      by.send(one, mail({ to: ['ann@example.com', 'busy@example.com'] }), about),
    ).rejects.toMatchObject({ final: false })
    expect(got).toEqual([])
    const { warning } = await by.send(
      one,
      mail({ to: ['nobody@example.com', 'ann@example.com'] }),
      about,
    )
    expect(warning).toContain('1 of 2 recipients refused: 550')
    expect(got.map(({ to }) => to)).toEqual([['ann@example.com']])
  })

  it('is refused for good by a server that takes less, before a byte of it is sent', async () => {
    const port = await serve({ size: 2000 })
    await expect(
      transport(port).send(scope(), mail({ text: 'x '.repeat(2000) }), about),
    ).rejects.toMatchObject({ final: true })
    await transport(port).send(scope(), mail(), about)
    expect(got).toHaveLength(1)
  })

  it('sends 4 MB', async () => {
    const port = await serve()
    const content = crypto.getRandomValues(new Uint8Array(60_000))
    const attachments = [...Array(50 / 2).keys()].map((i) => ({
      name: `${i}.bin`,
      content: new Uint8Array([...content, ...content]),
    }))
    await transport(port).send(scope(), mail({ attachments }), about)
    const parsed = await simpleParser(got[0]?.raw ?? '')
    expect(parsed.attachments).toHaveLength(25)
    expect(parsed.attachments.every(({ content: bytes }) => bytes.length === 120_000)).toBe(true)
  })
})

describe('smtp, when it goes wrong, tries again later', () => {
  const later = expect.objectContaining({ name: 'Undelivered', final: false })
  const fails = (port: number, options: Partial<SmtpOptions<unknown>> = {}) =>
    expect(transport(port, options).send(scope(), mail(), about)).rejects

  it('with a wrong password, whose text is not in the error', async () => {
    const port = await serve({ secure: true })
    const error = await transport(port, { tls: 'on', username: 'ann', password: 'wr0ng' })
      .send(scope(), mail(), about)
      .catch((thrown) => thrown)
    expect(error).toEqual(later)
    expect(error.message).toContain('535')
    expect(error.message).not.toContain('wr0ng')
    expect(error.message).not.toContain(btoa('\0ann\0wr0ng'))
  })

  it('with nobody there', () => fails(1).toEqual(later))

  it('without a certificate that is trusted and of this name', async () => {
    const port = await serve({ secure: true })
    await fails(port, { tls: 'on', host: 'other.example' }).toEqual(later)
    expect(got).toEqual([])
  })

  it('without STARTTLS on offer: it never goes on in the clear', async () => {
    const { port, heard } = await script((line) =>
      line.startsWith('EHLO') ? '250-hi\r\n250 AUTH PLAIN\r\n' : '250 ok\r\n',
    )
    await fails(port, { tls: 'starttls', ...signedIn }).toEqual(later)
    expect(heard).toEqual(['EHLO notes.example'])
  })

  it('with an answer that was slipped in before TLS, which then begins as it should', async () => {
    const secret: string[] = []
    const { port, heard } = await script((line, socket) => {
      if (line.startsWith('EHLO')) return '250-hi\r\n250 STARTTLS\r\n'
      socket.removeAllListeners('data')
      socket.write('220 go\r\n250 AUTH PLAIN\r\n')
      const inner = new TLSSocket(socket, { isServer: true, key, cert })
      inner.on('error', () => {})
      inner.on('data', (chunk) => {
        secret.push(String(chunk))
        inner.write('250 AUTH PLAIN\r\n')
      })
      return undefined
    })
    await fails(port, { tls: 'starttls', ...signedIn }).toEqual(later)
    expect(heard).toEqual(['EHLO notes.example', 'STARTTLS'])
    expect(secret).toEqual([])
  })

  it('when the connection is cut before, within or after the message', async () => {
    for (const at of ['EHLO', 'MAIL', 'RCPT', 'DATA', '.']) {
      const { port, heard } = await script((line, socket) => {
        if (line.startsWith(at) && line.length <= Math.max(at.length, 40)) socket.destroy()
        return line === 'DATA'
          ? '354 go\r\n'
          : /^(?:EHLO|MAIL|RCPT)/.test(line)
            ? '250 ok\r\n'
            : undefined
      })
      await fails(port).toEqual(later)
      expect(heard.some((line) => line.startsWith(at))).toBe(true)
    }
  })

  it('when what it hears is no SMTP, or has no end', async () => {
    const { port } = await script(() => undefined, 'HTTP/1.1 400 Bad Request\r\n')
    await fails(port).toEqual(later)
    const { port: endless } = await script(() => undefined, `220-${'x'.repeat(70_000)}`)
    await fails(endless).toEqual(later)
    const { port: lines } = await script(() => undefined, '220-more\r\n'.repeat(20_000))
    await fails(lines).toEqual(later)
  })

  it('after 421, on a new connection', async () => {
    let connections = 0
    const { port } = await script((line, socket) => {
      if (line.startsWith('EHLO')) connections++
      if (line.startsWith('MAIL') && connections === 1) {
        socket.end('421 closing\r\n')
        return undefined
      }
      return line === 'DATA'
        ? '354 go\r\n'
        : line === '.' || /^(?:EHLO|MAIL|RCPT)/.test(line)
          ? '250 ok\r\n'
          : undefined
    })
    const by = transport(port)
    const one = scope()
    await expect(by.send(one, mail(), about)).rejects.toEqual(later)
    await by.send(one, mail(), about)
    expect(connections).toBe(2)
  })
})

describe('smtp’s options', () => {
  it.each([
    [{ host: '' }, 'host'],
    [{ host: 'a', port: 25 }, 'closed to Workers'],
    [{ host: 'a', port: 0.5 }, 'port'],
    [{ host: 'a', tls: 'off' }, 'tls'],
    [{ host: 'a', username: 'a' }, 'password'],
    [{ host: 'a', password: 'a' }, 'username'],
    [{ host: 'a', name: 'a\r\nb' }, 'name'],
  ])('%o are refused', (options, says) => {
    expect(() => smtp(options as never)).toThrow(says)
  })
})
