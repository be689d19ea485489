/**
 * The values of an array as Postgres writes it: `{a,"b, c"}`; `null` without quotes is null.
 * https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 *
 * @returns `undefined` if it is none; nor is an array of arrays one here.
 */
export function arrayOf(text: string): (string | null)[] | undefined {
  const trimmed = text.trim()
  if (!trimmed.startsWith('{') || !trimmed.endsWith('}')) return undefined
  const inner = trimmed.slice(1, -1)
  const values: (string | null)[] = []
  if (inner.trim() === '') return values
  const item = /\s*(?:"((?:[^"\\]|\\.)*)"|((?:[^",{}\\]|\\.)+))\s*(,|$)/gsy
  for (;;) {
    const match = item.exec(inner)
    if (!match) return undefined
    const [, quoted, bare = ''] = match
    const word = bare.trim()
    if (quoted !== undefined) values.push(unescaped(quoted))
    else if (word === '') return undefined
    else values.push(word.toLowerCase() === 'null' ? null : unescaped(word))
    if (match[3] === '') return item.lastIndex === inner.length ? values : undefined
  }
}

const unescaped = (text: string): string => text.replace(/\\(.)/gs, '$1')
