import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/*
 * For joins and reports in the host's own queries. The migrations make these tables and the verbs alone write them.
 * Every time is Unix time in milliseconds.
 */

export const authUsers = sqliteTable('leanto_auth_users', {
  id: text().primaryKey(),
  /** Normalised: lower case, domain in ASCII. */
  email: text().notNull().unique(),
  /** A PHC string; `null` if the user has no password. */
  password: text(),
  /** JSON; only the server writes it. */
  appMetadata: text('app_metadata').notNull(),
  /** JSON; the user writes it. Grant nothing by it. */
  userMetadata: text('user_metadata').notNull(),
  emailConfirmedAt: integer('email_confirmed_at'),
  lastSignInAt: integer('last_sign_in_at'),
  /** Banned while in the future. */
  bannedUntil: integer('banned_until'),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
})

export const authSessions = sqliteTable(
  'leanto_auth_sessions',
  {
    id: text().primaryKey(),
    userId: text('user_id').notNull(),
    createdAt: integer('created_at').notNull(),
    /** The absolute end, if there is one. */
    notAfter: integer('not_after'),
  },
  (table) => [index('leanto_auth_sessions_user').on(table.userId)],
)

/** A token whose session is gone is dead; `scheduled` removes it when its time is over. */
export const authRefreshTokens = sqliteTable(
  'leanto_auth_refresh_tokens',
  {
    /** SHA-256 of the token, base64url. */
    hash: text().primaryKey(),
    sessionId: text('session_id').notNull(),
    usedAt: integer('used_at'),
    /** The hash of the one token that it was exchanged for. */
    child: text(),
    expiresAt: integer('expires_at').notNull(),
  },
  (table) => [index('leanto_auth_refresh_tokens_expiry').on(table.expiresAt)],
)

export const authKeys = sqliteTable('leanto_auth_keys', {
  /** The `kid`. */
  id: text().primaryKey(),
  /** Public JWK. */
  public: text().notNull(),
  /** Private JWK, sealed under the secret. */
  sealed: text().notNull(),
  createdAt: integer('created_at').notNull(),
  /** Since when it no longer signs. */
  retiredAt: integer('retired_at'),
})
