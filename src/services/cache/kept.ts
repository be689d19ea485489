import type { Fault } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { hash } from '../../core/secret.ts'
import type { Rule } from './index.ts'

/** An answer as it is kept. Texts only: what another request has read may be shared, its streams may not. */
export interface Stored {
  status: number
  headers: [string, string][]
  body: string
  /** Unix time in milliseconds. */
  at: number
}

/** The key is a hash of all that may change the answer. No text of a client is in it (KV-key escapes). */
export const cacheKey = async (service: string, parts: readonly unknown[]): Promise<string> =>
  `leanto:services:${service}:${await hash(JSON.stringify(parts))}`

export async function lookUp(scope: Scope, key: string): Promise<Stored | null> {
  try {
    const text = await scope.kv.get(key)
    return text === null ? null : (JSON.parse(text) as Stored)
  } catch (error) {
    console.error('leanto: services: the cache cannot be read', error)
    return null
  }
}

export async function keep(scope: Scope, key: string, stored: Stored, expirationTtl: number) {
  await scope.kv.put(key, JSON.stringify(stored), { expirationTtl })
}

const ageOf = (scope: Scope, { at }: Stored): number => Math.floor((scope.now() - at) / 1000)

export const isFresh = (scope: Scope, stored: Stored, { seconds }: Rule): boolean =>
  ageOf(scope, stored) < seconds

/** Whether it may stand in for a service that fails. */
export const isUsable = (scope: Scope, stored: Stored, { seconds, stale }: Rule): boolean =>
  ageOf(scope, stored) < seconds + stale

/** A kept answer, with its age and `Cache-Status` (RFC 9211). */
export function fromCache(
  scope: Scope,
  stored: Stored,
  { rule, because }: { rule: Rule; because?: Fault },
): Response {
  const headers = new Headers(stored.headers)
  const age = ageOf(scope, stored)
  headers.set('age', String(age))
  const why = because ? `; detail=${because.code}` : ''
  headers.set('cache-status', `leanto; hit; ttl=${rule.seconds - age}${why}`)
  return new Response(stored.body, { status: stored.status, headers })
}
