import { authFaults } from '../faults.ts'
import type { FactorRow } from '../mfa/factor.ts'
import type { KeyProof, SecurityKeys } from '../mfa/security-keys.ts'
import type { Settings } from '../settings.ts'
import { checkAssertion, checkRegistration, type Registered } from './ceremony.ts'
import { readAssertion, readRegistration } from './credential.ts'
import { creationOptions, requestOptions } from './options.ts'
import { type PasskeySettings, relyingParty } from './relying-party.ts'

/** JSON in a factor's `secret`; the count is its `last_step`. */
type Kept = Omit<Registered, 'counter'>

const keptOf = ({ secret }: FactorRow): Kept | null =>
  secret === null ? null : (JSON.parse(secret) as Kept)

const descriptor = ({ credentialId: id, transports }: Kept) => ({
  type: 'public-key',
  id,
  transports,
})

/**
 * Security keys as second factors. Beside a password a touch is enough, so that keys without a PIN can be one; no sign-in
 * comes of them alone, and they are no passkeys.
 */
export const securityKeys =
  (passkeys: PasskeySettings) =>
  (settings: Settings): SecurityKeys => ({
    options(scope, { challenge, user, factor, factors }) {
      const party = relyingParty(settings, passkeys, scope)
      const kept = keptOf(factor)
      const userVerification = 'preferred'
      if (kept) {
        const allow = [descriptor(kept)]
        const publicKey = requestOptions(party, { challenge, allow, userVerification })
        return { type: 'request', credential_options: { publicKey } }
      }
      const exclude = factors
        .filter(({ type }) => type === 'webauthn')
        .flatMap((other) => keptOf(other) ?? [])
        .map(descriptor)
      const publicKey = creationOptions(party, {
        challenge,
        user,
        exclude,
        discoverable: false,
        userVerification,
      })
      return { type: 'create', credential_options: { publicKey } }
    },

    async check(scope, { response, challenge, factor }): Promise<KeyProof | null> {
      const party = relyingParty(settings, passkeys, scope)
      const expected = { ...party, challenge, userVerification: false }
      const { type, credential } = readBody(response)
      const kept = keptOf(factor)
      // A factor is made once: what it is made of is not replaced by whoever may only use it.
      if (type !== (kept ? 'request' : 'create'))
        throw refuse(`WebAuthn type must be ${kept ? 'request' : 'create'}`)
      if (!kept) {
        const read = readRegistration(credential)
        if (!read) throw refuse('Invalid credential_response')
        const made = await checkRegistration(read, expected)
        if (!made) return null
        const { counter, ...rest } = made
        return { kept: JSON.stringify(rest satisfies Kept), counter }
      }
      const read = readAssertion(credential)
      if (!read) throw refuse('Invalid credential_response')
      if (read.id !== kept.credentialId) return null
      const stored = { ...kept, counter: factor.last_step ?? 0 }
      const asserted = await checkAssertion(read, expected, stored)
      if (!asserted) return null
      const { counter, backedUp } = asserted
      return { kept: JSON.stringify({ ...kept, backedUp }), counter }
    },
  })

const refuse = (message: string) => authFaults.validation_failed({ message })

function readBody(webauthn: unknown): { type: 'create' | 'request'; credential: unknown } {
  if (typeof webauthn !== 'object' || webauthn === null) throw refuse('WebAuthn config required')
  const { type, credential_response: credential } = webauthn as Record<string, unknown>
  if (type !== 'create' && type !== 'request')
    throw refuse('WebAuthn type must be create or request')
  if (credential === undefined || credential === null) throw refuse('credential_response required')
  return { type, credential }
}
