import { dataFaults } from './faults.ts'
import { type Fragment, sql } from './sql.ts'
import { storable } from './wire.ts'

/*
 * LIKE as Postgres has it, on SQLite: there LIKE ignores the case of ASCII letters and GLOB heeds it, so `like` becomes
 * GLOB and `ilike` becomes LIKE. D1 refuses patterns over 50 bytes, so what is a plain start, end or middle is asked
 * by `substr` and `instr`, which have no such limit.
 */

type Part = '%' | '_' | { text: string }

const maxPatternBytes = 50

/** Splits a pattern; `*` is PostgREST's other way to write `%`, a backslash takes the next character as it is. */
function partsOf(pattern: string): Part[] {
  storable(pattern)
  const parts: Part[] = []
  const add = (char: string) => {
    const last = parts.at(-1)
    if (typeof last === 'object') last.text += char
    else parts.push({ text: char })
  }
  const characters = [...pattern]
  for (let i = 0; i < characters.length; i++) {
    const char = characters[i] as string
    if (char === '\\') {
      const next = characters[++i]
      if (next === undefined) throw dataFaults['22025']()
      add(next)
    } else if (char === '%' || char === '*') {
      // `%%` asks no more than `%`, and costs.
      if (parts.at(-1) !== '%') parts.push('%')
    } else if (char === '_') parts.push('_')
    else add(char)
  }
  return parts
}

/** `like`: case counts. */
export function glob(value: Fragment, pattern: string): Fragment {
  const parts = partsOf(pattern)
  return (
    plain(value, parts, (text) => sql`${text}`) ??
    matching(
      value,
      'glob',
      parts.map((part) =>
        part === '%' ? '*' : part === '_' ? '?' : part.text.replace(/[*?[]/g, '[$&]'),
      ),
    )
  )
}

/** `ilike`: case does not count. SQLite folds ASCII by itself; the pattern's other letters are folded one by one. */
export function like(value: Fragment, pattern: string): Fragment {
  const parts = partsOf(pattern).map((part) =>
    typeof part === 'object' ? { text: [...part.text].map(fold).join('') } : part,
  )
  let folded = sql`lower(${value})`
  for (const letter of lettersToFold(parts))
    folded = sql`replace(${folded}, ${letter.toUpperCase()}, ${letter})`
  return (
    plain(folded, parts, (text) => sql`${text}`) ??
    matching(
      folded,
      'like',
      parts.map((part) => (typeof part === 'object' ? part.text.replace(/[\\%_]/g, '\\$&') : part)),
    )
  )
}

/** A letter's lower case, where that is one letter: `İ` has none. */
function fold(char: string): string {
  const lower = char.toLowerCase()
  return [...lower].length === 1 ? lower : char
}

// Each is a level of the expression, which may have 100.
const maxFolds = 16

/** The letters beyond ASCII that have an upper case to be folded from. */
function lettersToFold(parts: readonly Part[]): string[] {
  const text = parts.map((part) => (typeof part === 'object' ? part.text : '')).join('')
  const letters = [...new Set(text)].filter((char) => {
    const upper = char.toUpperCase()
    return char > '\x7f' && upper !== char && [...upper].length === 1 && fold(upper) === char
  })
  if (letters.length > maxFolds)
    throw dataFaults['54000']({
      message: `pattern too complex: ${letters.length} different letters beyond ASCII`,
      details: `ilike takes ${maxFolds}.`,
    })
  return letters
}

/** What needs no pattern: `text`, `text%`, `%text`, `%text%`. */
function plain(
  value: Fragment,
  parts: readonly Part[],
  bind: (text: string) => Fragment,
): Fragment | undefined {
  if (parts.length === 0) return sql`${value} = ''`
  const texts = parts.filter((part) => typeof part === 'object')
  const [text] = texts
  if (texts.length !== 1 || !text || parts.includes('_')) return undefined
  const length = sql.raw(String([...text.text].length))
  const [starts, ends] = [parts[0] === text, parts.at(-1) === text]
  if (starts && ends) return sql`${value} = ${bind(text.text)}`
  if (starts) return sql`substr(${value}, 1, ${length}) = ${bind(text.text)}`
  if (ends) return sql`substr(${value}, -${length}) = ${bind(text.text)}`
  return sql`instr(${value}, ${bind(text.text)}) > 0`
}

function matching(value: Fragment, operator: 'glob' | 'like', parts: readonly string[]): Fragment {
  const pattern = parts.join('')
  const bytes = new TextEncoder().encode(pattern).byteLength
  if (bytes > maxPatternBytes)
    throw dataFaults['54000']({
      message: `pattern too long: ${bytes} bytes, of which D1 takes ${maxPatternBytes}`,
      hint: 'A plain start, end or middle (text%, %text, %text%) may be of any length.',
    })
  return operator === 'glob'
    ? sql`${value} glob ${pattern}`
    : sql`${value} like ${pattern} escape '\\'`
}
