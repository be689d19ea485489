import { eq } from 'drizzle-orm'
import { bind } from 'leanto'
import { auth } from 'leanto/auth'
import { data, expose } from 'leanto/data'
import { owned, sync } from 'leanto/sync'
import { notifier } from 'leanto/sync/notifier'
import { upkeep } from 'leanto/sync/upkeep'
import { keptMail } from './mail.ts'
import { notes } from './schema.ts'

export interface Env {
  DB: D1Database
  KV: KVNamespace
  LEANTO_SECRET: string
  /** Wakes the feeds of other devices. */
  SYNC: DurableObjectNamespace
  /** Where the app lives, such as https://notes.example. */
  SITE: string
}

export const base = bind<Env>({
  db: (env) => env.DB,
  kv: (env) => env.KV,
  secret: (env) => env.LEANTO_SECRET,
})

// With a mailer, sign-up would wait for the address to be confirmed. This example lets people in at once.
export const users = auth(base, { site: (env) => env.SITE, mailer: keptMail, autoconfirm: true })

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
