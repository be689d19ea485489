import type { Scope } from '../../core/scope.ts'
import { hash } from '../../core/secret.ts'

/** What is known of a sentence: its translation, marked as `marked` of sentence.ts does, and its language. */
export interface Known {
  html: string
  source?: string
}

export interface Memory {
  /** In seconds, 60 at least. */
  seconds: number
  /** `shared`: what one user's sentence became is given to all. */
  per: 'shared' | 'user'
}

/** By hash alone: no text of a user is in a key. */
export const keyOf = async (parts: readonly (string | null)[]): Promise<string> =>
  `leanto:services:translate:${await hash(JSON.stringify(parts))}`

/** A cache that fails is an empty one. */
export async function recall(scope: Scope, key: string): Promise<Known | null> {
  try {
    const text = await scope.kv.get(key)
    return text === null ? null : (JSON.parse(text) as Known)
  } catch (error) {
    console.error('leanto: translate: the cache cannot be read', error)
    return null
  }
}

export async function remember(
  scope: Scope,
  entries: readonly (readonly [key: string, known: Known])[],
  { seconds }: Memory,
) {
  const expirationTtl = Math.max(60, seconds)
  await Promise.all(
    entries.map(([key, known]) => scope.kv.put(key, JSON.stringify(known), { expirationTtl })),
  )
}
