import { type SQL, sql } from 'drizzle-orm'
import { dataFaults } from './faults.ts'
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
      if (next === undefined)
        throw dataFaults['22P02']({ message: 'LIKE pattern must not end with escape character' })
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
export function glob(value: SQL, pattern: string): SQL {
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

/** `ilike`: case does not count. SQLite folds ASCII by itself; other letters are asked for in both cases. */
export function like(value: SQL, pattern: string): SQL {
  const parts = partsOf(pattern)
  const literal = parts.map((part) => (typeof part === 'object' ? part.text : '')).join('')
  if (hasFoldable(literal))
    return matching(
      value,
      'glob',
      parts.map((part) =>
        part === '%' ? '*' : part === '_' ? '?' : [...part.text].map(bothCases).join(''),
      ),
    )
  return (
    plain(
      sql`lower(${value})`,
      parts,
      (text) => sql`${text.replace(/[A-Z]/g, (c) => c.toLowerCase())}`,
    ) ??
    matching(
      value,
      'like',
      parts.map((part) => (typeof part === 'object' ? part.text.replace(/[\\%_]/g, '\\$&') : part)),
    )
  )
}

// Beyond ASCII, and of two cases.
const hasFoldable = (text: string) =>
  [...text].some((char) => char > '\x7f' && char.toLowerCase() !== char.toUpperCase())

const bothCases = (char: string): string => {
  const cases = [...new Set([char, char.toLowerCase(), char.toUpperCase()])].filter(
    (c) => [...c].length === 1,
  )
  if (cases.length > 1) return `[${cases.join('')}]`
  return /[*?[]/.test(char) ? `[${char}]` : char
}

/** What needs no pattern: `text`, `text%`, `%text`, `%text%`. */
function plain(value: SQL, parts: readonly Part[], bind: (text: string) => SQL): SQL | undefined {
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

function matching(value: SQL, operator: 'glob' | 'like', parts: readonly string[]): SQL {
  const pattern = parts.join('')
  const bytes = new TextEncoder().encode(pattern).byteLength
  if (bytes > maxPatternBytes)
    throw dataFaults['54000']({
      status: 400,
      message: `pattern too long: ${bytes} bytes, of which D1 takes ${maxPatternBytes}`,
      hint: 'A plain start, end or middle (text%, %text, %text%) may be of any length.',
    })
  return operator === 'glob'
    ? sql`${value} glob ${pattern}`
    : sql`${value} like ${pattern} escape '\\'`
}
