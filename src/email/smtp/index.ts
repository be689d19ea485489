import type { Scope } from '../../core/scope.ts'
import { domainOf } from '../address.ts'
import { everyRecipient, type Outgoing } from '../message.ts'
import { mimeOf } from '../mime.ts'
import {
  checkSetting,
  type Receipt,
  type Setting,
  settingOf,
  type Transport,
} from '../transport.ts'
import { type Connect, openSession, type Session, type Tls } from './session.ts'

export type { Connect, Socket } from './session.ts'

export interface SmtpOptions<Env> {
  /** The server's name, to which its certificate belongs. */
  host: Setting<Env>
  /** Port 25 is closed to Workers. @default 465 with `tls: 'on'`, else 587 */
  port?: number
  /**
   * `on` speaks TLS from the start (RFC 8314), `starttls` turns to it and refuses a server that doesn't offer it.
   * `unsafe-off` sends mail and password in the clear: for a server on this machine.
   * @default 'on' on port 465, else 'starttls'
   */
  tls?: Tls
  /** Both or neither. AUTH PLAIN, or LOGIN where the server has that alone. */
  username?: Setting<Env>
  password?: Setting<Env>
  /** What it calls itself (EHLO). @default the domain of the sender */
  name?: string
  /** Opens a socket. @default connect of `cloudflare:sockets` */
  connect?: Connect
}

/** Milliseconds that a connection waits for one mail more. */
const idle = 50

/** The connection of one scope, on which its mails go one after the other. */
interface Pool {
  session: Promise<Session> | undefined
  tail: Promise<unknown>
  waiting: number
}

/**
 * Any SMTP server (RFC 5321), over `cloudflare:sockets`. The mails of one request share a connection. A recipient who is
 * refused for good while others are taken is named in the mail's status.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function smtp<Env>(options: SmtpOptions<Env>): Transport<Env> {
  check(options)
  const { host, port, username, password, name, connect = connectByCloudflare } = options
  const tls = options.tls ?? (port === undefined || port === 465 ? 'on' : 'starttls')
  const settings = (scope: Scope<Env>, mail: Outgoing) => ({
    host: settingOf(scope, 'smtp: `host`', host),
    port: port ?? (tls === 'on' ? 465 : 587),
    tls,
    name: name ?? domainOf(mail.from),
    connect,
    ...(username === undefined || password === undefined
      ? {}
      : {
          username: settingOf(scope, 'smtp: `username`', username),
          password: settingOf(scope, 'smtp: `password`', password),
        }),
  })
  // By scope: a socket belongs to the request that opened it.
  const pools = new WeakMap<Scope, Pool>()

  const sendOn = async (pool: Pool, scope: Scope<Env>, mail: Outgoing): Promise<Receipt> => {
    pool.session ??= openSession(settings(scope, mail))
    const session = await pool.session.catch((error) => {
      pool.session = undefined
      throw error
    })
    try {
      return await session.send({
        from: mail.from.address,
        to: everyRecipient(mail).map(({ address }) => address),
        message: mimeOf(mail),
      })
    } finally {
      if (session.broken) pool.session = undefined
    }
  }

  const quitIdle = async (pool: Pool): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, idle))
    if (pool.waiting > 0 || !pool.session) return
    const session = await pool.session
    pool.session = undefined
    await session.quit()
  }

  return {
    name: 'smtp',
    async send(scope, mail) {
      let pool = pools.get(scope)
      if (!pool)
        pools.set(scope, (pool = { session: undefined, tail: Promise.resolve(), waiting: 0 }))
      const mine = pool
      mine.waiting++
      const sent = mine.tail.then(() => sendOn(mine, scope, mail))
      mine.tail = sent.catch(() => {})
      try {
        return await sent
      } finally {
        mine.waiting--
        if (mine.waiting === 0) scope.waitUntil(quitIdle(mine))
      }
    },
  }
}

const connectByCloudflare: Connect = async (address, options) => {
  // Imported when used, so that what else is in the bundle runs where there are no such sockets.
  const sockets = (await import('cloudflare:sockets' as string)) as { connect: Connect }
  return sockets.connect(address, options)
}

function check<Env>({ host, port, tls, username, password, name }: SmtpOptions<Env>): void {
  checkSetting('smtp: `host`', host, "'smtp.example.com'")
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536))
    throw new TypeError('smtp: `port` must be a port, such as 587')
  if (port === 25) throw new TypeError('smtp: `port` 25 is closed to Workers: take 587 or 465')
  if (tls !== undefined && !['on', 'starttls', 'unsafe-off'].includes(tls))
    throw new TypeError("smtp: `tls` must be 'on', 'starttls' or 'unsafe-off'")
  if ((username === undefined) !== (password === undefined))
    throw new TypeError('smtp: give `username` and `password`, or neither')
  if (name !== undefined && !/^[\w.:[\]-]{1,255}$/.test(name))
    throw new TypeError('smtp: `name` must be a host name')
  if (username !== undefined) checkSetting('smtp: `username`', username, '(env) => env.SMTP_USER')
  if (password !== undefined)
    checkSetting('smtp: `password`', password, '(env) => env.SMTP_PASSWORD')
}
