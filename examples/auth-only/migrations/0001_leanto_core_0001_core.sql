-- Written by `npx leanto migrations`. Do not edit: its hash is recorded when it is applied.
CREATE TABLE IF NOT EXISTS leanto_core_migrations (
  module TEXT NOT NULL, id TEXT NOT NULL, hash TEXT NOT NULL,
  applied_at INTEGER NOT NULL DEFAULT (unixepoch()),
  PRIMARY KEY (module, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leanto_core_limits (
  key TEXT PRIMARY KEY, period INTEGER NOT NULL, spent INTEGER NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_core_limits_expiry ON leanto_core_limits (expires_at);
INSERT OR IGNORE INTO leanto_core_migrations (module, id, hash) VALUES ('core', '0001_core', '1e8JWow0YX2pU8PRgA_R0DGuuhvIUZWVbGIE25DIIVw');
