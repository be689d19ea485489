import { index, integer, sqliteTable, text, unique, uniqueIndex } from 'drizzle-orm/sqlite-core'

/*
 * For joins and reports in the host's own queries. The migrations make these tables and the verbs alone write them.
 * Every time is Unix time in milliseconds.
 */

export const authUsers = sqliteTable('leanto_auth_users', {
  id: text().primaryKey(),
  /** Normalised: lower case, domain in ASCII. Not proven unless `emailConfirmedAt` is set. */
  email: text().unique(),
  /** E.164 without the plus. Not proven unless `phoneConfirmedAt` is set. */
  phone: text().unique(),
  /** A PHC string; `null` if the user has no password. */
  password: text(),
  /** JSON; only the server writes it. */
  appMetadata: text('app_metadata').notNull(),
  /** JSON; the user writes it. Grant nothing by it. */
  userMetadata: text('user_metadata').notNull(),
  emailConfirmedAt: integer('email_confirmed_at'),
  phoneConfirmedAt: integer('phone_confirmed_at'),
  isAnonymous: integer('is_anonymous').notNull().default(0),
  invitedAt: integer('invited_at'),
  confirmationSentAt: integer('confirmation_sent_at'),
  recoverySentAt: integer('recovery_sent_at'),
  /** The address that a change is waiting for. */
  emailChange: text('email_change'),
  emailChangeSentAt: integer('email_change_sent_at'),
  /** Which mailbox has confirmed the change already: `current` or `new`. */
  emailChangeHalf: text('email_change_half'),
  phoneChange: text('phone_change'),
  lastSignInAt: integer('last_sign_in_at'),
  /** Banned while in the future. */
  bannedUntil: integer('banned_until'),
  deletedAt: integer('deleted_at'),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
})

/** How a user has proven who they are: a mailbox, a phone, an account elsewhere. */
export const authIdentities = sqliteTable(
  'leanto_auth_identities',
  {
    /** Of the identity `email`: the user's. */
    id: text().primaryKey(),
    /** `email`, `phone`, or the provider's name. */
    provider: text().notNull(),
    /** The provider's own id of the account; of `email` and `phone` the user's id. */
    subject: text().notNull(),
    userId: text('user_id').notNull(),
    email: text(),
    /** JSON of the provider's claims. */
    data: text().notNull(),
    lastSignInAt: integer('last_sign_in_at'),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [
    unique().on(table.provider, table.subject),
    index('leanto_auth_identities_user').on(table.userId),
  ],
)

export const authSessions = sqliteTable(
  'leanto_auth_sessions',
  {
    id: text().primaryKey(),
    userId: text('user_id').notNull(),
    createdAt: integer('created_at').notNull(),
    /** The absolute end, if there is one. */
    notAfter: integer('not_after'),
    /** `aal1`, or `aal2` once a second factor was shown. */
    aal: text().notNull().default('aal1'),
    /** JSON list of `{ method, timestamp }`, the newest first; timestamps in seconds. */
    amr: text().notNull().default('[]'),
    refreshedAt: integer('refreshed_at'),
    userAgent: text('user_agent'),
    ip: text(),
    factorId: text('factor_id'),
    tag: text(),
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

/** What was sent to a mailbox or a phone, to be shown once. */
export const authTokens = sqliteTable(
  'leanto_auth_tokens',
  {
    /** SHA-256 of the link's token, base64url. */
    hash: text().primaryKey(),
    kind: text().notNull(),
    userId: text('user_id').notNull(),
    /** Where it was sent: only the same address shows it again. */
    target: text().notNull(),
    /** HMAC of address and code: a few digits would be found from a plain hash. */
    code: text(),
    codeExpiresAt: integer('code_expires_at').notNull(),
    /** Guesses at the code so far. */
    attempts: integer().notNull().default(0),
    /** Set and deleted within the one batch that uses the token. */
    taken: text(),
    /** JSON. */
    data: text().notNull(),
    createdAt: integer('created_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
  },
  (table) => [
    uniqueIndex('leanto_auth_tokens_user').on(table.userId, table.kind),
    index('leanto_auth_tokens_target').on(table.target, table.kind),
    index('leanto_auth_tokens_expiry').on(table.expiresAt),
  ],
)

/** Sign-ins that are under way: OAuth's state, and codes to be exchanged by their PKCE verifier (RFC 7636). */
export const authFlows = sqliteTable(
  'leanto_auth_flows',
  {
    /** SHA-256 of the state or code, base64url. */
    id: text().primaryKey(),
    kind: text().notNull(),
    provider: text(),
    codeChallenge: text('code_challenge'),
    /** `s256` or `plain`. */
    codeChallengeMethod: text('code_challenge_method'),
    redirectTo: text('redirect_to'),
    /** JSON, sealed where it is secret. */
    data: text(),
    userId: text('user_id'),
    /** What the session's `amr` will say. */
    authMethod: text('auth_method'),
    /** Set and deleted within the one batch that uses the flow. */
    taken: text(),
    createdAt: integer('created_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
  },
  (table) => [index('leanto_auth_flows_expiry').on(table.expiresAt)],
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
