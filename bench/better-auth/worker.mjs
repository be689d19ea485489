import { env, waitUntil } from 'cloudflare:workers'
import { betterAuth } from 'better-auth'
import { hashPassword, verifyPassword } from '../../src/auth/password.ts'

/*
 * better-auth as its documentation sets it up on D1, and wherever an option makes it faster at the same work, that
 * option. Plain JavaScript: types are checked where this package is not installed.
 */

/** @param {{ basePath: string, updateAge: number }} how */
const make = ({ basePath, updateAge }) =>
  betterAuth({
    baseURL: 'https://notes.dev',
    basePath,
    secret: env.SECRET,
    // D1 itself: its own Kysely dialect.
    database: env.DB,
    emailAndPassword: {
      enabled: true,
      password: {
        // The very same argon2id: m = 19456, t = 2, p = 1. Its own default is scrypt.
        hash: async (password) => hashPassword(password),
        verify: ({ hash, password }) => verifyPassword(hash, password),
      },
    },
    session: {
      // A session that has ended must be known at once, as at leanto's /user: every look is one at D1.
      cookieCache: { enabled: false },
      updateAge,
    },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { disabled: true },
    experimental: { instrumentation: { enabled: false } },
    advanced: {
      // Session and user by one trip, not two.
      database: { joins: true },
      backgroundTasks: { handler: waitUntil },
    },
  })

// Made once per isolate: one per request, as many guides have it, is slower.
const auth = make({ basePath: '/api/auth', updateAge: 86_400 })
/** Puts off a session's end at every look: the nearest that it has to a refresh. */
const fresh = make({ basePath: '/api/fresh', updateAge: 0 })

export default {
  /** @param {Request} request */
  fetch: (request) =>
    (new URL(request.url).pathname.startsWith('/api/fresh') ? fresh : auth).handler(request),
}
