import type { Migration } from '../../core/migrate.ts'

/*
 * An impersonation ends in the very statement that ends what it stands on, whichever that is: the actor's own session, or what
 * makes actor or user an admin. No read can come between (case 18). On one line each: see `data/derived.ts`.
 */
export const impersonationMigrations: readonly Migration[] = [
  {
    id: '0010_impersonations',
    sql: [
      // The id is that of the session.
      `CREATE TABLE IF NOT EXISTS leanto_auth_impersonations (
         id TEXT PRIMARY KEY, user_id TEXT NOT NULL, actor TEXT NOT NULL, actor_session TEXT,
         reason TEXT NOT NULL, readonly INTEGER NOT NULL, network TEXT,
         started_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, ended_at INTEGER
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_impersonations_user
         ON leanto_auth_impersonations (user_id)`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_impersonations_actor
         ON leanto_auth_impersonations (actor) WHERE ended_at IS NULL`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_impersonations_session
         ON leanto_auth_impersonations (actor_session) WHERE ended_at IS NULL`,
      `CREATE TRIGGER IF NOT EXISTS leanto_auth_impersonations_ended AFTER DELETE ON leanto_auth_sessions WHEN old.tag = 'impersonation' BEGIN UPDATE leanto_auth_impersonations SET ended_at = min(expires_at, CAST(unixepoch('subsec') * 1000 AS INTEGER)) WHERE id = old.id AND ended_at IS NULL; END`,
      'CREATE TRIGGER IF NOT EXISTS leanto_auth_impersonations_signed_out AFTER DELETE ON leanto_auth_sessions WHEN old.tag IS NULL BEGIN DELETE FROM leanto_auth_sessions WHERE id IN (SELECT id FROM leanto_auth_impersonations WHERE actor_session = old.id AND ended_at IS NULL); END',
      'CREATE TRIGGER IF NOT EXISTS leanto_auth_impersonations_roles AFTER UPDATE OF app_metadata ON leanto_auth_users WHEN old.app_metadata IS NOT new.app_metadata BEGIN DELETE FROM leanto_auth_sessions WHERE id IN (SELECT id FROM leanto_auth_impersonations WHERE user_id = new.id AND ended_at IS NULL UNION ALL SELECT id FROM leanto_auth_impersonations WHERE actor = new.id AND ended_at IS NULL); END',
    ],
  },
]
