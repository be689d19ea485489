import type { QueryResult, Statement } from '../core/database.ts'
import { Fault } from '../core/fault.ts'
import { exceeded, type Limit, refund, spend } from '../core/limit.ts'
import type { Scope } from '../core/scope.ts'
import { hash } from '../core/secret.ts'
import type { Address } from './address.ts'
import { type Condition, condition } from './condition.ts'
import type { Settings } from './settings.ts'

/** What one attempt spends. */
export interface Budget {
  readonly key: string
  readonly limit: Limit
}

/** Where there is no network address, as in a service binding's call, all callers share one budget. */
const place = (network: string | null | undefined) => network ?? 'unknown'

/**
 * The budgets of a password attempt. Keys hold the address that Cloudflare saw and the normalised e-mail, so that
 * neither a header nor a spelling rotates them; the e-mail is hashed, for the counters are no list of who has an account.
 */
export async function signInBudgets(
  { limits }: Settings,
  scope: Scope,
  { email, network }: { email: string; network?: string | null },
): Promise<Budget[]> {
  const budgets: Budget[] = []
  if (limits.guesses) {
    const key = `auth:guess:${place(network)}:${await hash(email)}`
    budgets.push({ key, limit: limits.guesses })
  }
  if (limits.signIns && !scope.local)
    budgets.push({ key: `auth:sign-in:${place(network)}`, limit: limits.signIns })
  return budgets
}

/** The budget of an account's wrong passwords, wherever they come from. */
export const accountBudgets = async ({ limits }: Settings, email: string): Promise<Budget[]> =>
  limits.account ? [{ key: `auth:account:${await hash(email)}`, limit: limits.account }] : []

export const signUpBudgets = (
  { limits }: Settings,
  scope: Scope,
  network: string | null | undefined,
): Budget[] =>
  limits.signUps && !scope.local
    ? [{ key: `auth:sign-up:${place(network)}`, limit: limits.signUps }]
    : []

/** The budget of what begins at a provider: each stores a row before anyone has shown anything. */
export const flowBudgets = (
  { limits }: Settings,
  scope: Scope,
  network: string | null | undefined,
): Budget[] =>
  limits.flows && !scope.local ? [{ key: `auth:flow:${place(network)}`, limit: limits.flows }] : []

export interface Sent {
  type: 'email' | 'phone'
  /** Where to, normalised; or, where that is read later, whose. */
  target: string
  network?: string | null | undefined
}

/**
 * The budgets of a message to an address, the same whether or not someone has an account by it. One network cannot spend
 * what another one has left, unless many together fill the inbox; nor can it write to ever more addresses, each of which
 * costs the host a mail, or a text message.
 */
export async function messageBudgets(
  settings: Settings,
  scope: Scope,
  { type, target, network }: Sent,
): Promise<Budget[]> {
  const { limits } = settings
  const budgets: Budget[] = []
  const address = await hash(target)
  if (limits.messages)
    budgets.push({ key: `auth:message:${place(network)}:${address}`, limit: limits.messages })
  budgets.push(...networkBudgets(settings, scope, { type, network }))
  if (limits.inbox) budgets.push({ key: `auth:inbox:${address}`, limit: limits.inbox })
  return budgets
}

export const sentTo = (
  { type, value: target }: Address,
  network: string | null | undefined,
): Sent => ({ type, target, network })

/** The budget of all that a network has sent to whomever. */
export function networkBudgets(
  { limits }: Settings,
  scope: Scope,
  { type, network }: Pick<Sent, 'type' | 'network'>,
): Budget[] {
  const kind = type === 'email' ? 'mails' : 'texts'
  const limit = limits[kind]
  return limit && !scope.local ? [{ key: `auth:${kind}:${place(network)}`, limit }] : []
}

/** The budgets of a guess at a code: those of a password. */
export const guessBudgets = (
  settings: Settings,
  scope: Scope,
  { target, network }: { target: string; network?: string | null | undefined },
): Promise<Budget[]> => signInBudgets(settings, scope, { email: target, network: network ?? null })

/** Each only as long as those before it are not exceeded: a network's own stand before those that it shares. */
export const spendAll = (scope: Scope, budgets: readonly Budget[]): Statement[] =>
  budgets.map(({ key, limit }, i) => spend(scope.db, key, limit, scope.now(), budgets.slice(0, i)))

/** In the batch that spends it: past the budget nothing is done. */
export const within = ({ key, limit }: Budget): Condition =>
  condition(
    'coalesce((SELECT spent FROM leanto_core_limits WHERE key = ?), 0) <= ?',
    key,
    limit.max,
  )

export const refundAll = (scope: Scope, budgets: readonly Budget[]): Statement[] =>
  budgets.map(({ key }) => refund(scope.db, key))

/**
 * Writes what is there already. So that a batch commits, and D1's bookmark moves on, whether or not there was an account to
 * write to: both time and bookmark would tell.
 */
export const touch = (scope: Scope, budgets: readonly Budget[]): Statement[] =>
  budgets
    .slice(0, 1)
    .map(({ key }) =>
      scope.db.prepare('UPDATE leanto_core_limits SET spent = spent WHERE key = ?').bind(key),
    )

/**
 * @param results Of `spendAll`, in its order.
 * @throws {Fault} `rate_limited` (429).
 */
export function checkSpent(
  scope: Scope,
  budgets: readonly Budget[],
  results: readonly QueryResult[],
): void {
  budgets.forEach(({ limit }, i) => {
    const fault = exceeded(results[i]?.results[0]?.spent, limit, scope.now())
    if (fault) throw fault
  })
}

/** Gives an attempt back that a failure of ours has ended: only an answer spends one. */
export function giveBack(scope: Scope, budgets: readonly Budget[], error: unknown): void {
  if ((error instanceof Fault && error.status < 500) || budgets.length === 0) return
  scope.waitUntil(scope.db.batch(refundAll(scope, budgets)))
}
