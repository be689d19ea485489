import type { QueryResult, Statement } from '../core/database.ts'
import { exceeded, type Limit } from '../core/limit.ts'
import type { Scope } from '../core/scope.ts'
import { hash } from '../core/secret.ts'
import { addressKey } from './address.ts'
import { emailFaults } from './faults.ts'
import { everyRecipient, type Outgoing } from './message.ts'

/** What one mail spends. */
export interface Budget {
  readonly key: string
  readonly limit: Limit
  /** Whether it is a recipient's. */
  readonly recipient: boolean
}

/** Hashed: the counters are no list of whom the app writes to. */
export const recipientBudgets = (mail: Outgoing, limit: Limit): Promise<Budget[]> =>
  Promise.all(
    everyRecipient(mail).map(async (mailbox) => ({
      key: `email:to:${await hash(addressKey(mailbox))}`,
      limit,
      recipient: true,
    })),
  )

const asJson = (budgets: readonly Budget[], now: number): string =>
  JSON.stringify(
    budgets.map(({ key, limit: { max, seconds } }) => {
      const period = Math.floor(now / 1000 / seconds)
      return { key, max, period, expires: (period + 1) * seconds }
    }),
  )

/** `spend` of `core` for many budgets in one statement; for a mail that is in the outbox already it spends nothing. */
export const spendEach = (
  scope: Scope,
  budgets: readonly Budget[],
  key: string | undefined,
): Statement =>
  scope.db
    .prepare(
      `INSERT INTO leanto_core_limits (key, period, spent, expires_at)
       SELECT value ->> 'key', value ->> 'period', 1, value ->> 'expires' FROM json_each(?1)
       WHERE ?2 IS NULL OR NOT EXISTS (SELECT 1 FROM leanto_email_outbox WHERE key = ?2)
       ON CONFLICT (key) DO UPDATE SET
         spent = CASE WHEN period = excluded.period THEN spent + 1 ELSE 1 END,
         period = excluded.period, expires_at = excluded.expires_at
       RETURNING key, spent`,
    )
    .bind(asJson(budgets, scope.now()), key ?? null)

/** In the batch that spends them: past a budget nothing goes into the outbox. */
export const withinEach = (scope: Scope, budgets: readonly Budget[]) => ({
  sql: `NOT EXISTS (
    SELECT 1 FROM json_each(?) AS b JOIN leanto_core_limits AS l ON l.key = b.value ->> 'key'
    WHERE l.spent > b.value ->> 'max')`,
  values: [asJson(budgets, scope.now())],
})

/**
 * @param result Of `spendEach`.
 * @throws {Fault} `recipient_limited`, `rate_limited` (429), with `retry-after`.
 */
export function checkSpent(
  scope: Scope,
  budgets: readonly Budget[],
  result: QueryResult | undefined,
): void {
  for (const { key, spent } of (result?.results ?? []) as { key: string; spent: number }[]) {
    const budget = budgets.find((one) => one.key === key)
    const fault = budget && exceeded(spent, budget.limit, scope.now())
    if (fault)
      throw budget.recipient
        ? emailFaults.recipient_limited({ headers: { ...fault.headers } })
        : fault
  }
}
