import type { Context, MiddlewareHandler } from 'hono'
import type { Base } from './bind.ts'
import { coreFaults, Fault, problem } from './fault.ts'
import type { Identity, Principal } from './ports.ts'

/** What the middleware gives the host's handlers: `c.var.principal`. */
export interface Principled {
  Variables: { principal: Principal }
}

export interface Guards {
  /** Lets only a signed-in user (or the service key) through; others get 401 as problem+json (RFC 9457). */
  readonly signedIn: MiddlewareHandler<Principled>
  /** Lets everyone through and says who it is; a guest is a principal too. A bad token is 401. */
  readonly identify: MiddlewareHandler<Principled>
}

/** Middleware for the host's own routes, over any identity. */
export function guards<Env>(base: Base<Env>, identity: Identity): Guards {
  const guard =
    (admits: (principal: Principal) => boolean): MiddlewareHandler<Principled> =>
    async (c, next) => {
      try {
        const principal = await identity.principal(base.scope(c as unknown as Context), c.req.raw)
        if (!admits(principal)) throw coreFaults.unauthenticated()
        c.set('principal', principal)
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        if (error.status === 401) {
          const challenge = { ...error.headers, 'www-authenticate': 'Bearer' }
          return problem(new Fault(error.code, error, { ...error, headers: challenge }))
        }
        return problem(error)
      }
      await next()
    }
  return {
    signedIn: guard((principal) => principal.role !== 'anon'),
    identify: guard(() => true),
  }
}
