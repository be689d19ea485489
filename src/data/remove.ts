import { closeTaken, listOf, open, packedRow } from './capture.ts'
import { guard, mustAllow, prepare, type View } from './compile.ts'
import { reached } from './limited.ts'
import type { Plan, Planning } from './plan.ts'
import { allOf, nothingShown, type Returned, returnedBy, returning } from './returning.ts'
import { sql } from './sql.ts'
import { hasVersion } from './version.ts'
import { orderBy } from './where.ts'
import {
  countGuards,
  tallied,
  toldBy,
  type WriteInput,
  type WriteResult,
  writeResult,
} from './write.ts'

/** Deletes the rows that the filters and the policies select. */
export function planRemove(
  scope: Planning,
  view: View,
  { query, ...answering }: WriteInput,
): Plan<WriteResult> {
  mustAllow(view, 'delete')
  mustAllow(view, 'select')
  const { table } = view.resource
  const returned = returnedBy(view, query, { prefer: answering.prefer })
  const where = reached(view, query, 'delete')
  const { match } = answering.precondition
  // In RETURNING, because SQLite may ask the terms of a WHERE in any order, of rows that the others leave out.
  const check = Array.isArray(match) ? guard(hasVersion(view, match), 'PT412') : undefined
  const statement = (shown: Returned | undefined) =>
    prepare(scope.db, sql`delete from ${table} where ${where}${returning(shown, check)}`)
  const guards = () => countGuards(scope, answering)
  const returns = returned !== undefined || check !== undefined
  const matters = answering.prefer.count !== undefined
  return {
    view,
    operation: 'delete',
    statements: () => [...tallied(scope, statement(returned), { returns, matters }), ...guards()],
    told: (results) => toldBy(results.slice(0, returns || !matters ? 1 : 2), returned),
    capture(slot) {
      const shown = returned ?? (slot.referred.length > 0 ? nothingShown(view, query) : undefined)
      const rows =
        shown &&
        listOf(
          sql`select ${packedRow(slot, allOf(shown))} as v from ${table} where ${where}${orderBy(shown.terms)}`,
        )
      return [
        open(slot, 0, rows ? { rows } : {}),
        statement(undefined),
        ...guards(),
        closeTaken(slot, 0),
      ]
    },
    outputs: returned ? allOf(returned) : [],
    finish: (told) => writeResult(told, returned),
  }
}
