import type { SearchConfig } from '../search.ts'

/*
 * What is asked of a text's words: https://www.postgresql.org/docs/17/textsearch-controls.html#TEXTSEARCH-PARSING-QUERIES,
 * as a tree that `match.ts` writes for FTS5.
 */

export type TextQuery =
  /** Words one after the other; of the last one perhaps only the beginning. None of them asks nothing. */
  | { readonly kind: 'phrase'; readonly words: readonly string[]; readonly prefix: boolean }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly TextQuery[] }
  | { readonly kind: 'not'; readonly part: TextQuery }
  /** `a <-> b`, where a part may be more than a phrase. */
  | { readonly kind: 'followed'; readonly parts: readonly [TextQuery, TextQuery] }

/** A word costs a look into the index. */
export const maxWords = 100

/**
 * The words of a text, as FTS5's `unicode61` sees them: letters and digits of any script, with the marks on them. So a word
 * holds nothing that could mean something to MATCH.
 */
export const wordsOf = (text: string): string[] =>
  text.match(/[\p{L}\p{N}\p{Co}][\p{L}\p{N}\p{Co}\p{M}]*/gu) ?? []

export const phrase = (words: readonly string[], prefix = false): TextQuery => ({
  kind: 'phrase',
  words,
  prefix,
})

/** `plainto_tsquery`: every word, anywhere. */
export const plain = (text: string): TextQuery => ({
  kind: 'and',
  parts: wordsOf(text).map((word) => phrase([word])),
})

/**
 * `websearch_to_tsquery`: words that must all be there, `"a phrase"`, `or`, and `-` before what must not. Never an error.
 */
export function web(text: string): TextQuery {
  const either: TextQuery[][] = [[]]
  let negated = false
  let wanted = true
  const pieces = [...text.matchAll(/"([^"]*)"?|-|[^\s"!&|()]+/g)]
  for (const [i, [piece, quoted]] of pieces.entries()) {
    if (quoted === undefined && !wanted && piece.toLowerCase() === 'or' && i < pieces.length - 1) {
      either.push([])
      wanted = true
      continue
    }
    if (piece === '-') {
      negated = !negated
      wanted = true
      continue
    }
    const operand = phrase(wordsOf(quoted ?? piece))
    either.at(-1)?.push(negated ? { kind: 'not', part: operand } : operand)
    negated = false
    wanted = false
  }
  return { kind: 'or', parts: either.map((parts) => ({ kind: 'and', parts })) }
}

/** Words that Postgres's `english` leaves out of texts and queries, as they stand in nearly every text. */
const stopWords = new Set(
  (
    'i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its ' +
    'itself they them their theirs themselves what which who whom this that these those am is are was were be been being have ' +
    'has had having do does did doing a an the and but if or because as until while of at by for with about against between ' +
    'into through during before after above below to from up down in out on off over under again further then once here there ' +
    'when where why how all any both each few more most other some such no nor not only own same so than too very s t can will ' +
    'just don should now'
  ).split(' '),
)

/** Without the stop words at its ends: within a phrase, the index has them. */
export function telling(words: readonly string[], config: SearchConfig): readonly string[] {
  if (config === 'simple') return words
  const tells = (word: string) => !stopWords.has(word.toLowerCase())
  const from = words.findIndex(tells)
  return from < 0 ? [] : words.slice(from, words.findLastIndex(tells) + 1)
}
