-- Written by `npx leanto migrations`. Do not edit: its hash is recorded when it is applied.
CREATE TABLE IF NOT EXISTS leanto_services_usage (
  key TEXT PRIMARY KEY, start INTEGER NOT NULL, ends INTEGER NOT NULL, requests INTEGER NOT NULL,
  units INTEGER NOT NULL, micros INTEGER NOT NULL, alerted INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_services_usage_ends ON leanto_services_usage (ends);
INSERT OR IGNORE INTO leanto_core_migrations (module, id, hash) VALUES ('services', '0001_services', 'lOVrZQ_uHZJxntqbjVqvpJ6LgsBLHNRFq9oX_JVrX-k');
