import { env } from 'cloudflare:workers'
import { betterAuth } from 'better-auth'

/* The least that signs in by e-mail and password on D1, to be weighed: its own scrypt and nothing of leanto. */
const auth = betterAuth({
  baseURL: 'https://notes.dev',
  secret: env.SECRET,
  database: env.DB,
  emailAndPassword: { enabled: true },
})

export default { fetch: auth.handler }
