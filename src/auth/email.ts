const local = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
// The last label starts with a letter: `user@127.1` is no mailbox.
const domain = new RegExp(`^(?:${label}\\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

/**
 * The one spelling of an e-mail address by which it is stored, compared and limited: NFKC, lower case, domain in
 * ASCII (IDNA, UTS 46). Two spellings of one mailbox are one user, and a look-alike `@` cannot move the border between
 * name and domain (GHSA-7rqj-j65f-68wh).
 *
 * @returns `null` if it is no address. Only ASCII names are taken, as GoTrue does.
 */
export function normaliseEmail(email: string): string | null {
  // A URL trims control characters and drops what is invisible: `ann@example.com\0` would be someone else's spelling.
  if (email.length > 254 || /[\p{C}\s]/u.test(email)) return null
  const [name, host, more] = email.split('@')
  if (!name || !host || more !== undefined) return null
  const folded = email.normalize('NFKC').toLowerCase()
  const at = folded.indexOf('@')
  // NFKC turns U+FF20 and U+FE6B into `@`: what had one before must have the same one after.
  if (at !== folded.lastIndexOf('@')) return null
  const mailbox = folded.slice(0, at)
  const ascii = asciiDomain(folded.slice(at + 1))
  if (mailbox.length > 64 || !local.test(mailbox)) return null
  if (!ascii || ascii.length > 253 || !domain.test(ascii)) return null
  return `${mailbox}@${ascii}`
}

function asciiDomain(host: string): string | undefined {
  // What a URL would read as port, path, user or escape is no part of a domain.
  if (/[/?#:@\\[\]%]/.test(host)) return undefined
  return URL.parse(`http://${host}`)?.hostname
}
