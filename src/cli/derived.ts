import {
  type DerivedMigration,
  derivedOf,
  dropsOf,
  forgetDerivedSql,
  type Made,
  recordDerivedSql,
} from '../core/derived.ts'
import { type Migrated, migrationHash } from '../core/migrate.ts'
import { endingOf, type MigrationFile, mustHold, type PendingFile } from './folder.ts'
import { changesOf } from './host-sql.ts'
import { Refusal } from './refusal.ts'

/*
 * Files of migrations that follow the host's declarations: `NNNN_leanto_data_live_notes_<hash>.sql`, the last of which
 * counts. A declaration that changes gets a new file, also when it changes back; one that goes gets a file
 * `…_live_notes_dropped.sql`.
 */

export interface Deriving {
  /** Names of modules whose declarations are known. */
  readonly modules: ReadonlySet<string>
  /** Tables, by their names in SQL, of which all is to be made anew. */
  readonly again?: ReadonlySet<string>
}

/** What a folder holds of one derived migration. */
interface Family {
  readonly module: string
  readonly id: string
  readonly last: MigrationFile
  readonly gone: boolean
}

/** @throws {Refusal} if a file was changed, or one of the host's cannot be applied as it stands. */
export async function pendingDerived(
  folder: string,
  present: readonly MigrationFile[],
  modules: readonly Migrated[],
  deriving: Deriving,
): Promise<PendingFile[]> {
  const families = familiesOf(present)
  const hosts = present.filter(({ name }) => !/^\d+_leanto_/.test(name))
  const wanted = derivedOf(modules)
  const pending: PendingFile[] = []
  for (const [key, { module, id, last, gone }] of families)
    if (!gone && !wanted.has(key) && deriving.modules.has(module))
      pending.push({
        ending: `_leanto_${module}_${id}_dropped.sql`,
        statements: [...dropsOf(madeBy(last)), forgetDerivedSql(module, id)],
      })
  for (const [key, { module, migration }] of wanted) {
    const { id, derived } = migration
    const hash = await migrationHash(migration)
    const short = Buffer.from(hash, 'base64url').toString('hex').slice(0, 8)
    const ending = `_leanto_${module}_${id}_${short}.sql`
    const family = families.get(key)
    const last = family?.gone ? undefined : family?.last
    const touched = touchedBy(hosts, migration, last)
    if (last && endingOf(last.name) === ending) {
      mustHold(folder, last, hash)
      if (!touched.undone && !deriving.again?.has(derived.table)) continue
    }
    const left = last ? madeBy(last).filter((made) => !isIn(made, derived.makes)) : []
    pending.push({
      ending,
      comments: [
        `Makes: ${JSON.stringify(derived.makes)}`,
        ...(touched.by.length > 0 ? [`After: ${JSON.stringify(touched.by)}`] : []),
      ],
      table: derived.table,
      statements: [...dropsOf(left), ...migration.sql, recordDerivedSql(module, migration, hash)],
    })
  }
  return pending
}

const isIn = (made: Made, makes: readonly Made[]): boolean =>
  makes.some(({ name }) => name === made.name)

function familiesOf(present: readonly MigrationFile[]): Map<string, Family> {
  const families = new Map<string, Family>()
  for (const last of present) {
    const [, module = '', id = '', state] =
      last.name.match(/^\d+_leanto_([a-z]+)_([a-z][a-z0-9_-]*)_([0-9a-f]{8}|dropped)\.sql$/) ?? []
    if (state) families.set(`${module}/${id}`, { module, id, last, gone: state === 'dropped' })
  }
  return families
}

/**
 * What the host's migrations do to what this one makes: a table that is rebuilt, as drizzle-kit does for many a change,
 * loses its triggers.
 *
 * @returns Which files there are, by what follows their numbers, and whether one that is new since `last` undoes it.
 * @throws {Refusal} if a new one drops a column that a trigger names, which SQLite refuses.
 */
function touchedBy(
  hosts: readonly MigrationFile[],
  { derived }: DerivedMigration,
  last: MigrationFile | undefined,
): { by: string[]; undone: boolean } {
  const known = new Set((last && noteIn<string[]>(last, 'After')) ?? [])
  const makes = [...derived.makes, ...(last ? madeBy(last) : [])]
  const by: string[] = []
  let undone = false
  for (const { name: file, text } of hosts) {
    const { replaced, dropped, columns } = changesOf(text, derived.table)
    const undoes = replaced || makes.some(({ name }) => dropped.has(name.toLowerCase()))
    if (!undoes && columns.length === 0) continue
    by.push(endingOf(file))
    if (!last || known.has(endingOf(file))) continue
    if (undoes) undone = true
    else for (const column of columns) mustNotName(last, { file, table: derived.table, column })
  }
  return { by, undone }
}

function mustNotName(
  { text }: MigrationFile,
  { file, table, column }: { file: string; table: string; column: string },
) {
  const named = `."${column.replaceAll('"', '""')}"`.toLowerCase()
  const lines = text.matchAll(/^DROP TRIGGER IF EXISTS ("(?:[^"]|"")+");$/gm)
  const triggers = [...lines]
    .map(([, trigger = '']) => trigger)
    .filter((trigger) =>
      text
        .split('\n')
        .some(
          (line) =>
            line.startsWith(`CREATE TRIGGER ${trigger} `) && line.toLowerCase().includes(named),
        ),
    )
  if (triggers.length > 0)
    throw new Refusal(
      `${file} drops the column ${column} of ${table}, which SQLite refuses as long as a trigger names it. ` +
        `Put this before it, and run this again:\n\n${triggers.map((trigger) => `  DROP TRIGGER IF EXISTS ${trigger};\n`).join('')}`,
    )
}

const madeBy = (file: MigrationFile): Made[] => noteIn<Made[]>(file, 'Makes') ?? []

/** What a comment of the file says, for the runs after. */
function noteIn<T>({ text }: MigrationFile, label: 'Makes' | 'After'): T | undefined {
  const json = text.match(new RegExp(`^-- ${label}: (.+)$`, 'm'))?.[1]
  return json === undefined ? undefined : (JSON.parse(json) as T)
}
