import { toHex } from './stored.ts'

/*
 * Conditional reads (RFC 9110, 13). The tag is a digest of the answer, so it tells nothing that the answer does not, and
 * holds for the one who asks: what the policy hides from him never changes it.
 */

/** A strong entity tag of an answer's parts: what it says, and how. */
export async function entityTag(...parts: readonly string[]): Promise<string> {
  const bytes = new TextEncoder().encode(parts.join('\n'))
  const digest = await crypto.subtle.digest('SHA-256', bytes)
  return `"${toHex(new Uint8Array(digest, 0, 16))}"`
}

/** Whether `If-None-Match` names the tag (weakly: RFC 9110, 13.1.2). */
export function matchesTag(header: string | null, tag: string): boolean {
  if (header === null) return false
  return header
    .split(',')
    .map((item) => item.trim().replace(/^W\//, ''))
    .some((item) => item === tag || item === '*')
}
