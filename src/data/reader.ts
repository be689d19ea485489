import type { Fault } from '../core/fault.ts'
import { dataFaults } from './faults.ts'
import type { JsonStep } from './query.ts'

// What a field name may hold without quotes (PostgREST's grammar: letters, digits, `_`, `$`, inner spaces and dashes).
const nameCharacter = /[\p{L}\p{N}_$ -]/u

// A path of more is no path that a person wrote.
const maxSteps = 32

/** Reads PostgREST's little grammars from left to right; every failure is a PGRST100 that says where. */
export class Reader {
  #at = 0
  readonly #text: string
  readonly #what: string

  constructor(text: string, what: string) {
    this.#text = text
    this.#what = what
  }

  peek(): string {
    return this.#text[this.#at] ?? ''
  }

  ahead(token: string): boolean {
    return this.#text.startsWith(token, this.#at)
  }

  take(token: string): boolean {
    if (!this.ahead(token)) return false
    this.#at += token.length
    return true
  }

  expect(token: string) {
    if (!this.take(token)) throw this.unexpected(`"${token}"`)
  }

  space() {
    while (this.peek() === ' ' || this.peek() === '\t') this.#at++
  }

  end() {
    if (this.#at < this.#text.length) throw this.unexpected('end of input')
  }

  /** A field name: bare, or in double quotes with backslash escapes. */
  name(): string {
    if (this.peek() === '"') return this.quoted()
    const from = this.#at
    while (this.#at < this.#text.length && nameCharacter.test(this.peek()) && !this.ahead('->'))
      this.#at++
    const name = this.#text.slice(from, this.#at).trim()
    if (name === '') throw this.unexpected('field name (* or [a..z0..9_$])')
    return name
  }

  /** The JSON steps after a name: `->key`, `->0`, `->-1`, `->>key`. */
  steps(): JsonStep[] {
    const steps: JsonStep[] = []
    while (this.take('->')) {
      const text = this.take('>')
      const index = /^-?\d+(?=$|->|::|[.,)])/.exec(this.#text.slice(this.#at, this.#at + 20))?.[0]
      if (index === undefined) steps.push({ key: this.name(), text })
      else {
        this.#at += index.length
        steps.push({ key: Number(index), text })
      }
      if (steps.length > maxSteps) throw this.unexpected(`at most ${maxSteps} JSON steps`)
    }
    return steps
  }

  /** A type after `::`: `double precision`. */
  typeName(): string {
    const from = this.#at
    while (/[\w $]/.test(this.peek())) this.#at++
    const name = this.#text.slice(from, this.#at).trim()
    if (name === '') throw this.unexpected('a type')
    return name.toLowerCase()
  }

  names(): string[] {
    const names: string[] = []
    do {
      this.space()
      names.push(this.name())
      this.space()
    } while (this.take(','))
    this.end()
    return names
  }

  word(): string {
    const from = this.#at
    while (/[a-z]/.test(this.peek())) this.#at++
    return this.#text.slice(from, this.#at)
  }

  quoted(): string {
    this.expect('"')
    let text = ''
    for (;;) {
      const char = this.peek()
      if (char === '') throw this.unexpected('"\\""')
      this.#at++
      if (char === '"') return text
      if (char === '\\') {
        text += this.peek()
        this.#at++
      } else text += char
    }
  }

  /** A quoted text that one of the stops follows; otherwise nothing is read. */
  quotedBefore(stops: string): string | undefined {
    const from = this.#at
    if (this.peek() === '"')
      try {
        const text = this.quoted()
        if (this.peek() !== '' && stops.includes(this.peek())) return text
      } catch {
        // Unclosed: not a quoted text after all.
      }
    this.#at = from
    return undefined
  }

  /** `{1,2}` or `[1,[2]]`, with the commas inside, if it is closed; otherwise nothing is read. */
  bracketed(): string | undefined {
    const from = this.#at
    let depth = 0
    let quoted = false
    for (let at = from; at < this.#text.length; at++) {
      const char = this.#text[at] as string
      if (char === '\\' && quoted) at++
      else if (char === '"') quoted = !quoted
      else if (!quoted && (char === '{' || char === '[')) depth++
      else if (!quoted && (char === '}' || char === ']')) depth--
      if (depth > 0) continue
      if (at === from || depth < 0 || quoted) return undefined
      this.#at = at + 1
      if (this.#at === this.#text.length || ',)'.includes(this.peek()))
        return this.#text.slice(from, this.#at)
      break
    }
    this.#at = from
    return undefined
  }

  /** Everything up to one of the stops, or the end. */
  until(stops: string): string {
    const from = this.#at
    while (this.#at < this.#text.length && !stops.includes(this.peek())) this.#at++
    return this.#text.slice(from, this.#at)
  }

  rest(): string {
    const rest = this.#text.slice(this.#at)
    this.#at = this.#text.length
    return rest
  }

  unexpected(expecting: string): Fault {
    const found = this.#at < this.#text.length ? `"${this.peek()}"` : 'end of input'
    return dataFaults.PGRST100({
      message: `"failed to parse ${this.#what} (${this.#text.slice(0, 200)})" (line 1, column ${this.#at + 1})`,
      details: `unexpected ${found} expecting ${expecting}`,
    })
  }
}
