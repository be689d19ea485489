import { faults } from '../../core/fault.ts'

/** GoTrue's error codes of OAuth, with its statuses and words. */
export const oauthFaults = faults({
  bad_oauth_callback: [400, 'OAuth callback with missing authorization code missing'],
  bad_oauth_state: [400, 'OAuth callback with invalid state'],
  identity_already_exists: [422, 'Identity is already linked'],
  provider_disabled: [400, 'Provider is not enabled'],
  provider_email_needs_verification: [
    422,
    'Verify the email with the provider in order to sign in',
  ],
  unexpected_failure: [500, 'Error getting user profile from external provider'],
})
