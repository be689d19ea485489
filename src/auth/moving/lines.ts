import { coreFaults } from '../../core/fault.ts'

/** In bytes. A user has some 1 KB; metadata may have 8 KB each. */
export const longestLine = 65_536

/** A line of NDJSON; no text for one that is too long, or not UTF-8. */
export interface Line {
  readonly number: number
  readonly bytes: number
  readonly text: string | null
}

const newline = 10

/**
 * The lines of a stream. No more than one line of `longestLine` bytes is held: what is longer is passed over.
 *
 * @param first The number of the first line.
 * @throws {Fault} `bad_request` (400) if the stream breaks off.
 */
export async function* linesOf(
  body: ReadableStream<Uint8Array> | null,
  first: number,
): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const reader = body?.getReader()
  const held: Uint8Array[] = []
  let size = 0
  let number = first
  const keep = (part: Uint8Array) => {
    size += part.length
    if (size <= longestLine) held.push(part)
    else held.length = 0
  }
  const take = (): Line => {
    const line = { number: number++, bytes: size, text: size > longestLine ? null : join() }
    held.length = 0
    size = 0
    return line
  }
  const join = (): string | null => {
    const bytes = new Uint8Array(size)
    let at = 0
    for (const part of held) {
      bytes.set(part, at)
      at += part.length
    }
    try {
      return decoder.decode(bytes)
    } catch {
      return null
    }
  }
  try {
    while (reader) {
      const { done, value } = await read(reader)
      if (done) break
      let from = 0
      for (let end = value.indexOf(newline); end !== -1; end = value.indexOf(newline, from)) {
        keep(value.subarray(from, end))
        from = end + 1
        yield take()
      }
      // Copied, because it outlives the chunk's buffer.
      if (from < value.length) keep(value.slice(from))
    }
    if (size > 0) yield take()
  } finally {
    await reader?.cancel().catch(() => undefined)
  }
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>) {
  try {
    return await reader.read()
  } catch (cause) {
    throw coreFaults.bad_request({ message: 'The request broke off', cause })
  }
}
