import { Fault } from '../core/fault.ts'
import type { Identity } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import type { Asked } from './jobs.ts'
import { compileNode } from './node.ts'
import { rowsOf } from './payload.ts'
import { notSingle } from './rows.ts'
import { filterSql } from './where.ts'
import { isClosed, type PolicyName, whyChanged, whyHidden, whyRefused } from './why.ts'

/*
 * `X-Leanto-Why`: in development, and for whoever sends the secret key as `apikey` beside the token of the user whose
 * request it is. A policy's words and the number of hidden rows are nobody else's business.
 */

const header = 'x-leanto-why'

const policiesOf = new Map<string, readonly PolicyName[]>([
  ['GET', ['select']],
  ['HEAD', ['select']],
  ['POST', ['insert']],
  ['PUT', ['insert', 'update']],
  ['PATCH', ['select', 'update']],
  ['DELETE', ['select', 'delete']],
])

/** Answers, and says why if the answer is empty (`isEmpty`) or a refusal. */
export async function withWhy(
  identity: Identity,
  asked: Asked,
  answer: () => Promise<{ response: Response; isEmpty: boolean }>,
): Promise<Response> {
  try {
    const { response, isEmpty } = await answer()
    if (!isEmpty || !(await mayKnow(identity, asked))) return response
    const headers = new Headers(response.headers)
    headers.set(header, await ofEmpty(asked))
    return new Response(response.body, { status: response.status, headers })
  } catch (error) {
    if (!(error instanceof Fault) || !(await mayKnow(identity, asked))) throw error
    const why = await ofFault(asked, error)
    if (why === undefined) throw error
    const { code, status, message, details, hint, cause } = error
    const headers = { ...error.headers, [header]: why }
    throw new Fault(code, { status, message }, { details, hint, cause, headers } as never)
  }
}

async function mayKnow(identity: Identity, { scope, request }: Asked): Promise<boolean> {
  if (scope.local) return true
  const apikey = request.headers.get('apikey')
  if (apikey === null) return false
  return isService(identity, scope, new Request(request.url, { headers: { apikey } }))
}

const isService = async (identity: Identity, scope: Scope, request: Request): Promise<boolean> =>
  (await identity.principal(scope, request)).role === 'service'

const ofEmpty = ({ scope, request, view, query }: Asked): Promise<string> => {
  // A read's filters may be of its embeds, and inner ones bound it as well.
  const where =
    request.method === 'GET' || request.method === 'HEAD'
      ? compileNode(view, { ...query, order: [] }, { next: 1 }).where
      : filterSql(view, query.filters)
  return whyHidden(scope, view, policiesOf.get(request.method) ?? [], where)
}

async function ofFault(asked: Asked, { code, details }: Fault): Promise<string | undefined> {
  const { scope, request, view, query, body } = asked
  const policies = policiesOf.get(request.method) ?? []
  if (code === 'PGRST116' && request.method !== 'POST')
    return details === notSingle(0).details ? ofEmpty(asked) : undefined
  if (code !== '42501') return undefined
  const closed = policies.filter((policy) => isClosed(view, policy))
  const [missing] = closed
  if (missing !== undefined) return `${missing}: the table has no such policy, so it is closed`
  const rows = rowsOf(body?.parsed())
  if (request.method !== 'PATCH') return whyRefused(scope, view, policies, rows)
  const where = filterSql(view, query.filters)
  const { columns } = query
  return whyChanged(scope, view, { where, row: rows[0] ?? {}, ...(columns ? { columns } : {}) })
}
