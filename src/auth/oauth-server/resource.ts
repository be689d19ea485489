import type { Scope } from '../../core/scope.ts'
import { oauthServerFaults } from './faults.ts'
import { resourcesOf, type Server } from './settings.ts'

/**
 * The declared resources that a request names (RFC 8707, 2), as their whole URLs.
 *
 * @throws {Fault} `invalid_target` (400).
 */
export function requireResources(
  server: Server,
  scope: Scope,
  wanted: readonly string[],
): string[] {
  if (wanted.length === 0) return []
  const declared = resourcesOf(server, scope)
  return [
    ...new Set(
      wanted.map((one) => {
        const href = URL.parse(one)?.href
        if (href === undefined || !declared.has(href)) throw oauthServerFaults.invalid_target()
        return href
      }),
    ),
  ]
}

/** What a token request names, written as what was granted is. */
export const targetsOf = (form: URLSearchParams): string[] =>
  form.getAll('resource').map((one) => URL.parse(one)?.href ?? one)

/** @param granted JSON list. @returns `invalid_target` if more is wanted than was granted. */
export function checkResource(wanted: readonly string[], granted: string): Error | undefined {
  const list = JSON.parse(granted) as string[]
  if (wanted.every((one) => list.includes(one))) return undefined
  return oauthServerFaults.invalid_target({ message: 'That resource was not granted' })
}
