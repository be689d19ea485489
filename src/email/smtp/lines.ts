import { inTime } from '../../core/time.ts'
import type { Socket } from './session.ts'

export interface Reply {
  readonly code: number
  readonly texts: readonly string[]
}

/** A conversation in lines. What it throws is no `Undelivered`: it cannot go on. */
export interface Lines {
  /** Whether something has come that was not asked for. */
  readonly buffered: boolean
  read(timeout: number): Promise<Reply>
  /** Writes a line and reads the answer. @param timeout In milliseconds. @default 20_000 */
  ask(line: string, timeout?: number): Promise<Reply>
  /** Gives the socket back, for TLS. */
  release(): void
}

/** In characters: no server has that much to say. */
const longest = 64 * 1024

/** Too long, too late, closed, or no SMTP: nobody is told which. */
const broken = () => new Error('broken')

export function lines({ readable, writable }: Socket): Lines {
  const reader = readable.getReader()
  const writer = writable.getWriter()
  const decoder = new TextDecoder()
  let buffer = ''

  const nextLine = async (): Promise<string> => {
    for (;;) {
      const end = buffer.indexOf('\n')
      if (end >= 0) {
        const line = buffer.slice(0, end).replace(/\r$/, '')
        buffer = buffer.slice(end + 1)
        return line
      }
      if (buffer.length > longest) throw broken()
      const { done, value } = await reader.read()
      if (done) throw broken()
      buffer += decoder.decode(value, { stream: true })
    }
  }

  const nextReply = async (): Promise<Reply> => {
    const texts: string[] = []
    for (let size = 0; ; ) {
      const line = await nextLine()
      const [, code, more, text = ''] = line.match(/^([2-5]\d\d)(?:([ -])(.*))?$/) ?? []
      if (code === undefined || (size += line.length) > longest) throw broken()
      texts.push(text)
      if (more !== '-') return { code: Number(code), texts }
    }
  }

  const read = (timeout: number) => inTime(nextReply(), timeout, broken)

  return {
    get buffered() {
      return buffer !== ''
    },
    read,
    async ask(line, timeout = 20_000) {
      // A line that a wrong address or setting can never break.
      if (/[\r\n]/.test(line) && !line.endsWith('\r\n.')) throw broken()
      await inTime(writer.write(new TextEncoder().encode(`${line}\r\n`)), timeout, broken)
      return read(timeout)
    },
    release() {
      reader.releaseLock()
      writer.releaseLock()
    },
  }
}
