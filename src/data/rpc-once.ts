import type { Queryable, QueryResult, Statement } from '../core/database.ts'
import { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { type Claim, claimStatements, isAnswered } from './answers.ts'
import { answersTable, open } from './capture.ts'
import { prepare } from './compile.ts'
import { dataFaults, renderFault } from './faults.ts'
import { isReading } from './function-scope.ts'
import { sql } from './sql.ts'

/*
 * `Idempotency-Key` of a function. What its handler does is nothing that could be put into one transaction with its
 * answer. So the key is claimed in the batch of the handler's first write, and the answer is kept right after it: a
 * repeat is told the answer, or, if that was lost in between, that it is not known; it never writes again.
 */

/**
 * Answers a call, or tells what was answered to it before. Takes two trips more: to look, and to keep.
 *
 * @throws {Fault} PT422 if the key was used for another call, PT409 if its answer is not known.
 */
export async function once(
  scope: Scope,
  claim: Claim,
  answer: (scope: Scope) => Promise<Response>,
): Promise<Response> {
  const before = await answered(scope, claim)
  if (before) return before
  const state: State = { claimed: false, beaten: false }
  const db = claiming(scope, claim, state)
  let response: Response
  try {
    response = await answer(Object.create(scope, { db: { value: db }, replica: { value: db } }))
  } catch (error) {
    if (state.beaten) return (await answered(scope, claim)) as Response
    // After a write, a fault is the answer as well.
    if (!state.claimed || !(error instanceof Fault) || error.status >= 500) throw error
    response = renderFault(error)
  }
  if (state.beaten) return (await answered(scope, claim)) as Response
  return keep(scope, claim, state, response)
}

interface State {
  /** Whether the key is this call's. */
  claimed: boolean
  /** Whether another call, at the same time, was the first to claim it. */
  beaten: boolean
}

interface Stored {
  n: number
  expires_at: number
  kept: string | null
  rows: string | null
}

async function answered(
  { db, now }: Scope,
  { key, fingerprint }: Claim,
): Promise<Response | undefined> {
  const select = sql`select n, expires_at, kept, rows from ${answersTable} where key = ${key}`
  const { results } = await prepare(db, select).all<Stored>()
  const claim = results.find(({ n }) => n < 0)
  if (!claim || claim.expires_at <= Math.floor(now() / 1000)) return undefined
  const [of] = JSON.parse(claim.kept ?? '[]') as [string?]
  if (of !== fingerprint) throw dataFaults.PT422()
  const rows = results.find(({ n }) => n >= 0)?.rows
  if (!rows)
    throw dataFaults.PT409({
      details: 'The function was called with this key; its answer is not known.',
    })
  const [status, headers, body] = JSON.parse(rows) as [number, [string, string][], string]
  return new Response(body === '' ? null : body, { status, headers })
}

async function keep(
  scope: Scope,
  claim: Claim,
  state: State,
  response: Response,
): Promise<Response> {
  const { key, expires } = claim
  const stored = JSON.stringify([
    response.status,
    [...response.headers],
    await response.clone().text(),
  ])
  try {
    const slot = { db: scope.db, key, n: 0, expires, referred: [] }
    const kept = open(slot, 0, { rows: sql`${stored}` })
    // A handler that wrote nothing, or elsewhere, has claimed nothing.
    await scope.db.batch(state.claimed ? [kept] : [...claimStatements(scope, claim, []), kept])
  } catch (error) {
    if (!state.claimed && isAnswered(error)) return (await answered(scope, claim)) as Response
    // It is done: that its answer is too large to be kept, or the database away, does not undo it.
    console.error('leanto: the answer to an Idempotency-Key could not be kept', error)
  }
  return response
}

/** A database that claims the key with the first write. */
function claiming(scope: Scope, claim: Claim, state: State): Queryable {
  const { db } = scope
  const batch = async <Row>(statements: Statement[]): Promise<QueryResult<Row>[]> => {
    const own = statements.map((one) => (one instanceof ClaimingStatement ? one.inner : one))
    const writes = statements.some((one) => !(one instanceof ClaimingStatement) || one.writes)
    if (state.claimed || !writes) return db.batch<Row>(own)
    const first = claimStatements(scope, claim, [])
    try {
      const results = await db.batch<Row>([...first, ...own])
      state.claimed = true
      return results.slice(first.length)
    } catch (error) {
      if (isAnswered(error)) state.beaten = true
      throw error
    }
  }
  return {
    prepare: (text) => new ClaimingStatement(db.prepare(text), !isReading(text), batch),
    batch,
  }
}

class ClaimingStatement implements Statement {
  readonly inner: Statement
  readonly writes: boolean
  readonly #batch: Queryable['batch']

  constructor(inner: Statement, writes: boolean, batch: Queryable['batch']) {
    this.inner = inner
    this.writes = writes
    this.#batch = batch
  }

  bind(...values: unknown[]): Statement {
    return new ClaimingStatement(this.inner.bind(...values), this.writes, this.#batch)
  }

  async all<Row>(): Promise<QueryResult<Row>> {
    if (!this.writes) return this.inner.all<Row>()
    const [result] = await this.#batch<Row>([this])
    return result as QueryResult<Row>
  }

  run(): Promise<QueryResult> {
    return this.all()
  }

  async first<Row>(): Promise<Row | null> {
    return (await this.all<Row>()).results[0] ?? null
  }

  async raw<Row>(): Promise<Row[]> {
    if (!this.writes) return this.inner.raw<Row>()
    return (await this.all()).results.map((row) => Object.values(row as object) as Row)
  }
}
