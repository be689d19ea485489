import { base64, fromBase64 } from './encode.ts'
import type { Outgoing } from './message.ts'

/** A mail as JSON. */
export const toStored = (mail: Outgoing): string =>
  JSON.stringify({
    ...mail,
    attachments: mail.attachments.map((part) => ({ ...part, content: base64(part.content) })),
  })

export function fromStored(text: string): Outgoing {
  const stored = JSON.parse(text)
  return {
    ...stored,
    attachments: stored.attachments.map((part: { content: string }) => ({
      ...part,
      content: fromBase64(part.content),
    })),
  }
}

/** In UTF-16 units, which are three bytes at most: D1 takes 2 MB a value. */
export const longestPiece = 500_000

/** A long text in pieces that a column takes. */
export function pieces(text: string): [first: string, ...rest: string[]] {
  const rest: string[] = []
  for (let at = longestPiece; at < text.length; at += longestPiece)
    rest.push(text.slice(at, at + longestPiece))
  return [text.slice(0, longestPiece), ...rest]
}
