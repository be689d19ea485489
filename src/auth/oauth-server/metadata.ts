import type { Scope } from '../../core/scope.ts'
import { algorithm } from '../keys.ts'
import { allScopes, type ProtectedResource, type Server } from './settings.ts'
import { grantsOf } from './token.ts'

/** Of who has a secret, and of who has none (RFC 8414, 2). */
const withSecret = ['client_secret_basic', 'client_secret_post']

/** Authorization server metadata (RFC 8414), which is OpenID Connect Discovery 1.0's as well. */
export function serverMetadata(server: Server, issuer: string): Record<string, unknown> {
  const at = (path: string) => issuer + path
  return {
    issuer,
    authorization_endpoint: at('/oauth/authorize'),
    token_endpoint: at('/oauth/token'),
    jwks_uri: at('/.well-known/jwks.json'),
    userinfo_endpoint: at('/oauth/userinfo'),
    ...(server.registration ? { registration_endpoint: at('/oauth/clients/register') } : {}),
    pushed_authorization_request_endpoint: at('/oauth/par'),
    require_pushed_authorization_requests: server.requirePushed,
    revocation_endpoint: at('/oauth/revoke'),
    introspection_endpoint: at('/oauth/introspect'),
    scopes_supported: allScopes(server),
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: Object.keys(grantsOf(server)),
    token_endpoint_auth_methods_supported: [...withSecret, 'none'],
    revocation_endpoint_auth_methods_supported: [...withSecret, 'none'],
    introspection_endpoint_auth_methods_supported: withSecret,
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [algorithm],
    prompt_values_supported: ['none', 'login', 'consent', 'select_account'],
    claims_supported: [
      ...['sub', 'iss', 'aud', 'exp', 'iat', 'auth_time', 'nonce', 'amr', 'sid'],
      ...['email', 'email_verified', 'phone_number', 'phone_number_verified'],
      ...['name', 'picture', 'preferred_username', 'updated_at'],
    ],
    claims_parameter_supported: false,
    request_parameter_supported: false,
    request_uri_parameter_supported: false,
    ...Object.assign({}, ...server.extensions.map(({ metadata }) => metadata?.(issuer))),
  }
}

/** Protected resource metadata (RFC 9728, 2). */
export const resourceMetadata = (
  server: Server,
  scope: Scope,
  { url, resource }: { url: string; resource: ProtectedResource },
): Record<string, unknown> => ({
  resource: url,
  authorization_servers: [server.settings.issuer(scope)],
  scopes_supported: resource.scopes ?? Object.keys(server.scopes),
  bearer_methods_supported: ['header'],
  ...(resource.name === undefined ? {} : { resource_name: resource.name }),
})

/** A document that is the same for everyone. */
export const published = (body: unknown): Response =>
  Response.json(body, { status: 200, headers: { 'cache-control': 'public, max-age=600' } })
