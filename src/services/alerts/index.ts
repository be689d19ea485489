import type { Scope } from '../../core/scope.ts'
import type { Alerts } from '../definition.ts'
import { moneyOf } from '../quota.ts'

export interface BudgetReached {
  /** `null`: the budget of all services together. */
  service: string | null
  percent: 50 | 80 | 100
  /** In the currency of `price`. */
  spent: number
  budget: number
}

const marks = [100, 80, 50] as const

/**
 * Tells the host how far a budget is spent: `budget: { money: 100, alerts: alerts((scope, event) => …) }`. Once a window at
 * 50, at 80 and at 100 percent, the highest if a call passes two, by whichever call marks the counter first; 100 is also told
 * when a call is refused because of it. Runs in the background; if it throws, the next call tells it again. A trip for each
 * new mark; none otherwise.
 *
 * @throws {TypeError} if it is no function.
 */
export function alerts(
  reached: (scope: Scope, event: BudgetReached) => void | Promise<void>,
): Alerts {
  if (typeof reached !== 'function')
    throw new TypeError('alerts: give a function, such as (scope, event) => console.warn(event)')
  return Object.freeze<Alerts>({
    async tell(scope, { key, of, budget }, { micros, start, alerted }) {
      if (!budget) return
      const percent = (moneyOf(micros) / budget.money) * 100
      const mark = marks.find((one) => percent >= one)
      if (!mark || alerted >= mark) return
      const row = await scope.db
        .prepare(
          `UPDATE leanto_services_usage SET alerted = ?3 WHERE key = ?1 AND start = ?2 AND alerted < ?3
           RETURNING micros`,
        )
        .bind(key, start, mark)
        .first<{ micros: number }>()
      if (!row) return
      try {
        await reached(scope, {
          service: of.name === '*' ? null : of.name,
          percent: mark,
          spent: moneyOf(row.micros),
          budget: budget.money,
        })
      } catch (error) {
        console.error('leanto: services: `alerts` failed', error)
        await scope.db
          .prepare(
            'UPDATE leanto_services_usage SET alerted = ?3 WHERE key = ?1 AND start = ?2 AND alerted = ?4',
          )
          .bind(key, start, alerted, mark)
          .run()
      }
    },
  })
}
