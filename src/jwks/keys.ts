import {
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JWK,
  type JWTVerifyGetKey,
} from 'jose'
import type { Scope } from '../core/scope.ts'
import { hash } from '../core/secret.ts'
import { unavailable } from './faults.ts'
import { fetchKeys } from './fetch.ts'

/** For how long keys serve from memory, and from KV after that. In milliseconds. */
const memoryTime = 10 * 60_000
const storeTime = 60 * 60_000
/** An unknown key id has the keys fetched at most this often: it is a text that anyone can make up (case 34). */
const refetchPause = 30_000
/** After a failure with no keys at hand; shorter, because until then everybody is kept out. */
const retryPause = 5_000
/** How long to wait for a fetch that another request of this isolate has begun. */
const patience = 6_000

interface Kept {
  readonly keyOf: JWTVerifyGetKey
  /** When the issuer said so, and until when it counts here. Unix time in milliseconds. */
  readonly fetchedAt: number
  readonly until: number
}

/** The keys of one issuer. */
export interface KeyRing {
  /** @throws {Fault} `identity_unavailable` (503). @throws {JWKSNoMatchingKey} if the issuer has no such key. */
  find(scope: Scope, ...asked: Parameters<JWTVerifyGetKey>): ReturnType<JWTVerifyGetKey>
}

/** What is kept here is the same for every user: public keys. */
export function keyRing(
  url: string,
  fetcher: (url: string, init: RequestInit) => Promise<Response>,
): KeyRing {
  let kept: Kept | undefined
  let attemptedAt = Number.NEGATIVE_INFINITY
  let failed = false
  let underway: Promise<Kept> | undefined

  const keep = (keys: JWK[], fetchedAt: number, now: number): Kept => {
    const until = Math.min(now + memoryTime, fetchedAt + storeTime)
    kept = { keyOf: createLocalJWKSet({ keys: keys.filter(isPublicKey) }), fetchedAt, until }
    return kept
  }

  const renew = (scope: Scope): Promise<Kept> => {
    if (underway) return inTime(underway)
    const now = scope.now()
    attemptedAt = now
    underway = (async () => {
      try {
        const keys = await fetchKeys(url, fetcher)
        failed = false
        scope.waitUntil(store(scope, url, { fetchedAt: now, keys }))
        return keep(keys, now, now)
      } catch (error) {
        failed = true
        throw error
      } finally {
        underway = undefined
      }
    })()
    // The request that began it may be gone before it ends, and others wait for it.
    scope.waitUntil(underway.catch(() => undefined))
    return underway
  }

  const current = async (scope: Scope): Promise<Kept> => {
    const now = scope.now()
    if (kept && now < kept.until) return kept
    const stored = underway ? null : await load(scope, url)
    if (stored && now < stored.fetchedAt + storeTime)
      return keep(stored.keys, stored.fetchedAt, now)
    if (!underway && failed && now < attemptedAt + retryPause) throw unavailable()
    return renew(scope)
  }

  return {
    async find(scope, header, token) {
      const first = await current(scope)
      try {
        return await first.keyOf(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
        return retry(scope, first, error, header, token)
      }
    },
  }

  async function retry(
    scope: Scope,
    first: Kept,
    error: errors.JWKSNoMatchingKey,
    ...asked: [Parameters<JWTVerifyGetKey>[0], FlattenedJWSInput]
  ) {
    // Another request may have renewed them meanwhile.
    if (kept && kept.fetchedAt > first.fetchedAt) return kept.keyOf(...asked)
    if (!underway && scope.now() < attemptedAt + refetchPause) {
      // The key may be there for all that is known: a 401 would have the client sign its user out.
      throw failed ? unavailable() : error
    }
    return (await renew(scope)).keyOf(...asked)
  }
}

const inTime = (work: Promise<Kept>): Promise<Kept> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(unavailable()), patience)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })

/**
 * Symmetric keys have no place in a public document, and a key whose private half was published with it signs for anyone.
 */
const isPublicKey = (key: JWK): boolean =>
  (key.kty === 'RSA' || key.kty === 'EC' || key.kty === 'OKP') && key.d === undefined

interface Stored {
  fetchedAt: number
  keys: JWK[]
}

const storeKey = async (url: string) => `leanto:jwks:${await hash(url)}`

async function store(scope: Scope, url: string, stored: Stored): Promise<void> {
  await scope.kv.put(await storeKey(url), JSON.stringify(stored), {
    expirationTtl: storeTime / 1000,
  })
}

/** KV is a cache: if it fails or holds something odd, the issuer is asked. */
async function load(scope: Scope, url: string): Promise<Stored | null> {
  try {
    const stored: Stored | null = JSON.parse((await scope.kv.get(await storeKey(url))) ?? 'null')
    return stored && Array.isArray(stored.keys) && stored.fetchedAt <= scope.now() ? stored : null
  } catch {
    return null
  }
}
