import { Hono } from 'hono'
import { bind, handlers } from 'leanto'
import { auth } from 'leanto/auth'

interface Env {
  DB: D1Database
  KV: KVNamespace
  LEANTO_SECRET: string
  SITE: string
}

const base = bind<Env>({
  db: (env) => env.DB,
  kv: (env) => env.KV,
  secret: (env) => env.LEANTO_SECRET,
})

const users = auth(base, { site: (env) => env.SITE })

const app = new Hono<{ Bindings: Env }>()
  .get('/', (c) => c.text('Anyone may read this.', 200))
  .get('/diary', users.signedIn, (c) => c.json({ diaryOf: c.var.principal.id }, 200))
  .get('/hello', users.identify, (c) =>
    c.text(c.var.principal.role === 'anon' ? 'Hello, stranger.' : 'Hello again.', 200),
  )
  .route('/auth/v1', users.routes)

export default { fetch: app.fetch, ...handlers(base, [users]) } satisfies ExportedHandler<Env>
