import type { OAuthExtension } from '../extension.ts'
import { dpopFaults } from './faults.ts'
import { dpopMigrations } from './migrations.ts'
import { longestWindow, purgeProofs } from './once.ts'
import { proofAlgorithms } from './proof.ts'
import { boundTo, holdsKey } from './resource.ts'
import { bindingOf } from './token.ts'

export { dpopFaults } from './faults.ts'

export interface DpopOptions {
  /** Seconds that a proof may be old, and that a client's clock may differ by. 1 to 300. @default 60 */
  seconds?: number
  /**
   * Whether a proof must have a nonce of ours (RFC 9449, 8 and 9), which changes every 150 seconds: a proof cannot be made ahead
   * then, and the client's clock does not count. A client learns the nonce by a refusal, and repeats the request.
   * @default false
   */
  nonce?: boolean
  /** Other places than `site` where the app is asked, such as `https://api.notes.dev`. @default [] */
  origins?: readonly string[]
}

/** The options, checked and filled in. */
export interface DpopSettings {
  readonly seconds: number
  readonly nonce: boolean
  readonly origins: readonly string[]
  /**
   * What each request has proven, for whoever asks again who sent it: middleware twice, a feed that is held. By the request
   * itself, so that it is there as long as the request is, and for no other.
   */
  readonly proven: WeakMap<Request, Promise<string>>
}

/** As servers and resources publish it (RFC 9449, 5.1; RFC 9728, 2). */
const algorithms = Object.freeze({ dpop_signing_alg_values_supported: proofAlgorithms })

const wrong = (option: string, fix: string) => new TypeError(`dpop: \`${option}\` ${fix}`)

const isOrigin = (value: unknown): value is string =>
  typeof value === 'string' && /^https?:/.test(value) && URL.parse(value)?.origin === value

function dpopSettings({ seconds = 60, nonce = false, origins = [] }: DpopOptions): DpopSettings {
  if (!Number.isSafeInteger(seconds) || seconds < 1 || seconds > longestWindow)
    throw wrong('seconds', `must be a whole number from 1 to ${longestWindow}`)
  if (typeof nonce !== 'boolean') throw wrong('nonce', 'must be true or false')
  if (!Array.isArray(origins) || !origins.every(isOrigin))
    throw wrong('origins', 'must list origins, such as https://api.notes.dev, without a path')
  return Object.freeze({ seconds, nonce, origins, proven: new WeakMap() })
}

/**
 * DPoP (RFC 9449) for the OAuth server: a client that shows a proof of a key when it asks for tokens gets tokens that are
 * worth nothing without that key. They are shown as `Authorization: DPoP`, with a new proof for each request, wherever the
 * app asks `auth` who calls: the data API, sync, services, the host's own routes.
 *
 * Without this part such tokens are not made, and one that was made before is refused.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function dpop(options: DpopOptions = {}): OAuthExtension {
  const settings = dpopSettings(options)
  return Object.freeze({
    name: 'dpop',
    migrations: dpopMigrations,
    faults: dpopFaults,
    metadata: () => algorithms,
    resourceMetadata: algorithms,
    binding: bindingOf(settings),
    scheme: boundTo(settings),
    holds: holdsKey(settings),
    purge: (scope) => [purgeProofs(scope)],
  } satisfies OAuthExtension)
}
