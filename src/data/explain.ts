import type { Queryable, Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { type Accepted, notAcceptable } from './accept.ts'
import type { View } from './compile.ts'

/*
 * `Accept: application/vnd.pgrst.plan+json`, as supabase-js's `.explain()` asks:
 * https://docs.postgrest.org/en/v14/references/observability.html#execution-plan
 */

interface Explained {
  statement: string
  /** SQLite's words: https://www.sqlite.org/eqp.html */
  plan: string[]
  rowsRead?: number
}

/**
 * How a request would be run: its statements, their query plans and its trips; with `options=analyze`, of a read, what it
 * read as well. A write is not run.
 *
 * @param plan Makes the request's statements on a database.
 * @throws {Fault} PGRST107 unless in local development, or for `service`: plans tell of policies.
 */
export async function explain(
  {
    scope,
    request,
    view,
    accepted,
  }: { scope: Scope; request: Request; view: View; accepted: Accepted },
  plan: (db: Queryable) => readonly Statement[],
): Promise<Response> {
  if (!accepted.plan || !(scope.local || view.who.role === 'service')) throw notAcceptable(request)
  const texts = new Map<Statement, string>()
  const noted = (statement: Statement, text: string): Statement => {
    texts.set(statement, text)
    return statement
  }
  const explaining: Queryable = {
    prepare(text) {
      const statement = scope.replica.prepare(`explain query plan ${text}`)
      const bind = statement.bind.bind(statement)
      return noted(
        Object.assign(statement, { bind: (...values: unknown[]) => noted(bind(...values), text) }),
        text,
      )
    },
    batch: (statements) => scope.replica.batch(statements),
  }
  const statements = plan(explaining)
  const reads = request.method === 'GET' || request.method === 'HEAD'
  const analyzed = accepted.plan.analyze && reads ? plan(scope.replica) : []
  const results =
    statements.length > 0 ? await scope.replica.batch([...statements, ...analyzed]) : []
  const explained = statements.map((statement, i): Explained => {
    const rowsRead = results[statements.length + i]?.meta.rows_read
    const rows = results[i]?.results ?? []
    return {
      statement: texts.get(statement) ?? '',
      plan: rows.map((row) => `${'  '.repeat(depthOf(rows, row))}${row.detail}`),
      ...(rowsRead === undefined ? {} : { rowsRead }),
    }
  })
  const trips = explained.length > 0 ? 1 : 0
  if (!accepted.plan.text) return Response.json([{ trips, statements: explained }], { status: 200 })
  const lines = explained.flatMap(({ statement, plan: steps, rowsRead }) => [
    statement,
    ...steps.map((step) => `  -> ${step}`),
    ...(rowsRead === undefined ? [] : [`  rows read: ${rowsRead}`]),
  ])
  return new Response([...lines, `trips: ${trips}`].join('\n'), {
    status: 200,
    headers: { 'content-type': 'application/vnd.pgrst.plan+text; charset=utf-8' },
  })
}

/** How deep a step is below the others that it is part of. */
function depthOf(rows: readonly Record<string, unknown>[], row: Record<string, unknown>): number {
  const parent = rows.find(({ id }) => id === row.parent)
  return parent ? 1 + depthOf(rows, parent) : 0
}
