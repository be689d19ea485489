/*
 * Whether an address that someone else chose may be called (OWASP SSRF; SECURITY-CASES 61). `URL` has already made dotted
 * decimals of octal, hexadecimal and single-number IPv4, and groups of every IPv6.
 */

/** Not globally reachable: https://www.iana.org/assignments/iana-ipv4-special-registry */
const closedIpv4: readonly (readonly [base: string, bits: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  // Multicast, reserved and broadcast.
  ['224.0.0.0', 3],
]

const numberOf = (ipv4: string): number =>
  ipv4.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)

const isPublicIpv4 = (ipv4: string): boolean =>
  !closedIpv4.some(([base, bits]) => {
    const size = 2 ** (32 - bits)
    return Math.floor(numberOf(ipv4) / size) === Math.floor(numberOf(base) / size)
  })

/**
 * Global unicast is 2000::/3, so mapped, translated, local and link addresses are out by themselves. Within it, what
 * carries an IPv4 address inside or is for documents: https://www.iana.org/assignments/iana-ipv6-special-registry
 */
function isPublicIpv6(ipv6: string): boolean {
  const [head = '', tail] = ipv6.split('::')
  const groups = head.split(':').map((group) => Number.parseInt(group || '0', 16))
  const [first = 0, second = tail === undefined ? Number.NaN : 0] = groups
  if (first < 0x2000 || first > 0x3fff) return false
  if (first === 0x2001 && (second < 0x200 || second === 0xdb8)) return false
  return first !== 0x2002 && !(first === 0x3fff && second < 0x1000)
}

const ipv4Shape = /^\d{1,3}(?:\.\d{1,3}){3}$/

/** @param address IPv4 or IPv6, as DNS answers it. What is neither is not public. */
export function isPublicAddress(address: string): boolean {
  const host = URL.parse(address.includes(':') ? `http://[${address}]` : `http://${address}`)
  const name = host?.hostname ?? ''
  if (name.startsWith('[')) return isPublicIpv6(name.slice(1, -1))
  return ipv4Shape.test(name) && name === address && isPublicIpv4(name)
}

/** Names that mean something only where they are asked: RFC 6761, RFC 8375, and what networks use in house. */
const closedNames =
  /(?:^|\.)(?:localhost|local|localdomain|internal|intranet|private|corp|home|lan|home\.arpa|onion)$/

/** @param hostname Of a URL, and no address. */
export function isClosedName(hostname: string): boolean {
  const name = hostname.replace(/\.+$/, '')
  return closedNames.test(name) || !name.includes('.')
}

/** @returns Why a URL may not be called, or `undefined` if as far as it says itself it may. Its name is still to be resolved. */
export function closedUrl(url: URL): string | undefined {
  if (url.protocol !== 'https:') return 'must begin with https://'
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password'
  const host = url.hostname.replace(/\.+$/, '')
  if (isLiteral(host))
    return isPublicAddress(host.replace(/^\[|\]$/g, '')) ? undefined : 'is not a public address'
  return isClosedName(host) ? 'is not a public name' : undefined
}

const isLiteral = (host: string): boolean => host.startsWith('[') || ipv4Shape.test(host)

/** The addresses of a name. */
export type Resolve = (hostname: string) => Promise<readonly string[]>

/**
 * Asks Cloudflare's resolver, over HTTPS: https://developers.cloudflare.com/1.1.1.1/encryption/dns-over-https/make-api-requests/dns-json/
 *
 * @throws {Error} if it cannot be asked.
 */
export const resolveOverHttps: Resolve = async (hostname) => {
  const answers = await Promise.all(
    ['A', 'AAAA'].map(async (type) => {
      const response = await fetch(
        `https://cloudflare-dns.com/dns-query?name=${encodeURIComponent(hostname)}&type=${type}`,
        { headers: { accept: 'application/dns-json' }, signal: AbortSignal.timeout(5000) },
      )
      if (!response.ok) throw new Error(`The resolver answered ${response.status}`)
      const { Answer = [] } = (await response.json()) as {
        Answer?: { type: number; data: string }[]
      }
      return Answer.filter(({ type: found }) => found === 1 || found === 28)
    }),
  )
  return answers.flat().map(({ data }) => data)
}

/**
 * Whether a URL may be called now: what it says itself, and every address that its name has at this moment. Ask at each
 * call, because a name may be moved (DNS rebinding).
 *
 * @returns Why not, or `undefined`.
 * @throws what `resolve` throws, and {Error} if the name has no address: it may have one later.
 */
export async function closedTarget(url: URL, resolve: Resolve): Promise<string | undefined> {
  const closed = closedUrl(url)
  const host = url.hostname.replace(/\.+$/, '')
  if (closed || isLiteral(host)) return closed
  const addresses = await resolve(host)
  if (addresses.length === 0) throw new Error('The name has no address')
  return addresses.every(isPublicAddress) ? undefined : 'leads to an address that is not public'
}
