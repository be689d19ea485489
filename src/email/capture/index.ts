import type { Scope } from '../../core/scope.ts'
import { everyRecipient, type Outgoing } from '../message.ts'
import { pieces, toStored } from '../stored.ts'
import { type Transport, Undelivered } from '../transport.ts'
import { captureMigrations } from './migrations.ts'
import { captureRoutes } from './routes.ts'

export interface CaptureOptions<Env> {
  /** What sends mail elsewhere than in local development: `capture({ otherwise: resend({ … }) })`. */
  otherwise?: Transport<Env>
}

/** How many mails are kept. */
const kept = 200

/**
 * Sends nothing in local development (a request to a loopback host name): mails are kept in D1 and read at `/inbox` under
 * the module's mount. Elsewhere the page is not there, and mail goes by `otherwise`; without that it stays in the outbox.
 *
 * @throws {TypeError} if `otherwise` is no transport.
 */
export function capture<Env>({ otherwise }: CaptureOptions<Env> = {}): Transport<Env> {
  if (otherwise !== undefined && typeof otherwise?.send !== 'function')
    throw new TypeError('capture: `otherwise` must be a transport, such as resend(…)')
  return {
    name: 'capture',
    migrations: Object.freeze([...captureMigrations, ...(otherwise?.migrations ?? [])]),
    routes: [...captureRoutes, ...(otherwise?.routes ?? [])],
    async send(scope, mail, about) {
      if (about.local) {
        await keep(scope, mail)
        return { id: mail.id }
      }
      if (otherwise) return otherwise.send(scope, mail, about)
      throw new Undelivered('capture() keeps mail in local development alone: give it `otherwise`')
    },
  }
}

/** Again is the same: the id is the mail's. */
async function keep(scope: Scope, mail: Outgoing): Promise<void> {
  const [body, ...rest] = pieces(toStored(mail))
  const to = everyRecipient(mail)
    .map(({ address }) => address)
    .join(', ')
  const { id, subject, date } = mail
  await scope.db.batch([
    scope.db
      .prepare(
        `INSERT INTO leanto_email_captured (id, at, recipients, subject, body) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING`,
      )
      .bind(id, date, to, subject, body),
    ...rest.map((part, i) =>
      scope.db
        .prepare(
          'INSERT INTO leanto_email_captured_parts (id, part, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
        )
        .bind(id, i, part),
    ),
    // Ids begin with the time.
    ...['leanto_email_captured', 'leanto_email_captured_parts'].map((table) =>
      scope.db
        .prepare(
          `DELETE FROM ${table} WHERE id <= (
             SELECT id FROM leanto_email_captured ORDER BY id DESC LIMIT 1 OFFSET ?)`,
        )
        .bind(kept),
    ),
  ])
}
