import { dataFaults } from '../faults.ts'
import { maxWords, phrase, type TextQuery, wordsOf } from './words.ts'

// As deep as filters may nest: SQLite, FTS5 and this parser have their ends.
const maxDepth = 8

/**
 * `to_tsquery`: words with `&`, `|`, `!`, `<->` and parentheses; `'several words'` are a phrase, `:*` takes the beginning of a
 * word.
 *
 * @throws {Fault} 42601 for what is no such query; PGRST127 for weights and distances, which the index has not; 54000 if it
 * nests too deep.
 */
export function tsquery(text: string): TextQuery {
  const parser = new Parser(text)
  // Nothing at all is nothing asked.
  if (text.trim() === '') return phrase([])
  const query = parser.either(0)
  parser.end()
  return query
}

/** `'several words'`, or one without quotes. */
const operand = /'((?:[^'\\]|''|\\.)*)'|((?:[^\s!&|()<:'\\]|\\.)(?:[^\s!&|()<:\\]|\\.)*)/sy

class Parser {
  readonly #text: string
  #at = 0
  #operands = 0

  constructor(text: string) {
    this.#text = text
  }

  either(depth: number): TextQuery {
    if (depth > maxDepth)
      throw dataFaults['54000']({ message: `tsquery too deep: it may nest ${maxDepth} levels` })
    const parts = [this.#all(depth)]
    while (this.#take('|')) parts.push(this.#all(depth))
    return parts.length === 1 ? (parts[0] as TextQuery) : { kind: 'or', parts }
  }

  #all(depth: number): TextQuery {
    const parts = [this.#followed(depth)]
    while (this.#take('&')) parts.push(this.#followed(depth))
    return parts.length === 1 ? (parts[0] as TextQuery) : { kind: 'and', parts }
  }

  #followed(depth: number): TextQuery {
    let query = this.#one(depth)
    for (;;) {
      const [operator, distance] = this.#match(/<(-|\d+)>/y) ?? []
      if (operator === undefined) return query
      if (distance !== '-' && Number(distance) !== 1) throw unsupported(`the distance ${operator}`)
      query = { kind: 'followed', parts: [query, this.#one(depth)] }
    }
  }

  #one(depth: number): TextQuery {
    let negated = false
    while (this.#take('!')) negated = !negated
    const part = this.#take('(') ? this.#group(depth) : this.#operand()
    return negated ? { kind: 'not', part } : part
  }

  #group(depth: number): TextQuery {
    const query = this.either(depth + 1)
    if (!this.#take(')')) throw this.#wrong()
    return query
  }

  #operand(): TextQuery {
    if (++this.#operands > maxWords)
      throw dataFaults['54000']({ message: `the search is of more than ${maxWords} words` })
    const [found, quoted, bare = ''] = this.#match(operand) ?? []
    if (found === undefined) throw this.#at === this.#text.length ? this.#missing() : this.#wrong()
    const text = (quoted?.replaceAll("''", "'") ?? bare).replaceAll(/\\(.)/gs, '$1')
    const modifiers = this.#match(/:([a-d*]*)/iy)?.[1] ?? ''
    if (/[a-d]/i.test(modifiers)) throw unsupported('a weight')
    return phrase(wordsOf(text), modifiers !== '')
  }

  end() {
    if (this.#match(/$/y) === undefined) throw this.#wrong()
  }

  #take(sign: string): boolean {
    this.#match(/\s*/y)
    if (!this.#text.startsWith(sign, this.#at)) return false
    this.#at += sign.length
    return true
  }

  /** Reads what matches here, after any space. */
  #match(pattern: RegExp): RegExpExecArray | undefined {
    const space = /\s*/y
    space.lastIndex = this.#at
    space.exec(this.#text)
    pattern.lastIndex = space.lastIndex
    const found = pattern.exec(this.#text) ?? undefined
    if (found) this.#at = pattern.lastIndex
    return found
  }

  #wrong = () => dataFaults['42601']({ message: `syntax error in tsquery: "${this.#shown()}"` })
  #missing = () => dataFaults['42601']({ message: `no operand in tsquery: "${this.#shown()}"` })
  #shown = () => this.#text.slice(0, 200)
}

const unsupported = (what: string) =>
  dataFaults.PGRST127({ details: `Of a tsquery, ${what} is not implemented.` })
