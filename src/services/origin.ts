import { isClosedName } from '../core/address.ts'
import { coreFaults } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import type { Setting } from './definition.ts'

/*
 * Where a service may be. The URL parser has turned decimal, octal, hexadecimal and short forms of an address into
 * dotted ones, and v4-mapped ones into `[::ffff:a00:1]`, before any of this looks at it (WHATWG URL, host parsing).
 */

const loopback = /^(?:localhost|.+\.localhost|\[::1\]|127(?:\.\d{1,3}){3})$/

// A certificate names hosts. A service at an address alone, whichever it is, is a mistake or an attack.
const isAddress = (hostname: string) => hostname.startsWith('[') || /^[\d.]+$/.test(hostname)

/** @returns Why a service cannot be there; `undefined` if it can. */
export function wrongOrigin(value: unknown, local: boolean): string | undefined {
  const url = typeof value === 'string' ? URL.parse(value) : null
  if (!url || url.origin !== value)
    return 'must be an origin such as https://api.example.com, without a path or slash, or a function of env'
  if (loopback.test(url.hostname))
    return local ? undefined : 'may be a loopback host in local development only'
  if (url.protocol !== 'https:') return 'must be an https: address'
  if (isAddress(url.hostname)) return 'must name a host, not an IP address'
  if (isClosedName(url.hostname)) return 'must be a public host; reach a private one by `fetch`'
  return undefined
}

/** @throws {Fault} `misconfigured` (500). */
export function originOf<Env>(scope: Scope, option: Setting<Env>, what: string): string {
  const value = typeof option === 'function' ? option(scope.env as Env) : option
  // At each call: what env says may differ from what was there when the module was made.
  const wrong = wrongOrigin(value, scope.local)
  if (wrong) throw coreFaults.misconfigured({ message: `services: \`origin\` of ${what} ${wrong}` })
  return value
}
