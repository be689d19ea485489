/**
 * The rows of a CSV (RFC 4180), each by the names of the first row; an empty field is left out. A row may span lines.
 *
 * @throws {SyntaxError} if a quote is never closed within `longest` characters.
 */
export async function* csvRows(
  texts: AsyncIterable<string>,
  longest = 1024 * 1024,
): AsyncGenerator<Record<string, string>> {
  let names: string[] | undefined
  for await (const row of csvFields(texts, longest)) {
    if (!names) {
      names = row.map((name) => name.trim())
      continue
    }
    if (row.length === 1 && row[0] === '') continue
    const named = names.flatMap((name, i) => (row[i] ? [[name, row[i]] as const] : []))
    yield Object.fromEntries(named)
  }
}

async function* csvFields(texts: AsyncIterable<string>, longest: number): AsyncGenerator<string[]> {
  let row: string[] = []
  let field = ''
  let length = 0
  // Within quotes, or just after what may be the closing one.
  let quoted = false
  let closing = false
  for await (const text of texts)
    for (const char of text) {
      if (++length > longest) throw new SyntaxError('a row is too long: is a quote left open?')
      if (quoted && !closing) {
        if (char === '"') closing = true
        else field += char
        continue
      }
      if (closing && char === '"') {
        field += char
        closing = false
        continue
      }
      if (closing) quoted = closing = false
      if (char === '"' && field === '') quoted = true
      else if (char === ',') {
        row.push(field)
        field = ''
      } else if (char === '\n') {
        row.push(field.replace(/\r$/, ''))
        yield row
        row = []
        field = ''
        length = 0
      } else field += char
    }
  if (quoted && !closing) throw new SyntaxError('a quote is left open')
  if (field !== '' || row.length > 0) yield [...row, field.replace(/\r$/, '')]
}
