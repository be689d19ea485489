import type { IdClaims } from './id-token.ts'
import { type Server, type Source, text } from './preset.ts'

/**
 * What a discovery document says (OpenID Connect Discovery 3, RFC 8414).
 *
 * @param allow Answers a URL that may be called.
 * @throws {Error} unless it is about the issuer that was asked, to the letter (OpenID Connect Discovery 4.3, RFC 8414 3.3),
 * and what `allow` throws.
 */
export function serverIn(
  found: Readonly<Record<string, unknown>>,
  issuer: string,
  allow: (url: string) => string,
): Server {
  if (found.issuer !== issuer) throw new Error('leanto: a discovery document of another issuer')
  const endpoint = (key: string) => allow(text(found[key]) ?? '')
  return {
    issuer,
    authorize: endpoint('authorization_endpoint'),
    token: endpoint('token_endpoint'),
    jwks: endpoint('jwks_uri'),
    ...(text(found.userinfo_endpoint) ? { userinfo: endpoint('userinfo_endpoint') } : {}),
    auth: authIn(found.token_endpoint_auth_methods_supported),
    sendsIssuer: found.authorization_response_iss_parameter_supported === true,
  }
}

/** OpenID Connect Discovery 3: without a word it is `client_secret_basic`. */
const authIn = (methods: unknown): 'basic' | 'post' =>
  Array.isArray(methods) &&
  !methods.includes('client_secret_basic') &&
  methods.includes('client_secret_post')
    ? 'post'
    : 'basic'

/**
 * The ID token's claims, and those of the userinfo endpoint if one that is wanted is not in the token: what a scope asks for
 * may be there alone (OpenID Connect Core 5.4).
 *
 * @throws {Error} if there is no token, or userinfo is about someone else.
 */
export async function openidClaims(
  name: string,
  { claims, server, get }: Pick<Source, 'claims' | 'server' | 'get'>,
  wanted: readonly string[] = ['email'],
): Promise<IdClaims> {
  if (!claims) throw new Error(`leanto: ${name} answered no ID token`)
  const lacks = (claim: string) => claims[claim] == null || claims[claim] === ''
  if (!wanted.some(lacks) || !server.userinfo) return claims
  const info = await get(server.userinfo)
  // Core 5.3.2: else it may be about someone else.
  if (info.sub !== claims.sub) throw new Error('leanto: userinfo of someone else')
  return { ...info, ...claims }
}
