import { and, eq, isNull, not, or, type SQL, sql } from 'drizzle-orm'
import { integer, real, type SQLiteColumn, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import fc from 'fast-check'

/*
 * Random tables, rows and queries, and a plain model in memory that says what the answer must be. The model knows no SQL:
 * three-valued logic, comparison by type, nulls last ascending, ties in insertion order.
 */

export type Kind = 'int' | 'text' | 'real' | 'bool' | 'json'
type Value = string | number | boolean | null | Record<string, unknown>
export type Row = Record<string, Value>

export interface Shape {
  columns: readonly { name: string; kind: Kind }[]
  rows: readonly Row[]
}

export type Test = { column: string; operator: string; value: Value | Value[]; step?: string }
export type Filter =
  | ({ kind: 'test'; not: boolean } & Test)
  | { kind: 'and' | 'or'; not: boolean; filters: Filter[] }

export interface Query {
  filters: Filter[]
  order: { column: string; descending: boolean; nulls?: 'first' | 'last' }[]
  limit?: number
  offset: number
}

const word = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'A',
    'ä',
    '',
    'a b',
    'a,b',
    '"q"',
    '(x)',
    '\\',
    '%',
    '_',
    '*',
    'null',
    'é{}',
    '1',
    'ab',
    'ba',
  ),
  fc.string({ maxLength: 4 }).filter((t) => !/[\0\ud800-\udfff]/.test(t)),
)
const whole = fc.integer({ min: -3, max: 3 })

const valuesOf: Record<Kind, fc.Arbitrary<Value>> = {
  int: whole,
  text: word,
  real: fc.oneof(whole, fc.constantFrom(0.5, -1.25, 1e15, 3.3)),
  bool: fc.boolean(),
  json: fc.record(
    { k: fc.oneof(word, whole, fc.boolean(), fc.constant(null)) },
    { requiredKeys: [] },
  ),
}

/** A table of up to five columns after `id`, some named to trouble. */
export const shape: fc.Arbitrary<Shape> = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom('a', 'b', 'order by', 'Select', 'x-y', 'é'),
      kind: fc.constantFrom<Kind>('int', 'text', 'real', 'bool', 'json'),
    }),
    { minLength: 1, maxLength: 5, selector: ({ name }) => name },
  )
  .chain((columns) =>
    fc
      .array(
        fc.record(
          Object.fromEntries(
            columns.map(({ name, kind }) => [name, fc.option(valuesOf[kind], { freq: 3 })]),
          ),
        ),
        { maxLength: 12 },
      )
      .map((rows) => ({ columns, rows: rows.map((row, i) => ({ id: i + 1, ...row }) as Row) })),
  )

const testOf = ({ name, kind }: Shape['columns'][number]): fc.Arbitrary<Test> => {
  if (kind === 'json')
    return fc.oneof(
      fc.record({
        column: fc.constant(name),
        operator: fc.constantFrom('eq', 'neq', 'gt', 'lte', 'isdistinct'),
        value: word,
        step: fc.constant('k'),
      }),
      fc.record({
        column: fc.constant(name),
        operator: fc.constant('is'),
        value: fc.constant(null),
        step: fc.constantFrom('k', undefined as never),
      }),
    )
  const comparing = fc.record({
    column: fc.constant(name),
    operator: fc.constantFrom('eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'isdistinct'),
    value: valuesOf[kind],
  })
  const listing = fc.record({
    column: fc.constant(name),
    operator: fc.constant('in'),
    value: fc.array(valuesOf[kind], { minLength: 1, maxLength: 4 }),
  })
  const being = fc.record({
    column: fc.constant(name),
    operator: fc.constant('is'),
    value: kind === 'bool' ? fc.constantFrom<Value>(null, true, false) : fc.constant(null),
  })
  return fc.oneof({ weight: 4, arbitrary: comparing }, listing, being)
}

export const filterOf = (columns: Shape['columns']): fc.Arbitrary<Filter> => {
  const tests = fc
    .tuple(fc.oneof(...columns.map(testOf)), fc.boolean())
    .map(([test, not]): Filter => ({ kind: 'test', not, ...test }))
  return fc.letrec<{ filter: Filter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 2, withCrossShrink: true },
      tests,
      fc.record({
        kind: fc.constantFrom('and' as const, 'or' as const),
        not: fc.boolean(),
        filters: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }),
      }),
    ),
  })).filter
}

export const queryOf = (columns: Shape['columns']): fc.Arbitrary<Query> =>
  fc.record(
    {
      filters: fc.array(filterOf(columns), { maxLength: 2 }),
      order: fc.uniqueArray(
        fc.record(
          {
            column: fc.constantFrom(
              ...columns.filter(({ kind }) => kind !== 'json').map(({ name }) => name),
              'id',
            ),
            descending: fc.boolean(),
            nulls: fc.constantFrom('first' as const, 'last' as const),
          },
          { requiredKeys: ['column', 'descending'] },
        ),
        { maxLength: 2, selector: ({ column }) => column },
      ),
      limit: fc.nat({ max: 5 }),
      offset: fc.nat({ max: 3 }),
    },
    { requiredKeys: ['filters', 'order', 'offset'] },
  ) as fc.Arbitrary<Query>

// As a query string.

const quoted = (name: string) => `"${name.replace(/["\\]/g, '\\$&')}"`
const shown = (value: Value): string => (value === null ? 'null' : String(value))

function testText(
  { column, operator, value, step }: Test,
  not: boolean,
  inGroup: boolean,
): [string, string] {
  const path = quoted(column) + (step === undefined ? '' : `->>${step}`)
  const text = Array.isArray(value)
    ? `(${value.map((one) => quoted(shown(one))).join()})`
    : inGroup && operator !== 'is'
      ? quoted(shown(value))
      : shown(value)
  return [path, `${not ? 'not.' : ''}${operator}.${text}`]
}

function groupText(filter: Filter): string {
  if (filter.kind === 'test') return testText(filter, filter.not, true).join('.')
  return `${filter.not ? 'not.' : ''}${filter.kind}(${filter.filters.map(groupText).join()})`
}

export function paramsOf(query: Query, prefix = ''): [string, string][] {
  const params: [string, string][] = query.filters.map((filter) => {
    if (filter.kind === 'test') {
      const [path, text] = testText(filter, filter.not, false)
      return [prefix + path, text]
    }
    return [
      `${prefix}${filter.not ? 'not.' : ''}${filter.kind}`,
      `(${filter.filters.map(groupText).join()})`,
    ]
  })
  if (query.order.length > 0)
    params.push([
      `${prefix}order`,
      query.order
        .map(
          ({ column, descending, nulls }) =>
            `${quoted(column)}.${descending ? 'desc' : 'asc'}${nulls ? `.nulls${nulls}` : ''}`,
        )
        .join(),
    ])
  if (query.limit !== undefined) params.push([`${prefix}limit`, String(query.limit)])
  if (query.offset > 0) params.push([`${prefix}offset`, String(query.offset)])
  return params
}

// As the model has it: true, false, or null for unknown.

type Truth = boolean | null

const encoder = new TextEncoder()

function compare(a: Value, b: Value): number {
  if (typeof a === 'string' && typeof b === 'string') {
    const [left, right] = [encoder.encode(a), encoder.encode(b)]
    for (let i = 0; i < Math.min(left.length, right.length); i++)
      if (left[i] !== right[i]) return (left[i] as number) - (right[i] as number)
    return left.length - right.length
  }
  return Number(a) - Number(b)
}

function truthOfTest({ column, operator, value, step }: Test, row: Row): Truth {
  let actual = row[column] ?? null
  if (step !== undefined) {
    const part = actual === null ? null : ((actual as Record<string, Value>)[step] ?? null)
    actual = part === null ? null : typeof part === 'string' ? part : JSON.stringify(part)
  }
  if (operator === 'is') return actual === value
  if (operator === 'isdistinct')
    return actual === null
      ? value !== null
      : value === null || compare(actual, value as Value) !== 0
  if (actual === null) return null
  if (operator === 'in') return (value as Value[]).some((one) => compare(actual, one) === 0)
  const difference = compare(actual, value as Value)
  return {
    eq: difference === 0,
    neq: difference !== 0,
    gt: difference > 0,
    gte: difference >= 0,
    lt: difference < 0,
    lte: difference <= 0,
  }[operator] as boolean
}

function truth(filter: Filter, row: Row): Truth {
  let result: Truth
  if (filter.kind === 'test') result = truthOfTest(filter, row)
  else {
    const parts = filter.filters.map((part) => truth(part, row))
    const decisive = filter.kind === 'or'
    result = parts.includes(decisive) ? decisive : parts.includes(null) ? null : !decisive
  }
  return filter.not && result !== null ? !result : result
}

export const visible = (rows: readonly Row[], policy: Filter | null): Row[] =>
  rows.filter((row) => policy === null || truth(policy, row) === true)

export function answerOf(rows: readonly Row[], query: Query): { matching: number; rows: Row[] } {
  const matching = rows.filter((row) =>
    query.filters.every((filter) => truth(filter, row) === true),
  )
  const ordered = matching.map((row, i) => ({ row, i }))
  ordered.sort((a, b) => {
    for (const { column, descending, nulls } of query.order) {
      const [left, right] = [a.row[column] ?? null, b.row[column] ?? null]
      if (left === null && right === null) continue
      const first = nulls === undefined ? descending : nulls === 'first'
      if (left === null) return first ? -1 : 1
      if (right === null) return first ? 1 : -1
      const difference = compare(left, right)
      if (difference !== 0) return descending ? -difference : difference
    }
    // Equals come as an index is read: backwards after a descending term.
    return query.order.at(-1)?.descending ? b.i - a.i : a.i - b.i
  })
  const end = query.limit === undefined ? undefined : query.offset + query.limit
  return { matching: matching.length, rows: ordered.slice(query.offset, end).map(({ row }) => row) }
}

// As drizzle has it.

export const tableOf = (name: string, { columns }: Shape) =>
  sqliteTable(name, {
    id: integer('id').primaryKey(),
    ...Object.fromEntries(
      columns.map((column, i) => [
        `c${i}`,
        column.kind === 'int'
          ? integer(column.name)
          : column.kind === 'real'
            ? real(column.name)
            : column.kind === 'bool'
              ? integer(column.name, { mode: 'boolean' })
              : column.kind === 'json'
                ? text(column.name, { mode: 'json' })
                : text(column.name),
      ]),
    ),
  })

const sqlTypes: Record<Kind, string> = {
  int: 'INTEGER',
  text: 'TEXT',
  real: 'REAL',
  bool: 'INTEGER',
  json: 'TEXT',
}

export const createSql = (name: string, { columns }: Shape): string =>
  `CREATE TABLE "${name}" (id INTEGER PRIMARY KEY, ${columns.map((c) => `"${c.name}" ${sqlTypes[c.kind]}`).join(', ')})`

export const storedValue = (value: Value): string | number | null =>
  typeof value === 'boolean'
    ? Number(value)
    : typeof value === 'object' && value !== null
      ? JSON.stringify(value)
      : value

/** The same filter as a host would write it in a policy. */
export function policySql(
  filter: Filter,
  columns: Record<string, SQLiteColumn>,
  shape: Shape,
): SQL {
  const at = (name: string) =>
    columns[
      name === 'id' ? 'id' : `c${shape.columns.findIndex((c) => c.name === name)}`
    ] as SQLiteColumn
  const build = (one: Filter): SQL => {
    let condition: SQL
    if (one.kind === 'test') condition = testSql(one, at(one.column))
    else condition = (one.kind === 'or' ? or : and)(...one.filters.map(build)) as SQL
    return one.not ? not(sql`(${condition})`) : condition
  }
  return build(filter)
}

function testSql({ operator, value, step }: Test, column: SQLiteColumn): SQL {
  const stored = (one: Value) => storedValue(one)
  const left =
    step === undefined
      ? sql`${column}`
      : sql`(case json_type(${column}, '$.k') when 'text' then ${column} ->> '$.k' when 'null' then null else ${column} -> '$.k' end)`
  if (operator === 'is')
    return value === null ? isNull(left) : sql`${left} is ${stored(value as Value)}`
  if (operator === 'isdistinct') return sql`${left} is not ${stored(value as Value)}`
  if (operator === 'in') return sql`${left} in ${(value as Value[]).map(stored)}`
  if (operator === 'eq' && step === undefined) return eq(column, value)
  const sign = { eq: '=', neq: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=' }[operator] as string
  return sql`${left} ${sql.raw(sign)} ${stored(value as Value)}`
}
