import { multipart, type Part } from './multipart.ts'
import type { Attached, OpenRevision } from './read.ts'
import { randomId } from './revision.ts'

const jsonPart = (text: string, more = ''): Part => ({
  headers: { 'Content-Type': `application/json${more}` },
  body: text,
})

/** A name within quotes of a header. */
const quoted = (name: string): string =>
  `"${name.replace(/["\\]/g, '\\$&').replace(/[\r\n]/g, ' ')}"`

const relatedParts = (text: string, attached: readonly Attached[]): Part[] => [
  jsonPart(text),
  ...attached.map(({ name, type, bytes }) => ({
    headers: {
      'Content-Disposition': `attachment; filename=${quoted(name)}`,
      'Content-Type': type,
      'Content-Length': String(bytes.length),
    },
    body: bytes,
  })),
]

const answer = (kind: string, parts: readonly Part[], boundary: string): Response =>
  new Response(multipart(parts, boundary) as BodyInit, {
    status: 200,
    headers: { 'content-type': `multipart/${kind}; boundary="${boundary}"` },
  })

/** A document with its attachments after it. */
export const relatedAnswer = (text: string, attached: readonly Attached[]): Response =>
  answer('related', relatedParts(text, attached), randomId())

/** Several revisions, those with attachments as parts that have parts. */
export function mixedAnswer(revisions: readonly OpenRevision[]): Response {
  const parts = revisions.map((one): Part => {
    if (one.text === null) return jsonPart(JSON.stringify({ missing: one.rev }), '; error="true"')
    if (one.attached.length === 0) return jsonPart(one.text)
    const inner = randomId()
    return {
      headers: { 'Content-Type': `multipart/related; boundary="${inner}"` },
      body: multipart(relatedParts(one.text, one.attached), inner),
    }
  })
  return answer('mixed', parts, randomId())
}
