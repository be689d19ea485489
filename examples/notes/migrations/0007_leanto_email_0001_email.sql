-- Written by `npx leanto migrations`. Do not edit: its hash is recorded when it is applied.
CREATE TABLE IF NOT EXISTS leanto_email_outbox (
  id TEXT PRIMARY KEY, key TEXT, state TEXT NOT NULL, attempts INTEGER NOT NULL, due_at INTEGER NOT NULL,
  local INTEGER NOT NULL, created_at INTEGER NOT NULL, done_at INTEGER, remote TEXT, error TEXT, body TEXT
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS leanto_email_outbox_key ON leanto_email_outbox (key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS leanto_email_outbox_due ON leanto_email_outbox (due_at) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS leanto_email_outbox_done ON leanto_email_outbox (done_at) WHERE done_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS leanto_email_parts (
  id TEXT NOT NULL, part INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (id, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leanto_email_suppressions (
  address TEXT NOT NULL, list TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (address, list)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leanto_email_events (
  id TEXT PRIMARY KEY, at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_email_events_at ON leanto_email_events (at);
INSERT OR IGNORE INTO leanto_core_migrations (module, id, hash) VALUES ('email', '0001_email', 'ludwduCMbsTy_NFUuPj9fTjAps7gByuNfUnxctTcZAM');
