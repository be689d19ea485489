import { faults } from '../../core/fault.ts'

/** GoTrue's codes, statuses and words. */
export const passkeyFaults = faults({
  too_many_passkeys: [422, 'Maximum number of passkeys reached'],
  webauthn_challenge_expired: [400, 'Challenge has expired'],
  webauthn_challenge_not_found: [400, 'Challenge not found or already used'],
  webauthn_credential_exists: [422, 'This credential is already registered'],
  webauthn_credential_not_found: [400, 'Passkey not found'],
  webauthn_verification_failed: [400, 'Credential verification failed'],
})
