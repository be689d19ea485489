import type { Budget, Quotas, ServiceOptions } from './definition.ts'
import { wrongHeader } from './headers.ts'
import { wrongOrigin } from './origin.ts'
import { isPattern } from './path.ts'

const wrong = (what: string): never => {
  throw new TypeError(`service: ${what}`)
}

/** @throws {TypeError} naming the option and the fix. */
export function checkService<Env>(options: ServiceOptions<Env>) {
  const { origin, auth, allow, headers = {}, cache, fallback } = options ?? {}
  const misplaced = typeof origin === 'function' ? undefined : wrongOrigin(origin, true)
  if (misplaced) wrong(`\`origin\` ${misplaced}`)
  if (auth && typeof auth.value !== 'function')
    wrong('`auth.value` must be a function of env, such as (env) => env.KEY')
  if (!Array.isArray(allow) || allow.length === 0)
    wrong("`allow` must list what may be called: [{ method: 'GET', path: '/v1/things' }]")
  for (const { method, path, query = [], body } of allow) {
    if (!['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].includes(method))
      wrong(`\`allow\` has a method that cannot pass: ${JSON.stringify(method)}`)
    if (typeof path !== 'string' || !isPattern(path))
      wrong(
        `\`allow\` has a path that is none: ${JSON.stringify(path)}; write it as /v1/things/:id`,
      )
    if (method === 'GET' && body) wrong(`\`allow\` gives GET ${path} a body`)
    if (body && !('~standard' in body) && typeof body.open !== 'function')
      wrong(
        "`allow` has a body that is neither a Standard Schema nor streamed(…) of 'leanto/services/streamed'",
      )
    if (auth && 'query' in auth && query.includes(auth.query))
      wrong(`\`allow\` lets ${path} have the query parameter of the key, \`${auth.query}\``)
  }
  for (const way of ['request', 'answer'] as const) {
    const header = wrongHeader(headers[way] ?? [], way)
    if (header !== undefined) wrong(`\`headers.${way}\` cannot let \`${header}\` through`)
  }
  if (cache && typeof cache.through !== 'function')
    wrong("`cache` must be cached({ … }) of 'leanto/services/cache'")
  if (fallback === 'stale' && !cache) wrong("`fallback: 'stale'` needs a `cache` to have it from")
  checkMetered(options)
}

interface MeteredOptions {
  quota?: Quotas | 'unsafeUnlimited'
  budget?: Budget
  meter?: unknown
  price?: unknown
}

/** @throws {TypeError} if what is counted cannot be, or nothing is. */
export function checkMetered({ quota, budget, meter, price }: MeteredOptions) {
  if (!quota && !budget)
    wrong("give it a `quota` or a `budget`; quota: 'unsafeUnlimited' if anyone may spend anything")
  if (quota === 'unsafeUnlimited') return checkBudget(budget, price)
  for (const [whose, { requests, units, money }] of Object.entries(quota ?? {}) as [
    string,
    NonNullable<Quotas['user']>,
  ][]) {
    if (units && !meter) wrong(`\`quota.${whose}.units\` needs a \`meter\` that counts them`)
    if (money && !price) wrong(`\`quota.${whose}.money\` needs a \`price\``)
    for (const amounts of [requests, units, money])
      for (const [period, amount] of Object.entries(amounts ?? {}))
        if (!['minute', 'day', 'month'].includes(period) || !(amount >= 0))
          wrong(`\`quota.${whose}\` has an amount that is none: ${period}: ${amount}`)
  }
  checkBudget(budget, price)
}

export function checkBudget(budget: Budget | undefined, price: unknown) {
  if (!budget) return
  if (!price) wrong('`budget` needs a `price`')
  if (!(budget.money > 0)) wrong('`budget.money` must be more than 0')
  if (!['day', 'month'].includes(budget.per ?? 'month'))
    wrong("`budget.per` must be 'day' or 'month'")
  if (budget.alerts && typeof budget.alerts.tell !== 'function')
    wrong("`budget.alerts` must be alerts(…) of 'leanto/services/alerts'")
}
