import { errors, exportJWK, generateKeyPair, importJWK, type JWK, type JWTVerifyGetKey } from 'jose'
import type { QueryResult, Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { open, randomToken, seal } from '../core/secret.ts'

/** Milliseconds for which an isolate trusts its copy of the keys. */
const freshness = 5 * 60_000
/** Milliseconds between two looks for an unknown `kid` (ASVS 9.1.3): tokens with made-up ones must cost nothing. */
const patience = 30_000
/** Milliseconds for clocks that differ. */
const margin = 5 * 60_000

export const algorithm = 'ES256'

export interface Signer {
  kid: string
  key: CryptoKey
}

interface KeyRow {
  id: string
  public: string
  sealed: string
  retired_at: number | null
}

interface Known {
  readonly key: CryptoKey
  readonly jwk: JWK
  /** Unix time in milliseconds after which nothing that it signed is valid. */
  readonly until: number
}

interface Cached {
  readonly secret: string
  readonly loadedAt: number
  readonly keys: ReadonlyMap<string, Known>
  readonly signer: Signer | undefined
  /** Keys that are in use but were sealed under another secret. */
  readonly sealedAway: readonly string[]
}

/** The signing keys of each database, as an isolate knows them. */
export interface Keys {
  /** Runs statements in one trip, and loads the keys in the same trip if this isolate has none that are fresh. */
  batch(scope: Scope, statements: readonly Statement[]): Promise<QueryResult[]>
  /** The key that signs now. The first call for a database makes it. */
  signer(scope: Scope): Promise<Signer>
  /** Finds the public key of a token's `kid`, and by nothing else of its header. */
  keyOf(scope: Scope): JWTVerifyGetKey
  /** What may still verify a token, for JWKS. */
  published(scope: Scope): Promise<JWK[]>
  /** Makes a new signing key; what the old one has signed stays valid until it expires. @returns The new `kid`. */
  rotate(scope: Scope): Promise<string>
  /** Deletes keys that can verify nothing any more. */
  purge(scope: Scope): Statement
}

const columns = 'SELECT id, public, sealed, retired_at FROM leanto_auth_keys ORDER BY created_at'
const purpose = (kid: string) => `auth-key:${kid}`

/** @param lifetime Of access tokens, in seconds. */
export function makeKeys(lifetime: number): Keys {
  // By binding, not by name: two tenants' databases in one isolate never share a key.
  const caches = new WeakMap<object, Cached>()
  const lookedAt = new WeakMap<object, number>()
  const looking = new WeakSet<object>()
  // Requests that have seen an empty table: what they need next is a key, not another look.
  const emptyFor = new WeakSet<Scope>()
  const overlap = lifetime * 1000 + freshness + margin

  const fresh = (scope: Scope): Cached | undefined => {
    const cached = caches.get(scope.database)
    if (!cached || cached.secret !== scope.secret) return undefined
    return Math.abs(scope.now() - cached.loadedAt) < freshness ? cached : undefined
  }

  const remember = async (scope: Scope, rows: readonly KeyRow[]): Promise<Cached> => {
    const keys = new Map<string, Known>()
    const sealedAway: string[] = []
    let signer: Signer | undefined
    for (const row of rows) {
      const jwk = JSON.parse(row.public) as JWK
      const key = (await importJWK(jwk, algorithm)) as CryptoKey
      const until = row.retired_at === null ? Number.POSITIVE_INFINITY : row.retired_at + overlap
      keys.set(row.id, { key, jwk, until })
      if (row.retired_at !== null) continue
      const text = await open(scope, purpose(row.id), row.sealed)
      if (text === null) sealedAway.push(row.id)
      else
        signer = { kid: row.id, key: (await importJWK(JSON.parse(text), algorithm)) as CryptoKey }
    }
    const cached = { secret: scope.secret, loadedAt: scope.now(), keys, signer, sealedAway }
    // An empty table is not remembered: another isolate may be about to make the first key.
    if (keys.size > 0) caches.set(scope.database, cached)
    else emptyFor.add(scope)
    return cached
  }

  const batch = async (scope: Scope, statements: readonly Statement[]): Promise<QueryResult[]> => {
    const all = fresh(scope) ? [...statements] : [...statements, scope.db.prepare(columns)]
    if (all.length === 0) return []
    const results = await scope.db.batch(all)
    if (all.length > statements.length)
      await remember(scope, (results.pop() as unknown as QueryResult<KeyRow>).results)
    return results
  }

  const load = async (scope: Scope): Promise<Cached> =>
    remember(scope, (await scope.db.prepare(columns).all<KeyRow>()).results)

  /** For a `kid` that is not known: at most one trip in `patience`, which parallel calls wait for. */
  const lookAgain = async (scope: Scope): Promise<Cached | undefined> => {
    const { database } = scope
    const last = lookedAt.get(database) ?? Number.NEGATIVE_INFINITY
    if (Math.abs(scope.now() - last) >= patience) {
      lookedAt.set(database, scope.now())
      looking.add(database)
      return load(scope).finally(() => looking.delete(database))
    }
    // By the clock, not by the other call's promise: that one's request may be cancelled and never settle it.
    for (let waited = 0; looking.has(database) && waited < 500; waited += 20)
      await new Promise((resolve) => setTimeout(resolve, 20))
    return fresh(scope)
  }

  /** Adds a key unless another one is in use by then: parallel first calls all end up with the same. */
  const make = async (scope: Scope, retire: Statement | undefined): Promise<Cached> => {
    const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true })
    const kid = randomToken(12)
    const jwk = { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' }
    const sealed = await seal(scope, purpose(kid), JSON.stringify(await exportJWK(privateKey)))
    const insert = scope.db
      .prepare(
        `INSERT INTO leanto_auth_keys (id, public, sealed, created_at, retired_at)
         SELECT ?1, ?2, ?3, ?4, NULL
         WHERE NOT EXISTS (SELECT 1 FROM leanto_auth_keys WHERE retired_at IS NULL)`,
      )
      .bind(kid, JSON.stringify(jwk), sealed, scope.now())
    const statements = [...(retire ? [retire] : []), insert, scope.db.prepare(columns)]
    const results = await scope.db.batch<KeyRow>(statements)
    return remember(scope, results.at(-1)?.results ?? [])
  }

  const retireStatement = (scope: Scope, kids: readonly string[]) =>
    scope.db
      .prepare(
        `UPDATE leanto_auth_keys SET retired_at = ?1
         WHERE retired_at IS NULL AND id IN (SELECT value FROM json_each(?2))`,
      )
      .bind(scope.now(), JSON.stringify(kids))

  const withSigner = async (scope: Scope): Promise<Cached & { signer: Signer }> => {
    let cached = fresh(scope) ?? (emptyFor.has(scope) ? undefined : await load(scope))
    if (!cached?.signer) {
      // The secret was changed: nobody can open the old key, so it only verifies until what it signed is over.
      const lost = cached?.sealedAway ?? []
      cached = await make(scope, lost.length > 0 ? retireStatement(scope, lost) : undefined)
    }
    if (!cached.signer) throw new Error('leanto: the signing key is sealed under another secret')
    return cached as Cached & { signer: Signer }
  }

  return {
    batch,
    signer: async (scope) => (await withSigner(scope)).signer,
    keyOf: (scope) => async (header) => {
      const find = (cached: Cached | undefined) => {
        const known = cached?.keys.get(String(header.kid))
        return known && scope.now() < known.until ? known.key : undefined
      }
      const cached = fresh(scope)
      const found = find(cached ?? (await load(scope)))
      if (found) return found
      const again = cached && typeof header.kid === 'string' && find(await lookAgain(scope))
      if (again) return again
      throw new errors.JWKSNoMatchingKey()
    },
    async published(scope) {
      const { keys } = await withSigner(scope)
      return [...keys.values()].filter(({ until }) => scope.now() < until).map(({ jwk }) => jwk)
    },
    async rotate(scope) {
      const retire = scope.db
        .prepare('UPDATE leanto_auth_keys SET retired_at = ?1 WHERE retired_at IS NULL')
        .bind(scope.now())
      const { signer } = await make(scope, retire)
      if (!signer) throw new Error('leanto: the signing key is sealed under another secret')
      return signer.kid
    },
    purge: (scope) =>
      scope.db
        .prepare('DELETE FROM leanto_auth_keys WHERE retired_at <= ?1')
        .bind(scope.now() - overlap),
  }
}
