import { challengeSeconds } from './challenge.ts'
import { algorithms } from './cose.ts'
import { userHandleOf } from './passkey.ts'
import type { RelyingParty } from './relying-party.ts'

/* What a browser is given, in the JSON of WebAuthn Level 3 (5.1.8, 5.1.9). */

/** What a browser is told of a credential. */
export interface Descriptor {
  readonly type: string
  readonly id: string
  readonly transports: readonly string[]
}

export interface Creation {
  challenge: string
  user: { id: string; name: string }
  exclude: readonly Descriptor[]
  /** Whether it is found without being told who signs in: a passkey. */
  discoverable: boolean
  userVerification: 'required' | 'preferred'
}

export const creationOptions = (party: RelyingParty, input: Creation) => ({
  challenge: input.challenge,
  rp: { id: party.rpId, name: party.name },
  user: { id: userHandleOf(input.user.id), name: input.user.name, displayName: input.user.name },
  pubKeyCredParams: algorithms.map((alg) => ({ type: 'public-key', alg })),
  timeout: challengeSeconds * 1000,
  excludeCredentials: input.exclude,
  authenticatorSelection: {
    residentKey: input.discoverable ? 'required' : 'discouraged',
    requireResidentKey: input.discoverable,
    userVerification: input.userVerification,
  },
  // Who made an authenticator is not ours to judge, and asking makes some browsers warn.
  attestation: 'none',
})

export const requestOptions = (
  party: RelyingParty,
  input: {
    challenge: string
    /** None: whichever passkey the user picks. */
    allow: readonly Descriptor[]
    userVerification: 'required' | 'preferred'
  },
) => ({
  challenge: input.challenge,
  rpId: party.rpId,
  timeout: challengeSeconds * 1000,
  userVerification: input.userVerification,
  allowCredentials: input.allow,
})
