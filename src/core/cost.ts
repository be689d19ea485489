import type { Queryable, QueryMeta, QueryResult, Statement } from './database.ts'

/** What one request has cost the database so far. */
export interface Cost {
  /** Network round trips to D1: every `first`, `all`, `run`, `raw` and `batch` is one. */
  trips: number
  statements: number
  /** As D1 bills them. A `raw()` reports none, so its rows are not in here. */
  rowsRead: number
  rowsWritten: number
}

export const noCost = (): Cost => ({ trips: 0, statements: 0, rowsRead: 0, rowsWritten: 0 })

/** The bindings' counting wrapper: same answers, and `cost` grows with every query. */
export function counted<Q extends Queryable>(queryable: Q, cost: Cost): Queryable {
  return {
    prepare: (sql) => new CountedStatement(queryable.prepare(sql), cost),
    async batch<Row>(statements: Statement[]) {
      cost.trips += 1
      cost.statements += statements.length
      const results = await queryable.batch<Row>(statements.map(inner))
      for (const { meta } of results) addRows(cost, meta)
      return results
    },
  }
}

class CountedStatement implements Statement {
  readonly inner: Statement
  readonly #cost: Cost

  constructor(statement: Statement, cost: Cost) {
    this.inner = statement
    this.#cost = cost
  }

  bind(...values: unknown[]): Statement {
    return new CountedStatement(this.inner.bind(...values), this.#cost)
  }

  async first<Row>(): Promise<Row | null> {
    return (await this.all<Row>()).results[0] ?? null
  }

  async all<Row>(): Promise<QueryResult<Row>> {
    this.#count()
    const result = await this.inner.all<Row>()
    addRows(this.#cost, result.meta)
    return result
  }

  async run(): Promise<QueryResult> {
    this.#count()
    const result = await this.inner.run()
    addRows(this.#cost, result.meta)
    return result
  }

  raw<Row>(): Promise<Row[]> {
    this.#count()
    return this.inner.raw<Row>()
  }

  #count() {
    this.#cost.trips += 1
    this.#cost.statements += 1
  }
}

// D1's own batch() only takes its own statements.
const inner = (statement: Statement): Statement =>
  statement instanceof CountedStatement ? statement.inner : statement

function addRows(cost: Cost, meta: QueryMeta) {
  cost.rowsRead += meta.rows_read ?? 0
  cost.rowsWritten += meta.rows_written ?? 0
}

/** `Server-Timing` (W3C) of a cost; sent for local requests only. */
export const serverTiming = (cost: Cost, milliseconds: number): string =>
  [
    `total;dur=${milliseconds}`,
    `d1;desc="${cost.trips} trips, ${cost.statements} statements"`,
    `rows;desc="${cost.rowsRead} read, ${cost.rowsWritten} written"`,
  ].join(', ')
