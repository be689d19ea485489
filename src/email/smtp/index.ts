import type { Scope } from '../../core/scope.ts'
import { domainOf } from '../address.ts'
import { everyRecipient, type Outgoing } from '../message.ts'
import { mimeOf } from '../mime.ts'
import { checkSetting, type Setting, settingOf, type Transport } from '../transport.ts'
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

const named = (option: string) => `smtp: \`${option}\``

/** Milliseconds that a connection waits for one mail more. */
const idle = 50

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
  const openFor = (scope: Scope<Env>, mail: Outgoing): Promise<Session> =>
    openSession({
      host: settingOf(scope, named('host'), host),
      port: port ?? (tls === 'on' ? 465 : 587),
      tls,
      name: name ?? domainOf(mail.from),
      connect,
      ...(username &&
        password && {
          username: settingOf(scope, named('username'), username),
          password: settingOf(scope, named('password'), password),
        }),
    })
  // The connection that a scope's next mail may use, once its last one is through; by scope, for a socket belongs to the
  // request that opened it.
  const free = new WeakMap<Scope, Promise<Session | undefined>>()

  return {
    name: 'smtp',
    send(scope, mail) {
      const before = free.get(scope)
      const opened = (async () => (await before) ?? openFor(scope, mail))()
      const sent = opened.then((session) =>
        session.send({
          from: mail.from.address,
          to: everyRecipient(mail).map(({ address }) => address),
          message: mimeOf(mail),
        }),
      )
      const after = sent
        .catch(() => {})
        .then(() => opened)
        .then(
          (session) => (session.broken ? undefined : session),
          () => undefined,
        )
      free.set(scope, after)
      const quitIdle = async () => {
        const session = await after
        await new Promise((resolve) => setTimeout(resolve, idle))
        if (free.get(scope) !== after) return
        free.delete(scope)
        await session?.quit()
      }
      scope.waitUntil(quitIdle())
      return sent
    },
  }
}

const connectByCloudflare: Connect = async (address, options) => {
  // Imported when used, so that what else is in the bundle runs where there are no such sockets.
  const sockets = (await import('cloudflare:sockets' as string)) as { connect: Connect }
  return sockets.connect(address, options)
}

function check<Env>({ host, port = 587, tls = 'on', username, password, name }: SmtpOptions<Env>) {
  const example = '(env) => env.SMTP_HOST'
  checkSetting(named('host'), host, example)
  if (!(Number.isInteger(port) && port > 0 && port < 65_536 && port !== 25))
    throw new TypeError(`${named('port')} must be one such as 587; 25 is closed to Workers`)
  if (!/^(?:on|starttls|unsafe-off)$/.test(tls))
    throw new TypeError(`${named('tls')} must be on, starttls or unsafe-off`)
  if ((username ?? password) !== undefined) {
    checkSetting(named('username'), username, example)
    checkSetting(named('password'), password, example)
  }
  if (name !== undefined && !/^[\w.:[\]-]{1,255}$/.test(name))
    throw new TypeError(`${named('name')} must be a host name`)
}
