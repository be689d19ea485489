/** In characters. What is longer is no user. */
const longest = 1024 * 1024

/**
 * The items of a JSON list, as text, one at a time: of the list that the text is, or of the one list in the object that
 * it is (`{ "users": [ … ] }`). What an item holds is left to `JSON.parse`.
 *
 * @throws {SyntaxError} if an item is longer than a megabyte, or the list does not end.
 */
export async function* jsonItems(texts: AsyncIterable<string>): AsyncGenerator<string> {
  let depth = 0
  /** The depth of the items: 1 in a list, 2 in the list of an object. */
  let level = 0
  let item = ''
  let string = false
  let escaped = false
  let ended = false
  for await (const text of texts) {
    let from = 0
    for (let at = 0; at < text.length; at++) {
      const char = text[at] as string
      if (string) {
        if (escaped) escaped = false
        else if (char === '\\') escaped = true
        else if (char === '"') string = false
        continue
      }
      const inside = level > 0 && depth >= level
      if (char === '"') string = true
      else if (char === '[' || char === '{') {
        if (!inside && char === '[' && level === 0) {
          level = depth + 1
          from = at + 1
        }
        depth++
      } else if (char === ']' || char === '}') {
        if (inside && depth === level) {
          item += text.slice(from, at)
          if (item.trim() !== '') yield item
          item = ''
          // Whatever follows the list is none of it.
          level = Number.POSITIVE_INFINITY
          ended = true
        }
        depth--
      } else if (char === ',' && inside && depth === level) {
        yield item + text.slice(from, at)
        item = ''
        from = at + 1
      }
    }
    if (level > 0 && depth >= level) {
      item += text.slice(from)
      if (item.length > longest) throw new SyntaxError('an item is longer than a megabyte')
    }
  }
  if (!ended) throw new SyntaxError('the list does not end')
}

/** The lines of NDJSON that are not empty. @throws {SyntaxError} if one is longer than a megabyte. */
export async function* jsonLines(texts: AsyncIterable<string>): AsyncGenerator<string> {
  let held = ''
  for await (const text of texts) {
    const lines = (held + text).split('\n')
    held = lines.pop() as string
    if (held.length > longest) throw new SyntaxError('a line is longer than a megabyte')
    for (const line of lines) if (line.trim() !== '') yield line
  }
  if (held.trim() !== '') yield held
}
