/** HTML whose values were escaped. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toString(): string {
    return this.text
  }
}

type Value = string | number | bigint | boolean | null | undefined | Html | readonly Value[]

const escaped = (text: string): string =>
  text.replace(/[&<>"'`]/g, (char) => `&#${char.charCodeAt(0)};`)

function rendered(value: Value): string {
  if (value instanceof Html) return value.text
  if (Array.isArray(value)) return value.map(rendered).join('')
  // What `condition && html…` gives where the condition does not hold.
  if (value === null || value === undefined || typeof value === 'boolean') return ''
  return escaped(String(value))
}

/**
 * HTML with its values escaped: `` html`<p>Hello ${name}</p>` ``. Write attributes in quotes. Other `html` and lists of
 * it go in as they are; `null`, `undefined` and booleans are nothing.
 */
export const html = (strings: TemplateStringsArray, ...values: readonly Value[]): Html =>
  new Html(
    strings.reduce((text, part, i) => text + (i > 0 ? rendered(values[i - 1]) : '') + part, ''),
  )

/** Takes text for HTML as it is. Never what someone else has written. */
export const unsafeHtml = (text: string): Html => new Html(text)

const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  copy: '©',
}

const decoded = (text: string): string =>
  text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{1,8}));/gi, (whole, decimal, hex, name) => {
    if (name) return Object.hasOwn(entities, name) ? (entities[name] as string) : whole
    const point = decimal ? Number(decimal) : Number.parseInt(hex, 16)
    return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole
  })

/** What a reader without HTML sees: paragraphs, lists, and links with their addresses. */
export function textOf(markup: string): string {
  const text = withLinks(withoutHidden(markup).replace(/\s+/g, ' '))
    .replace(/<(?:br|hr)\b[^<>]*>/gi, '\n')
    .replace(/<li\b[^<>]*>/gi, '\n- ')
    .replace(/<\/?(?:p|h[1-6]|table|ul|ol|blockquote|pre)\b[^<>]*>/gi, '\n\n')
    .replace(/<\/?(?:div|tr|section|article|header|footer)\b[^<>]*>/gi, '\n')
    .replace(/<\/t[dh]\b[^<>]*>/gi, ' ')
    .replace(/<img\b[^<>]*>/gi, (tag) => attribute(tag, 'alt'))
    .replace(/<[a-z/!][^<>]*>/gi, '')
  return decoded(text)
    .replace(/[ \t]*\n[ \t]*/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}

/** By search and not by an expression, which would start over at each opening that is never closed. */
function withoutHidden(markup: string): string {
  let text = markup
  for (const [open, close] of [
    ['<!--', '-->'],
    ['<head', '</head>'],
    ['<style', '</style>'],
    ['<script', '</script>'],
    ['<title', '</title>'],
  ] as const) {
    const lower = text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
    let kept = ''
    let at = 0
    for (let from = find(lower, open, at); from >= 0; from = find(lower, open, at)) {
      const end = lower.indexOf(close, from)
      kept += text.slice(at, from)
      at = end < 0 ? text.length : end + close.length
    }
    text = kept + text.slice(at)
  }
  return text
}

/** `<head`, but not `<header`. */
function find(lower: string, open: string, from: number): number {
  let at = lower.indexOf(open, from)
  while (at >= 0 && open !== '<!--' && /[a-z\d]/.test(lower[at + open.length] ?? ''))
    at = lower.indexOf(open, at + 1)
  return at
}

const attribute = (tag: string, name: string): string => {
  const [, double, single] =
    tag.match(new RegExp(`\\s${name}\\s?=\\s?(?:"([^"]*)"|'([^']*)')`, 'i')) ?? []
  return double ?? single ?? ''
}

/** Behind each link's words its address. Tag by tag: an expression for all of a link would look for its end too often. */
function withLinks(markup: string): string {
  let open: { href: string; from: number } | undefined
  return markup.replace(/<a\b[^<>]*>|<\/a\b[^<>]*>/gi, (tag, at: number) => {
    if (!tag.startsWith('</')) {
      open = { href: attribute(tag, 'href'), from: at + tag.length }
      return ''
    }
    const { href = '', from = at } = open ?? {}
    open = undefined
    const words = markup
      .slice(from, at)
      .replace(/<[^<>]*>/g, '')
      .trim()
    if (!/^(?:https?|mailto):/i.test(href) || words === href) return ''
    return words ? ` (${href})` : href
  })
}
