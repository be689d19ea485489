import type { Context } from 'hono'
import * as v from 'valibot'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { body, ok, refuse, text } from '../body.ts'
import type { Doors } from '../part.ts'
import { decide, lookAt } from './decide.ts'
import { oauthServerFaults } from './faults.ts'
import type { Server } from './settings.ts'

const consentBody = v.object({ action: text })

/** For a consent page of the host's, as GoTrue has them. */
export function authorizationRoutes(doors: Doors, server: Server): Route[] {
  const one = '/oauth/authorizations/:authorization_id'
  return [
    ['GET', one, details(doors, server)],
    ['POST', `${one}/consent`, consent(doors, server)],
  ]
}

function idOf(c: Context): string {
  const id = c.req.param('authorization_id') ?? ''
  if (!/^[\w-]{32}$/.test(id)) throw oauthServerFaults.oauth_authorization_not_found()
  return id
}

/** Pages that no client may put into the app's name: its own, and those of `redirects`. What has no `Origin` is no page. */
function checkOrigin({ settings }: Server, scope: Scope, request: Request): void {
  const origin = request.headers.get('origin')
  if (origin === null || origin === settings.site(scope)) return
  const url = URL.parse(origin)
  if (!url || !settings.allows(url)) throw refuse('unauthorized request origin')
}

const details =
  ({ callerOf }: Doors, server: Server): Route[2] =>
  async (scope, c) => {
    // A GET also answers HEAD, which makes a request nobody's.
    if (c.req.method === 'HEAD') return new Response(null, { status: 200 })
    checkOrigin(server, scope, c.req.raw)
    const caller = await callerOf(scope, c.req.raw)
    const looked = await lookAt(server, scope, { ...caller, id: idOf(c) })
    if ('redirect_url' in looked) return ok(looked)
    const { standing: _, ...shown } = looked
    return ok(shown)
  }

const consent =
  ({ callerOf }: Doors, server: Server): Route[2] =>
  async (scope, c) => {
    checkOrigin(server, scope, c.req.raw)
    const caller = await callerOf(scope, c.req.raw)
    const { action } = await body(c, consentBody)
    if (action !== 'approve' && action !== 'deny')
      throw refuse("action must be 'approve' or 'deny'")
    const input = { ...caller, id: idOf(c), approved: action === 'approve' }
    return ok(await decide(server, scope, input))
  }
