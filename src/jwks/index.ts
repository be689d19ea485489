import type { JWTVerifyGetKey } from 'jose'
import type { Base } from '../core/bind.ts'
import { coreFaults } from '../core/fault.ts'
import { type Guards, guards } from '../core/guard.ts'
import { identity } from '../core/identity.ts'
import { principalOf, unbound, verifyJwt } from '../core/jwt.ts'
import type { Identity } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import { type KeyRing, keyRing } from './keys.ts'

/** The asymmetric signature algorithms of JOSE (RFC 7518, 8037, 9864) that `jose` verifies. */
const asymmetric = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
  'Ed25519',
] as const

export type Algorithm = (typeof asymmetric)[number]

/** A value, or a function of the bindings that answers it. */
type Setting<Env> = string | ((env: Env) => string)

export interface JwksOptions<Env> {
  /** What a token's `iss` must be, to the letter. */
  issuer: Setting<Env>
  /**
   * Where the issuer publishes its public keys (RFC 7517), such as `https://issuer.example/.well-known/jwks.json`. By
   * `https:`, or by `http:` to a loopback host in local development.
   */
  url: Setting<Env>
  /** What a token's `aud` must be or hold. Without it any token of the issuer, made for any app, would pass. */
  audience: Setting<Env>
  /** Which signatures count. HS256 and its kin cannot be named: a public key must never be a shared secret. @default all asymmetric ones */
  algorithms?: readonly Algorithm[]
  /** Gets the keys. For an issuer that is reached by a service binding, or a test. @default fetch */
  fetch?: (url: string, init: RequestInit) => Promise<Response>
}

/** An `Identity` and middleware over a foreign issuer's tokens. It has no routes and no tables. */
export interface ForeignIdentity extends Identity, Guards {}

/**
 * Takes the access tokens of any OpenID issuer, so that `data` and the host's routes work without `auth`.
 *
 * Keys are kept for 10 minutes in memory and an hour in KV; a key that the issuer withdraws is trusted for that hour at
 * most. A token under a key that is not known yet makes the keys be fetched again, once in 30 seconds at most. If the keys
 * cannot be had, the answer is 503 `identity_unavailable`, for nobody passes unchecked.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function jwks<Env>(base: Base<Env>, options: JwksOptions<Env>): ForeignIdentity {
  check(options)
  const algorithms = [...(options.algorithms ?? asymmetric)]
  // One ring an address: a Worker of many tenants must not check one's token with another's keys.
  const rings = new Map<string, KeyRing>()
  const ringOf = (url: string) => {
    let ring = rings.get(url)
    if (!ring)
      rings.set(url, (ring = keyRing(url, options.fetch ?? ((to, init) => fetch(to, init)))))
    return ring
  }
  const setting = (scope: Scope, name: 'issuer' | 'url' | 'audience'): string => {
    const option = options[name]
    const value = typeof option === 'function' ? option(scope.env as Env) : option
    const wrong = name === 'url' ? wrongUrl(value, scope.local) : wrongText(value)
    if (wrong) throw coreFaults.misconfigured({ message: `jwks: \`${name}\` ${wrong}` })
    return value
  }

  const made = identity(async (scope, token) => {
    const keys = ringOf(setting(scope, 'url'))
    const keyOf: JWTVerifyGetKey = (header, jws) => keys.find(scope, header, jws)
    const issuer = setting(scope, 'issuer')
    const audience = setting(scope, 'audience')
    return unbound(
      principalOf(
        await verifyJwt(token, keyOf, { issuer, audience, algorithms, now: scope.now() }),
      ),
    )
  })
  return Object.freeze({ ...made, ...guards(base, made) })
}

function check<Env>(options: JwksOptions<Env>) {
  const wrongs = {
    issuer: wrongText,
    audience: wrongText,
    url: (url: unknown) => wrongUrl(url, true),
  }
  for (const [name, wrong] of Object.entries(wrongs)) {
    const value = options?.[name as keyof typeof wrongs]
    const why = typeof value === 'function' ? undefined : wrong(value)
    if (why) throw new TypeError(`jwks: \`${name}\` ${why}`)
  }
  if (options.algorithms?.length === 0)
    throw new TypeError('jwks: `algorithms` is empty; leave it out for every asymmetric one')
  const foreign = options.algorithms?.find((algorithm) => !asymmetric.includes(algorithm))
  if (foreign !== undefined)
    throw new TypeError(
      `jwks: \`algorithms\` holds ${JSON.stringify(foreign)}; only asymmetric ones are safe here: ${asymmetric.join(', ')}`,
    )
  if (options.fetch !== undefined && typeof options.fetch !== 'function')
    throw new TypeError('jwks: `fetch` must be a function of (url, init), as the global one is')
}

const wrongText = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== ''
    ? undefined
    : 'must be a string that is not empty, or a function of env'

function wrongUrl(value: unknown, local: boolean): string | undefined {
  const url = typeof value === 'string' ? URL.parse(value) : null
  if (!url) return 'must be the address of a JWKS document, or a function of env'
  if (url.protocol === 'https:') return undefined
  // Over plain http anyone on the way could put their own keys in.
  const loopback = /^(localhost|\[::1\]|127(\.\d{1,3}){3})$/.test(url.hostname)
  if (url.protocol === 'http:' && loopback && local) return undefined
  return 'must be an https: address (http: only to localhost, in local development)'
}
