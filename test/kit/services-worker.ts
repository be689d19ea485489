import { Hono } from 'hono'
import { bind, type Identity } from 'leanto'
import { service, services } from 'leanto/services'
import { cached } from 'leanto/services/cache'
import { streamed } from 'leanto/services/streamed'

/* A Worker with services at the address that its binding ORIGIN says, for tests in Node. */

/** `AHEAD`: seconds that the clock is. */
type Bindings = Cloudflare.Env & { ORIGIN: string; AHEAD?: number }

let ahead = 0

const base = bind<Bindings>({
  db: (env) => env.DB as never,
  kv: (env) => env.KV as never,
  secret: () => 'a-secret-of-these-tests-alone-0123456789abcdef',
  now: () => Date.now() + ahead * 1000,
})

const identity: Identity = {
  principal: async (_scope, request) => ({
    id: request.headers.get('authorization')?.slice('Bearer '.length) ?? '',
    role: 'authenticated',
    claims: {},
  }),
}

const common = {
  origin: (env: Bindings) => env.ORIGIN,
  auth: { header: 'authorization', value: () => 'Bearer sk-0123456789' },
  timeout: 1000,
  retries: 0,
  breaker: false as const,
}

const gateway = services(base, {
  identity,
  services: {
    counted: service({
      ...common,
      // 1,000 at once are more than one isolate does in a second.
      timeout: 30_000,
      allow: [{ method: 'GET', path: '/:what' }],
      quota: { user: { requests: { month: 100 } } },
    }),
    cached: service({
      ...common,
      allow: [{ method: 'GET', path: '/:what' }],
      quota: { app: { requests: { month: 1_000_000 } } },
      cache: cached({ seconds: 600, per: 'shared' }),
    }),
    model: service({
      ...common,
      allow: [{ method: 'GET', path: '/:what' }],
      meter: { unit: 'tokens', most: () => 100, used: (_call, { text }) => text.length },
      quota: { user: { units: { month: 1000 } } },
    }),
    upload: service({
      ...common,
      allow: [{ method: 'POST', path: '/upload', body: streamed('text/plain'), bytes: 1_000_000 }],
      quota: 'unsafeUnlimited',
    }),
  },
})

const app = new Hono<{ Bindings: Bindings }>().route('/services', gateway.routes)
export default {
  fetch(request: Request, env: Bindings, ctx: ExecutionContext) {
    ahead = env.AHEAD ?? 0
    return app.fetch(request, env, ctx)
  },
}
