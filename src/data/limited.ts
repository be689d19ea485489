import { allows, every, type View } from './compile.ts'
import { dataFaults } from './faults.ts'
import { identityOf, isOneOf } from './identity.ts'
import { compileNode } from './node.ts'
import type { Query } from './query.ts'
import { type Fragment, sql } from './sql.ts'
import { filterSql } from './where.ts'

/**
 * The rows that an update or delete reaches: those that the policies and the filters select, and of them the window of
 * `limit` and `offset`. PostgREST had such a window from version 10 to 12, and then left it out; to ignore it, as it does
 * now, would write rows that the client did not mean. https://docs.postgrest.org/en/v12/references/api/tables_views.html#limited-update-delete
 *
 * @throws {Fault} PGRST109 for a window without an order.
 */
export function reached(view: View, query: Query, operation: 'update' | 'delete'): Fragment {
  const { table, policies } = view.resource
  const where = every([
    allows(policies.select, view.who),
    allows(policies[operation], view.who),
    filterSql(view, query.filters),
  ])
  const { limit, offset } = query
  if (limit === undefined && offset === 0) return where
  if (query.order.length === 0)
    throw dataFaults.PGRST109({ hint: "Apply an 'order' using unique column(s)" })
  // As a read orders them, which never leaves two rows equal: which ones are meant is not open.
  const { order } = compileNode(view, { ...query, filters: [] }, { next: 1 })
  return isOneOf(
    identityOf(view),
    (key) =>
      sql`select ${key} from ${table} where ${where}${order} limit ${sql.raw(`${limit ?? -1} offset ${offset}`)}`,
  )
}
