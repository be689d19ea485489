import { Fragment } from './sql.ts'

/** A condition's parts: those that must all hold, or of which one must. */
export interface Clauses {
  readonly joined: 'and' | 'or'
  readonly clauses: readonly Fragment[]
}

/** Takes a condition apart at its outermost `and`, or else `or`. One without either is its own only clause. */
export function clausesOf(condition: Fragment): Clauses {
  const pieces = unwrapped(piecesOf(condition))
  for (const joined of ['and', 'or'] as const) {
    const clauses = splitAt(pieces, joined)
    if (clauses.length > 1) return { joined, clauses: clauses.map(fragmentOf) }
  }
  return { joined: 'and', clauses: [condition] }
}

type Part = Fragment['parts'][number]

/** A word, a sign, a quoted text, white space, or a value. */
type Piece = Part

const piecesOf = ({ parts }: Fragment): Piece[] =>
  parts.flatMap((part): readonly Piece[] =>
    typeof part === 'string'
      ? (part.match(/'(?:[^']|'')*'|"(?:[^"]|"")*"|\w+|\s+|./gs) ?? [])
      : [part],
  )

const fragmentOf = (pieces: readonly Piece[]): Fragment => new Fragment(pieces)

const isSpace = (piece: Piece | undefined) => typeof piece === 'string' && piece.trim() === ''

function trimmed(pieces: readonly Piece[]): readonly Piece[] {
  let [from, to] = [0, pieces.length]
  while (from < to && isSpace(pieces[from])) from++
  while (to > from && isSpace(pieces[to - 1])) to--
  return pieces.slice(from, to)
}

/** How deep in parentheses, or in a CASE, each piece stands. */
function depths(pieces: readonly Piece[]): number[] {
  let depth = 0
  return pieces.map((piece) => {
    const word = typeof piece === 'string' ? piece.toLowerCase() : ''
    if (word === ')' || word === 'end') depth--
    const here = depth
    if (word === '(' || word === 'case') depth++
    return here
  })
}

/** Without the parentheses around all of it. */
function unwrapped(all: readonly Piece[]): readonly Piece[] {
  const pieces = trimmed(all)
  if (pieces[0] !== '(' || pieces.at(-1) !== ')') return pieces
  const closes = depths(pieces).indexOf(0, 1)
  return closes === pieces.length - 1 ? unwrapped(pieces.slice(1, -1)) : pieces
}

function splitAt(pieces: readonly Piece[], joined: 'and' | 'or'): (readonly Piece[])[] {
  const at = depths(pieces)
  const clauses: (readonly Piece[])[] = []
  let from = 0
  let between = false
  for (const [i, piece] of pieces.entries()) {
    if (at[i] !== 0 || typeof piece !== 'string') continue
    const word = piece.toLowerCase()
    // The `and` of BETWEEN belongs to it.
    if (word === 'between') between = true
    else if (word === 'and' && between) between = false
    else if (word === joined) {
      clauses.push(trimmed(pieces.slice(from, i)))
      from = i + 1
    }
  }
  clauses.push(trimmed(pieces.slice(from)))
  return clauses
}
