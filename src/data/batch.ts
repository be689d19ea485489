import type { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { randomToken } from '../core/secret.ts'
import { notAcceptable, parseAccept } from './accept.ts'
import { claimOf } from './answers.ts'
import { type Operation, parseOperations } from './batch-operations.ts'
import { earlierOf, type Source, withRefs } from './batch-refs.ts'
import { readBody } from './body.ts'
import type { View } from './compile.ts'
import type { Resource } from './expose.ts'
import { dataFaults, renderFault } from './faults.ts'
import { type Asked, type Job, readJob, writeJob } from './jobs.ts'
import { noTable } from './no-table.ts'
import { parsePrefer } from './prefer.ts'
import { checkProfile } from './profile.ts'
import { parseQuery } from './query.ts'
import { type Effects, labelled, run, StepError } from './run.ts'
import type { Who } from './who.ts'

export interface BatchOptions {
  readonly resources: ReadonlyMap<string, Resource>
  /** In bytes. */
  readonly bodyLimit: number
  /** How long an answer is kept for its idempotency key, in seconds. */
  readonly keepAnswers: number
  /** How many operations, and statements, one batch may have. */
  readonly operations: number
  readonly statements: number
}

/**
 * `POST /batch`: operations on the tables, each as its method, path and body, in one transaction of one trip. Each has the
 * verdict that it would have alone, each sees what the ones before it wrote, and one that fails undoes all.
 *
 * @returns `{ "results": [{ "id", "status", "headers", "body" }, …] }`, or the error of the operation that failed, which
 * `operation` names.
 */
export async function batch(
  scope: Scope,
  request: Request,
  who: Who,
  options: BatchOptions,
): Promise<Response> {
  checkProfile(request)
  const { tx, applied } = parsePrefer(request)
  const { text, parsed } = await readBody(request, options.bodyLimit)
  const operations = parseOperations(parsed(), options)
  const rollback = tx === 'rollback'
  const claim = await claimOf(scope, request, { who, body: text, seconds: options.keepAnswers })
  const key = claim && !rollback ? claim.key : randomToken(16)
  try {
    const { jobs, sources } = await jobsOf(scope, who, { operations, key, options })
    const effects: Effects = { rollback, claim, key, statements: options.statements }
    const results = await run(scope, () => stepsOf(scope, jobs, sources), effects)
    const parts = await Promise.all(
      jobs.map(async (job, i) =>
        resultText(operations[i] as Operation, await job.respond(results[i])),
      ),
    )
    const preference = applied.filter((one) => one.startsWith('tx='))
    return new Response(`{"results":[${parts.join()}]}`, {
      status: 200,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        vary: 'Prefer, Authorization',
        ...(preference.length > 0 ? { 'preference-applied': preference.join() } : {}),
      },
    })
  } catch (error) {
    if (!(error instanceof StepError)) throw error
    return failure(error, operations)
  }
}

type AnyJob = Job<unknown>

/** What each operation comes to, one after the other: a later one may use what an earlier one was given. */
async function jobsOf(
  scope: Scope,
  who: Who,
  about: { operations: readonly Operation[]; key: string; options: BatchOptions },
): Promise<{ jobs: AnyJob[]; sources: Source[] }> {
  const { operations, key, options } = about
  const jobs: AnyJob[] = []
  const sources: Source[] = []
  for (const [i, operation] of operations.entries())
    try {
      const asked = understood(scope, who, operation, options)
      const view: View = { ...asked.view, earlier: earlierOf(key, sources, i) }
      const { request, query } = asked
      const source: Source = {
        id: operation.id,
        view: asked.view,
        query,
        method: request.method,
        rows: [],
        referred: [],
        needed: 0,
      }
      const job =
        request.method === 'GET' || request.method === 'HEAD'
          ? readJob({ ...asked, view })
          : await writeJob({ ...asked, view })
      source.rows = job.rows ?? []
      jobs.push(job as AnyJob)
      sources.push(source)
    } catch (error) {
      throw new StepError(i, error)
    }
  return { jobs, sources }
}

/** An operation as the request that it would be alone. */
function understood(
  scope: Scope,
  who: Who,
  { method, path, headers, body }: Operation,
  { resources }: BatchOptions,
): Asked {
  const request = new Request(`https://batch.invalid${path}`, { method, headers })
  checkProfile(request)
  const { pathname, searchParams } = new URL(request.url)
  const name = tableName(pathname)
  const resource = resources.get(name)
  if (!resource) throw noTable(name, resources.values(), who)
  const prefer = parsePrefer(request)
  if (prefer.tx) throw dataFaults.PT400({ message: 'The preference tx belongs to the whole batch' })
  const accepted = parseAccept(request)
  if (accepted.format === 'plan') throw notAcceptable(request)
  return {
    scope,
    request,
    view: { resource, who },
    query: parseQuery(searchParams),
    prefer,
    accepted,
    ...(body === undefined ? {} : { body: { text: '', parsed: () => withRefs(body) } }),
  }
}

function tableName(pathname: string): string {
  try {
    return decodeURIComponent(pathname.slice(1))
  } catch {
    return pathname.slice(1)
  }
}

function stepsOf(scope: Scope, jobs: readonly AnyJob[], sources: readonly Source[]) {
  const plans = jobs.map((job, i) => {
    try {
      return job.plan({ db: jobs.length > 1 ? labelled(scope.db, i) : scope.db, now: scope.now })
    } catch (error) {
      throw new StepError(i, error)
    }
  })
  return plans.map((plan, i) => {
    const { referred, needed } = sources[i] as Source
    return { plan, referred, rows: needed }
  })
}

const told = [
  'content-type',
  'content-range',
  'content-location',
  'etag',
  'location',
  'next-cursor',
  'preference-applied',
]

async function resultText({ id }: Operation, response: Response): Promise<string> {
  const headers = Object.fromEntries(
    told.flatMap((name) => {
      const value = response.headers.get(name)
      return value === null ? [] : [[name, value]]
    }),
  )
  const text = await response.text()
  const isJson = headers['content-type']?.includes('json') === true
  const body = text === '' ? 'null' : isJson ? text : JSON.stringify(text)
  return `{"id":${JSON.stringify(id)},"status":${response.status},"headers":${JSON.stringify(headers)},"body":${body}}`
}

/** The error of an operation, which it names. One of the server is nobody's. */
async function failure(
  { step, cause }: StepError,
  operations: readonly Operation[],
): Promise<Response> {
  const fault = cause as Fault
  if (!(fault.status < 500)) throw cause
  const response = renderFault(fault)
  const id = operations[step ?? -1]?.id
  const operation = id === undefined ? {} : { operation: { index: step, id } }
  const body = (await response.json()) as object
  return Response.json(
    { ...body, ...operation },
    { status: response.status, headers: response.headers },
  )
}
