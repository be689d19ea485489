import type { AuthPart } from '../part.ts'
import { type ProviderOptions, profileOf, type TrustOptions, text, yes } from './preset.ts'
import { provider } from './provider.ts'

const host = 'https://login.microsoftonline.com'
/** The tenant of personal Microsoft accounts. */
const consumers = '9188040d-6c67-4c5b-b112-36a304b66dad'
const guid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/

export interface AzureOptions<Env> extends ProviderOptions<Env>, TrustOptions {
  /**
   * Whose accounts may sign in: tenant ids, or `'consumers'` for personal accounts. Tokens of any other tenant are
   * refused, however they are signed: anyone may own a tenant, and name any address in it (case 4).
   */
  tenants: readonly string[] | 'consumers'
  /** Takes accounts of every tenant there is; `tenants` is then ignored. @default false */
  unsafeAnyTenant?: boolean
}

/**
 * Microsoft Entra ID (Azure). An address is verified only if the optional claim `xms_edov` says so; add it to the ID
 * token in the app registration, for without it any administrator of a tenant can write any address.
 *
 * With one tenant the identity's subject is `sub`, as GoTrue has it; with several it is the tenant's id and `sub`, since
 * `sub` is unique within its issuer only (case 6).
 *
 * Source: https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
 */
export const azure = <Env>(options: AzureOptions<Env>): AuthPart => {
  const { tenants, unsafeAnyTenant = false, unsafeTrustEmails = false, ...rest } = options
  const allowed = tenants === 'consumers' ? [consumers] : (tenants ?? [])
  if (!unsafeAnyTenant && (allowed.length === 0 || !allowed.every((one) => guid.test(one))))
    throw new TypeError("azure: `tenants` must hold tenant ids (GUIDs), or be 'consumers'")
  const single = !unsafeAnyTenant && allowed.length === 1
  const base = `${host}/${single ? allowed[0] : 'common'}`
  const issuerOf = (tenant: string) => `${host}/${tenant}/v2.0`
  const isIssuer = (issuer: string) => {
    const tenant = issuer.slice(host.length + 1, -'/v2.0'.length)
    return (
      guid.test(tenant) &&
      issuer === issuerOf(tenant) &&
      (unsafeAnyTenant || allowed.includes(tenant))
    )
  }
  return provider<Env>(
    {
      name: 'azure',
      server: {
        issuer: `${base}/v2.0`,
        authorize: `${base}/oauth2/v2.0/authorize`,
        token: `${base}/oauth2/v2.0/token`,
        jwks: `${base}/discovery/v2.0/keys`,
      },
      scopes: ['openid', 'email', 'profile'],
      openid: {
        isIssuer,
        // The shared endpoint lists keys of single issuers too: those sign for nobody else.
        isKeyOf: (key, { iss, tid }) =>
          key.issuer === undefined || String(key.issuer).replace('{tenantid}', String(tid)) === iss,
        profile(claims) {
          const tenant = text(claims.tid)
          if (!tenant || claims.iss !== issuerOf(tenant))
            throw new Error('leanto: ID token whose tenant is not its issuer')
          return profileOf({
            issuer: claims.iss,
            subject: single ? claims.sub : `${tenant}:${claims.sub}`,
            email: text(claims.email),
            verified: unsafeTrustEmails || yes(claims.xms_edov) || claims.xms_edov === 1,
            name: text(claims.name),
            username: text(claims.preferred_username),
            custom: { tid: tenant, ...(text(claims.oid) ? { oid: claims.oid } : {}) },
          })
        },
      },
    },
    rest,
  )
}
