import { coreFaults } from './fault.ts'

/** @default 1 MiB, enough for every body that is not a bulk of rows or a file. */
const defaultBodyLimit = 1024 * 1024

/**
 * Reads a request's body, counting the bytes that really arrive: `Content-Length` is a claim.
 *
 * @param limit In bytes.
 * @throws {Fault} `too_large` (413) past the limit.
 */
export async function readBytes(request: Request, limit = defaultBodyLimit): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length')) > limit) throw coreFaults.too_large()
  if (!request.body) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = request.body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.byteLength
    if (size > limit) {
      await reader.cancel()
      throw coreFaults.too_large()
    }
    chunks.push(value)
  }
  return joined(chunks)
}

/** Pieces, one after the other. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

/**
 * Reads a request's body as text.
 *
 * @throws {Fault} `bad_json` (400) if it is not UTF-8, and what `readBytes` throws.
 */
export const readText = async (request: Request, limit = defaultBodyLimit): Promise<string> =>
  textOf(await readBytes(request, limit))

/** @throws {Fault} `bad_json` (400) if it is not UTF-8. */
export function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
  } catch (cause) {
    throw coreFaults.bad_json({ message: 'Request body is not valid UTF-8', cause })
  }
}

/**
 * Reads a JSON body.
 *
 * @throws {Fault} `unsupported_content` (415) unless the content type is JSON or absent, `bad_json` (400), and what
 * `readText` throws.
 */
export async function readJson(request: Request, limit = defaultBodyLimit): Promise<unknown> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type && type !== 'application/json' && !/^application\/[\w.-]+\+json$/.test(type))
    throw coreFaults.unsupported_content()
  return parseJson(await readText(request, limit))
}

/** @throws {Fault} `bad_json` (400). */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw coreFaults.bad_json({ cause })
  }
}

/** Whether a text can be stored and come back the same: no NUL, no lone surrogate. */
export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed()
