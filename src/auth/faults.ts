import { faults } from '../core/fault.ts'

/** GoTrue's error codes, with its statuses and words, as far as this module answers them. */
export const authFaults = faults({
  anonymous_provider_disabled: [422, 'Anonymous sign-ins are disabled'],
  bad_jwt: [403, 'invalid JWT: unable to parse or verify signature'],
  conflict: [409, 'The user was changed at the same time, try again'],
  email_exists: [422, 'A user with this email address has already been registered'],
  invalid_credentials: [400, 'Invalid login credentials'],
  no_authorization: [401, 'This endpoint requires a Bearer token'],
  not_admin: [403, 'Updating app_metadata requires admin privileges'],
  phone_provider_disabled: [422, 'Phone logins are disabled'],
  refresh_token_already_used: [400, 'Invalid Refresh Token: Already Used'],
  refresh_token_not_found: [400, 'Invalid Refresh Token: Refresh Token Not Found'],
  same_password: [422, 'New password should be different from the old password.'],
  session_expired: [400, 'Invalid Refresh Token: Session Expired'],
  session_not_found: [403, 'Session from session_id claim in JWT does not exist'],
  signup_disabled: [422, 'Signups not allowed for this instance'],
  user_already_exists: [422, 'User already registered'],
  user_banned: [400, 'User is banned'],
  user_not_found: [403, 'User from sub claim in JWT does not exist'],
  validation_failed: [400, 'Request is not valid'],
  weak_password: [422, 'Password is too weak'],
})
