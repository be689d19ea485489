-- Written by `npx leanto migrations`. Do not edit: its hash is recorded when it is applied.
CREATE TABLE IF NOT EXISTS leanto_auth_passkeys (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL, credential_id TEXT NOT NULL UNIQUE,
  public_key TEXT NOT NULL, counter INTEGER NOT NULL, aaguid TEXT NOT NULL,
  transports TEXT NOT NULL, backup_eligible INTEGER NOT NULL, backed_up INTEGER NOT NULL,
  name TEXT NOT NULL, created_at INTEGER NOT NULL, last_used_at INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_auth_passkeys_user ON leanto_auth_passkeys (user_id);
INSERT OR IGNORE INTO leanto_core_migrations (module, id, hash) VALUES ('auth', '0006_passkeys', 'kiaTtlc7XcK0-X4IBQdKD_kt7Oe5jDHKPLKRDrF637g');
