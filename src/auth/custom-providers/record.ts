/** Either that has OpenID Connect's discovery and ID tokens, or plain OAuth 2.0 with an endpoint that says who it is. */
export type ProviderType = 'oauth2' | 'oidc'

/** What an admin has set; names as GoTrue's API has them. Everything in it is checked. */
export interface Config {
  name: string
  client_id: string
  /** Other client ids whose ID tokens are taken. */
  acceptable_client_ids: string[]
  scopes: string[]
  /** Claims that are copied into `custom_claims`. */
  custom_claims_allowlist: string[]
  pkce_enabled: boolean
  /** Attributes of a user, each with the claim that it is read from. */
  attribute_mapping: Record<string, string>
  authorization_params: Record<string, string>
  email_optional: boolean
  skip_nonce_check: boolean
  issuer?: string
  discovery_url?: string
  authorization_url?: string
  token_url?: string
  userinfo_url?: string
  jwks_uri?: string
  /** As it was when it was last asked for by an admin. */
  discovery_document?: Readonly<Record<string, unknown>>
  /** Whose addresses alone this provider speaks for, and whose people `/sso` leads here; in one spelling. */
  domains: string[]
  /** Takes addresses of `domains` as verified although the provider says nothing about it. */
  unsafe_trust_emails: boolean
}

export interface ProviderRow {
  identifier: string
  id: string
  provider_type: ProviderType
  enabled: number
  /** The client secret, sealed for this row. */
  secret: string
  /** JSON of a `Config`. */
  config: string
  /** Random, and another one after each change. */
  revision: string
  created_at: number
  updated_at: number
}

/** What a client secret is sealed for: a row, which no other row's can stand in for. */
export const secretPurpose = (id: string): string => `auth-custom-provider:${id}`

export const configOf = ({ config }: ProviderRow): Config => JSON.parse(config) as Config

/**
 * Who gives out the subjects: an identity is theirs and not that of whoever is asked under the same name later (case 6). Kept
 * as `iss` of each identity.
 */
export function authorityOf({ issuer, userinfo_url, attribute_mapping }: Config): string {
  const { sub = 'sub' } = attribute_mapping
  const place = issuer ?? new URL(userinfo_url ?? '').origin
  // Another claim's values are other people's names.
  return sub === 'sub' ? place : `${place}#${sub}`
}

/** Where the discovery document is (OpenID Connect Discovery 4). */
export const placeOf = ({ discovery_url, issuer = '' }: Config): string =>
  discovery_url ?? `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`

/** As GoTrue shows one; the secret is never among it. */
export function shown(row: ProviderRow): Record<string, unknown> {
  const { id, provider_type, identifier, enabled, created_at, updated_at } = row
  return {
    ...{ id, provider_type, identifier },
    ...configOf(row),
    enabled: enabled === 1,
    created_at: new Date(created_at).toISOString(),
    updated_at: new Date(updated_at).toISOString(),
  }
}
