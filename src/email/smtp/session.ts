import { base64Text } from '../encode.ts'
import { type Receipt, Undelivered } from '../transport.ts'
import { type Lines, lines, type Reply } from './lines.ts'

/** The part of a Workers `Socket` that is used. */
export interface Socket {
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
  startTls(): Socket
  close(): Promise<void>
}

export type Connect = (
  address: { hostname: string; port: number },
  options: { secureTransport: 'on' | 'starttls' | 'off'; allowHalfOpen: boolean },
) => Socket | Promise<Socket>

export type Tls = 'on' | 'starttls' | 'unsafe-off'

export interface Settings {
  host: string
  port: number
  tls: Tls
  name: string
  username?: string
  password?: string
  connect: Connect
}

export interface Envelope {
  from: string
  to: readonly string[]
  /** As `mimeOf` makes it: ASCII, lines ended by CRLF. */
  message: string
}

export interface Session {
  /** Whether it can send no more. */
  readonly broken: boolean
  send(envelope: Envelope): Promise<Receipt>
  quit(): Promise<void>
}

/** Milliseconds; RFC 5321, 4.5.3.2 says minutes, which a Worker has not. */
const connecting = 10_000
const storing = 40_000

/**
 * Connects, greets, turns to TLS and signs in.
 *
 * @throws {Undelivered} to try again later: whatever is wrong here can be put right without the mail being another.
 */
export async function openSession(settings: Settings): Promise<Session> {
  const { host, port, tls, name, connect } = settings
  let socket: Socket
  try {
    const secureTransport = tls === 'unsafe-off' ? 'off' : tls
    const options = { secureTransport, allowHalfOpen: false } as const
    socket = await connect({ hostname: host, port }, options)
  } catch {
    throw new Undelivered(`${host} could not be reached`)
  }
  let io = lines(socket)
  try {
    expect(await io.read(connecting), 220, 'greeting')
    let offers = await greet(io, name)
    if (tls === 'starttls') {
      if (!offers.has('STARTTLS')) throw new Undelivered(`${host} does not offer STARTTLS`)
      await step(io, 'STARTTLS', 220, 'STARTTLS')
      // What came in the clear behind the answer is nobody's: it would count as said in secret (CVE-2011-0411).
      if (io.buffered) throw new Undelivered(`${host} spoke before TLS began`)
      io.release()
      socket = socket.startTls()
      io = lines(socket)
      // What was offered in the clear counts no more (RFC 3207, 4.2).
      offers = await greet(io, name)
    }
    await signIn(io, offers, settings)
    return session(socket, io, offers)
  } catch (error) {
    await socket.close().catch(() => {})
    throw new Undelivered(error instanceof Undelivered ? error.message : `${host} broke off`)
  }
}

/** @returns What the server can do: `SIZE` → `35882577`. */
async function greet(io: Lines, name: string): Promise<Map<string, string>> {
  const { texts } = await step(io, `EHLO ${name}`, 250, 'EHLO')
  return new Map(
    texts.slice(1).map((text) => {
      const [keyword = '', ...rest] = text.toUpperCase().split(' ')
      return [keyword, rest.join(' ')]
    }),
  )
}

async function signIn(io: Lines, offers: Map<string, string>, { username, password }: Settings) {
  if (username === undefined || password === undefined) return
  const ways = offers.get('AUTH')?.split(' ') ?? []
  if (ways.includes('PLAIN')) {
    const token = base64Text(`\0${username}\0${password}`)
    await step(io, `AUTH PLAIN ${token}`, 235, 'AUTH')
  } else if (ways.includes('LOGIN')) {
    await step(io, 'AUTH LOGIN', 334, 'AUTH')
    await step(io, base64Text(username), 334, 'AUTH')
    await step(io, base64Text(password), 235, 'AUTH')
  } else throw new Undelivered('The server offers no AUTH PLAIN or LOGIN')
}

function session(socket: Socket, io: Lines, offers: Map<string, string>): Session {
  let broken = false
  const breakOff = async () => {
    broken = true
    await socket.close().catch(() => {})
  }
  return {
    get broken() {
      return broken
    },
    async send(envelope) {
      try {
        return await transact(io, offers, envelope)
      } catch (error) {
        // 421 says that it closes; after anything else the server must forget this mail before the next.
        const reset = error instanceof Refused && error.code !== 421
        if (!reset || !(await forget(io))) await breakOff()
        throw error instanceof Undelivered ? error : new Undelivered('The connection broke off')
      }
    },
    async quit() {
      broken = true
      await io.ask('QUIT', 2000).catch(() => {})
      await socket.close().catch(() => {})
    },
  }
}

const forget = (io: Lines): Promise<boolean> =>
  io.ask('RSET').then(
    ({ code }) => code === 250,
    () => false,
  )

async function transact(
  io: Lines,
  offers: Map<string, string>,
  { from, to, message }: Envelope,
): Promise<Receipt> {
  // A line that begins with a dot gets another (RFC 5321, 4.5.2): a lone dot would end the message.
  const body = message.replaceAll(/^\./gm, '..')
  const most = Number(offers.get('SIZE'))
  if (most > 0 && body.length > most)
    throw new Refused({ code: 552, texts: ['the message is too large'] }, 'SIZE')
  const size = offers.has('SIZE') ? ` SIZE=${body.length}` : ''
  await step(io, `MAIL FROM:<${from}>${size}`, 250, 'MAIL')
  const refused: Reply[] = []
  for (const address of to) {
    const reply = await io.ask(`RCPT TO:<${address}>`)
    // 251: not here, but it forwards.
    if (reply.code !== 250 && reply.code !== 251) refused.push(reply)
  }
  // Later for all, if one may be taken later: none is sent twice.
  const worst = refused.find(({ code }) => code < 500) ?? refused[0]
  if (worst && (worst.code < 500 || refused.length === to.length)) throw new Refused(worst, 'RCPT')
  await step(io, 'DATA', 354, 'DATA')
  const { texts } = expect(await io.ask(`${body}.`, storing), 250, 'message')
  return {
    id: texts[0]?.slice(0, 200),
    ...(worst
      ? { warning: `${refused.length} of ${to.length} recipients refused: ${said(worst)}` }
      : {}),
  }
}

const said = ({ code, texts }: Reply): string => `${code} ${texts.join(' ').slice(0, 200)}`

/** That the server has answered, and not as wished. */
class Refused extends Undelivered {
  readonly code: number

  constructor(reply: Reply, what: string) {
    super(`The server refused (${what}): ${said(reply)}`, { final: reply.code >= 500 })
    this.code = reply.code
  }
}

const step = async (io: Lines, line: string, code: number, what: string): Promise<Reply> =>
  expect(await io.ask(line), code, what)

function expect(reply: Reply, code: number, what: string): Reply {
  if (reply.code !== code) throw new Refused(reply, what)
  return reply
}
