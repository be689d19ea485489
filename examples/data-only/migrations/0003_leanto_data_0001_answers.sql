-- Written by `npx leanto migrations`. Do not edit: its hash is recorded when it is applied.
CREATE TABLE IF NOT EXISTS leanto_data_answers (
  key TEXT NOT NULL, n INTEGER NOT NULL, part INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  kept TEXT, affected INTEGER, found INTEGER NOT NULL, rows TEXT,
  PRIMARY KEY (key, n, part)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_data_answers_expiry ON leanto_data_answers (expires_at);
INSERT OR IGNORE INTO leanto_core_migrations (module, id, hash) VALUES ('data', '0001_answers', '9ncBa-YKRCEX5oAlIrUU1u0WlrIYAkXrHm-epQzg6oE');
