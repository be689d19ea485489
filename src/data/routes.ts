import type { Context } from 'hono'
import type { Identity } from '../core/ports.ts'
import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { notAcceptable, parseAccept } from './accept.ts'
import { claimOf } from './answers.ts'
import { type BatchOptions, batch } from './batch.ts'
import { readBody } from './body.ts'
import { unavailable } from './db-fault.ts'
import { explain } from './explain.ts'
import { dataFaults } from './faults.ts'
import { describedFunctions } from './function-callable.ts'
import { type Asked, countOf, writeJob } from './jobs.ts'
import { noTable } from './no-table.ts'
import { openApi } from './openapi.ts'
import { narrow, parsePrefer } from './prefer.ts'
import { checkProfile } from './profile.ts'
import { parseQuery } from './query.ts'
import { planRead, type ReadInput, read } from './read.ts'
import { readAnswer } from './respond.ts'
import { type RpcOptions, rpc } from './rpc.ts'
import { run, StepError } from './run.ts'
import { whoAsks } from './who.ts'
import { withWhy } from './why-header.ts'
import type { WriteResult } from './write.ts'

/** What the handlers share. */
export interface DataContext extends BatchOptions, RpcOptions {
  readonly identity: Identity
}

/** Every route of the module, under its mount. */
export const dataRoutes = (context: DataContext): Route[] => [
  ['GET', '/', described(context)],
  // The same with the slash that supabase-js sends.
  ['GET', '/:root{$}', described(context)],
  // Before the tables, of which none can be called so.
  ['POST', '/batch', guarded(batched(context))],
  ['GET', '/:table', asked(context, get(context))],
  ['POST', '/:table', asked(context, write(context))],
  ['PATCH', '/:table', asked(context, write(context))],
  ['PUT', '/:table', asked(context, write(context))],
  ['DELETE', '/:table', asked(context, write(context))],
  ['GET', '/rpc/:function', guarded(called(context))],
  ['POST', '/rpc/:function', guarded(called(context))],
  ['PATCH', '/rpc/:function', noCall],
  ['PUT', '/rpc/:function', noCall],
  ['DELETE', '/rpc/:function', noCall],
]

const described = (context: DataContext) => async (scope: Scope, c: Context) => {
  const request = c.req.raw
  checkProfile(request)
  const accept = request.headers.get('accept') ?? '*/*'
  if (!/\*\/\*|application\/(\*|json|openapi\+json)/.test(accept)) throw notAcceptable(request)
  const who = await whoAsks(context.identity, scope, request)
  const functions = describedFunctions(context.functions.values(), who)
  const body = openApi(new URL(request.url), who, context.resources.values(), functions)
  const headers = { 'content-type': 'application/openapi+json; charset=utf-8' }
  return Response.json(body, { status: 200, headers })
}

const methodsWithBody = new Set(['POST', 'PATCH', 'PUT'])

function asked(context: DataContext, handler: (asked: Asked) => Promise<Response>) {
  const answer = async (scope: Scope, c: Context): Promise<Response> => {
    const request = c.req.raw
    checkProfile(request)
    const who = await whoAsks(context.identity, scope, request)
    const name = c.req.param('table') ?? ''
    const resource = context.resources.get(name)
    if (!resource) throw noTable(name, context.resources.values(), who)
    return handler({
      scope,
      request,
      view: { resource, who },
      query: parseQuery(new URL(request.url).searchParams),
      prefer: parsePrefer(request),
      accepted: parseAccept(request),
      ...(methodsWithBody.has(request.method)
        ? { body: await readBody(request, context.bodyLimit) }
        : {}),
    })
  }
  return guarded(answer)
}

const guarded =
  (answer: (scope: Scope, c: Context) => Promise<Response>) =>
  async (scope: Scope, c: Context): Promise<Response> => {
    try {
      return await answer(scope, c)
    } catch (error) {
      // Whoever asked the database, the identity too: that it cannot be reached is 503.
      throw unavailable(error)
    }
  }

const batched = (context: DataContext) => async (scope: Scope, c: Context) => {
  const request = c.req.raw
  return batch(scope, request, await whoAsks(context.identity, scope, request), context)
}

const get =
  ({ identity }: DataContext) =>
  async (asked: Asked): Promise<Response> => {
    const { scope, request, view, query, prefer, accepted } = asked
    const window = narrow(query, request)
    const input: ReadInput = { query, window, count: countOf(request, prefer, accepted) }
    if (accepted.format === 'plan')
      return explain(asked, (db) => planRead(db, view, input).statements)
    return withWhy(identity, asked, async () => {
      const result = await read(scope, view, input)
      const about = { result, offset: window.offset, prefer, accepted }
      return { response: await readAnswer(request, view, about), isEmpty: result.count === 0 }
    })
  }

const write =
  ({ identity, keepAnswers }: DataContext) =>
  async (asked: Asked): Promise<Response> => {
    const { scope, request, view, prefer, accepted, body } = asked
    const job = await writeJob(asked)
    if (accepted.format === 'plan')
      return explain(asked, (db) => job.plan({ db, now: scope.now }).statements())
    const about = { who: view.who, body: body?.text ?? '', seconds: keepAnswers }
    const effects = {
      rollback: prefer.tx === 'rollback',
      claim: await claimOf(scope, request, about),
    }
    const make = () => [{ plan: job.plan(scope), referred: [], rows: 0 }]
    return withWhy(identity, asked, async () => {
      try {
        const [result] = (await run(scope, make, effects)) as [WriteResult]
        return { response: await job.respond(result), isEmpty: result.affected === 0 }
      } catch (error) {
        throw error instanceof StepError ? error.cause : error
      }
    })
  }

const called = (context: DataContext) => async (scope: Scope, c: Context) => {
  const request = c.req.raw
  const who = await whoAsks(context.identity, scope, request)
  return rpc(scope, request, { who, name: c.req.param('function') ?? '' }, context)
}

async function noCall(_scope: Scope, c: Context): Promise<Response> {
  throw dataFaults.PGRST101({ message: `Cannot use the ${c.req.method} method on RPC` })
}
