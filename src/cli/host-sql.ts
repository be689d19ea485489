/** What a migration of the host does to a table, as far as it undoes what leanto made for it. */
export interface HostChanges {
  /** Whether the table was dropped, or another one took its name. */
  readonly replaced: boolean
  /** Triggers and tables that were dropped by name; lower case. */
  readonly dropped: ReadonlySet<string>
  /** Columns of the table that were dropped. */
  readonly columns: readonly string[]
}

const identifier = String.raw`(?:"(?:[^"]|"")+"|\x60[^\x60]+\x60|\[[^\]]+\]|'(?:[^']|'')+'|[\w$\u0080-\uffff]+)`
const qualified = String.raw`(?:(?:main|"main"|\x60main\x60)\s*\.\s*)?(${identifier})`
const drops = new RegExp(
  String.raw`\bDROP\s+(?:TABLE|TRIGGER)\s+(?:IF\s+EXISTS\s+)?${qualified}`,
  'gi',
)
const renames = new RegExp(String.raw`\bRENAME\s+TO\s+(${identifier})`, 'gi')
const creates = new RegExp(
  String.raw`\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?${qualified}`,
  'gi',
)
const columns = new RegExp(
  String.raw`\bALTER\s+TABLE\s+${qualified}\s+DROP\s+(?:COLUMN\s+)?(${identifier})`,
  'gi',
)

/** Reads it off the text: enough for what drizzle-kit and people write. */
export function changesOf(text: string, table: string): HostChanges {
  const sql = text.replaceAll(/\/\*[\s\S]*?\*\/|--.*$/gm, ' ')
  const named = (pattern: RegExp) => [...sql.matchAll(pattern)].map(([, name = '']) => plain(name))
  const dropped = new Set(named(drops).map((name) => name.toLowerCase()))
  const lower = table.toLowerCase()
  return {
    replaced: dropped.has(lower) || named(renames).some((name) => name.toLowerCase() === lower),
    dropped,
    columns: [...sql.matchAll(columns)]
      .filter(([, name = '']) => plain(name).toLowerCase() === lower)
      .map(([, , column = '']) => plain(column)),
  }
}

/** Whether it makes a table, or gives one its name. */
export function makesTable(text: string, table: string): boolean {
  const lower = table.toLowerCase()
  return [creates, renames].some((pattern) =>
    [...text.matchAll(pattern)].some(([, name = '']) => plain(name).toLowerCase() === lower),
  )
}

/** An identifier without its quotes. */
function plain(name: string): string {
  const inner = name.slice(1, -1)
  if (name.startsWith('"')) return inner.replaceAll('""', '"')
  if (name.startsWith("'")) return inner.replaceAll("''", "'")
  return /^[`[]/.test(name) ? inner : name
}
