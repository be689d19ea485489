import type { Context, MiddlewareHandler } from 'hono'
import type { Base } from './bind.ts'
import { coreFaults, Fault, problem } from './fault.ts'
import type { Identity, Principal } from './ports.ts'

/** What the middleware gives the host's handlers: `c.var.principal`. */
export interface Principled {
  Variables: { principal: Principal }
}

type Middleware = MiddlewareHandler<Principled>

/** What more than a token a route demands. */
export interface Demand {
  /** How surely the user was recognised: `aal2` once a second factor was shown in this session (NIST SP 800-63B-4). */
  aal: 'aal1' | 'aal2'
}

export interface Guards {
  /**
   * Lets only a signed-in user (or the service key) through; others get 401 as problem+json (RFC 9457).
   *
   * As it is a middleware, and with a demand it makes one: `users.signedIn({ aal: 'aal2' })` asks who has shown less
   * to step up, by RFC 9470's challenge.
   */
  readonly signedIn: ((demand: Demand) => Middleware) & Middleware
  /** Lets everyone through and says who it is; a guest is a principal too. A bad token is 401. */
  readonly identify: Middleware
}

/** Middleware for the host's own routes, over any identity. */
export function guards<Env>(base: Base<Env>, identity: Identity): Guards {
  const guard =
    (check: (principal: Principal) => void): Middleware =>
    async (c, next) => {
      try {
        const principal = await identity.principal(base.scope(c as unknown as Context), c.req.raw)
        check(principal)
        c.set('principal', principal)
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        if (error.status === 401) {
          const headers = { 'www-authenticate': 'Bearer', ...error.headers }
          return problem(new Fault(error.code, error, { ...error, headers }))
        }
        return problem(error)
      }
      await next()
    }
  const anyone = guard(requireUser)
  const demanding = ({ aal }: Demand) =>
    guard((principal) => {
      requireUser(principal)
      if (aal === 'aal2' && principal.role !== 'service' && principal.claims.aal !== 'aal2')
        throw stepUp()
    })
  return {
    signedIn: ((first: Demand | Context<Principled>, next?: Parameters<Middleware>[1]) =>
      next ? anyone(first as Context<Principled>, next) : demanding(first as Demand)) as never,
    identify: guard(() => {}),
  }
}

/** RFC 9470, 3: by which a client knows that signing in again is not what is missing. */
const challenge = 'Bearer error="insufficient_user_authentication", acr_values="aal2"'

/** Asks for a second factor: 401. */
export const stepUp = (): Fault =>
  coreFaults.insufficient_aal({ headers: { 'www-authenticate': challenge } })

function requireUser({ role }: Principal): void {
  if (role === 'anon') throw coreFaults.unauthenticated()
}
