import { getMigrations } from 'better-auth/db/migration'

/**
 * Makes better-auth's tables and indexes by its own migrations.
 *
 * @param {import('@cloudflare/workers-types').D1Database} database
 */
export async function migrate(database) {
  const { runMigrations } = await getMigrations({
    // Miniflare's stand-in has these methods only when asked for them, and better-auth looks by `in`.
    database: {
      prepare: (sql) => database.prepare(sql),
      batch: (statements) => database.batch(statements),
      exec: (sql) => database.exec(sql),
    },
    emailAndPassword: { enabled: true },
    telemetry: { enabled: false },
  })
  await runMigrations()
}
