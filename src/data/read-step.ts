import { listOf, open, packedRow } from './capture.ts'
import { guard, prepare, type View } from './compile.ts'
import { dataFaults } from './faults.ts'
import type { Plan, Planning } from './plan.ts'
import { pastTheEnd, type ReadInput, type ReadResult, readingOf } from './read.ts'
import { sql } from './sql.ts'

/**
 * A read as a step of a transaction: it sees what the steps before it wrote. What would refuse its answer refuses the
 * transaction while it can still be undone.
 *
 * @param single Exactly one row must be there.
 */
export function planReadStep(
  scope: Planning,
  view: View,
  { single, ...input }: ReadInput & { single: boolean },
): Plan<ReadResult> {
  const { rows, outputs, packed, counting, finish } = readingOf(view, input)
  const { offset } = input.window
  const guards = () => {
    const total = sql`(${counting ?? sql.raw('0')})`
    const count = sql`(select count(*) from (${packed(() => sql.raw('1'))}))`
    return [
      ...(counting && offset > 0
        ? [
            sql`${guard(sql`t >= ${sql.raw(String(offset))}`, 'PGRST103', sql.raw('t'))} from (select ${total} as t)`,
          ]
        : []),
      ...(single
        ? [sql`${guard(sql.raw('c = 1'), 'PGRST116', sql.raw('c'))} from (select ${count} as c)`]
        : []),
    ].map((check) => prepare(scope.db, sql`select ${check}`))
  }
  const only = input.count === 'only'
  return {
    view,
    operation: 'select',
    outputs,
    statements: () => [
      ...guards(),
      ...(counting ? [prepare(scope.db, counting)] : []),
      ...(only ? [] : [prepare(scope.db, rows)]),
    ],
    told(results) {
      const found = only ? undefined : results.at(-1)
      const counted = counting ? results.at(only ? -1 : -2) : undefined
      return {
        affected: counted ? Number(counted.results[0]?.total) : null,
        found: 0,
        rows: found?.results ?? [],
      }
    },
    capture(slot) {
      const row = packed((own) => packedRow(slot, own))
      return [
        ...guards(),
        open(slot, 0, {
          ...(counting ? { affected: sql`(${counting})` } : {}),
          ...(only && slot.referred.length === 0 ? {} : { rows: listOf(row) }),
        }),
      ]
    },
    finish: ({ affected, rows: found }) => finish(only ? undefined : found, affected),
    guarded(code, count) {
      if (code === 'PGRST103') return pastTheEnd(offset, Number(count))
      return code === 'PGRST116'
        ? dataFaults.PGRST116({ details: `The result contains ${count} rows` })
        : undefined
    },
  }
}
