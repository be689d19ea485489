import { parseJson } from '../core/body.ts'
import { bad } from './faults.ts'

/**
 * A request's options: those of its URL, and those of its body, which win. A value of the URL is text, one of the body is
 * JSON.
 */
export type Options = Readonly<Record<string, unknown>>

export const optionsOf = (query: URLSearchParams, body: Record<string, unknown> = {}): Options => ({
  ...Object.fromEntries(query),
  ...body,
})

/** An option of documents and of the feed: whatever is not `true` is off. */
export const on = (options: Options, name: string): boolean => String(options[name]) === 'true'

/** An option of lists of documents. @throws {Fault} `query_parse_error` (400). */
export function flag(options: Options, name: string, otherwise = false): boolean {
  const value = options[name]
  if (value === undefined) return otherwise
  const word = String(value).toLowerCase()
  if (word === 'true' || word === 'false') return word === 'true'
  throw bad('query_parse_error', `Invalid boolean parameter: ${JSON.stringify(value)}`)
}

/** A whole number of at least 0. @throws {Fault} `query_parse_error` (400). */
export function count(options: Options, name: string, otherwise: number): number {
  const value = options[name]
  if (value === undefined) return otherwise
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
  if (!Number.isSafeInteger(number))
    throw bad('query_parse_error', `Invalid value for integer: ${JSON.stringify(value)}`)
  if ((number as number) < 0)
    throw bad(
      'query_parse_error',
      `Invalid value for positive integer: ${JSON.stringify(String(number))}`,
    )
  return number as number
}

/** A JSON value: as it is in a body, as text in a URL. @throws {Fault} `bad_json` (400). */
export function json(options: Options, fromUrl: URLSearchParams, name: string): unknown {
  const value = options[name]
  return typeof value === 'string' && value === fromUrl.get(name) ? parseJson(value) : value
}

/** The first of some names that an option goes by. */
export const either = (options: Options, ...names: string[]): string | undefined =>
  names.find((name) => options[name] !== undefined)

/** A word, or `undefined`. @throws {Fault} `query_parse_error` (400). */
export function word(options: Options, name: string): string | undefined {
  const value = options[name]
  if (value === undefined || typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  throw bad('query_parse_error', `Invalid value for ${name}`)
}
