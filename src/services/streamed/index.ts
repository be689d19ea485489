import { coreFaults } from '../../core/fault.ts'
import type { Streamed } from '../definition.ts'

/**
 * A body that is bytes, streamed through as they come:
 * `allow: [{ method: 'POST', path: '/v1/audio', body: streamed('audio/mpeg', 'audio/wav') }]`.
 *
 * @param types The content types that it may have, in lower case, each in full.
 * @throws {TypeError} without any, or if one is none.
 */
export function streamed(...types: [string, ...string[]]): Streamed {
  if (types.length === 0 || types.some((type) => !/^[a-z\d_.+-]+\/[a-z\d_.+-]+$/.test(type)))
    throw new TypeError("streamed: name the content types that pass, such as 'audio/mpeg'")
  return Object.freeze<Streamed>({
    open(request, limit) {
      const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
      if (!types.includes(type)) throw coreFaults.unsupported_content()
      const said = request.headers.get('content-length') ?? ''
      const size = /^\d{1,15}$/.test(said) ? Number(said) : null
      if (size !== null && size > limit) throw coreFaults.too_large()
      const over = new AbortController()
      const body = request.body as ReadableStream<Uint8Array> | null
      return {
        size,
        body: body && bounded(body, limit, () => over.abort()),
        over: over.signal,
      }
    },
  })
}

/**
 * A request's body that is streamed on, up to its limit, whatever `Content-Length` says.
 *
 * @param over Called past the limit. workerd ends a request whose body fails as if that had been all of it: only who
 * aborts the request itself keeps the service from taking a part for the whole.
 */
function bounded(
  body: ReadableStream<Uint8Array>,
  limit: number,
  over: () => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  let size = 0
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read()
        if (done) return controller.close()
        size += value.byteLength
        if (size <= limit) return controller.enqueue(value)
        over()
        reader.cancel().catch(() => {})
        controller.error(coreFaults.too_large())
      },
      cancel: (reason) => reader.cancel(reason),
    },
    // Nothing is read before the call has been counted.
    { highWaterMark: 0 },
  )
}
