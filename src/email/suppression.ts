import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { addressKey, mailboxOf } from './address.ts'
import { everyRecipient, type Outgoing } from './message.ts'

export type Reason = 'bounce' | 'complaint' | 'unsubscribe' | 'manual'

export interface Suppression {
  /** In lower case. */
  address: string
  /** What it gets no more of; `''` is everything. */
  list: string
  reason: Reason
  /** Unix time in milliseconds. */
  at: number
}

const keyOf = (address: string): string => addressKey(mailboxOf(address))

/** Sees to it that an address gets no more of a list, or of anything. @throws {Fault} `bad_address`. */
export async function suppress(
  scope: Scope,
  { address, list = '', reason = 'manual' }: { address: string; list?: string; reason?: Reason },
): Promise<void> {
  await scope.db
    .prepare(
      'INSERT OR IGNORE INTO leanto_email_suppressions (address, list, reason, at) VALUES (?, ?, ?, ?)',
    )
    .bind(keyOf(address), list, reason, scope.now())
    .run()
}

/** Takes that back. @returns Whether there was something. */
export async function unsuppress(
  scope: Scope,
  { address, list = '' }: { address: string; list?: string },
): Promise<boolean> {
  const { results } = await scope.db
    .prepare('DELETE FROM leanto_email_suppressions WHERE address = ? AND list = ? RETURNING list')
    .bind(keyOf(address), list)
    .all()
  return results.length > 0
}

/** What an address gets no more of. */
export async function suppressionsOf(scope: Scope, address: string): Promise<Suppression[]> {
  const { results } = await scope.db
    .prepare(
      'SELECT address, list, reason, at FROM leanto_email_suppressions WHERE address = ? ORDER BY list',
    )
    .bind(keyOf(address))
    .all<Suppression>()
  return results
}

export type Suppressed = Pick<Suppression, 'address' | 'list'>

/** The statement that finds which recipients of these mails get no more. */
export const suppressedAmong = (scope: Scope, mails: readonly Outgoing[]): Statement =>
  scope.db
    .prepare(
      `SELECT address, list FROM leanto_email_suppressions
       WHERE address IN (SELECT value FROM json_each(?))`,
    )
    .bind(JSON.stringify(mails.flatMap((mail) => everyRecipient(mail).map(addressKey))))

/** A mail without those who get no more of it; `null` if there is nobody left whom it is to. */
export function withoutSuppressed(
  mail: Outgoing,
  suppressed: readonly Suppressed[],
): Outgoing | null {
  const gone = new Set(
    suppressed
      .filter(({ list }) => list === '' || list === mail.list)
      .map(({ address }) => address),
  )
  if (gone.size === 0) return mail
  const rest = (list: Outgoing['to']) => list.filter((mailbox) => !gone.has(addressKey(mailbox)))
  const to = rest(mail.to)
  return to.length === 0 ? null : { ...mail, to, cc: rest(mail.cc), bcc: rest(mail.bcc) }
}
