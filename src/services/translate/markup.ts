/*
 * What a text is made of: what is translated, and what comes back as it was. HTML is read only as far as that needs; it
 * is never repaired, and never sent anywhere but in pieces whose markup is checked when it returns.
 */

/** Something inside a sentence that is not translated. */
export interface Kept {
  /** What stands there in the end. */
  raw: string
  /** A tag: it must not change places with another one. */
  tag: boolean
}

/** `literal` stays; `plain` is translated, with `stand` in the place of each of `kept`. */
export type Part = { literal: string } | { plain: string; kept: Kept[] }

/** OBJECT REPLACEMENT CHARACTER: one that no sentence ends at. */
export const stand = '\uFFFC'

const inline = new Set(
  'a abbr b bdi bdo br cite code del dfn em font i img ins kbd mark q s small span strong sub sup time u var wbr'.split(
    ' ',
  ),
)
const untranslated = new Set(['script', 'style', 'pre', 'code', 'textarea', 'svg', 'math'])

/** Placeholders of the usual formats, and addresses. */
const placeholders = [
  'https?://[^\\s<>"]+',
  '\\{\\{[^{}]{1,80}\\}\\}',
  '\\$?\\{[^{}]{1,80}\\}',
  '%(?:\\d+\\$)?[sdif@]',
  '%\\([\\w.]{1,80}\\)[sdif]',
  stand,
]

const escaped = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

/** What is kept in a text, as one pattern: placeholders, and the terms of a glossary as whole words. */
export function keptPattern(terms: readonly string[]): RegExp {
  const words = [...terms]
    .sort((a, b) => b.length - a.length)
    .map((term) => `(?<![\\p{L}\\p{N}])${escaped(term)}(?![\\p{L}\\p{N}])`)
  return new RegExp([...placeholders, ...words].join('|'), 'gu')
}

export interface Reading {
  pattern: RegExp
  /** What a glossary makes of a term. */
  terms: ReadonlyMap<string, string>
}

/** A plain text: its lines are parts, so that no sentence goes over one. */
export function readText(text: string, reading: Reading): Part[] {
  return text
    .split(/(\s*\n\s*)/)
    .map((line, i) => (i % 2 ? { literal: line } : keep(line, reading, (raw) => raw)))
}

function keep(text: string, { pattern, terms }: Reading, out: (raw: string) => string) {
  const kept: Kept[] = []
  const plain = text.replaceAll(pattern, (found) => {
    kept.push({ raw: out(terms.get(found) ?? found), tag: false })
    return stand
  })
  return { plain, kept }
}

const tagAt = /<(\/?)([a-z][\w:-]*)(?:"[^"]*"|'[^']*'|[^'"<>])*>/iy

/** HTML: blocks are parts, tags inside a line of text are kept in it. */
export function readHtml(html: string, reading: Reading): Part[] {
  const parts: Part[] = []
  const lower = html.toLowerCase()
  let open: { plain: string; kept: Kept[] } = { plain: '', kept: [] }
  const close = (literal: string) => {
    if (open.plain !== '') parts.push(open)
    open = { plain: '', kept: [] }
    if (literal !== '') parts.push({ literal })
  }
  const addText = (text: string) => {
    // A known entity is its character; another one is kept as it is.
    for (const [i, piece] of text.split(/(&(?:#\w+|\w+);)/).entries()) {
      const character = i % 2 ? decodeEntity(piece) : piece
      const { plain, kept } =
        character === null
          ? { plain: stand, kept: [{ raw: piece, tag: false }] }
          : keep(character, reading, encodeEntities)
      open.plain += plain
      open.kept.push(...kept)
    }
  }
  let at = 0
  while (at < html.length) {
    const start = html.indexOf('<', at)
    if (start < 0) break
    addText(html.slice(at, start))
    at = endOf(html, lower, start)
    const raw = html.slice(start, at)
    tagAt.lastIndex = 0
    const name = tagAt.exec(raw)?.[2]?.toLowerCase()
    if (raw === '<') addText('<')
    else if (name && inline.has(name)) {
      open.plain += stand
      open.kept.push({ raw, tag: true })
    } else close(raw)
  }
  addText(html.slice(at))
  close('')
  return parts
}

/** Where what begins with a `<` ends. What is never closed goes on to the end of all. */
function endOf(html: string, lower: string, start: number): number {
  const after = (mark: string, from: number) => {
    const found = lower.indexOf(mark, from)
    return found < 0 ? html.length : found + mark.length
  }
  if (lower.startsWith('<!--', start)) return after('-->', start)
  if (lower.startsWith('<!', start) || lower.startsWith('<?', start)) return after('>', start)
  tagAt.lastIndex = start
  const tag = tagAt.exec(html)
  if (!tag) return start + 1
  const [raw, slash, found = ''] = tag
  const name = found.toLowerCase()
  const end = start + raw.length
  const skipped = untranslated.has(name) || /\stranslate\s*=\s*["']?no\b/i.test(raw)
  if (slash || !skipped || raw.endsWith('/>')) return end
  const closing = after(`</${name}`, end)
  return after('>', closing)
}

const entities: Record<string, string> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
  '&#39;': "'",
}

const decodeEntity = (entity: string): string | null => entities[entity.toLowerCase()] ?? null

const numeric = /&#(?:x([\da-f]{1,6})|(\d{1,7}));/gi

export const decodeEntities = (text: string): string =>
  text
    .replaceAll(/&(?:amp|lt|gt|quot|apos|#39);/gi, (entity) => decodeEntity(entity) ?? entity)
    .replaceAll(numeric, (entity, hex, decimal) => {
      const code = hex ? Number.parseInt(hex, 16) : Number(decimal)
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : entity
    })

export const encodeEntities = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
