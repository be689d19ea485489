import { faults } from '../../core/fault.ts'

/** The protocol's codes (RFC 6749 5.2, 6750 3.1, 7591 3.2.2, 8707 2, 9101 7), and GoTrue's for what it has around it. */
export const oauthServerFaults = faults({
  insufficient_scope: [403, 'The token was not granted what this needs'],
  invalid_client: [401, 'Client authentication failed'],
  invalid_client_metadata: [400, 'The client’s metadata is not valid'],
  invalid_grant: [400, 'The grant is not valid, has ended, or is another client’s'],
  invalid_redirect_uri: [400, 'A redirect URI is not allowed'],
  invalid_request: [400, 'The request is not valid'],
  invalid_request_uri: [400, 'The pushed request has ended, was used, or is another client’s'],
  invalid_scope: [400, 'The scope is not allowed'],
  invalid_target: [400, 'No such resource is protected here'],
  invalid_token: [401, 'The token is not valid, or has ended'],
  oauth_authorization_not_found: [404, 'Authorization not found'],
  oauth_client_not_found: [404, 'OAuth client not found'],
  oauth_consent_not_found: [404, 'No active grant found for this client'],
  oauth_dynamic_client_registration_disabled: [403, 'Dynamic client registration is not enabled'],
  request_not_supported: [400, 'Request objects are not supported'],
  unauthorized_client: [400, 'The client may not use this'],
  unsupported_grant_type: [400, 'This grant type is not supported'],
  unsupported_response_type: [400, 'response_type must be code'],
})
