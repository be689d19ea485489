import { dataFaults } from '../faults.ts'
import { type Fragment, sql } from '../sql.ts'
import { storable } from '../wire.ts'
import {
  type Branch,
  type Char,
  type Item,
  parseRegex,
  type Range,
  unsupported,
} from './regex-parse.ts'

const maxPatternBytes = 50

/**
 * `match` and `imatch`: the expression's alternatives, each as GLOB.
 *
 * @throws {Fault} 2201B for no expression, PGRST127 for one that cannot be matched here, 54000 for one past D1's limit.
 */
export function regexSql(value: Fragment, text: string, ignoreCase: boolean): Fragment {
  const branches = parseRegex(storable(text))
  const subject = ignoreCase ? sql`lower(${value})` : value
  // SQLite folds ASCII alone; Postgres folds the others too, so they may not be asked.
  if (ignoreCase && /[^\p{ASCII}]/u.test(text) && text.toLowerCase() !== text.toUpperCase())
    for (const char of text)
      if (char > '\x7f' && char.toLowerCase() !== char.toUpperCase())
        throw unsupported('A letter beyond ASCII, whatever its case,')
  const conditions = branches.map((branch) => branchSql(subject, branch, ignoreCase))
  return sql`(${sql.join(conditions, ' or ')})`
}

function branchSql(value: Fragment, branch: Branch, fold: boolean): Fragment {
  const { start, end, items } = branch
  const run = start && end && items.length === 1 ? items[0] : undefined
  if (run?.many && !run.char.any) return onlySql(value, run, fold)
  const glob = [
    start ? '' : '*',
    ...items.map((item, i) => globOf(item, i, branch, fold)),
    end ? '' : '*',
  ]
  // Two stars ask no more than one, and cost.
  const pattern = glob.filter((part, i) => part !== '*' || glob[i - 1] !== '*').join('')
  if (new TextEncoder().encode(pattern).byteLength > maxPatternBytes)
    throw dataFaults['54000']({
      message: `pattern too long: D1 takes ${maxPatternBytes} bytes`,
    })
  return sql`${value} glob ${pattern}`
}

/** `^[a-z]+$`: long enough, and nothing else in it. */
function onlySql(value: Fragment, { char, min }: Item, fold: boolean): Fragment {
  const { not, set } = char as Extract<Char, { any: false }>
  const other = `*${bracket({ any: false, not: !not, set }, fold)}*`
  const long = min > 0 ? sql`length(${value}) >= ${sql.raw(String(min))} and ` : sql.empty
  return sql`(${long}${value} not glob ${other})`
}

function globOf(
  { char, min, many }: Item,
  index: number,
  { start, end, items }: Branch,
  fold: boolean,
): string {
  const one = char.any ? '?' : bracket(char, fold)
  const fixed = one.repeat(min)
  if (!many) return fixed
  if (char.any) return `${fixed}*`
  // At an open end, more of them change nothing: `^ab*` is `^a`.
  if ((index === 0 && !start) || (index === items.length - 1 && !end)) return fixed
  throw unsupported('A repeated class in the middle')
}

/** A set in GLOB: `]` stands first in it, `^` does not, `-` last. */
function bracket({ not, set }: Extract<Char, { any: false }>, fold: boolean): string {
  const ranges = fold ? set.flatMap(folded) : set
  const [first] = ranges
  if (!not && ranges.length === 1 && first?.[0] === first?.[1]) {
    const char = first?.[0] as string
    return /[*?[]/.test(char) ? `[${char}]` : char
  }
  const has = (char: string) => ranges.some(([from, to]) => from === char && to === char)
  const rest = ranges.filter(([from, to]) => from !== to || !'-]^'.includes(from))
  if (rest.some(([from, to]) => from !== to && /[\]^-]/.test(from + to)))
    throw unsupported('A range from or to ], ^ or -')
  const middle = rest.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join('')
  const head = has(']') ? ']' : ''
  const tail = `${has('^') ? '^' : ''}${has('-') ? '-' : ''}`
  // Alone, `^` would negate.
  if (!not && head === '' && middle === '' && tail.startsWith('^'))
    return tail === '^' ? '^' : '[-^]'
  return `[${not ? '^' : ''}${head}${middle}${tail}]`
}

/** What `lower()` makes of a range. */
function folded([from, to]: Range): Range[] {
  const upper: Range = [from < 'A' ? 'A' : from, to > 'Z' ? 'Z' : to]
  const kept: Range[] = []
  if (from < 'A') kept.push([from, to < 'A' ? to : '@'])
  if (upper[0] <= upper[1]) kept.push([upper[0].toLowerCase(), upper[1].toLowerCase()])
  if (to > 'Z') kept.push([from > 'Z' ? from : '[', to])
  return kept
}
