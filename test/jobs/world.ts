import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import type { Base, Cost, Identity, Scope } from 'leanto'
import { apiKeys } from 'leanto'
import { type HandlerOptions, type Jobs, type JobsOptions, job, jobs } from 'leanto/jobs'
import * as v from 'valibot'
import { type Env, makeBase, testSecret } from '../kit/world.ts'

/** `Bearer user-<name>` is that user, the secret key the service. */
export const people: Identity = {
  async principal(_, request) {
    const { secret } = await apiKeys(testSecret)
    if (request.headers.get('apikey') === secret)
      return { id: null as never, role: 'service', claims: {} }
    const name = request.headers.get('authorization')?.match(/^Bearer user-(\w+)$/)?.[1]
    return name
      ? { id: name, role: 'authenticated', claims: {} }
      : { id: null as never, role: 'anon', claims: {} }
  },
}

export const [alice, bob] = ['user-alice', 'user-bob']

/** A scope as a cron trigger or a queue has it, and a way to wait for what it left to go on. */
export function scopeOf(base: Base<Env>): Scope<Env> & { settled(): Promise<void> } {
  const executionCtx = createExecutionContext()
  const scope = base.scope({ env, executionCtx })
  return new Proxy(scope, {
    get: (target, name) =>
      name === 'settled'
        ? () => waitOnExecutionContext(executionCtx as never)
        : Reflect.get(target, name),
  }) as never
}

/** What one piece of work costs. */
export async function costOf(base: Base<Env>, work: (scope: Scope<Env>) => unknown): Promise<Cost> {
  const scope = scopeOf(base)
  await work(scope)
  await scope.settled()
  return scope.cost
}

type Options = HandlerOptions<typeof payload>

/** One handler, `work`, of `{ n }`. */
export const oneHandler = (
  run: Options['run'],
  options: Partial<Options> = {},
  more: Partial<JobsOptions<Env, never>> = {},
  base: Base<Env> = makeBase(),
): Jobs<{ work: ReturnType<typeof job<typeof payload>> }> =>
  jobs(base, {
    identity: people,
    ...(more as object),
    handlers: { work: job({ payload, run, ...(options as object) }) },
  })

export const payload = v.object({ n: v.number() })

export interface Stored {
  id: string
  name: string
  state: string
  attempt: number
  due: number
  lease: string | null
  unique_key: string | null
  result: string | null
  error: string | null
  progress: string | null
  expires_at: number | null
}

export const stored = async (): Promise<Stored[]> =>
  (await env.DB.prepare('SELECT * FROM leanto_jobs_jobs ORDER BY id').all<Stored>()).results

export const counts = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    (
      await env.DB.prepare(
        'SELECT state, count(*) AS n FROM leanto_jobs_jobs GROUP BY state ORDER BY state',
      ).all<{ state: string; n: number }>()
    ).results.map(({ state, n }) => [state, n]),
  )

/** Enqueues so many jobs at once, as `enqueue` would one by one. */
export const seed = (count: number, name = 'work') =>
  env.DB.prepare(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
     INSERT INTO leanto_jobs_jobs (id, name, payload, state, priority, due, attempts, once, created_at, scheduled_at)
     SELECT printf('job-%05d', i), ?2, json_object('n', i), 'ready', 0, 0, 10, 0, 0, 0 FROM n`,
  )
    .bind(count, name)
    .run()
