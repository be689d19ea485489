import type { Scope } from '../../core/scope.ts'
import type { Settings } from '../settings.ts'
import type { FactorRow } from './factor.ts'

/** What was shown by an authenticator, to be kept with its factor. */
export interface KeyProof {
  /** Becomes the factor's `secret`: nothing secret, but nobody else's to read. */
  readonly kept: string
  /** Signatures so far. */
  readonly counter: number
}

/** What a part knows of WebAuthn, so that it can be a second factor: the part `passkeys`. */
export interface SecurityKeys {
  /** What a browser is to make a credential by, or to ask for one by. */
  readonly options: (
    scope: Scope,
    input: {
      challenge: string
      user: { id: string; name: string }
      factor: FactorRow
      factors: readonly FactorRow[]
    },
  ) => KeyOptions
  /**
   * @param challenge Hashed (`hash`).
   * @returns `null` if it does not hold.
   * @throws {Fault} `validation_failed` if it is no answer at all.
   */
  readonly check: (
    scope: Scope,
    input: { response: unknown; challenge: string; factor: FactorRow },
  ) => Promise<KeyProof | null>
}

/** As GoTrue answers them. */
export interface KeyOptions {
  type: 'create' | 'request'
  credential_options: { publicKey: object }
}

export const securityKeysOf = (settings: Settings): SecurityKeys | undefined => {
  for (const part of settings.parts) if (part.securityKeys) return part.securityKeys(settings)
  return undefined
}
