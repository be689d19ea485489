import { coreFaults } from './fault.ts'
import type { Identity, Principal } from './ports.ts'
import type { Scope } from './scope.ts'
import { base64url, derive, equal } from './secret.ts'

export interface ApiKeys {
  /** Names the app, grants nothing: may stand in any page. */
  publishable: string
  /** Acts as `service`, past every policy: for servers alone. */
  secret: string
}

/** The two API keys, derived from the secret: they change when it does, and no table holds them. */
export async function apiKeys(secret: string): Promise<ApiKeys> {
  const [publishable, service] = await Promise.all(
    ['publishable', 'service'].map((kind) => derive(secret, `api-key:${kind}`)),
  )
  // The prefixes are those that Supabase's clients know: such a key is no JWT and is not sent as one.
  return {
    publishable: `sb_publishable_${base64url((publishable as ArrayBuffer).slice(0, 16))}`,
    secret: `sb_secret_${base64url(service as ArrayBuffer)}`,
  }
}

export const guest: Principal = Object.freeze({
  id: null as unknown as string,
  role: 'anon',
  claims: Object.freeze({}),
})

const service: Principal = Object.freeze({
  id: null as unknown as string,
  role: 'service',
  claims: Object.freeze({}),
})

const bearer = /^Bearer +([\w.~+/-]+=*) *$/i

/**
 * The token of `Authorization: Bearer` (RFC 6750).
 *
 * @throws {Fault} `bad_token` (401) if the header is there but is not of that form.
 */
function bearerToken(request: Request): string | null {
  const header = request.headers.get('authorization')
  if (header === null) return null
  const token = header.match(bearer)?.[1]
  if (!token) throw coreFaults.bad_token({ message: 'Authorization must be: Bearer <token>' })
  return token
}

/** What else a request may show than the derived keys and a token in its header. */
export interface OtherProofs {
  /** Whose API key this is, if it is neither of the two that are derived; `null` if it is nobody's. */
  readonly key?: (scope: Scope, key: string) => Promise<Principal | null>
  /** A token that is shown elsewhere, such as in a cookie. Asked only where there is no `Authorization`. */
  readonly token?: (scope: Scope, request: Request) => string | null
}

/**
 * An Identity over API keys and one kind of bearer token. `apikey` must be one of the keys if it is sent; the bearer
 * may be a key as well, as clients without a session send it. A token counts before a key.
 *
 * @param verify Answers a token's principal, or throws a 401 Fault.
 */
export function identity(
  verify: (scope: Scope, token: string) => Promise<Principal>,
  other: OtherProofs = {},
): Identity {
  // Pure function of the secret, kept because deriving costs two HKDF runs a request. Values, not promises: those of a
  // request that was cancelled would never settle for the others.
  const derived = new Map<string, ApiKeys>()
  const keysOf = async (secret: string): Promise<ApiKeys> => {
    const keys = derived.get(secret) ?? (await apiKeys(secret))
    derived.set(secret, keys)
    return keys
  }
  const byKey = async (scope: Scope, key: string): Promise<Principal | null> => {
    const keys = await keysOf(scope.secret)
    if (await equal(key, keys.secret)) return service
    if (await equal(key, keys.publishable)) return guest
    return (await other.key?.(scope, key)) ?? null
  }
  return {
    async principal(scope, request) {
      const apiKey = request.headers.get('apikey')
      const token = bearerToken(request) ?? other.token?.(scope, request) ?? null
      const keyed = apiKey === null ? guest : await byKey(scope, apiKey)
      if (!keyed) throw coreFaults.bad_api_key()
      if (token === null || token === apiKey) return keyed
      if (token.startsWith('sb_')) {
        const principal = await byKey(scope, token)
        if (principal) return principal
        throw coreFaults.bad_api_key()
      }
      return verify(scope, token)
    },
  }
}
