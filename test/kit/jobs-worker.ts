/* The Worker that is killed in the middle of jobs, and that a real queue wakes. */
import { Hono } from 'hono'
import { bind, handlers } from 'leanto'
import { job, jobs, type QueueBinding } from 'leanto/jobs'
import * as v from 'valibot'

interface Env {
  DB: D1Database
  KV: KVNamespace
  JOBS: QueueBinding
  /** Seconds that the clock is ahead. */
  AHEAD: number
  WITH_QUEUE: boolean
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
let ahead = 0

const base = bind<Env>({
  db: (env) => env.DB as never,
  kv: (env) => env.KV as never,
  secret: () => 'a-secret-that-is-used-by-no-one-but-the-tests-0123456789',
  now: () => Date.now() + ahead * 1000,
})

const work = (queued: boolean) =>
  jobs(base, {
    ...(queued ? { queue: (env: Env) => env.JOBS } : {}),
    handlers: {
      work: job({
        payload: v.object({ n: v.number(), ms: v.number(), fails: v.number() }),
        backoff: { first: 1 },
        run: async (scope, { n, ms, fails }, { attempt, idempotencyKey }) => {
          await scope.db
            .prepare('INSERT INTO starts (n, key) VALUES (?, ?)')
            .bind(n, idempotencyKey)
            .run()
          await sleep(ms)
          if (attempt <= fails) throw new Error('not yet')
        },
      }),
    },
  })
const [plain, queued] = [work(false), work(true)]
const of = (env: Env) => (env.WITH_QUEUE ? queued : plain)

const app = new Hono<{ Bindings: Env }>()
  .post('/enqueue', async (c) => {
    ahead = c.env.AHEAD
    const scope = base.scope(c as never)
    const { from, to, ms, fails = 0 } = await c.req.json()
    for (let n = from; n <= to; n++)
      await of(c.env).enqueue(scope, 'work', { n, ms, fails }, { at: scope.now() - 1000 + n })
    return c.body(null, 204)
  })
  .post('/drain', async (c) => {
    ahead = c.env.AHEAD
    return c.json(await of(c.env).drain(base.scope(c as never)), 200)
  })

export default {
  fetch: app.fetch,
  queue: (batch: MessageBatch, env: Env, ctx: ExecutionContext) =>
    handlers(base, [of(env)]).queue(batch, env, ctx),
}
