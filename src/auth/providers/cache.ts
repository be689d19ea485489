import type { Scope } from '../../core/scope.ts'
import { declared, getJson, type Reach } from '../outbound.ts'

/** Milliseconds for which an isolate trusts a document. */
const freshness = 10 * 60_000
/** Milliseconds between two looks for a key that is not known (ASVS 9.1.3). */
const patience = 30_000
/** Seconds for which KV keeps one. */
const kept = 3600

type Document = Record<string, unknown>

/**
 * Public documents of a provider, its keys and its discovery: from this isolate's memory, else from KV, else from the
 * provider. Nothing secret is among them.
 */
export interface Documents {
  read(scope: Scope, url: string): Promise<Document>
  /** Asks the provider anew. For whoever may ask as often as they like. */
  anew(scope: Scope, url: string): Promise<Document>
  /** Asks the provider anew, but at most once in `patience`. */
  again(scope: Scope, url: string): Promise<Document>
}

/** @param reach Checked before each call, and not for what is in a cache. */
export function documents(reach: Reach = declared): Documents {
  // Values only, never promises: a promise of a request that is cancelled would settle for nobody.
  const known = new Map<string, { at: number; document: Document }>()
  const asked = new Map<string, number>()
  const isFresh = (scope: Scope, at: number | undefined, span: number) =>
    at !== undefined && Math.abs(scope.now() - at) < span

  const load = async (scope: Scope, url: string): Promise<Document> => {
    asked.set(url, scope.now())
    const document = await getJson(scope, url, {}, reach)
    known.set(url, { at: scope.now(), document })
    const entry = { at: scope.now(), document }
    scope.waitUntil(
      scope.kv.put(keyOf(url), JSON.stringify(entry), { expirationTtl: kept }).catch(() => {}),
    )
    return document
  }
  const keyOf = (url: string) => `leanto:auth:provider:${url}`

  return {
    async read(scope, url) {
      const held = known.get(url)
      if (held && isFresh(scope, held.at, freshness)) return held.document
      const stored = await scope.kv.get(keyOf(url)).catch(() => null)
      const entry = stored ? (JSON.parse(stored) as { at: number; document: Document }) : null
      if (!entry || !isFresh(scope, entry.at, kept * 1000)) return load(scope, url)
      known.set(url, { at: scope.now(), document: entry.document })
      return entry.document
    },
    anew: load,
    async again(scope, url) {
      const held = known.get(url)
      if (held && isFresh(scope, asked.get(url), patience)) return held.document
      return load(scope, url)
    },
  }
}
