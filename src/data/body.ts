import { parseJson, readText } from '../core/body.ts'
import { parseCsv } from './csv.ts'
import { dataFaults } from './faults.ts'

/** A request's body: as it came, and what it says. */
export interface Body {
  readonly text: string
  /** @throws {Fault} PGRST102 if it is not what its content type says. */
  parsed(): unknown
}

const parsers = new Map<string, (text: string) => unknown>([
  ['application/json', json],
  ['text/csv', parseCsv],
  ['application/x-www-form-urlencoded', form],
])

/**
 * Reads a body of one of the media types that PostgREST takes. None said is JSON.
 *
 * @param limit In bytes.
 * @throws {Fault} PGRST102 for another media type or for what is not UTF-8, PT413 past the limit.
 */
export async function readBody(request: Request, limit: number): Promise<Body> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  const parse = parsers.get(type || 'application/json')
  if (!parse) {
    await request.body?.cancel()
    throw dataFaults.PGRST102({ message: `Content-Type not acceptable: ${type?.slice(0, 100)}` })
  }
  const text = await readText(request, limit)
  return { text, parsed: () => parse(text) }
}

function json(text: string): unknown {
  if (text.trim() === '') throw dataFaults.PGRST102()
  return parseJson(text)
}

/** One row, all of it text. Of a key given twice the last counts, as in JSON. */
function form(text: string): Record<string, string> {
  return Object.fromEntries(formPairs(text))
}

/** The keys and values of `application/x-www-form-urlencoded`. @throws {Fault} PGRST102 */
export const formPairs = (text: string): [key: string, value: string][] =>
  (text === '' ? [] : text.split('&')).map((pair) => {
    const at = pair.indexOf('=')
    return [decoded(at < 0 ? pair : pair.slice(0, at)), at < 0 ? '' : decoded(pair.slice(at + 1))]
  })

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (cause) {
    throw dataFaults.PGRST102({ message: 'Invalid form: it is not percent-encoded UTF-8', cause })
  }
}
