import type { Context } from 'hono'
import type { Principal } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import { derive } from '../core/secret.ts'
import { bad } from './faults.ts'
import { count, optionsOf } from './query.ts'
import type { Find } from './request.ts'
import { hex, randomId } from './revision.ts'

/** https://docs.couchdb.org/en/stable/api/server/common.html#get-- Never refuses: clients look here whether this is a server. */
export async function welcome(scope: Scope): Promise<Response> {
  const uuid = hex(await derive(scope.secret, 'sync:server-uuid')).slice(0, 32)
  return Response.json(
    {
      couchdb: 'Welcome',
      // Of the protocol, as clients compare it.
      version: '3.4.3',
      uuid,
      features: [],
      vendor: { name: 'leanto' },
    },
    { status: 200 },
  )
}

export const up = (): Response => Response.json({ status: 'ok', seeds: {} }, { status: 200 })

export function uuids(_: Scope, c: Context): Response {
  const many = count(optionsOf(new URL(c.req.url).searchParams), 'count', 1)
  if (many > 1000) throw bad('bad_request', 'count parameter too large')
  return Response.json({ uuids: Array.from({ length: many }, randomId) }, { status: 200 })
}

/** Those databases of the host that who asks may read. Those that a pattern means are not listed. */
export function allDbs(who: Principal, find: Find, names: readonly string[]): Response {
  const readable = names.filter((name) => find(name)?.definition.read(who))
  return Response.json(readable.sort(), { status: 200 })
}

/** Who asks, as CouchDB's `userCtx` has it. */
export const userOf = ({ id, role }: Principal): { name: string | null; roles: string[] } => ({
  name: id ?? (role === 'service' ? 'service' : null),
  roles: role === 'service' ? ['_admin'] : role === 'authenticated' ? ['authenticated'] : [],
})

export function session(who: Principal): Response {
  const { name, roles } = userOf(who)
  return Response.json(
    {
      ok: true,
      userCtx: { name, roles },
      info: {
        authentication_handlers: ['bearer', 'default'],
        ...(name ? { authenticated: 'bearer' } : {}),
      },
    },
    { status: 200 },
  )
}

export function noSession(): never {
  throw bad(
    'not_found',
    'Sign in with the host; send its token as Bearer, or as the password of Basic',
  )
}
