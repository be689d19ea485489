import { isStorable } from '../core/body.ts'
import { authFaults } from './faults.ts'
import type { Metadata } from './wire.ts'

/** In bytes of JSON. The metadata is in every access token, and so in every request's headers. */
const maximumBytes = 8192
const maximumDepth = 16

/**
 * Checks metadata that a user wrote: plain JSON that is stored as it came, and no `__proto__`, which a later reader might
 * copy into an object.
 *
 * @throws {Fault} `validation_failed` (400).
 */
export function checkMetadata(data: Metadata): Metadata {
  const refuse = (why: string) => authFaults.validation_failed({ message: `data: ${why}` })
  const walk = (value: unknown, depth: number): void => {
    if (depth > maximumDepth) throw refuse(`at most ${maximumDepth} levels deep`)
    if (typeof value === 'string' && !isStorable(value)) throw refuse('text is not storable')
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value)) {
      if (key === '__proto__' || !isStorable(key)) throw refuse('a key is not allowed')
      walk(inner, depth + 1)
    }
  }
  walk(data, 0)
  if (new TextEncoder().encode(JSON.stringify(data)).length > maximumBytes)
    throw refuse(`at most ${maximumBytes} bytes as JSON`)
  return data
}

/** GoTrue's update of metadata: key by key, one level deep; `null` deletes. */
export function mergeMetadata(before: Metadata, changes: Metadata): Metadata {
  const merged = Object.entries({ ...before, ...changes }).filter(([key]) => changes[key] !== null)
  return checkMetadata(Object.fromEntries(merged))
}
