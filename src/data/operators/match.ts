import { dataFaults } from '../faults.ts'
import type { SearchConfig } from '../search.ts'
import { maxWords, type TextQuery, telling } from './words.ts'

/*
 * A query as an FTS5 expression: https://www.sqlite.org/fts5.html#full_text_query_syntax. FTS5's NOT takes two sides, so one that
 * is of everything but something is said of the rows that do not match: whatever is negated, and however it is joined,
 * one expression with a sign says it.
 */

/** The rows that match, or those that do not. */
export interface Match {
  readonly text: string
  readonly negated: boolean
}

/**
 * @returns Nothing if it asks nothing, as of stop words alone.
 * @throws {Fault} 54000 for too many words; PGRST127 for a phrase of what is none.
 */
export function matchOf(query: TextQuery, config: SearchConfig): Match | undefined {
  let words = 0
  const written = (query: TextQuery): Match | undefined => {
    switch (query.kind) {
      case 'not': {
        const part = written(query.part)
        return part && { ...part, negated: !part.negated }
      }
      case 'and':
      case 'or':
        return joined(
          query.kind,
          query.parts.flatMap((part) => written(part) ?? []),
        )
      case 'followed':
        return joined(
          'or',
          phrasesOf(query).flatMap((phrase) => written({ kind: 'phrase', ...phrase }) ?? []),
        )
    }
    const text = phraseText(query, config)
    if (text === undefined) return undefined
    words += telling(query.words, config).length
    if (words > maxWords)
      throw dataFaults['54000']({ message: `the search is of more than ${maxWords} words` })
    return { text, negated: false }
  }
  return written(query)
}

/** A phrase for FTS5; nothing if only stop words are in it. */
function phraseText({ words, prefix }: Phrase, config: SearchConfig): string | undefined {
  const told = telling(words, config)
  if (told.length === 0) return undefined
  return `"${told.join(' ')}"${prefix && told.at(-1) === words.at(-1) ? ' *' : ''}`
}

/**
 * The words and phrases of a query that a row may have, each as an FTS5 expression; those that must not be there are left
 * out.
 *
 * @param negated Whether the whole of it is.
 */
export function wanted(query: TextQuery, config: SearchConfig, negated: boolean): string[] {
  if (query.kind === 'not') return wanted(query.part, config, !negated)
  if (query.kind === 'and' || query.kind === 'or')
    return query.parts.flatMap((part) => wanted(part, config, negated))
  return negated ? [] : phrasesOf(query).flatMap((phrase) => phraseText(phrase, config) ?? [])
}

function joined(kind: 'and' | 'or', all: readonly Match[]): Match | undefined {
  const [first, ...more] = all
  if (!first || more.length === 0) return first
  const texts = (negated: boolean) =>
    all.filter((match) => match.negated === negated).map(({ text }) => text)
  const [is, not] = [texts(false), texts(true)]
  // As De Morgan has it: no a and no b is none of (a or b), and so on.
  if (kind === 'and')
    return is.length === 0
      ? { text: list(not, 'OR'), negated: true }
      : { text: without(list(is, 'AND'), list(not, 'OR')), negated: false }
  return not.length === 0
    ? { text: list(is, 'OR'), negated: false }
    : { text: without(list(not, 'AND'), list(is, 'OR')), negated: true }
}

const list = (texts: readonly string[], operator: 'AND' | 'OR'): string =>
  texts.length > 1 ? `(${texts.join(` ${operator} `)})` : (texts[0] ?? '')

const without = (text: string, other: string): string =>
  other === '' ? text : `(${text} NOT ${other})`

type Phrase = Pick<Extract<TextQuery, { kind: 'phrase' }>, 'words' | 'prefix'>

/** `a <-> (b | c)` is `a b` or `a c`. */
function phrasesOf(query: TextQuery): readonly Phrase[] {
  if (query.kind === 'phrase') return [query]
  if (query.kind === 'or') return query.parts.flatMap(phrasesOf)
  if (query.kind !== 'followed') throw notPhrase('& or !')
  const [before, after] = query.parts.map(phrasesOf) as [readonly Phrase[], readonly Phrase[]]
  if (before.length * after.length > maxWords)
    throw dataFaults['54000']({ message: 'the search is of too many phrases' })
  return before.flatMap((one) =>
    after.map((other) => {
      if (one.prefix && other.words.length > 0) throw notPhrase(':* before its end')
      const words = [...one.words, ...other.words]
      return { words, prefix: other.words.length > 0 ? other.prefix : one.prefix }
    }),
  )
}

const notPhrase = (what: string) =>
  dataFaults.PGRST127({ details: `Of a tsquery, <-> with ${what} is not implemented.` })
