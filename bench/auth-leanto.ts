import { Hono } from 'hono'
import { bind } from 'leanto'
import { auth } from 'leanto/auth'
import type { Env } from './tables.ts'

const base = bind<Env>({ db: (env) => env.DB, kv: (env) => env.KV, secret: (env) => env.SECRET })
// As it comes, but for the budgets: better-auth's are off too.
const users = auth(base, {
  site: 'https://notes.dev',
  limits: { guesses: false, account: false, signIns: false, signUps: false },
})

export default new Hono<{ Bindings: Env }>().route('/auth/v1', users.routes)
