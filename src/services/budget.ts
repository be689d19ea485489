import type { Scope } from '../core/scope.ts'
import type { BudgetReached } from './definition.ts'
import { type Count, type Counter, type Full, moneyOf } from './quota.ts'

const marks = [100, 80, 50] as const

/**
 * Tells the host that a budget has reached a mark, once a window, by whichever call marks the counter first. A trip for
 * each new mark; none otherwise.
 */
export async function tell(
  scope: Scope,
  counters: readonly Counter[],
  counts: readonly Count[],
): Promise<void> {
  for (const counter of counters) {
    const count = counts.find(({ key }) => key === counter.key)
    if (!counter.budget || !count) continue
    const percent = (moneyOf(count.micros) / counter.budget.money) * 100
    const mark = marks.find((one) => percent >= one)
    if (mark) await tellOne(scope, counter, { mark, start: count.start, known: count.alerted })
  }
}

/** A call was refused: that is 100 percent, whatever is left. */
export async function tellFull(scope: Scope, full: readonly Full[]): Promise<void> {
  for (const { counter, amount, alerted } of full)
    if (counter.budget && amount === 'micros')
      await tellOne(scope, counter, { mark: 100, start: counter.start, known: alerted })
}

async function tellOne(
  scope: Scope,
  { key, of, budget }: Counter,
  { mark, start, known }: { mark: BudgetReached['percent']; start: number; known: number },
): Promise<void> {
  if (!budget?.reached || known >= mark) return
  const row = await scope.db
    .prepare(
      `UPDATE leanto_services_usage SET alerted = ?3 WHERE key = ?1 AND start = ?2 AND alerted < ?3
       RETURNING micros`,
    )
    .bind(key, start, mark)
    .first<{ micros: number }>()
  if (!row) return
  try {
    await budget.reached(scope, {
      service: of.name === '*' ? null : of.name,
      percent: mark,
      spent: moneyOf(row.micros),
      budget: budget.money,
    })
  } catch (error) {
    console.error('leanto: services: `budget.reached` failed', error)
    await scope.db
      .prepare(
        'UPDATE leanto_services_usage SET alerted = ?3 WHERE key = ?1 AND start = ?2 AND alerted = ?4',
      )
      .bind(key, start, known, mark)
      .run()
  }
}
