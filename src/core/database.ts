/*
 * The part of D1 and KV that leanto uses, structurally: so that a module can also stand on a Durable Object's
 * SQLite behind the same shape, and a test can put a failing or counting one in front.
 */

export interface QueryMeta {
  rows_read?: number
  rows_written?: number
  changes?: number
}

export interface QueryResult<Row = Record<string, unknown>> {
  results: Row[]
  meta: QueryMeta
}

export interface Statement {
  bind(...values: unknown[]): Statement
  first<Row = Record<string, unknown>>(): Promise<Row | null>
  all<Row = Record<string, unknown>>(): Promise<QueryResult<Row>>
  run(): Promise<QueryResult>
  raw<Row = unknown[]>(): Promise<Row[]>
}

/** What runs statements: a database, or one session of it. */
export interface Queryable {
  prepare(sql: string): Statement
  /** All statements in one trip and one transaction: any failure rolls all of them back. */
  batch<Row = Record<string, unknown>>(statements: Statement[]): Promise<QueryResult<Row>[]>
}

export interface Session extends Queryable {
  getBookmark(): string | null
}

export interface Database extends Queryable {
  /** Absent where there are no replicas: then every query is as fresh as it can be. */
  withSession?(constraintOrBookmark?: string): Session
}

/** A cache: eventually consistent (60 s and more). Never for tokens, locks, counters or revocations. */
export interface KeyValue {
  get(key: string): Promise<string | null>
  put(key: string, value: string, options?: { expirationTtl?: number }): Promise<void>
  delete(key: string): Promise<void>
}
