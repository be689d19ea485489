import { getTableName, is, type SQL } from 'drizzle-orm'
import { alias, SQLiteTable } from 'drizzle-orm/sqlite-core'
import { conditionSql, type View } from './compile.ts'
import type { Resource } from './expose.ts'
import type { Relation } from './relations.ts'
import type { Who } from './who.ts'

/*
 * Computed relations: https://docs.postgrest.org/en/v14/references/api/resource_embedding.html#computed-relationships
 */

/** Made by `relation`. */
export interface ComputedRelation<
  // biome-ignore lint/suspicious/noExplicitAny: any table; it comes in where the relation is declared.
  From extends SQLiteTable = any,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  Target extends string = any,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  Many extends boolean = any,
> {
  readonly target: Target
  readonly table: SQLiteTable
  readonly many: Many
  // A method, and so bivariant: every declared relation fits into one list.
  on(from: From, to: SQLiteTable, who: Who): SQL | boolean | undefined
}

type JoinCondition<From, To> = (from: From, to: To, who: Who) => SQL | boolean | undefined

/**
 * A way to another table that no foreign key says:
 * `relation({ comments }, (note, comment) => and(eq(comment.noteId, note.id), gt(comment.stars, 3)), { many: true })`.
 * It is embedded by the name under which it is declared, as any other; the other table's select policy holds. It goes
 * before a relation by foreign key of the same name.
 *
 * @param to The other table by its name in the URL.
 * @param on When a row of it belongs to a row of this one: `true` for always, `undefined` for never. It is given both
 * tables as they are called within the statement: columns of the tables themselves would be those of other rows.
 * @param options `many`: whether there may be several; of a list, not an object. Without it the condition must hold for
 * one row at most: which one of several is shown is not said. @default { many: false }
 * @throws {TypeError} if a part of it is missing or wrong.
 */
export function relation<From extends SQLiteTable, Target extends string, To extends SQLiteTable>(
  to: { readonly [Name in Target]: To },
  on: JoinCondition<From, To>,
  options: { readonly many: true },
): ComputedRelation<From, Target, true>
export function relation<From extends SQLiteTable, Target extends string, To extends SQLiteTable>(
  to: { readonly [Name in Target]: To },
  on: JoinCondition<From, To>,
  options?: { readonly many?: false },
): ComputedRelation<From, Target, false>
export function relation(
  to: Readonly<Record<string, SQLiteTable>>,
  on: JoinCondition<SQLiteTable, SQLiteTable>,
  { many = false }: { readonly many?: boolean } = {},
): ComputedRelation {
  const [named, ...more] = Object.entries(to ?? {})
  if (!named || more.length > 0 || !is(named[1], SQLiteTable))
    throw new TypeError(
      'relation: the other table must be one drizzle table by its name: { notes }',
    )
  if (typeof on !== 'function')
    throw new TypeError('relation: the condition must be a function (from, to) => condition')
  const [target, table] = named
  return Object.freeze({ target, table, many, on })
}

/**
 * The computed relations of a table.
 *
 * @throws {TypeError} if one leads to a table that is not exposed, or is another under that name.
 */
export function computedRelations(
  origin: Resource,
  resources: ReadonlyMap<string, Resource>,
): Relation[] {
  return Object.entries(origin.policies.relations ?? {}).map(([name, declared]) => {
    const option = `data: \`tables.${origin.name}\`, \`relations.${name}\``
    const { target: to, table, many, on } = declared
    if (typeof on !== 'function')
      throw new TypeError(`${option}: must be made by relation({ table }, condition)`)
    const target = resources.get(to)
    if (target?.table !== table)
      throw new TypeError(
        `${option}: ${JSON.stringify(to)} is not the name in \`tables\` of the drizzle table ${getTableName(table)}`,
      )
    return {
      cardinality: many ? 'one-to-many' : 'many-to-one',
      origin,
      target,
      constraints: [],
      refers: false,
      columns: [],
      computed: {
        name,
        on: (parent, view) => conditionSql(on(nameOf(parent), nameOf(view), view.who)),
      },
    }
  })
}

/** A table as it is called in the statement. */
const nameOf = ({ resource: { table }, name }: View) =>
  name === undefined ? table : alias(table, name)
