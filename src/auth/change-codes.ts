import type { Scope } from '../core/scope.ts'
import type { Address } from './address.ts'
import { and, byId, condition } from './condition.ts'
import { deliver, type PreparedCode, prepareCode } from './message.ts'
import type { Settings } from './settings.ts'
import type { LinkTarget } from './sign-up.ts'
import type { UserRow } from './wire.ts'

/** The codes that confirm a new address: to it, and to the mailbox that the account has. */
export async function changeCodes(
  settings: Settings,
  scope: Scope,
  input: LinkTarget & { row: UserRow; address: Address },
): Promise<PreparedCode[]> {
  const { row, address, redirectTo, challenge } = input
  const { type, value } = address
  const user = and(byId(row.id), condition(`u.${type}_change = ?`, value))
  const common = { user, redirectTo, challenge }
  if (type === 'phone')
    return [await prepareCode(settings, scope, { ...common, kind: 'phone_change', address })]
  const data = { from: row.email, to: value }
  const codes = [
    prepareCode(settings, scope, { ...common, kind: 'email_change_new', address, data }),
  ]
  if (row.email && row.email_confirmed_at !== null)
    codes.push(
      prepareCode(settings, scope, {
        ...common,
        kind: 'email_change_current',
        address: { type, value: row.email },
        data,
      }),
    )
  return Promise.all(codes)
}

export const deliverChange = (
  settings: Settings,
  scope: Scope,
  row: UserRow,
  code: PreparedCode,
): void =>
  deliver(settings, scope, code, JSON.parse(row.user_metadata), {
    oldEmail: row.email ?? '',
    newEmail: String(code.data.to ?? ''),
  })
