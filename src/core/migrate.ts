import type { Queryable } from './database.ts'
import {
  type Derived,
  type DerivedMigration,
  derivedOf,
  derivedRecords,
  dropsOf,
  forgetDerivedSql,
  isDerived,
  type Made,
  recordDerivedSql,
} from './derived.ts'
import { hash } from './secret.ts'

/** One step of a module's tables. Append-only: what has been released is never changed, unless it is `derived`. */
export interface Migration {
  /** Sorts after the ones before: `0001_accounts`. That of a derived one begins with a letter. */
  readonly id: string
  /** Statements, harmless when run twice (`IF NOT EXISTS`). */
  readonly sql: readonly string[]
  /** Set if it follows what the host declares of one of its tables: it is applied again whenever that changes. */
  readonly derived?: Derived
}

export interface Migrated {
  readonly name: string
  readonly migrations: readonly Migration[]
}

/** The tables of `core`: which migrations ran, and the limits' counters. */
const coreMigrations: Migrated = {
  name: 'core',
  migrations: [
    {
      id: '0001_core',
      sql: [
        `CREATE TABLE IF NOT EXISTS leanto_core_migrations (
           module TEXT NOT NULL, id TEXT NOT NULL, hash TEXT NOT NULL,
           applied_at INTEGER NOT NULL DEFAULT (unixepoch()),
           PRIMARY KEY (module, id)
         ) WITHOUT ROWID`,
        `CREATE TABLE IF NOT EXISTS leanto_core_limits (
           key TEXT PRIMARY KEY, period INTEGER NOT NULL, spent INTEGER NOT NULL, expires_at INTEGER NOT NULL
         ) WITHOUT ROWID`,
        'CREATE INDEX IF NOT EXISTS leanto_core_limits_expiry ON leanto_core_limits (expires_at)',
      ],
    },
  ],
}

/** What runs once, of `core` and of the modules, in the order in which it runs. */
export function lastingOf(modules: readonly Migrated[]): Migrated[] {
  const derives = modules.some(({ migrations }) => migrations.some(isDerived))
  return [
    coreMigrations,
    ...(derives ? [{ name: 'core', migrations: [derivedRecords] }] : []),
    ...modules.map(({ name, migrations }) => ({
      name,
      migrations: migrations.filter((migration) => !isDerived(migration)),
    })),
  ]
}

export const migrationHash = (migration: Migration): Promise<string> =>
  hash(migration.sql.join(';\n'))

/** The statement that records a migration, as text: it is also written into the host's `migrations/` files. */
export const recordSql = async (module: string, migration: Migration): Promise<string> =>
  `INSERT OR IGNORE INTO leanto_core_migrations (module, id, hash) VALUES ('${module}', '${migration.id}', '${await migrationHash(migration)}')`

/**
 * Applies the pending migrations of `core` and of the given modules, each in one transaction, and undoes derived ones
 * that these modules no longer have. Give it all modules of a database at once. For development and tests; a deployment
 * uses `npx leanto migrations` and `wrangler d1 migrations apply`.
 *
 * @returns What it applied, as `module/id`; what it undid, as `module/id dropped`.
 * @throws {Error} if a migration that was applied has been changed since, or one needs a table of the host that is not
 * there yet.
 */
export async function migrate(db: Queryable, modules: readonly Migrated[]): Promise<string[]> {
  const known = await appliedMigrations(db)
  const applied: string[] = []
  for (const { name, migrations } of lastingOf(modules)) {
    for (const migration of migrations) {
      const key = `${name}/${migration.id}`
      const before = known.get(key)
      if (before !== undefined && before !== (await migrationHash(migration)))
        throw new Error(`leanto: migration ${key} was changed after it had been applied`)
      if (before !== undefined) continue
      await runAll(db, [...migration.sql, await recordSql(name, migration)])
      known.set(key, await migrationHash(migration))
      applied.push(key)
    }
  }
  return [...applied, ...(await migrateDerived(db, modules))]
}

async function migrateDerived(db: Queryable, modules: readonly Migrated[]): Promise<string[]> {
  const there = await namesIn(db)
  if (!there.has('leanto_core_derived')) return []
  const { results } = await db
    .prepare('SELECT module, id, hash, makes FROM leanto_core_derived')
    .all<{ module: string; id: string; hash: string; makes: string }>()
  const records = new Map(
    results.map(({ makes, ...row }) => [
      `${row.module}/${row.id}`,
      { ...row, makes: JSON.parse(makes) as Made[] },
    ]),
  )
  const wanted = derivedOf(modules)
  const applied: string[] = []
  for (const [key, { module, id, makes }] of records)
    if (!wanted.has(key) && modules.some(({ name }) => name === module)) {
      await runAll(db, [...dropsOf(makes), forgetDerivedSql(module, id)])
      applied.push(`${key} dropped`)
    }
  for (const [key, { module, migration }] of wanted) {
    const record = records.get(key)
    const digest = await migrationHash(migration)
    if (record?.hash === digest && isWhole(migration, there)) continue
    if (!there.has(migration.derived.table.toLowerCase()))
      throw new Error(
        `leanto: ${key} needs the table ${migration.derived.table}, which is not there: apply your own migrations first`,
      )
    await runAll(db, [
      ...dropsOf(record?.makes ?? []),
      ...migration.sql,
      recordDerivedSql(module, migration, digest),
    ])
    applied.push(key)
  }
  return applied
}

/** A host that rebuilds its table, as drizzle-kit does, drops the triggers on it. */
const isWhole = ({ derived }: DerivedMigration, there: ReadonlySet<string>): boolean =>
  derived.makes.every(({ name }) => there.has(name.toLowerCase()))

const runAll = (db: Queryable, statements: readonly string[]) =>
  db.batch(statements.map((sql) => db.prepare(sql)))

async function namesIn(db: Queryable): Promise<Set<string>> {
  const { results } = await db.prepare('SELECT name FROM sqlite_master').all<{ name: string }>()
  return new Set(results.map(({ name }) => name.toLowerCase()))
}

async function appliedMigrations(db: Queryable): Promise<Map<string, string>> {
  if (!(await namesIn(db)).has('leanto_core_migrations')) return new Map()
  const { results } = await db
    .prepare('SELECT module, id, hash FROM leanto_core_migrations')
    .all<{ module: string; id: string; hash: string }>()
  return new Map(results.map((row) => [`${row.module}/${row.id}`, row.hash]))
}
