import { faults } from '../../core/fault.ts'

/** GoTrue's codes, statuses and words. */
export const mfaFaults = faults({
  insufficient_aal: [403, 'AAL2 required to enroll a new factor'],
  mfa_challenge_expired: [
    422,
    'MFA challenge has expired, verify against another challenge or create a new challenge.',
  ],
  mfa_factor_name_conflict: [
    422,
    'A factor with the same friendly name for this user already exists',
  ],
  mfa_factor_not_found: [404, 'Factor not found'],
  mfa_phone_enroll_not_enabled: [422, 'MFA enroll is disabled for Phone'],
  mfa_phone_verify_not_enabled: [422, 'MFA verification is disabled for Phone'],
  mfa_recovery_codes_locked: [429, 'Too many failed verification attempts, try again later'],
  mfa_recovery_codes_sole_factor: [
    422,
    'At least one other verified factor is required to generate recovery codes',
  ],
  mfa_verification_failed: [422, 'Invalid TOTP code entered'],
  mfa_verification_rejected: [403, 'Further MFA verification attempts will be rejected.'],
  mfa_verified_factor_exists: [
    422,
    'A verified phone factor already exists, unenroll the existing factor to continue',
  ],
  mfa_webauthn_enroll_not_enabled: [422, 'MFA enroll is disabled for WebAuthn'],
  mfa_webauthn_verify_not_enabled: [422, 'MFA verification is disabled for WebAuthn'],
  over_sms_send_rate_limit: [429, 'SMS rate limit exceeded'],
  sms_send_failed: [500, 'The text message could not be sent'],
  too_many_enrolled_mfa_factors: [
    422,
    'Maximum number of verified factors reached, unenroll to continue',
  ],
})
