/*
 * What a wallet signs: "Sign-In with Ethereum" (EIP-4361), and Solana's message of the same shape, whose fields come in
 * another order. Text that a person has read, so that nothing in it is skipped: a line that is not known is refused.
 */

export interface WalletMessage {
  /** Who asks, as the person has seen it: a host, with its port if it has one. */
  readonly domain: string
  readonly address: string
  readonly statement: string | undefined
  readonly uri: string
  readonly chainId: string | undefined
  readonly nonce: string | undefined
  /** Unix times in milliseconds. */
  readonly issuedAt: number
  readonly expiresAt: number | undefined
  readonly notBefore: number | undefined
}

const names = [
  ...['URI', 'Version', 'Chain ID', 'Nonce', 'Issued At', 'Expiration Time', 'Not Before'],
  ...['Request ID'],
]

/** In characters; far more than a wallet shows. */
const longest = 8192

/** @returns `null` if it is none. */
export function readMessage(text: string, account: 'Ethereum' | 'Solana'): WalletMessage | null {
  if (text.length > longest || /[^\P{Cc}\n]/u.test(text)) return null
  const [head = '', address = '', blank, ...rest] = text.split('\n')
  const asked = head.match(
    /^(?:https?:\/\/)?([^\s/?#@]+) wants you to sign in with your (\w+) account:$/,
  )
  if (!asked || asked[2] !== account || blank !== '') return null
  const start = rest.findIndex((line) => /^(?:URI|Version): /.test(line))
  const before = rest.slice(0, start)
  // Nothing, a blank line, or a statement and a blank line.
  if (start < 0 || before.length > 2 || (before.length > 0 && before.at(-1) !== '')) return null
  const fields = readFields(rest.slice(start))
  if (fields?.get('Version') !== '1') return null
  const [issuedAt, expiresAt, notBefore] = ['Issued At', 'Expiration Time', 'Not Before'].map(
    (name) => timeOf(fields.get(name)),
  )
  const uri = fields.get('URI')
  if (!uri || typeof issuedAt !== 'number' || expiresAt === null || notBefore === null) return null
  return {
    domain: asked[1] as string,
    address,
    statement: before.length === 2 ? before[0] : undefined,
    uri,
    chainId: fields.get('Chain ID'),
    nonce: fields.get('Nonce'),
    issuedAt,
    expiresAt,
    notBefore,
  }
}

function readFields(lines: readonly string[]): Map<string, string> | null {
  const fields = new Map<string, string>()
  for (const [i, line] of lines.entries()) {
    // Last, and a line for each.
    if (line === 'Resources:')
      return lines.slice(i + 1).every((resource) => /^- \S+$/.test(resource)) ? fields : null
    const [, name = '', value = ''] = line.match(/^([A-Z][A-Za-z ]+): (.+)$/) ?? []
    if (!names.includes(name) || fields.has(name)) return null
    fields.set(name, value)
  }
  return fields
}

/** RFC 3339. @returns `null` if it is no time. */
function timeOf(text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(text)) return null
  const time = Date.parse(text)
  return Number.isNaN(time) ? null : time
}
