-- Written by `npx leanto migrations`. Do not edit: its hash is recorded when it is applied.
CREATE TABLE IF NOT EXISTS leanto_email_captured (
  id TEXT PRIMARY KEY, at INTEGER NOT NULL, recipients TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leanto_email_captured_parts (
  id TEXT NOT NULL, part INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (id, part)
) WITHOUT ROWID;
INSERT OR IGNORE INTO leanto_core_migrations (module, id, hash) VALUES ('email', '0002_captured', 'LT6OPhYXo7iWLLHnbUwks6zfgW1giLqNWMPD5aiU6YQ');
