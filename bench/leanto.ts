import { eq } from 'drizzle-orm'
import { Hono } from 'hono'
import { bind } from 'leanto'
import { data, expose } from 'leanto/data'
import { jwks } from 'leanto/jwks'
import { audience, comments, type Env, issuer, notes, users as people } from './tables.ts'

let jwk = ''
const base = bind<Env>({ db: (env) => env.DB, kv: (env) => env.KV, secret: (env) => env.SECRET })
const users = jwks(base, {
  issuer,
  audience,
  url: `${issuer}/jwks.json`,
  // The key set is a constant of the bench: no network in what is measured.
  fetch: async () => Response.json({ keys: [JSON.parse(jwk)] }),
})
const store = data(base, {
  identity: users,
  tables: {
    notes: expose(notes, {
      select: (who) => eq(notes.ownerId, who.id),
      insert: (who) => eq(notes.ownerId, who.id),
      update: (who) => eq(notes.ownerId, who.id),
      delete: (who) => eq(notes.ownerId, who.id),
      defaults: { ownerId: (who) => who.id },
    }),
    comments: expose(comments, { select: () => true }),
    users: expose(people, { select: () => true }),
  },
})
const app = new Hono<{ Bindings: Env }>().route('/', store.routes)

export default {
  fetch(request: Request, env: Env, ctx: ExecutionContext) {
    jwk = env.JWK
    return app.fetch(request, env, ctx)
  },
}
