import { decodeEntities, encodeEntities, type Kept, type Part, stand } from './markup.ts'

/** A sentence, the unit that is bought, and kept. */
export interface Sentence {
  /** Without white space around it, with `stand` for what is kept. */
  plain: string
  kept: readonly Kept[]
}

/** A text taken apart: what stays, and sentences. */
export type Piece = string | Sentence

/** The most of a sentence, in UTF-16 units; a longer one is cut at a space. */
const longest = 2000

const hasLetters = /\p{L}/u

export function sentencesOf(parts: readonly Part[], language: string): Piece[] {
  const segmenter = new Intl.Segmenter(language, { granularity: 'sentence' })
  return parts.flatMap((part): Piece[] => {
    if ('literal' in part) return [part.literal]
    let used = 0
    return [...segmenter.segment(part.plain)]
      .flatMap(({ segment }) => cut(segment))
      .flatMap((segment) => {
        const count = segment.split(stand).length - 1
        const kept = part.kept.slice(used, (used += count))
        return trimmed(segment, kept)
      })
  })
}

function cut(segment: string): string[] {
  const pieces: string[] = []
  let rest = segment
  while (rest.length > longest) {
    const space = rest.lastIndexOf(' ', longest)
    let end = space > longest / 2 ? space + 1 : longest
    // Not between the halves of a character.
    if (/[\uD800-\uDBFF]/.test(rest.charAt(end - 1))) end--
    pieces.push(rest.slice(0, end))
    rest = rest.slice(end)
  }
  return [...pieces, rest]
}

/** The white space around a sentence stays; so does what has no letter to translate. */
function trimmed(segment: string, kept: readonly Kept[]): Piece[] {
  const plain = segment.trim()
  if (!hasLetters.test(plain)) return [restore(segment, kept)]
  const start = segment.indexOf(plain)
  return [segment.slice(0, start), { plain, kept }, segment.slice(start + plain.length)]
}

/** Puts back what was kept, in order. */
function restore(plain: string, kept: readonly Kept[]): string {
  let at = 0
  return plain.replaceAll(stand, () => kept[at++]?.raw ?? '')
}

/** A sentence as HTML for a service that leaves tags alone: what is kept is an empty element with its number. */
export const marked = ({ plain }: Sentence): string => {
  let at = 0
  return encodeEntities(plain).replaceAll(stand, () => `<img id="${at++}">`)
}

/** What makes two sentences the same: their text, and where tags are; not what is kept in them. */
export const likeness = (sentence: Sentence): string =>
  `${sentence.kept.map(({ tag }) => (tag ? 't' : 'p')).join('')} ${marked(sentence)}`

const mark = /<img id="?(\d+)"? ?\/?>(?:<\/img>)?/g

/**
 * Reads what a service made of `marked`.
 *
 * @param out How its text is written where it goes.
 * @returns `null` unless everything that was kept is there once, and nothing else is, with the tags in their order.
 */
export function unmarked(
  html: string,
  { kept }: Sentence,
  out: (text: string) => string,
): string | null {
  const numbers = [...html.matchAll(mark)].map(([, number]) => Number(number))
  if (numbers.length !== kept.length || new Set(numbers).size !== kept.length) return null
  if (numbers.some((number) => number >= kept.length)) return null
  const tags = numbers.filter((number) => kept[number]?.tag)
  if (tags.some((number, i) => i > 0 && number < (tags[i - 1] ?? 0))) return null
  // Split by one group: every second piece is a number.
  const pieces = html.split(mark)
  if (pieces.some((piece, i) => i % 2 === 0 && /<\/?[a-z!]/i.test(piece))) return null
  return pieces
    .map((piece, i) => (i % 2 ? kept[Number(piece)]?.raw : out(decodeEntities(piece))))
    .join('')
}

/** A sentence between what is kept, for services that would not leave it alone. */
export const runsOf = ({ plain }: Sentence): string[] => plain.split(stand)

/** @returns The run in the white space that stood around it. */
export function inSpace(run: string, translated: string): string {
  const text = run.trim()
  const start = run.indexOf(text)
  return run.slice(0, start) + translated.trim() + run.slice(start + text.length)
}

export const needsTranslation = (text: string): boolean => hasLetters.test(text)

/** As services count: Unicode characters, without what is kept. */
export const charactersOf = (text: string): number => {
  let count = 0
  for (const character of text) if (character !== stand) count++
  return count
}
