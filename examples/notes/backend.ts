import { eq } from 'drizzle-orm'
import { bind } from 'leanto'
import { auth } from 'leanto/auth'
import { passkeys } from 'leanto/auth/passkeys'
import { data, expose } from 'leanto/data'
import { type Email, email } from 'leanto/email'
import { binding } from 'leanto/email/binding'
import { capture } from 'leanto/email/capture'
import { templates } from 'leanto/email/templates'
import { services } from 'leanto/services'
import { libre, translate } from 'leanto/services/translate'
import { owned, sync } from 'leanto/sync'
import { notifier } from 'leanto/sync/notifier'
import { upkeep } from 'leanto/sync/upkeep'
import { noteMail } from './mailer.ts'
import { notes } from './schema.ts'

export interface Env {
  DB: D1Database
  KV: KVNamespace
  LEANTO_SECRET: string
  /** Wakes the feeds of other devices. */
  SYNC: DurableObjectNamespace
  /** Where the app lives, such as https://notes.example. */
  SITE: string
  /** Whom mail is from. */
  MAIL_FROM: string
  /** Sends mail, where there is one; on one's own machine mail is kept and shown. */
  EMAIL?: SendEmail
  /** Where LibreTranslate runs. Empty: there is no translator. */
  TRANSLATE_ORIGIN: string
}

export const base = bind<Env>({
  db: (env) => env.DB,
  kv: (env) => env.KV,
  secret: (env) => env.LEANTO_SECRET,
})

// Each needs the other: a function, and a type that is said.
export const mailer: Email = email(base, {
  from: (env) => env.MAIL_FROM,
  transport: capture({ otherwise: binding({ binding: (env: Env) => env.EMAIL }) }),
  parts: [templates({ identity: () => users, templates: { note: noteMail } })],
})

// With a mailer, sign-up would wait for the address to be confirmed. This example lets people in at once. An app that
// sends mail must not: without `autoconfirm`, nobody has notes mailed to an address that is another's.
export const users = auth(base, {
  site: (env) => env.SITE,
  mailer,
  autoconfirm: true,
  with: [passkeys({ name: 'Notes' })],
})

export const store = data(base, {
  identity: users,
  tables: {
    notes: expose(notes, {
      select: (who) => eq(notes.ownerId, who.id),
      insert: (who) => eq(notes.ownerId, who.id),
      update: (who) => eq(notes.ownerId, who.id),
      delete: (who) => eq(notes.ownerId, who.id),
      defaults: { ownerId: (who) => who.id },
    }),
  },
})

/** The notebook that works offline: documents of the page's own making, a database for every user. */
export const docs = sync(base, {
  identity: users,
  databases: {
    notebook: owned({
      limits: { document: 100_000, attachment: 2_000_000, database: 100_000_000 },
      tombstones: 180,
    }),
  },
  parts: [upkeep],
  notifier: notifier<Env>((env) => env.SYNC),
})

export const paid = services(base, {
  identity: users,
  parts: [
    translate({
      providers: [libre({ origin: (env: Env) => env.TRANSLATE_ORIGIN })],
      quota: { user: { units: { day: 25_000 } } },
      // What a note says is its owner's alone: that someone had the same sentence translated must not show.
      cache: { seconds: 30 * 24 * 60 * 60, per: 'user' },
    }),
  ],
})
