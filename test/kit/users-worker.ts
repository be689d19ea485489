/* The Worker that users move to in tests, by the command line and by stock clients. */
import { Hono } from 'hono'
import { bind } from 'leanto'
import { auth } from 'leanto/auth'
import { mfa, movedFactors } from 'leanto/auth/mfa'
import { moving } from 'leanto/auth/moving'
import { movedPasskeys, passkeys } from 'leanto/auth/passkeys'
import { bcrypt, betterAuth, firebase, pbkdf2, scrypt } from 'leanto/auth/passwords'

interface Env {
  DB: D1Database
  KV: KVNamespace
}

const base = bind<Env>({
  db: (env) => env.DB as never,
  kv: (env) => env.KV as never,
  secret: () => 'a-secret-that-is-used-by-no-one-but-the-tests-0123456789',
})

const users = auth(base, {
  site: 'https://app.example',
  password: { formats: [bcrypt, scrypt, betterAuth, firebase, pbkdf2] },
  limits: { guesses: false, signIns: false, account: false },
  with: [mfa(), passkeys(), moving({ parts: [movedFactors, movedPasskeys] })],
})

const app = new Hono().route('/auth/v1', users.routes)
export default { fetch: app.fetch } satisfies ExportedHandler<Env>
