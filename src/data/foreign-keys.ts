import { getTableConfig, type SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Exposed, Reference } from './expose.ts'
import {
  type Config,
  checkDeclared,
  type Declared,
  declaredOf,
  type Link,
  pairsOf,
  type Stated,
  sameLink,
  setOf,
  type Tables,
  uniqueSets,
} from './references.ts'

/** A foreign key between two exposed tables, which go by their names in the URL, and their columns by their SQL names. */
export interface ForeignKey {
  /** As Postgres would call it, `notes_owner_id_fkey`, unless `references` gives a name. */
  readonly name: string
  /** Other names that a hint may use: drizzle's, and Postgres's by the table's SQL name. */
  readonly aliases: readonly string[]
  readonly table: string
  readonly columns: readonly string[]
  readonly referencedTable: string
  /** In the order of `columns`. */
  readonly referencedColumns: readonly string[]
  /** Whether no two rows of `table` share their `columns`: the relation is then one-to-one. */
  readonly unique: boolean
}

/**
 * The foreign keys between exposed tables: those of the drizzle tables, and those that `references` adds. A drizzle table
 * that is exposed under two names has each of its keys twice.
 *
 * @throws {TypeError} if `references` names what is not there, is not unique where it must be, or contradicts drizzle.
 */
export function foreignKeysOf(tables: Tables): ForeignKey[] {
  const names = new Map<SQLiteTable, string[]>()
  for (const [name, { table }] of Object.entries(tables))
    names.set(table, [...(names.get(table) ?? []), name])
  return Object.keys(tables).flatMap((name) => keysOf(name, tables, names))
}

function keysOf(
  table: string,
  tables: Tables,
  urlNames: ReadonlyMap<SQLiteTable, readonly string[]>,
): ForeignKey[] {
  const exposed = tables[table] as Exposed
  const config = getTableConfig(exposed.table)
  const uniques = uniqueSets(config)
  const stated = statedOf(config, urlNames)
  const declared = Object.entries(exposed.policies.references ?? {}).map(([key, reference]) =>
    declaredOf({ table, key, reference: reference as Reference }, tables),
  )
  for (const link of declared) checkDeclared(link, stated, uniques)

  const links = [
    ...declared,
    ...stated.filter((link) => !declared.some((other) => sameLink(link, other))),
  ]
  const names = namesOf(table, links)
  return links.map((link, i) => {
    const { columns, referencedTable, referencedColumns } = link
    const name = names[i] as string
    const other = stated.find((one) => sameLink(one, link))
    const aliases = other
      ? [other.drizzleName, ...[table, config.name].map((of) => conventional(of, columns))]
      : []
    return {
      name,
      aliases: [...new Set(aliases)].filter((alias) => !names.includes(alias)),
      table,
      columns,
      referencedTable,
      referencedColumns,
      unique: uniques.has(setOf(columns)),
    }
  })
}

const conventional = (table: string, columns: readonly string[]) =>
  `${table}_${columns.join('_')}_fkey`

/** Drizzle's foreign keys, one for each name under which the other table is exposed. */
function statedOf(config: Config, names: ReadonlyMap<SQLiteTable, readonly string[]>): Stated[] {
  const stated: Stated[] = []
  for (const key of config.foreignKeys) {
    const { columns, foreignTable, foreignColumns } = key.reference()
    for (const referencedTable of names.get(foreignTable) ?? []) {
      const link = {
        columns: columns.map(({ name }) => name),
        foreignTable,
        referencedTable,
        referencedColumns: foreignColumns.map(({ name }) => name),
      }
      // `references()` on the column and `foreignKey()` on the table may say the same.
      if (!stated.some((other) => sameLink(link, other)))
        stated.push({ ...link, drizzleName: key.getName() })
    }
  }
  return stated
}

/** As Postgres does: a second constraint of the same name gets a number. Those to one table's two names are one. */
function namesOf(table: string, links: readonly (Stated | Declared)[]): string[] {
  const taken = new Map<string, Link>()
  return links.map((link) => {
    const wanted = ('name' in link && link.name) || conventional(table, link.columns)
    for (let count = 0; ; count++) {
      const name = count === 0 ? wanted : `${wanted}${count}`
      const owner = taken.get(name) ?? link
      taken.set(name, owner)
      if (owner.foreignTable === link.foreignTable && pairsOf(owner) === pairsOf(link)) return name
      if ('option' in link)
        throw new TypeError(`${link.option}: another reference has the name ${name}`)
    }
  })
}
