import { coreFaults } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import type { Settings } from '../settings.ts'
import type { Expected } from './ceremony.ts'

export interface PasskeyOptions {
  /**
   * The domain that passkeys are for: the host of `site` or a domain above it. It can never be changed: whoever has a
   * passkey for another one cannot use it any more.
   * @default the host of `site`
   */
  rpId?: string
  /** What authenticators show. @default the host of `site` */
  name?: string
  /**
   * Other places than `site` whose pages may ask: subdomains of `rpId`, other sites that `rpId` lists as related (WebAuthn
   * Level 3, 5.11), apps such as `android:apk-key-hash:…`.
   * @default []
   */
  origins?: readonly string[]
  /** Pages that may hold such a page in a frame; `'any'` for all of them. @default [] */
  embedders?: readonly string[] | 'any'
  /**
   * Whether a touch is not enough. With `preferred`, whoever finds a key without a PIN is signed in by it.
   * @default 'required'
   */
  userVerification?: 'required' | 'preferred'
  /** Of one user. @default 10 */
  maxPasskeys?: number
}

/** The options, checked and filled in. */
export interface PasskeySettings {
  readonly rpId: string | undefined
  readonly name: string | undefined
  readonly origins: readonly string[]
  readonly embedders: readonly string[] | 'any'
  readonly userVerification: 'required' | 'preferred'
  readonly maxPasskeys: number
}

const wrong = (option: string, fix: string) => new TypeError(`passkeys: \`${option}\` ${fix}`)

const isHost = (value: unknown): value is string =>
  typeof value === 'string' && URL.parse(`https://${value}`)?.hostname === value

const isOrigin = (value: unknown): value is string =>
  typeof value === 'string' && /^https?:/.test(value) && URL.parse(value)?.origin === value

const isApp = (value: unknown): boolean =>
  typeof value === 'string' && /^(?:android:apk-key-hash:|ios:bundle-id:)\S+$/.test(value)

/** @throws {TypeError} that names the option and the fix. */
export function passkeySettings(options: PasskeyOptions): PasskeySettings {
  const {
    rpId,
    name,
    origins = [],
    embedders = [],
    userVerification = 'required',
    maxPasskeys = 10,
  } = options
  if (rpId !== undefined && !isHost(rpId))
    throw wrong('rpId', 'must be a domain, such as notes.dev, without scheme, port or path')
  if (name !== undefined && (typeof name !== 'string' || name === ''))
    throw wrong('name', 'must be what authenticators show, such as Notes')
  if (!Array.isArray(origins) || !origins.every((one) => isOrigin(one) || isApp(one)))
    throw wrong('origins', 'must list origins, such as https://app.notes.dev, without a path')
  if (embedders !== 'any' && (!Array.isArray(embedders) || !embedders.every(isOrigin)))
    throw wrong('embedders', "must list origins, such as https://notes.dev, or be 'any'")
  if (userVerification !== 'required' && userVerification !== 'preferred')
    throw wrong('userVerification', "must be 'required' or 'preferred'")
  if (!Number.isSafeInteger(maxPasskeys) || maxPasskeys < 1 || maxPasskeys > 100)
    throw wrong('maxPasskeys', 'must be a whole number from 1 to 100')
  return Object.freeze({
    rpId,
    name,
    origins: Object.freeze([...origins]),
    embedders: embedders === 'any' ? embedders : Object.freeze([...embedders]),
    userVerification,
    maxPasskeys,
  })
}

export interface RelyingParty extends Omit<Expected, 'challenge' | 'userVerification'> {
  readonly name: string
}

/**
 * Who we are to authenticators: by the options alone, never by what a request says of its host (case 10).
 *
 * @throws {Fault} `misconfigured` (500) if no browser would take `rpId` on `site`.
 */
export function relyingParty(
  settings: Settings,
  { rpId, name, origins, embedders }: PasskeySettings,
  scope: Scope,
): RelyingParty {
  const site = settings.site(scope)
  const { hostname, host } = new URL(site)
  const id = rpId ?? hostname
  if (hostname !== id && !hostname.endsWith(`.${id}`))
    throw coreFaults.misconfigured({
      message: 'passkeys: `rpId` must be the host of `site` or a domain above it',
    })
  return { rpId: id, name: name ?? host, origins: [site, ...origins], embedders }
}
