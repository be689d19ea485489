import type { Queryable } from './database.ts'
import { hash } from './secret.ts'

/** One step of a module's tables. Append-only: what has been released is never changed. */
export interface Migration {
  /** Sorts after the ones before: `0001_accounts`. */
  readonly id: string
  /** Statements, harmless when run twice (`IF NOT EXISTS`). */
  readonly sql: readonly string[]
}

export interface Migrated {
  readonly name: string
  readonly migrations: readonly Migration[]
}

/** The tables of `core`: which migrations ran, and the limits' counters. */
export const coreMigrations: Migrated = {
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

export const migrationHash = (migration: Migration): Promise<string> =>
  hash(migration.sql.join(';\n'))

/** The statement that records a migration, as text: it is also written into the host's `migrations/` files. */
export const recordSql = async (module: string, migration: Migration): Promise<string> =>
  `INSERT OR IGNORE INTO leanto_core_migrations (module, id, hash) VALUES ('${module}', '${migration.id}', '${await migrationHash(migration)}')`

/**
 * Applies the pending migrations of `core` and of the given modules, each in one transaction. For development and
 * tests; a deployment uses `npx leanto migrations` and `wrangler d1 migrations apply`.
 *
 * @returns What it applied, as `module/id`.
 * @throws {Error} if a migration that was applied has been changed since.
 */
export async function migrate(db: Queryable, modules: readonly Migrated[]): Promise<string[]> {
  const known = await appliedMigrations(db)
  const applied: string[] = []
  for (const { name, migrations } of [coreMigrations, ...modules]) {
    for (const migration of migrations) {
      const key = `${name}/${migration.id}`
      const before = known.get(key)
      if (before !== undefined && before !== (await migrationHash(migration)))
        throw new Error(`leanto: migration ${key} was changed after it had been applied`)
      if (before !== undefined) continue
      const record = await recordSql(name, migration)
      await db.batch([...migration.sql, record].map((sql) => db.prepare(sql)))
      known.set(key, await migrationHash(migration))
      applied.push(key)
    }
  }
  return applied
}

async function appliedMigrations(db: Queryable): Promise<Map<string, string>> {
  const table = await db
    .prepare(
      `SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'leanto_core_migrations'`,
    )
    .all()
  if (table.results.length === 0) return new Map()
  const { results } = await db
    .prepare('SELECT module, id, hash FROM leanto_core_migrations')
    .all<{ module: string; id: string; hash: string }>()
  return new Map(results.map((row) => [`${row.module}/${row.id}`, row.hash]))
}
