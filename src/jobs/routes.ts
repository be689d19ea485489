import type { Context } from 'hono'
import { isStorable } from '../core/body.ts'
import type { Identity, Principal } from '../core/ports.ts'
import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import type { Keep } from './claim.ts'
import { jobsFaults, unavailable } from './faults.ts'
import {
  cancelJob,
  type JobRecord,
  type JobSummary,
  listJobs,
  readJob,
  retryJob,
  type Whose,
} from './manage.ts'

export interface RoutesInput {
  readonly identity: Identity
  readonly keep: Keep
  /** Runs after a dead letter was made ready again. */
  readonly woken: (scope: Scope, id: string) => void
}

interface Asked {
  readonly scope: Scope
  readonly who: Principal
  readonly whose: Whose
  readonly c: Context
}

/** Every route under the mount: an owner's own jobs, and all of them for the service. */
export const jobsRoutes = ({ identity, keep, woken }: RoutesInput): Route[] => {
  const route = (
    method: Route[0],
    path: string,
    answer: (asked: Asked) => Promise<Response>,
  ): Route => [method, path, guarded(identity, answer)]
  return [
    route('GET', '/', async ({ scope, who, whose, c }) => {
      const jobs = await listJobs(scope, { ...whose, ...listing(c) })
      return Response.json(jobs.map((job) => shown(who, job)))
    }),
    route('GET', '/:id', async ({ scope, who, whose, c }) =>
      Response.json(shown(who, await readJob(scope, { ...whose, id: idOf(c) }))),
    ),
    route('DELETE', '/:id', async ({ scope, whose, c }) => {
      await cancelJob(scope, { ...whose, id: idOf(c), keep })
      return new Response(null, { status: 204 })
    }),
    route('POST', '/:id/retry', async ({ scope, who, c }) => {
      if (who.role !== 'service') throw jobsFaults.forbidden()
      const id = idOf(c)
      await retryJob(scope, { id })
      woken(scope, id)
      return new Response(null, { status: 202 })
    }),
  ]
}

const guarded =
  (identity: Identity, answer: (asked: Asked) => Promise<Response>) =>
  async (scope: Scope, c: Context): Promise<Response> => {
    try {
      const who = await identity.principal(scope, c.req.raw)
      // An id that is empty or none is nobody's, whatever its role says.
      if (who.role !== 'service' && (who.role === 'anon' || !who.id))
        throw jobsFaults.unauthenticated({ headers: { 'www-authenticate': 'Bearer' } })
      const whose = who.role === 'service' ? {} : { owner: who.id }
      return await answer({ scope, who, whose, c })
    } catch (error) {
      throw unavailable(error)
    }
  }

const idOf = (c: Context): string => {
  const id = c.req.param('id') ?? ''
  if (id.length > 200 || !isStorable(id)) throw jobsFaults.job_not_found()
  return id
}

const known = ['state', 'name', 'before', 'limit']

function listing(c: Context) {
  const { searchParams } = new URL(c.req.url)
  const refuse = (message: string) => jobsFaults.bad_request({ message })
  for (const key of searchParams.keys())
    if (!known.includes(key) || searchParams.getAll(key).length > 1)
      throw refuse(`Query parameters are ${known.join(', ')}, once each`)
  const get = (key: string) => searchParams.get(key) ?? undefined
  const [state, name, before, limit = '50'] = known.map(get)
  if (state !== undefined && state !== 'dead') throw refuse('state must be dead')
  if (!/^[1-9]\d{0,2}$/.test(limit) || Number(limit) > 200)
    throw refuse('limit must be a number from 1 to 200')
  for (const text of [name, before])
    if (text !== undefined && !isStorable(text))
      throw refuse('Text must be valid UTF-8 without NUL')
  return {
    limit: Number(limit),
    dead: state === 'dead',
    ...(name === undefined ? {} : { name }),
    ...(before === undefined ? {} : { before }),
  }
}

/** Payload and error are the host's: its clients see what the handler says to them, progress and result. */
function shown({ role }: Principal, job: JobSummary & Partial<JobRecord>) {
  const { payload, error, owner, priority, ...open } = job
  const times = {
    createdAt: new Date(job.createdAt).toISOString(),
    scheduledAt: new Date(job.scheduledAt).toISOString(),
    endedAt: job.endedAt === null ? null : new Date(job.endedAt).toISOString(),
  }
  return role === 'service'
    ? { ...open, ...times, owner, priority, payload, error }
    : { ...open, ...times }
}
