import { dataFaults } from './faults.ts'

/**
 * Reads CSV (RFC 4180) as PostgREST does: the first line names the columns, all values are text, and the word `NULL` is
 * null. Lines end with LF, CRLF or CR; empty ones are skipped. Of a column named twice the last counts, as in JSON.
 *
 * @throws {Fault} PGRST102 with the line.
 */
export function parseCsv(text: string): Record<string, string | null>[] {
  const lines = linesOf(text)
  const names = lines.next().value
  if (!names) throw dataFaults.PGRST102({ message: 'Empty or invalid csv' })
  const rows: Record<string, string | null>[] = []
  for (const { fields, line } of lines) {
    if (fields.length !== names.fields.length)
      throw dataFaults.PGRST102({
        message: 'All lines must have same number of fields',
        details: `Line ${line} has ${fields.length}, the first one ${names.fields.length}.`,
      })
    rows.push(
      Object.fromEntries(
        fields.map((field, i) => [names.fields[i] as string, field === 'NULL' ? null : field]),
      ),
    )
  }
  return rows
}

interface Line {
  readonly fields: string[]
  /** From 1. */
  readonly line: number
}

// Up to the next sign that means something. Sticky: each field is looked at once, so time is linear in the text.
const bare = /[^",\r\n]*/y

function* linesOf(text: string): Generator<Line, undefined> {
  let at = 0
  let line = 1
  while (at < text.length) {
    const start = line
    const fields: string[] = []
    let isEmpty = true
    for (;;) {
      const from = at
      if (text[at] === '"') {
        at = closingQuote(text, at + 1, line) + 1
        fields.push(text.slice(from + 1, at - 1).replaceAll('""', '"'))
        isEmpty = false
      } else {
        bare.lastIndex = at
        const [field] = bare.exec(text) as unknown as [string]
        at += field.length
        fields.push(field)
      }
      line += text.slice(from, at).split('\n').length - 1
      if (text[at] !== ',') break
      at++
    }
    if (at < text.length && text[at] !== '\r' && text[at] !== '\n')
      throw malformed(line, 'a quote stands where none may')
    at += text.startsWith('\r\n', at) ? 2 : 1
    line++
    if (!isEmpty || fields.length > 1 || fields[0] !== '') yield { fields, line: start }
  }
  return undefined
}

function closingQuote(text: string, from: number, line: number): number {
  let at = text.indexOf('"', from)
  while (at >= 0 && text[at + 1] === '"') at = text.indexOf('"', at + 2)
  if (at < 0) throw malformed(line, 'a quoted field has no end')
  return at
}

const malformed = (line: number, why: string) =>
  dataFaults.PGRST102({ message: 'Empty or invalid csv', details: `Line ${line}: ${why}.` })
