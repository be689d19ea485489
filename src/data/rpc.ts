import type { Scope } from '../core/scope.ts'
import { type Accepted, notAcceptable, parseAccept } from './accept.ts'
import { claimOf } from './answers.ts'
import { denied } from './compile.ts'
import { explain } from './explain.ts'
import { dataFaults } from './faults.ts'
import {
  type Given,
  givenInBody,
  givenInQuery,
  isNamed,
  namesOf,
  onlyNamed,
  validArgs,
} from './function-args.ts'
import { type Callable, mayCall } from './function-callable.ts'
import { areNamed, likeliest } from './function-names.ts'
import { countOf } from './jobs.ts'
import { narrow, type Preferences, parsePrefer } from './prefer.ts'
import { checkProfile } from './profile.ts'
import { parseQuery, type Query } from './query.ts'
import { planRead, type ReadInput, readingOf } from './read.ts'
import { callAnswer } from './rpc-answer.ts'
import { once } from './rpc-once.ts'
import { outcomeOf, runHandler, sourceOf } from './rpc-outcome.ts'
import type { Who } from './who.ts'

export interface RpcOptions {
  readonly functions: ReadonlyMap<string, Callable>
  /** In bytes. */
  readonly bodyLimit: number
  /** How long an answer is kept for its idempotency key, in seconds. */
  readonly keepAnswers: number
}

/** A call, understood and permitted. */
export interface Call {
  readonly request: Request
  readonly who: Who
  readonly callable: Callable
  readonly given: Given
  /** The body, if it has one. */
  readonly bytes?: Uint8Array
  readonly prefer: Preferences
  readonly accepted: Accepted
  readonly input: ReadInput
}

/**
 * Calls a function: `/rpc/:name`. GET and HEAD give the arguments in the query string, POST in the body; the rest of the
 * query string is for the rows that come of it.
 *
 * @throws {Fault} PGRST202 for a function that is not there or has other arguments, 42501 for one that is closed, 25006 for
 * one that may write called by GET, 22023 for arguments that its schema refuses, and whatever it throws itself.
 */
export async function rpc(
  scope: Scope,
  request: Request,
  { who, name }: { who: Who; name: string },
  options: RpcOptions,
): Promise<Response> {
  checkProfile(request)
  const call = await understood(request, who, name, options)
  mustBeAnswerable(call)
  const { callable, given, accepted, bytes } = call
  const args = await validArgs(name, callable.fn.schema, given)
  const answer = async (within: Scope) => {
    const { own, result } = await runHandler(within, call, args)
    if (accepted.format !== 'plan')
      return callAnswer(request, await outcomeOf(own, call, result), call)
    const { view, input } = sourceOf(call, result)
    const explaining = { scope: own, request, view, accepted }
    return explain(explaining, (db) => planRead(db, view, input).statements)
  }
  if (callable.readOnly) return answer(scope)
  const body = new TextDecoder('latin1').decode(bytes)
  const claim = await claimOf(scope, request, { who, body, seconds: options.keepAnswers })
  return claim ? once(scope, claim, answer) : answer(scope)
}

const isRead = ({ method }: Request) => method === 'GET' || method === 'HEAD'

async function understood(
  request: Request,
  who: Who,
  name: string,
  { functions, bodyLimit }: RpcOptions,
): Promise<Call> {
  const prefer = parsePrefer(request)
  const accepted = parseAccept(request)
  const { searchParams } = new URL(request.url)
  const {
    given: all,
    rest,
    bytes,
  } = isRead(request)
    ? { ...givenInQuery(searchParams), bytes: undefined }
    : { ...(await givenInBody(request, bodyLimit)), rest: searchParams }
  const query = parseQuery(rest)
  const given = onlyNamed(all, query.columns)
  const callable = functions.get(name)
  if (!callable) {
    const open = [...functions.values()].filter((one) => mayCall(one, who)).map((one) => one.name)
    throw unknown(request, name, given, likeliest(name, open))
  }
  if (!mayCall(callable, who)) throw denied(who, `permission denied for function ${name}`)
  if (isRead(request) && !callable.readOnly)
    throw dataFaults['25006']({
      message: `cannot call function ${name} in a read-only transaction`,
      hint: 'Call it by POST.',
      headers: { allow: 'POST' },
    })
  const { parameters } = callable
  if (parameters && isNamed(given) && !areNamed(parameters, namesOf(given)))
    throw unknown(request, name, given, `${name}(${[...parameters.names].sort().join(', ')})`)
  return {
    request,
    who,
    callable,
    given,
    ...(bytes ? { bytes } : {}),
    prefer,
    accepted,
    input: inputOf(request, query, prefer, accepted),
  }
}

function inputOf(
  request: Request,
  query: Query,
  prefer: Preferences,
  accepted: Accepted,
): ReadInput {
  const count = countOf(request, prefer, accepted)
  const only = count && prefer.return === 'minimal' ? 'only' : count
  return { query, window: narrow(query, request), count: only }
}

/** In PostgREST's words: https://docs.postgrest.org/en/v14/references/errors.html#pgrst202 */
function unknown(request: Request, name: string, given: Given, like: string | undefined) {
  const called = `public.${name.slice(0, 100)}`
  const names = namesOf(given).sort().slice(0, 20)
  const list = names.join(', ').slice(0, 300)
  const isJson = !isRead(request) && 'value' in given && isNamed(given)
  const without = names.length === 0 ? ' without parameters' : undefined
  const searched =
    without ??
    ` with parameter${names.length > 1 ? 's' : ''} ${list}${isJson ? ' or with a single unnamed json/jsonb parameter' : ''}`
  return dataFaults.PGRST202({
    message: `Could not find the function ${called}${without ?? `(${list})`} in the schema cache`,
    details: `Searched for the function ${called}${searched}, but no matches were found in the schema cache.`,
    ...(like === undefined
      ? {}
      : { hint: `Perhaps you meant to call the function public.${like}` }),
  })
}

/** What could not be answered is refused before the function does anything: what it writes cannot be undone afterwards. */
function mustBeAnswerable({ request, who, callable, prefer, accepted, input }: Call) {
  const { readOnly, table, rows } = callable
  if (accepted.format === 'geojson' && !table?.point.length) throw notAcceptable(request)
  if (accepted.format === 'plan' && !(table && readOnly)) throw notAcceptable(request)
  if (!readOnly && (prefer.tx === 'rollback' || prefer.maxAffected !== undefined))
    throw dataFaults.PGRST127({
      details: `What the function ${callable.name} writes cannot be undone: neither tx=rollback nor max-affected is possible.`,
    })
  const resource = table ?? rows
  if (resource) readingOf({ resource, who }, input)
}
