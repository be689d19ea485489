import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { Fault, problem } from '../../core/fault.ts'
import type { Principled } from '../../core/guard.ts'
import { guest } from '../../core/identity.ts'
import { principalOf, verifyJwt } from '../../core/jwt.ts'
import type { Principal } from '../../core/ports.ts'
import type { Scope } from '../../core/scope.ts'
import { algorithm } from '../keys.ts'
import type { Doors } from '../part.ts'
import { wordsOf } from './client.ts'
import { oauthServerFaults } from './faults.ts'
import { published, resourceMetadata, serverMetadata } from './metadata.ts'
import { partName, resourcesOf, type Server } from './settings.ts'
import { requireHeld } from './tokens-met.ts'

/** What is mounted, once it is. */
export type Mounted = () => { doors: Doors; server: Server }

const root = '/.well-known'
const protectedResource = `${root}/oauth-protected-resource`

/** RFC 9728, 3.1: the well-known part stands before the resource's own path. */
const metadataAddress = (url: string): string => {
  const { origin, pathname, search } = new URL(url)
  return `${origin}${protectedResource}${pathname === '/' ? '' : pathname}${search}`
}

/**
 * What clients look for at the root of the origin, where `auth` is not mounted: an issuer with a path has its metadata at
 * `/.well-known/oauth-authorization-server/auth/v1` (RFC 8414, 3.1), and so has a resource (RFC 9728, 3.1). Anyone's page may
 * read them.
 */
export function wellKnown(mounted: Mounted): Hono {
  const app = new Hono()
  const serve = (path: string, find: (scope: Scope, c: Context) => unknown) =>
    app.on('GET', path, (c) => {
      const { doors } = mounted()
      const found = find(doors.scopeOf(c as unknown as Context), c as unknown as Context)
      if (found === undefined) return c.notFound()
      const response = published(found)
      response.headers.set('access-control-allow-origin', '*')
      response.headers.set('x-content-type-options', 'nosniff')
      return response
    })
  const issuer = (name: string) => (scope: Scope, c: Context) => {
    const { server } = mounted()
    const of = server.settings.issuer(scope)
    const { pathname } = new URL(of)
    return c.req.path === `${root}/${name}${pathname}` ? serverMetadata(server, of) : undefined
  }
  const resource = (scope: Scope, c: Context) => {
    const { server } = mounted()
    for (const [url, declared] of resourcesOf(server, scope))
      if (new URL(metadataAddress(url)).pathname === c.req.path)
        return resourceMetadata(server, scope, { url, resource: declared })
    return undefined
  }
  serve(`${root}/oauth-authorization-server/*`, issuer('oauth-authorization-server'))
  serve(`${root}/openid-configuration/*`, issuer('openid-configuration'))
  serve(protectedResource, resource)
  serve(`${protectedResource}/*`, resource)
  return app
}

export interface Demanded {
  /** What the token must have been granted, all of it. @default none */
  scopes?: readonly string[]
}

/**
 * Middleware before a resource of the host's: only a token that was asked for by this resource, as `aud` says, comes
 * through. Others get 401 with the way to one (RFC 9728, 5.1), or 403 where a scope is missing (RFC 6750, 3.1). No trip.
 */
export function protects(
  mounted: Mounted,
  at: string,
  { scopes = [] }: Demanded,
): MiddlewareHandler<Principled> {
  return async (c, next) => {
    const { doors, server } = mounted()
    const scope = doors.scopeOf(c as unknown as Context)
    const url = new URL(at, server.settings.site(scope)).href
    try {
      const principal = await bearerOf(server, scope, { request: c.req.raw, url })
      const granted = wordsOf(String(principal.claims.scope))
      if (!scopes.every((word) => granted.includes(word)))
        throw oauthServerFaults.insufficient_scope()
      c.set('principal', principal)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      if (error.status >= 500) return problem(error)
      const wanted = scopes.length > 0 ? scopes : resourcesOf(server, scope).get(url)?.scopes
      const shown = c.req.raw.headers.has('authorization')
      return challenged(error, { url, shown, scopes: wanted ?? Object.keys(server.scopes) })
    }
    await next()
  }
}

async function bearerOf(
  server: Server,
  scope: Scope,
  { request, url }: { request: Request; url: string },
): Promise<Principal> {
  const { settings } = server
  const token = request.headers.get('authorization')?.match(/^(?:Bearer|DPoP) +([\w.-]+) *$/i)?.[1]
  if (!token) throw oauthServerFaults.invalid_token({ message: 'A token is required' })
  const claims = await verifyJwt(token, settings.keys.keyOf(scope), {
    issuer: settings.issuer(scope),
    audience: url,
    algorithms: [algorithm],
    now: scope.now(),
  })
  // An ID token's audience is a client, which is no URL; but let it say so.
  if (typeof claims.client_id !== 'string') throw oauthServerFaults.invalid_token()
  const machine = claims.session_id === undefined
  const principal: Principal = machine
    ? { ...guest, claims: Object.freeze(claims) }
    : principalOf(claims)
  await requireHeld(server, scope, principal, request)
  // What this part itself asks of a token for the whole app is none of a resource's.
  for (const { name, admit } of settings.parts)
    if (name !== partName) await admit?.(settings, scope, principal, request)
  return principal
}

function challenged(
  fault: Fault,
  { url, shown, scopes }: { url: string; shown: boolean; scopes: readonly string[] },
): Response {
  const lacking = fault.code === 'insufficient_scope'
  const error = lacking ? 'insufficient_scope' : 'invalid_token'
  const parts = [
    // Of nothing that was shown, nothing is said (RFC 6750, 3.1).
    ...(shown ? [`error="${error}"`] : []),
    ...(scopes.length > 0 ? [`scope="${scopes.join(' ')}"`] : []),
    `resource_metadata="${metadataAddress(url)}"`,
  ]
  // Where the token is bound to a key, the fault says how that is shown.
  const bound = fault.headers['www-authenticate']
  const scheme = bound ? `${bound}, ${parts.at(-1)}` : `Bearer ${parts.join(', ')}`
  const headers = { ...fault.headers, 'www-authenticate': scheme }
  const status = lacking ? 403 : 401
  return problem(new Fault(error, { status, message: fault.message }, { headers }))
}
