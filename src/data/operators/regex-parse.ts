import { dataFaults } from '../faults.ts'

/*
 * The part of Postgres's regular expressions that has no backtracking in it, and so can become GLOB:
 * https://www.postgresql.org/docs/current/functions-matching.html#FUNCTIONS-POSIX-REGEXP. Nobody runs an expression here:
 * it is read, written out as its alternatives, and what cannot be written out is refused.
 */

/** From one character to another, both included. */
export type Range = readonly [from: string, to: string]

/** One character of the text: any, or one of a set (or, negated, none of it). */
export type Char =
  | { readonly any: true }
  | { readonly any: false; readonly not: boolean; readonly set: readonly Range[] }

/** A run of characters. `many` is any number of them, at least `min`. */
export interface Item {
  readonly char: Char
  readonly min: number
  readonly many: boolean
}

/** One way to match: from the start, to the end, or anywhere. */
export interface Branch {
  readonly start: boolean
  readonly end: boolean
  readonly items: readonly Item[]
}

const invalid = (why: string) =>
  dataFaults['2201B']({ message: `invalid regular expression: ${why}` })

export const unsupported = (what: string) =>
  dataFaults.PGRST127({
    details: `${what} cannot be matched here: there is no regular-expression engine in SQLite.`,
    hint: 'Literals, ., classes, anchors, alternatives and .* can; or use like.',
  })

// Alternatives multiply: `(a|b)(c|d)` is four.
const maxBranches = 32
const maxRepeat = 32
const maxLength = 500

/** @throws {Fault} 2201B for no expression, PGRST127 for one that cannot be matched here. */
export function parseRegex(pattern: string): Branch[] {
  if (pattern.length > maxLength) throw unsupported('An expression of that length')
  const parser = new Parser([...pattern])
  const branches = parser.alternatives(0)
  parser.end()
  return branches
}

class Parser {
  readonly #chars: readonly string[]
  #at = 0

  constructor(chars: readonly string[]) {
    this.#chars = chars
  }

  get #peek(): string | undefined {
    return this.#chars[this.#at]
  }

  #take(char: string): boolean {
    if (this.#peek !== char) return false
    this.#at++
    return true
  }

  end() {
    if (this.#at < this.#chars.length) throw invalid('parentheses () not balanced')
  }

  alternatives(depth: number): Branch[] {
    const branches: Branch[] = []
    do branches.push(...this.#sequence(depth))
    while (this.#take('|'))
    if (branches.length > maxBranches) throw unsupported('So many alternatives')
    return branches
  }

  #sequence(depth: number): Branch[] {
    let branches: Branch[] = [{ start: false, end: false, items: [] }]
    for (
      let char = this.#peek;
      char !== undefined && char !== '|' && char !== ')';
      char = this.#peek
    ) {
      const parts = this.#quantified(this.#atom(depth))
      branches = branches.flatMap((left) => parts.map((right) => joined(left, right)))
      if (branches.length > maxBranches) throw unsupported('So many alternatives')
    }
    return branches
  }

  #atom(depth: number): Branch[] {
    const char = this.#chars[this.#at++] as string
    switch (char) {
      case '^':
        return [{ start: true, end: false, items: [] }]
      case '$':
        return [{ start: false, end: true, items: [] }]
      case '.':
        return one({ any: true })
      case '[':
        return one(this.#bracket())
      case '(':
        return this.#group(depth)
      case '\\':
        return one(this.#escape())
      case '*':
      case '+':
      case '?':
        throw invalid('quantifier operand invalid')
      default:
        return one({ any: false, not: false, set: single(char) })
    }
  }

  #group(depth: number): Branch[] {
    if (depth > 8) throw unsupported('Such nesting')
    if (this.#take('?') && !this.#take(':')) throw unsupported('Looking ahead or behind')
    const branches = this.alternatives(depth + 1)
    if (!this.#take(')')) throw invalid('parentheses () not balanced')
    return branches
  }

  #escape(): Char {
    const char = this.#chars[this.#at++]
    if (char === undefined) throw invalid('invalid escape \\ sequence')
    const known = escapes.get(char.toLowerCase())
    if (known) return { any: false, not: char !== char.toLowerCase(), set: known }
    const control = { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v' }[char]
    if (control) return { any: false, not: false, set: single(control) }
    if (/[a-z0-9]/i.test(char)) throw unsupported(`\\${char}`)
    return { any: false, not: false, set: single(char) }
  }

  #bracket(): Char {
    const not = this.#take('^')
    const set: Range[] = []
    for (let first = true; first || this.#peek !== ']'; first = false) {
      const member = this.#member()
      const [from] = member[0] as Range
      const isRange = this.#peek === '-' && this.#chars[this.#at + 1] !== ']'
      if (!isRange) {
        set.push(...member)
        continue
      }
      this.#at++
      const [to] = this.#member()
      if (!isSingle(member) || !to || to[0] !== to[1] || to[0] < from)
        throw invalid('invalid character range')
      set.push([from, to[0]])
    }
    this.#at++
    return { any: false, not, set }
  }

  /** A character in brackets, or a class of them. */
  #member(): readonly Range[] {
    const char = this.#chars[this.#at++]
    if (char === undefined) throw invalid('brackets [] not balanced')
    if (char === '[' && (this.#peek === '.' || this.#peek === '='))
      throw unsupported('Collating elements')
    if (char === '[' && this.#take(':')) {
      let name = ''
      while (this.#peek !== undefined && this.#peek !== ':') name += this.#chars[this.#at++]
      if (!this.#take(':') || !this.#take(']')) throw invalid('invalid character class')
      const known = classes.get(name)
      if (!known) throw invalid('invalid character class')
      return known
    }
    if (char !== '\\') return single(char)
    const { set, not } = this.#escape() as Extract<Char, { any: false }>
    if (not) throw unsupported('A negated class in brackets')
    return set
  }

  #quantified(atom: Branch[]): Branch[] {
    const [min, max] = this.#bounds()
    if (this.#peek === '?' && (min !== 1 || max !== 1)) {
      // Lazy or greedy, whether it matches is the same.
      this.#at++
    }
    if (['*', '+', '?'].includes(this.#peek ?? '') && (min !== 1 || max !== 1))
      throw invalid('quantifier operand invalid')
    if (min === 1 && max === 1) return atom
    if (atom.some(({ start, end }) => start || end)) throw invalid('quantifier operand invalid')
    if (max === Number.POSITIVE_INFINITY) return unbounded(atom, min)
    const ways: Branch[] = []
    for (let count = min; count <= max; count++) ways.push(...repeated(atom, count))
    if (ways.length > maxBranches) throw unsupported('So many alternatives')
    return ways
  }

  #bounds(): [number, number] {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY]
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY]
    if (this.#take('?')) return [0, 1]
    if (this.#peek !== '{' || !/\d/.test(this.#chars[this.#at + 1] ?? '')) return [1, 1]
    const text = this.#chars.slice(this.#at).join('')
    const match = /^\{(\d{1,3})(,(\d{0,3}))?\}/.exec(text)
    if (!match) throw invalid('invalid repetition count(s)')
    this.#at += match[0].length
    const min = Number(match[1])
    const max =
      match[2] === undefined ? min : match[3] ? Number(match[3]) : Number.POSITIVE_INFINITY
    if (max < min || min > 255) throw invalid('invalid repetition count(s)')
    if (min > maxRepeat || (max > maxRepeat && Number.isFinite(max)))
      throw unsupported('Such a repetition')
    return [min, max]
  }
}

const single = (char: string): Range[] => [[char, char]]

const isSingle = (set: readonly Range[]): boolean => set.length === 1 && set[0]?.[0] === set[0]?.[1]

const digit: Range = ['0', '9']
const lower: Range = ['a', 'z']
const upper: Range = ['A', 'Z']
const word: readonly Range[] = [lower, upper, digit, ['_', '_']]
const space: readonly Range[] = [
  [' ', ' '],
  ['\t', '\r'],
]

const escapes = new Map<string, readonly Range[]>([
  ['d', [digit]],
  ['w', word],
  ['s', space],
])

const classes = new Map<string, readonly Range[]>([
  ['alpha', [lower, upper]],
  ['digit', [digit]],
  ['alnum', [lower, upper, digit]],
  ['upper', [upper]],
  ['lower', [lower]],
  ['space', space],
  [
    'blank',
    [
      [' ', ' '],
      ['\t', '\t'],
    ],
  ],
  ['xdigit', [digit, ['A', 'F'], ['a', 'f']]],
  ['word', word],
])

const one = (char: Char): Branch[] => [
  { start: false, end: false, items: [{ char, min: 1, many: false }] },
]

function joined(left: Branch, right: Branch): Branch {
  if (left.end && (right.items.length > 0 || right.start)) throw unsupported('$ before the end')
  if (right.start && left.items.length > 0) throw unsupported('^ after the start')
  return {
    start: left.start || right.start,
    end: left.end || right.end,
    items: [...left.items, ...right.items],
  }
}

function repeated(atom: Branch[], count: number): Branch[] {
  let ways: Branch[] = [{ start: false, end: false, items: [] }]
  for (let i = 0; i < count; i++) {
    ways = ways.flatMap((left) => atom.map((right) => joined(left, right)))
    if (ways.length > maxBranches) throw unsupported('So many alternatives')
  }
  return ways
}

function unbounded(atom: Branch[], min: number): Branch[] {
  const [branch] = atom
  const [item] = branch?.items ?? []
  if (atom.length !== 1 || !branch || !item || branch.items.length !== 1 || item.many)
    throw unsupported('A repeated group')
  return [{ start: false, end: false, items: [{ char: item.char, min, many: true }] }]
}
