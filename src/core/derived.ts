import type { Migrated, Migration } from './migrate.ts'

/*
 * Migrations that follow what the host declares of its own tables (that one is live, that one is searched). Others are
 * append-only and run once; of these the last one counts. It is applied again whenever it is not what was applied last,
 * and undone once nothing declares it any more. So each says what it makes, and begins by dropping it.
 */

/** What a derived migration stands on, and what it makes. */
export interface Derived {
  /** The host's table, by its name in SQL. It must be there first; dropping it drops the triggers on it. */
  readonly table: string
  /** In the order in which they are dropped: triggers before the table that they write to. */
  readonly makes: readonly Made[]
}

export interface Made {
  readonly type: 'trigger' | 'index' | 'view' | 'table'
  /** `leanto_<module>_<kind>_…` */
  readonly name: string
}

export interface DerivedMigration extends Migration {
  readonly derived: Derived
}

/**
 * A migration that follows a declaration.
 *
 * @param kind What is declared, in lower-case letters: `live`. It and the table are the migration's id.
 * @param sql What makes it anew; that it is not there is seen to. Harmless when run twice, as all of it is.
 */
export function derivedMigration(
  kind: string,
  { table, makes, sql }: Derived & { sql: readonly string[] },
): DerivedMigration {
  return Object.freeze({
    id: `${kind}_${slugOf(table)}`,
    sql: Object.freeze([...dropsOf(makes), ...sql]),
    derived: Object.freeze({ table, makes: Object.freeze([...makes]) }),
  })
}

/** A table's name as a part of other names: in lower-case letters, digits, `_` and `-`; no two tables have the same. */
export function slugOf(table: string): string {
  // To SQLite, and to some file systems, names that differ in the case of ASCII letters are the same.
  const lower = table.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
  if (/^[a-z0-9_]{1,60}$/.test(lower)) return lower
  return `${lower.replaceAll(/[^a-z0-9_]+/g, '-').slice(0, 40)}-${fnv(lower)}`
}

/** FNV-1a, 32 bits: for names that differ by accident, not against anybody. */
function fnv(text: string): string {
  let value = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193)
  return (value >>> 0).toString(16).padStart(8, '0')
}

export const quotedName = (name: string): string => `"${name.replaceAll('"', '""')}"`
export const quotedText = (text: string): string => `'${text.replaceAll("'", "''")}'`

export const dropsOf = (makes: readonly Made[]): string[] =>
  makes.map(({ type, name }) => `DROP ${type.toUpperCase()} IF EXISTS ${quotedName(name)}`)

/** Which derived migration is in force, by module and id. Only there if a module has any. */
export const derivedRecords: Migration = {
  id: '0002_derived',
  sql: [
    `CREATE TABLE IF NOT EXISTS leanto_core_derived (
       module TEXT NOT NULL, id TEXT NOT NULL, hash TEXT NOT NULL, makes TEXT NOT NULL,
       applied_at INTEGER NOT NULL DEFAULT (unixepoch()),
       PRIMARY KEY (module, id)
     ) WITHOUT ROWID`,
  ],
}

/** The statement that records a derived migration, as text: it is also written into the host's `migrations/` files. */
export const recordDerivedSql = (
  module: string,
  { id, derived }: DerivedMigration,
  hash: string,
): string =>
  `INSERT OR REPLACE INTO leanto_core_derived (module, id, hash, makes) VALUES (${[module, id, hash, JSON.stringify(derived.makes)].map(quotedText).join(', ')})`

export const forgetDerivedSql = (module: string, id: string): string =>
  `DELETE FROM leanto_core_derived WHERE module = ${quotedText(module)} AND id = ${quotedText(id)}`

export const isDerived = (migration: Migration): migration is DerivedMigration =>
  migration.derived !== undefined

/**
 * The derived migrations of all modules, by `module/id`.
 *
 * @throws {TypeError} if two modules of one name, over one database, derive different things of one table.
 */
export function derivedOf(
  modules: readonly Migrated[],
): Map<string, { module: string; migration: DerivedMigration }> {
  const found = new Map<string, { module: string; migration: DerivedMigration }>()
  for (const { name, migrations } of modules)
    for (const migration of migrations.filter(isDerived)) {
      const key = `${name}/${migration.id}`
      const other = found.get(key)?.migration
      if (other && other.sql.join() !== migration.sql.join())
        throw new TypeError(
          `leanto: two ${name} modules declare the table ${migration.derived.table} differently: ${migration.id}`,
        )
      found.set(key, { module: name, migration })
    }
  return found
}
