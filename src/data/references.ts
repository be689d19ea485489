import { getTableColumns } from 'drizzle-orm'
import { getTableConfig, type SQLiteColumn, type SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Exposed, Reference, Referenced } from './expose.ts'

export type Tables = Readonly<Record<string, Exposed>>
export type Config = ReturnType<typeof getTableConfig>

export interface Link {
  columns: readonly string[]
  foreignTable: SQLiteTable
  /** Its name in the URL. */
  referencedTable: string
  referencedColumns: readonly string[]
}

/** A link that drizzle's table has. */
export interface Stated extends Link {
  drizzleName: string
}

/** A link that `references` has. */
export interface Declared extends Link {
  name?: string
  unique: boolean
  /** Begins a message about it. */
  option: string
}

export const setOf = (columns: readonly string[]): string => JSON.stringify([...columns].sort())

/** Pairs of columns make a key, whatever their order. */
export const pairsOf = ({ columns, referencedColumns }: Link): string =>
  setOf(columns.map((column, i) => JSON.stringify([column, referencedColumns[i]])))

export const sameLink = (one: Link, other: Link): boolean =>
  one.referencedTable === other.referencedTable && pairsOf(one) === pairsOf(other)

/** @throws {TypeError} if the reference is malformed, or names what is not there. */
export function declaredOf(
  { table, key, reference }: { table: string; key: string; reference: Reference },
  tables: Tables,
): Declared {
  const option = `data: \`tables.${table}\`, \`references.${key}\``
  const own = getTableColumns((tables[table] as Exposed).table) as Record<string, SQLiteColumn>
  const isColumn = Object.hasOwn(own, key)
  const { to, unique, columns: given } = inFull(reference)
  if (isColumn === Array.isArray(given))
    throw new TypeError(
      isColumn
        ? `${option}: a column's key takes 'table.column' or { to: 'table.column' }; \`columns\` goes under the constraint's name`
        : `${option}: is no column key of it; a constraint's name takes { columns: […], to: ['table.column', …] }`,
    )
  const keys = given ?? [key]
  const targets = [to].flat()
  if (keys.length === 0 || keys.length !== targets.length)
    throw new TypeError(`${option}: \`columns\` and \`to\` must be as many, and at least one`)
  const found = targets.map((target) => targetOf(target, option, tables))
  const { referencedTable, table: foreignTable } = found[0] as Target
  if (found.some((other) => other.referencedTable !== referencedTable))
    throw new TypeError(`${option}: \`to\` must name columns of one table`)
  const referencedColumns = found.map(({ column }) => column)
  if (!uniqueSets(getTableConfig(foreignTable)).has(setOf(referencedColumns)))
    throw new TypeError(
      `${option}: ${targets.join(', ')} must be the primary key or unique: a reference means one row`,
    )
  const columns = keys.map((column) => columnIn(own, column, option))
  return {
    columns: columns.map(({ name }) => name),
    foreignTable,
    referencedTable,
    referencedColumns,
    ...(given ? { name: key } : {}),
    // Of a primary key that is one column the types know it by themselves.
    unique: unique === true || (columns.length === 1 && columns[0]?.primary === true),
    option,
  }
}

const inFull = (reference: Reference) =>
  (typeof reference === 'string' ? { to: reference } : (reference ?? {})) as {
    to?: Referenced | readonly Referenced[]
    columns?: readonly string[]
    unique?: boolean
  }

interface Target {
  referencedTable: string
  table: SQLiteTable
  column: string
}

function targetOf(target: unknown, option: string, tables: Tables): Target {
  const [, referencedTable = '', key = ''] = /^([^.]+)\.(.+)$/s.exec(String(target)) ?? []
  if (!Object.hasOwn(tables, referencedTable))
    throw new TypeError(
      `${option}: ${JSON.stringify(target)} is not 'table.column' of a table listed in \`tables\``,
    )
  const { table } = tables[referencedTable] as Exposed
  const { name } = columnIn(getTableColumns(table), key, option)
  return { referencedTable, table, column: name }
}

function columnIn(columns: Record<string, unknown>, key: string, option: string): SQLiteColumn {
  if (Object.hasOwn(columns, key)) return columns[key] as SQLiteColumn
  throw new TypeError(
    `${option}: names ${JSON.stringify(key)}, which is no column key of its table`,
  )
}

/**
 * The types are made of what is declared, the answers of what drizzle says: they must not differ.
 *
 * @throws {TypeError} if they do.
 */
export function checkDeclared(
  link: Declared,
  stated: readonly Stated[],
  uniques: ReadonlySet<string>,
) {
  const { columns, option, unique, name } = link
  if (unique !== uniques.has(setOf(columns)))
    throw new TypeError(
      unique
        ? `${option}: is \`unique\`, but the drizzle table has no such primary key or unique constraint`
        : `${option}: the drizzle table has its columns unique, so the relation is one-to-one: add \`unique: true\``,
    )
  const others = stated.filter((other) => setOf(other.columns) === setOf(columns))
  if (others.length === 0 || others.some((other) => sameLink(link, other))) return
  // Under a name of its own it may be a second key of the same columns, to another table.
  const contrary = others.find(
    (other) => name === undefined || other.referencedTable === link.referencedTable,
  )
  if (contrary)
    throw new TypeError(
      `${option}: contradicts the drizzle table's foreign key, which refers to ${contrary.referencedTable} (${contrary.referencedColumns.join(', ')})`,
    )
}

/** The sets of columns by which a row is the only one. A partial index does not make one. */
export function uniqueSets(config: Config): Set<string> {
  const sets = new Set<string>()
  const add = (columns: readonly { name: string }[]) => {
    if (columns.length > 0) sets.add(setOf(columns.map(({ name }) => name)))
  }
  add(config.columns.filter(({ primary }) => primary))
  for (const column of config.columns) if (column.isUnique) add([column])
  for (const { columns } of [...config.primaryKeys, ...config.uniqueConstraints]) add(columns)
  for (const { config: index } of config.indexes) {
    const columns = index.columns.filter((column) => 'name' in column)
    if (index.unique && !index.where && columns.length === index.columns.length)
      add(columns as { name: string }[])
  }
  return sets
}
