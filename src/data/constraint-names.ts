import { getTableConfig } from 'drizzle-orm/sqlite-core'
import { fieldOf, type View } from './compile.ts'
import type { Field } from './expose.ts'

/*
 * What SQLite tells of a broken constraint is its columns, its name, or nothing. A name is told on, as long as it tells
 * of no column that the caller may not see.
 */

/** A CHECK goes by its name, or, without one, by its SQL: that is not for clients. */
export function checkName(view: View, what: string): string | undefined {
  const declared = getTableConfig(view.resource.table).checks.some(({ name }) => name === what)
  const isName = declared || (/^\w+$/.test(what) && !view.resource.fields.has(what))
  return isName && !tells(view, what) ? what : undefined
}

/** A unique index on an expression goes by its name: `index 'notes_lower_title'`. */
export function indexName(view: View, what: string): string | undefined {
  const name = what.match(/^index '(\w+)'$/)?.[1]
  return name !== undefined && !tells(view, name) ? name : undefined
}

/**
 * A foreign key has no name in SQLite, and of several it does not say which: it is named if only one can be meant.
 *
 * @param written The columns that were written.
 * @param inserted Whether the rows were new: a changed row may also break the keys of those that refer to it.
 */
export function foreignKeyName(
  view: View,
  written: readonly Field[],
  inserted: boolean,
): string | undefined {
  const { resource } = view
  const { foreignKeys } = getTableConfig(resource.table)
  const names = written.map(({ name }) => name)
  const keys = foreignKeys
    .map((key) => key.reference().columns.map(({ name }) => name))
    .filter((columns) => columns.some((name) => names.includes(name)))
  const [columns] = keys
  if (!columns || new Set(keys.map(String)).size > 1) return undefined
  const unique = [...resource.uniques.keys()].flatMap((set) => set.split(','))
  if (!inserted && names.some((name) => unique.includes(name))) return undefined
  if (columns.some((name) => !fieldOf(view, name))) return undefined
  // As `select` knows it for a hint.
  const relation = resource.relations.find(
    (one) => !one.junction && String(one.columns.map(([own]) => own)) === String(columns),
  )
  return relation?.constraints[0] ?? `${resource.name}_${columns.join('_')}_fkey`
}

const tells = (view: View, name: string): boolean =>
  [...view.resource.fields.values()].some(
    (field) => !fieldOf(view, field.name) && name.toLowerCase().includes(field.name.toLowerCase()),
  )
