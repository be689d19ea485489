import { fieldOf, type View } from './compile.ts'
import { dataFaults } from './faults.ts'
import { type JsonObject, storedValue } from './payload.ts'
import type { Query } from './query.ts'
import { inJson } from './stored.ts'

/**
 * Checks a PUT: it names one row by all of its primary key, `?id=eq.5`, and its body is that row.
 *
 * @returns The query without those filters, and without what a PUT does not know.
 * @throws {Fault} PGRST105, PGRST114 or PGRST115
 */
export function putTarget(view: View, query: Query, row: JsonObject): Query {
  if (query.limit !== undefined || query.offset > 0) throw dataFaults.PGRST114()
  const { primaryKey } = view.resource
  const keys = new Map<string, string>()
  for (const filter of query.filters)
    if (
      filter.kind === 'test' &&
      filter.operator === 'eq' &&
      filter.steps.length === 0 &&
      !filter.negated &&
      typeof filter.value === 'string'
    )
      keys.set(filter.column, filter.value)
  const exact =
    primaryKey.length > 0 &&
    primaryKey.every(({ name }) => fieldOf(view, name)) &&
    query.filters.length === primaryKey.length &&
    primaryKey.every(({ name }) => keys.has(name))
  if (!exact) throw dataFaults.PGRST105()
  for (const field of primaryKey) {
    const value = Object.hasOwn(row, field.name) ? row[field.name] : undefined
    const asked = field.type.parse(keys.get(field.name) as string)
    if (inJson(storedValue(field, value)) !== inJson(asked)) throw dataFaults.PGRST115()
  }
  // It is the key that names the row, and the whole row that is put.
  const { columns: _columns, onConflict: _onConflict, ...rest } = query
  return { ...rest, filters: [] }
}
