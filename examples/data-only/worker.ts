import { eq } from 'drizzle-orm'
import { Hono } from 'hono'
import { bind, handlers } from 'leanto'
import { data, expose } from 'leanto/data'
import { jwks } from 'leanto/jwks'
import { tasks } from './schema.ts'

interface Env {
  DB: D1Database
  KV: KVNamespace
  LEANTO_SECRET: string
  ISSUER: string
  JWKS_URL: string
  AUDIENCE: string
}

const base = bind<Env>({
  db: (env) => env.DB,
  kv: (env) => env.KV,
  secret: (env) => env.LEANTO_SECRET,
})

const users = jwks(base, {
  issuer: (env) => env.ISSUER,
  url: (env) => env.JWKS_URL,
  audience: (env) => env.AUDIENCE,
})

const store = data(base, {
  identity: users,
  tables: {
    tasks: expose(tasks, {
      select: (who) => eq(tasks.ownerId, who.id),
      insert: (who) => eq(tasks.ownerId, who.id),
      update: (who) => eq(tasks.ownerId, who.id),
      delete: (who) => eq(tasks.ownerId, who.id),
      defaults: { ownerId: (who) => who.id },
    }),
  },
})

const app = new Hono<{ Bindings: Env }>()
  .get('/', (c) => c.text('Tasks, for users who sign in elsewhere.', 200))
  .get('/me', users.signedIn, (c) => c.json({ id: c.var.principal.id }, 200))
  .route('/rest/v1', store.routes)

export default { fetch: app.fetch, ...handlers(base, [store]) } satisfies ExportedHandler<Env>
