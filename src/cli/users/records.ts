import { createReadStream } from 'node:fs'
import { Refusal } from '../refusal.ts'
import { csvRows } from './csv.ts'
import { jsonItems, jsonLines } from './json-items.ts'

export type Fields = Readonly<Record<string, unknown>>

/** What stands in a dump for one user, or why that cannot be read. */
export type Found = { readonly fields: Fields } | { readonly text: string; readonly why: string }

/**
 * The users of a dump, one after the other, whatever it is: a JSON list, an object with one, NDJSON, or CSV. Never held
 * whole.
 *
 * @param seen Hears how many bytes were read so far.
 * @throws {Refusal} if the file cannot be read, or is none of these.
 */
export async function* recordsOf(
  file: string,
  seen: (bytes: number) => void = () => undefined,
): AsyncGenerator<Found> {
  const texts = textsOf(file, seen)
  try {
    const first = await texts.next()
    if (first.done) return
    const all = again(first.value, texts)
    const begin = first.value.trimStart()
    if (begin.startsWith('[') || isWrapper(begin)) yield* parsed(jsonItems(all))
    else if (begin.startsWith('{')) yield* parsed(jsonLines(all))
    else for await (const fields of csvRows(all)) yield { fields }
  } catch (error) {
    if (error instanceof SyntaxError) throw new Refusal(`${file}: ${error.message}.`)
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      throw new Refusal(`${file} is not UTF-8: is it still packed or encrypted?`)
    if (code) throw new Refusal(`${file} cannot be read: ${message}`)
    throw error
  }
}

/** As `firebase auth:export` begins; NDJSON has no list for its first value. */
const isWrapper = (begin: string) => /^\{\s*"users"\s*:\s*\[/.test(begin)

async function* textsOf(file: string, seen: (bytes: number) => void): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let bytes = 0
  for await (const chunk of createReadStream(file)) {
    bytes += chunk.length
    seen(bytes)
    const text = decoder.decode(chunk, { stream: true })
    if (text !== '') yield text
  }
  const rest = decoder.decode()
  if (rest !== '') yield rest
}

async function* again(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield first
  yield* rest
}

async function* parsed(items: AsyncIterable<string>): AsyncGenerator<Found> {
  for await (const text of items) yield parse(text)
}

function parse(text: string): Found {
  let fields: unknown
  try {
    fields = JSON.parse(text)
  } catch {
    return { text, why: 'is no JSON' }
  }
  if (typeof fields === 'object' && fields !== null && !Array.isArray(fields))
    return { fields: fields as Fields }
  return { text, why: 'is no object' }
}
