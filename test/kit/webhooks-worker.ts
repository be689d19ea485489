/* The Worker whose webhooks go to real receivers on loopback. */
import { Hono } from 'hono'
import { bind } from 'leanto'
import { jobs } from 'leanto/jobs'
import { webhooks } from 'leanto/jobs/webhooks'

interface Env {
  DB: D1Database
  KV: KVNamespace
}

let ahead = 0

const base = bind<Env>({
  db: (env) => env.DB as never,
  kv: (env) => env.KV as never,
  secret: () => 'a-secret-that-is-used-by-no-one-but-the-tests-0123456789',
  now: () => Date.now() + ahead,
})

const hooks = webhooks({
  timeout: 1,
  backoff: { first: 5, factor: 1 },
  // The receivers of the test, by the one name that it gives them.
  unsafeAllow: ({ hostname, port }) => hostname === '127.0.0.1' && port !== '',
})
const work = jobs(base, { handlers: {}, parts: [hooks] })

const app = new Hono<{ Bindings: Env }>()
  .post('/register', async (c) =>
    c.json(await hooks.register(base.scope(c as never), await c.req.json()), 200),
  )
  .post('/send', async (c) =>
    c.json(await hooks.send(base.scope(c as never), await c.req.json()), 200),
  )
  .post('/drain', async (c) => c.json(await work.drain(base.scope(c as never)), 200))
  .post('/later', (c) => {
    ahead += 10_000
    return c.body(null, 204)
  })
  .get('/log/:id', async (c) =>
    c.json(await hooks.deliveries(base.scope(c as never), c.req.param('id')), 200),
  )

export default { fetch: app.fetch } satisfies ExportedHandler<Env>
