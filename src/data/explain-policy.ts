import type { Principal } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import type { Json } from './database-of.ts'
import { type Exposed, resourceOf } from './expose.ts'
import { whoOf } from './who.ts'
import { explainRow, type PolicyExplanation, type PolicyName } from './why.ts'

/**
 * Asks a table's policies of one row, which need not be there, and says which part of them refuses it: for tests of
 * policies. For an update, the row before and after are the same.
 *
 * @param row By SQL names, as a client would send it; what it lacks gets its default.
 * @throws {TypeError} if the store has no such table.
 */
export async function explainPolicy<Tables extends Record<string, Exposed>>(
  scope: Scope,
  store: { readonly tables: Tables },
  who: Principal,
  table: keyof Tables & string,
  operation: PolicyName,
  row: { readonly [column: string]: Json },
): Promise<PolicyExplanation> {
  const exposed = Object.hasOwn(store.tables, table) ? store.tables[table] : undefined
  if (!exposed)
    throw new TypeError(`explainPolicy: the store has no table ${JSON.stringify(table)}`)
  return explainRow(scope, { resource: resourceOf(table, exposed), who: whoOf(who) }, operation, {
    ...row,
  })
}
