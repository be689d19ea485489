-- Written by `npx leanto migrations`. Do not edit: its hash is recorded when it is applied.
CREATE TABLE IF NOT EXISTS leanto_sync_databases (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, owner TEXT NOT NULL DEFAULT '', uuid TEXT NOT NULL,
  update_seq INTEGER NOT NULL DEFAULT 0, doc_count INTEGER NOT NULL DEFAULT 0,
  del_count INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
  purge_seq INTEGER NOT NULL DEFAULT 0, floor_seq INTEGER NOT NULL DEFAULT 0,
  revs_limit INTEGER, security TEXT, created_at INTEGER NOT NULL, tidied_seq INTEGER NOT NULL DEFAULT 0,
  UNIQUE (name, owner)
);
CREATE TABLE IF NOT EXISTS leanto_sync_documents (
  db INTEGER NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, rev TEXT NOT NULL, deleted INTEGER NOT NULL,
  size INTEGER NOT NULL, at INTEGER NOT NULL, born INTEGER NOT NULL, tree TEXT NOT NULL, channels TEXT, atts TEXT, body TEXT NOT NULL,
  PRIMARY KEY (db, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS leanto_sync_documents_id ON leanto_sync_documents (db, id);
CREATE INDEX IF NOT EXISTS leanto_sync_documents_dead ON leanto_sync_documents (db, at) WHERE deleted = 1;
CREATE TABLE IF NOT EXISTS leanto_sync_revisions (
  db INTEGER NOT NULL, id TEXT NOT NULL, rev TEXT NOT NULL, deleted INTEGER NOT NULL, channels TEXT, atts TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (db, id, rev)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leanto_sync_locals (
  db INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '', id TEXT NOT NULL, rev INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (db, owner, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leanto_sync_parts (
  db INTEGER NOT NULL, hash TEXT NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (db, hash, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leanto_sync_left (
  db INTEGER NOT NULL, channel TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, rev TEXT NOT NULL,
  PRIMARY KEY (db, channel, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_sync_left_seq ON leanto_sync_left (db, seq);
CREATE INDEX IF NOT EXISTS leanto_sync_left_id ON leanto_sync_left (db, id);
CREATE TABLE IF NOT EXISTS leanto_sync_members (
  db INTEGER NOT NULL, who TEXT NOT NULL, channels TEXT NOT NULL,
  PRIMARY KEY (db, who)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leanto_sync_upkeep (id INTEGER PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS leanto_sync_views (
  id INTEGER PRIMARY KEY AUTOINCREMENT, db INTEGER NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
  seq INTEGER NOT NULL DEFAULT 0, purge_seq INTEGER NOT NULL, total INTEGER NOT NULL DEFAULT 0,
  UNIQUE (db, name)
);
CREATE TABLE IF NOT EXISTS leanto_sync_rows (
  view INTEGER NOT NULL, sort TEXT NOT NULL, id TEXT NOT NULL, n INTEGER NOT NULL, key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (view, sort, id, n)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_sync_rows_id ON leanto_sync_rows (view, id);
INSERT OR IGNORE INTO leanto_core_migrations (module, id, hash) VALUES ('sync', '0001_sync', 'Ch_T5jjUD9TVlPWCF0TS_lStOXZDabDYY1uWTkiCn8I');
