import * as v from 'valibot'
import { Fault } from '../../core/fault.ts'
import { networkOf } from '../../core/limit.ts'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { adminOnly } from '../admin/access.ts'
import { pageHeaders, readPage } from '../admin/paging.ts'
import { body, refuse, text } from '../body.ts'
import type { Doors } from '../part.ts'
import { flag, idParam } from '../request.ts'
import type { Caller } from '../session.ts'
import { callerStatement, checkCaller } from '../user.ts'
import type { ImpersonationSettings } from './index.ts'
import { listImpersonations, stopImpersonation } from './manage.ts'
import { checkActor, startImpersonation } from './start.ts'

type Handler = Route[2]

const list = '/admin/impersonations'

/** Every route. GoTrue has none of them. */
export function impersonationRoutes(doors: Doors, own: ImpersonationSettings): Route[] {
  const actorOf = recognise(doors)
  return [
    ['POST', '/admin/users/:user_id/impersonate', start(doors, own, actorOf)],
    ['GET', list, listed(doors, own, actorOf)],
    ['DELETE', `${list}/:impersonation_id`, stop(doors, own, actorOf)],
    ['POST', '/impersonation/stop', stopOwn(doors)],
  ]
}

type ActorOf = (scope: Scope, request: Request) => Promise<Caller | 'server'>

/** The server, by what `admin` takes for it; else a user, of whom the database says whether they are an admin. */
function recognise({ settings, callerOf }: Doors): ActorOf {
  const allow = adminOnly(settings)
  return async (scope, request) => {
    try {
      await allow(scope, request)
      return 'server'
    } catch (error) {
      if (!(error instanceof Fault && error.code === 'not_admin')) throw error
      return callerOf(scope, request)
    }
  }
}

const startBody = v.object({
  reason: text,
  expires_in: v.nullish(v.number()),
  readonly: flag,
  actor: text,
})

const start =
  ({ settings, reply }: Doors, own: ImpersonationSettings, actorOf: ActorOf): Handler =>
  async (scope, c) => {
    const who = await actorOf(scope, c.req.raw)
    const { actor, reason, expires_in: seconds, readonly } = await body(c, startBody)
    if (who !== 'server' && actor) throw refuse('actor is for the secret key alone')
    const session = await startImpersonation(settings, own)(scope, {
      userId: idParam(c, 'user_id'),
      actor: who === 'server' ? (actor ?? '') : who,
      reason: reason ?? '',
      seconds: seconds ?? undefined,
      readonly: readonly ?? undefined,
      network: networkOf(c.req.raw),
    })
    return reply(scope, c.req.raw, session)
  }

/** As `actorOf`, of an admin who still is one. One trip, of a user. */
async function adminOf(
  { settings }: Doors,
  own: ImpersonationSettings,
  scope: Scope,
  who: Caller | 'server',
): Promise<string> {
  if (who === 'server') return who
  checkActor(own, checkCaller(scope, await callerStatement(settings, scope, who).first()), who)
  return who.userId
}

const listed =
  (doors: Doors, own: ImpersonationSettings, actorOf: ActorOf): Handler =>
  async (scope, c) => {
    await adminOf(doors, own, scope, await actorOf(scope, c.req.raw))
    const page = readPage(c)
    const userId = c.req.query('user_id')?.toLowerCase() || undefined
    const { impersonations, total } = await listImpersonations(scope, { ...page, userId })
    return Response.json(impersonations, { status: 200, headers: pageHeaders(list, page, total) })
  }

const stop =
  (doors: Doors, own: ImpersonationSettings, actorOf: ActorOf): Handler =>
  async (scope, c) => {
    const by = await adminOf(doors, own, scope, await actorOf(scope, c.req.raw))
    const id = idParam(c, 'impersonation_id')
    await stopImpersonation(doors.settings)(scope, { id, by, network: networkOf(c.req.raw) })
    return new Response(null, { status: 204 })
  }

const stopOwn =
  ({ settings, callerOf }: Doors): Handler =>
  async (scope, c) => {
    const { act, sessionId: id } = await callerOf(scope, c.req.raw, { acted: true })
    if (act === undefined) throw refuse('Nobody acts for you in this session')
    const network = networkOf(c.req.raw)
    await stopImpersonation(settings)(scope, { id, by: 'itself', network })
    return new Response(null, { status: 204 })
  }
