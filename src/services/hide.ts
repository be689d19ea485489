import { joined } from '../core/body.ts'

/**
 * Takes secrets out of bytes that come in pieces: a service that says which key it was called with must not say it to
 * the client. A piece's end that may be a secret's beginning waits for the next piece.
 *
 * @param secrets Those under 8 bytes are left alone; nothing real is so short.
 */
export function hider(secrets: readonly string[]) {
  const hidden = secrets
    .map((secret) => new TextEncoder().encode(secret))
    .filter(({ length }) => length >= 8)
    .sort((a, b) => b.length - a.length)
  // Most bytes begin no secret, and an answer may have millions.
  const begins = new Uint8Array(256)
  for (const [first = 0] of hidden) begins[first] = 1
  let held: Uint8Array<ArrayBuffer> = new Uint8Array()

  const matches = (bytes: Uint8Array, at: number, secret: Uint8Array) => {
    const length = Math.min(secret.length, bytes.length - at)
    for (let i = 0; i < length; i++) if (bytes[at + i] !== secret[i]) return false
    return true
  }

  return {
    push(piece: Uint8Array): Uint8Array<ArrayBuffer> {
      const bytes = joined([held, piece])
      held = new Uint8Array()
      const out: Uint8Array[] = []
      let from = 0
      for (let at = 0; at < bytes.length; at++) {
        if (!begins[bytes[at] as number]) continue
        const secret = hidden.find((one) => matches(bytes, at, one))
        if (!secret) continue
        out.push(bytes.subarray(from, at))
        from = at
        if (at + secret.length > bytes.length) {
          held = bytes.slice(at)
          from = bytes.length
          break
        }
        out.push(mask)
        from = at + secret.length
        at = from - 1
      }
      out.push(bytes.subarray(from))
      return joined(out)
    },
    end: (): Uint8Array<ArrayBuffer> => held,
  }
}

const hiddenAs = '[hidden]'
const mask = new TextEncoder().encode(hiddenAs)

/** The same in a text: a header, or what is logged. */
export const hideIn = (text: string, secrets: readonly string[]): string =>
  secrets
    .filter(({ length }) => length >= 8)
    .reduce((clean, secret) => clean.replaceAll(secret, hiddenAs), text)
