import type { Mailbox } from './address.ts'

/** `"Ann" <ann@example.com>` in Unicode, as providers take it in JSON. The name is quoted: it may hold a comma. */
export const mailboxText = ({ address, name }: Mailbox): string =>
  name ? `"${name.replaceAll(/["\\]/g, '\\$&')}" <${address}>` : address
