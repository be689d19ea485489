import type { Context } from 'hono'
import { parseJson, readText } from '../core/body.ts'
import type { Identity } from '../core/ports.ts'
import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import type { View } from './compile.ts'
import { unavailable } from './db-fault.ts'
import type { Resource } from './expose.ts'
import { dataFaults } from './faults.ts'
import { insert } from './insert.ts'
import { type JsonObject, rowsOf } from './payload.ts'
import {
  type Accepted,
  narrow,
  type Preferences,
  parseAccept,
  parsePrefer,
  withoutResolution,
} from './prefer.ts'
import { putTarget } from './put.ts'
import { parseQuery, type Query } from './query.ts'
import { read } from './read.ts'
import { readAnswer, writeAnswer } from './respond.ts'
import { remove, update } from './write.ts'

/** What the handlers share. */
export interface DataContext {
  identity: Identity
  resources: ReadonlyMap<string, Resource>
  /** In bytes. */
  bodyLimit: number
}

/** Every route of the module, under its mount. */
export const dataRoutes = (context: DataContext): Route[] => [
  ['GET', '/:table', asked(context, get)],
  ['POST', '/:table', asked(context, post)],
  ['PATCH', '/:table', asked(context, patch)],
  ['PUT', '/:table', asked(context, put)],
  ['DELETE', '/:table', asked(context, del)],
  ['GET', '/rpc/:function', noFunction],
  ['POST', '/rpc/:function', noFunction],
]

/** A request, understood as far as one can without the database. */
interface Asked {
  scope: Scope
  request: Request
  view: View
  query: Query
  prefer: Preferences
  accepted: Accepted
  body(): Promise<unknown>
}

function asked(context: DataContext, handler: (asked: Asked) => Promise<Response>) {
  const answer = async (scope: Scope, c: Context): Promise<Response> => {
    const request = c.req.raw
    checkProfile(request)
    const who = await context.identity.principal(scope, request)
    const name = c.req.param('table') ?? ''
    const resource = context.resources.get(name)
    if (!resource)
      throw dataFaults.PGRST205({
        message: `Could not find the table 'public.${name.slice(0, 100)}' in the schema cache`,
      })
    return handler({
      scope,
      request,
      view: { resource, who },
      query: parseQuery(new URL(request.url).searchParams),
      prefer: parsePrefer(request),
      accepted: parseAccept(request),
      body: () => readBody(request, context.bodyLimit),
    })
  }
  return async (scope: Scope, c: Context): Promise<Response> => {
    try {
      return await answer(scope, c)
    } catch (error) {
      // Whoever asked the database, the identity too: that it cannot be reached is 503.
      throw unavailable(error)
    }
  }
}

async function get({ scope, request, view, query, prefer, accepted }: Asked): Promise<Response> {
  const window = narrow(query, request)
  // One object is 406 unless there is one row: to know, it must be read.
  const only = request.method === 'HEAD' && accepted.format !== 'object' ? 'only' : true
  const count = prefer.count !== undefined && only
  const result = await read(scope, view, { query, window, count })
  return readAnswer(request, view, { result, offset: window.offset, prefer, accepted })
}

async function post({ scope, view, query, accepted, body, ...asked }: Asked): Promise<Response> {
  const keyed = query.onConflict !== undefined || view.resource.primaryKey.length > 0
  const prefer = keyed ? asked.prefer : withoutResolution(asked.prefer)
  const rows = rowsOf(await body())
  const result = await insert(scope, view, { query, rows, ...answering(prefer, accepted) })
  const created = prefer.resolution !== 'merge-duplicates' || result.inserted > 0
  const status = created ? 201 : 200
  return writeAnswer(view, {
    result,
    status: { full: status, empty: status },
    range: '*',
    prefer,
    accepted,
  })
}

async function patch({ scope, view, query, prefer, accepted, body }: Asked): Promise<Response> {
  refuseWindow(query)
  const given = await body()
  // As in PostgREST, an empty list changes nothing.
  const changes = Array.isArray(given) && given.length === 0 ? {} : oneRow(given)
  const result = await update(scope, view, { query, body: changes, ...answering(prefer, accepted) })
  const range = result.affected === 0 ? '*' : `0-${result.affected - 1}`
  return writeAnswer(view, { result, status: unlessEmpty(200), range, prefer, accepted })
}

async function put({ scope, view, query, prefer, accepted, body }: Asked): Promise<Response> {
  const row = oneRow(await body())
  const upsert = { ...prefer, resolution: 'merge-duplicates' as const, missing: 'default' as const }
  const target = putTarget(view, query, row)
  const result = await insert(scope, view, {
    query: target,
    rows: [row],
    ...answering(upsert, accepted),
  })
  const status = unlessEmpty(result.inserted > 0 ? 201 : 200)
  return writeAnswer(view, { result, status, range: undefined, prefer, accepted })
}

async function del({ scope, view, query, prefer, accepted }: Asked): Promise<Response> {
  refuseWindow(query)
  const result = await remove(scope, view, { query, ...answering(prefer, accepted) })
  return writeAnswer(view, { result, status: unlessEmpty(200), range: '*', prefer, accepted })
}

const unlessEmpty = (full: 200 | 201) => ({ full, empty: 204 as const })

const answering = (prefer: Preferences, accepted: Accepted) => ({
  prefer,
  single: accepted.format === 'object',
})

/** To ignore a limit would write more rows than the client asked for. */
function refuseWindow(query: Query) {
  if (query.limit !== undefined || query.offset > 0)
    throw dataFaults.PGRST127({
      details: 'limit and offset are not supported here on update and delete.',
    })
}

function oneRow(body: unknown): JsonObject {
  const rows = rowsOf(body)
  const [row] = rows
  if (rows.length !== 1 || !row)
    throw dataFaults.PGRST102({ message: 'Payload must be one object' })
  return row
}

async function readBody(request: Request, limit: number): Promise<unknown> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type && type !== 'application/json') {
    await request.body?.cancel()
    throw dataFaults.PGRST102({ message: `Content-Type not acceptable: ${type.slice(0, 100)}` })
  }
  const text = await readText(request, limit)
  if (text.trim() === '') throw dataFaults.PGRST102()
  return parseJson(text)
}

/** The only schema is `public`, which supabase-js names. */
function checkProfile(request: Request) {
  for (const header of ['accept-profile', 'content-profile']) {
    const schema = request.headers.get(header)
    if (schema && schema !== 'public')
      throw dataFaults.PGRST106({
        message: `Invalid schema: ${schema.slice(0, 100)}`,
        hint: 'Only the following schemas are exposed: public',
      })
  }
}

async function noFunction(_scope: Scope, c: Context): Promise<Response> {
  const name = (c.req.param('function') ?? '').slice(0, 100)
  throw dataFaults.PGRST202({
    message: `Could not find the function public.${name} in the schema cache`,
  })
}
