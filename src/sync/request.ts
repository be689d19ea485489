import type { Context } from 'hono'
import { parseJson, readJson, readText } from '../core/body.ts'
import type { Principal } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import { isName, noDatabase, type Place } from './database.ts'
import { type Definition, limitsOf } from './definition.ts'
import { isObject } from './document.ts'
import { bad, syncFaults } from './faults.ts'

/** What a handler works with: the place, and what else the path names. */
export interface Asked {
  readonly scope: Scope
  readonly request: Request
  readonly place: Place
  /** The path's segments after the database, decoded. */
  readonly rest: readonly string[]
  readonly query: URLSearchParams
  /** Where the module is mounted, without a slash at its end. */
  readonly mount: string
  /** Asks once more who this is and what they may do, for what is held long. @throws {Fault} as the first time. */
  readonly again: () => Promise<Place>
}

/** Finds how a database of a name is kept. */
export type Find = (name: string) => { definition: Definition; exact: boolean } | undefined

/**
 * The path as it came, in decoded segments. Hono's own parameters will not do: an id may hold `/`, as `%2F`.
 *
 * @param path The route's own path, without the mount's.
 * @throws {Fault} `bad_request` (400) for what is not URL-encoded UTF-8.
 */
export function segmentsOf(c: Context, path: string): { mount: string; segments: string[] } {
  const count = (text: string) => text.split('/').filter(Boolean).length
  const before = count(c.req.routePath) - count(path)
  const { pathname } = new URL(c.req.url)
  const raw = pathname.split('/').filter(Boolean)
  try {
    return {
      mount: raw
        .slice(0, before)
        .map((segment) => `/${segment}`)
        .join(''),
      segments: raw.slice(before).map(decodeURIComponent),
    }
  } catch {
    throw bad('bad_request', 'The path is not URL-encoded UTF-8')
  }
}

/**
 * The place that a name means for whoever asks.
 *
 * @throws {Fault} `not_found` (404) for a name that the host did not declare, or that is none,
 * `unauthorized` (401) for a guest where everyone has a database of their own.
 */
export function placeOf(find: Find, name: string, who: Principal): Place {
  const found = isName(name) && find(name)
  if (!found) throw noDatabase()
  const { definition, exact } = found
  if (definition.kind === 'shared') return { name, owner: '', who, definition, lazy: exact }
  if (who.role === 'anon') throw syncFaults.unauthorized()
  if (who.role === 'service')
    throw bad('forbidden', 'Every user has this database for themselves: the service key has none.')
  return { name, owner: who.id, who, definition, lazy: true }
}

/** @throws {Fault} `bad_request`, `bad_content_type`, `too_large`. */
export async function bodyOf({ request, place }: Asked): Promise<Record<string, unknown>> {
  const body = await readJson(request, limitsOf(place.definition.rules).request)
  if (!isObject(body)) throw bad('bad_request', 'Request body must be a JSON object')
  return body
}

/** @throws {Fault} `bad_content_type` (415) for a body that says it is something else. */
export function demandJson({ request }: Asked): void {
  const type = request.headers.get('content-type')
  if (type && !/^application\/([\w.-]+\+)?json\b/i.test(type)) throw syncFaults.bad_content_type()
}

/** A body that may be absent, as with `POST _changes`. */
export async function bodyIfAny(asked: Asked): Promise<Record<string, unknown>> {
  const { request, place } = asked
  if (request.method !== 'POST') return {}
  demandJson(asked)
  const text = await readText(request, limitsOf(place.definition.rules).request)
  if (text.trim() === '') return {}
  const body = parseJson(text)
  if (!isObject(body)) throw bad('bad_request', 'Request body must be a JSON object')
  return body
}

/** A body of any content type that is JSON. */
export const jsonOf = async ({ request, place }: Asked): Promise<unknown> =>
  parseJson(await readText(request, limitsOf(place.definition.rules).request))

/** An answer that is JSON text already. */
export const jsonAnswer = (text: string, headers: Record<string, string> = {}): Response =>
  new Response(`${text}\n`, {
    status: 200,
    headers: { 'content-type': 'application/json', ...headers },
  })
