import { booleanType } from './wire.ts'

/*
 * Arguments of a query string or a form are texts; what a function's schema takes may be a number or a list. Postgres knows
 * the types of its arguments, a Standard Schema does not tell: so each text is read in several ways, and the schema says
 * which of them it takes.
 */

/**
 * What an argument can mean, the plainest first: the text as it is, JSON (`5`, `true`, `null`, `{"a":1}`), a number or a
 * boolean in Postgres's other words (`+5`, `on`), a list as Postgres writes it (`{a,b}`, then with its items read), a list of
 * this one. Given several times it is first a list, and otherwise the last one counts.
 */
export function readingsOf(texts: readonly string[]): unknown[] {
  const last = texts.at(-1) ?? ''
  const items = itemsOf(last)
  const lists = [...(items ? [items] : []), [last]]
  const several = texts.length > 1 ? withItemsRead([texts]) : []
  return [...several, last, ...scalarsOf(last), ...withItemsRead(lists)]
}

const withItemsRead = (lists: readonly (readonly (string | null)[])[]): unknown[] =>
  lists.flatMap((list) => [list, list.map((item) => (item === null ? null : readItem(item)))])

/** An item that is no text after all. */
function readItem(text: string): unknown {
  const items = itemsOf(text)
  if (items) return items.map((item) => (item === null ? null : readItem(item)))
  const [value = text] = scalarsOf(text)
  return value
}

function scalarsOf(text: string): unknown[] {
  const values: unknown[] = []
  if (numberShape.test(text)) {
    if (isKept(text)) values.push(Number(text))
  } else
    try {
      values.push(JSON.parse(text))
    } catch {
      // No JSON.
    }
  try {
    values.push(booleanType.parse(text) === 1)
  } catch {
    // No boolean.
  }
  return values
}

const numberShape = /^\s*[+-]?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?\s*$/i

/** Whether a number keeps all of its digits; otherwise it stays a text. */
const isKept = (text: string): boolean =>
  Number.isFinite(Number(text)) &&
  (!/^\s*[+-]?\d+\s*$/.test(text) || Number.isSafeInteger(Number(text)))

/** The items of Postgres's `{a,"b, c",NULL}`, a list within it as its text; `undefined` if it is none. */
function itemsOf(text: string): (string | null)[] | undefined {
  const inside = text.match(/^\s*\{(.*)\}\s*$/s)?.[1]
  if (inside === undefined) return undefined
  if (inside.trim() === '') return []
  const items: (string | null)[] = []
  let item = ''
  let [depth, quoted, wasQuoted] = [0, false, false]
  const end = () => {
    const trimmed = wasQuoted ? item : item.trim()
    items.push(!wasQuoted && trimmed.toUpperCase() === 'NULL' ? null : trimmed)
    item = ''
    wasQuoted = false
  }
  for (let at = 0; at < inside.length; at++) {
    const char = inside[at] as string
    if (char === '\\' && depth === 0) item += inside[++at] ?? ''
    else if (char === '"') {
      quoted = !quoted
      if (depth === 0) wasQuoted = true
      else item += char
    } else if (!quoted && depth === 0 && char === ',') end()
    else {
      if (!quoted && char === '{') depth++
      if (!quoted && char === '}') depth--
      item += char
    }
  }
  if (quoted || depth !== 0) return undefined
  end()
  return items
}
