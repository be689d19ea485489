import { joined } from '../core/body.ts'
import { inTime } from '../core/time.ts'
import { hider } from './hide.ts'

type Bytes = Uint8Array<ArrayBuffer>

const stopped = () => new Error('the answer stopped coming')

export interface PassOptions {
  /** In bytes; what is longer is broken off. */
  limit: number
  /** What is taken out. */
  hide: readonly string[]
  /** How many bytes are kept for the end; of more, none. */
  keep: number
  /** In milliseconds, between two pieces. */
  idle: number
  /** Called once: with the whole body, or `null` if it was longer, broken off, or not read to its end. */
  ended: (whole: Bytes | null) => void
}

/** An upstream's body on its way to the client: bounded, timed, without our secrets, and seen at its end. */
export function pass(
  body: ReadableStream<Uint8Array>,
  { limit, hide, keep, idle, ended }: PassOptions,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  const hidden = hider(hide)
  let kept: Bytes[] | null = []
  let size = 0
  const give = (piece: Bytes, controller: ReadableStreamDefaultController<Uint8Array>) => {
    if (piece.length === 0) return false
    kept?.push(piece)
    controller.enqueue(piece)
    return true
  }
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        for (;;) {
          const { done, value } = await inTime(reader.read(), idle, stopped)
          if (done) {
            give(hidden.end(), controller)
            controller.close()
            return ended(kept && joined(kept))
          }
          size += value.length
          if (size > limit) throw new Error(`the answer is longer than ${limit} bytes`)
          if (size > keep) kept = null
          if (give(hidden.push(value), controller)) return
        }
      } catch (error) {
        ended(null)
        reader.cancel(error).catch(() => {})
        controller.error(error)
      }
    },
    cancel(reason) {
      ended(null)
      return reader.cancel(reason)
    },
  })
}

/**
 * Reads a stream ahead, so that what must be known of a short answer is known whether or not the client reads it.
 *
 * @returns All of it, or a stream that begins with what was read.
 */
export async function ahead(
  stream: ReadableStream<Uint8Array>,
  bytes: number,
): Promise<Bytes | ReadableStream<Uint8Array>> {
  const reader = stream.getReader()
  const read: Uint8Array[] = []
  for (let size = 0; size <= bytes; ) {
    const { done, value } = await reader.read()
    if (done) return joined(read)
    read.push(value)
    size += value.length
  }
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const first = read.shift()
      if (first) return controller.enqueue(first)
      const { done, value } = await reader.read()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: (reason) => reader.cancel(reason),
  })
}
