import type { Hono } from 'hono'
import type { Base } from './bind.ts'
import type { Faults } from './fault.ts'
import type { Migrated } from './migrate.ts'
import type { RouteEntry } from './routes.ts'
import type { Scope } from './scope.ts'

/** What every module is: a frozen plain object, made by `name(base, options)`. */
export interface Module extends Migrated {
  /** Lower case; its tables are called `leanto_<name>_*`. */
  readonly name: string
  /** Mount it: `app.route('/auth/v1', users.routes)`. Complete when made: routes added later would be 404. */
  // biome-ignore lint/suspicious/noExplicitAny: Hono's own type for "a sub-app with any bindings".
  readonly routes: Hono<any>
  /** Every route that `routes` answers. */
  readonly table: readonly RouteEntry[]
  readonly faults: Faults<Record<string, readonly [number, string]>>
  /** Regular upkeep; runs at every cron trigger of the host. */
  readonly scheduled?: (scope: Scope, at: number) => Promise<void>
  /** Takes a queue's batch. @returns Whether it was its own. */
  readonly queue?: (scope: Scope, batch: QueueBatch) => Promise<boolean>
}

/** The part of a Workers `MessageBatch` that modules need to know whose it is. */
export interface QueueBatch {
  readonly queue: string
  readonly messages: readonly unknown[]
}

/** The part of a Workers `ExecutionContext` that is used. */
export interface Execution {
  waitUntil(work: Promise<unknown>): void
}

/**
 * The Worker's other entry points, for `export default { fetch: app.fetch, ...handlers(base, modules) }`.
 *
 * One module's failure does not keep the others from running; the run then fails as a whole, so that Cloudflare
 * shows it and, for a queue, delivers the batch again.
 */
export function handlers<Env>(base: Base<Env>, modules: readonly Module[]) {
  const twice = modules.find(
    (module, i) => modules.findIndex(({ name }) => name === module.name) !== i,
  )
  if (twice) throw new TypeError(`handlers: module \`${twice.name}\` is listed twice`)

  return {
    async scheduled(
      controller: { scheduledTime: number },
      env: Env,
      executionCtx: Execution,
    ): Promise<void> {
      const scope = base.scope({ env, executionCtx })
      const runs = modules.map((module) => module.scheduled?.(scope, controller.scheduledTime))
      const failed = (await Promise.allSettled(runs)).filter((run) => run.status === 'rejected')
      if (failed.length > 0)
        throw new AggregateError(
          failed.map((run) => run.reason),
          'leanto: scheduled work failed',
        )
    },
    async queue(batch: QueueBatch, env: Env, executionCtx: Execution): Promise<void> {
      const scope = base.scope({ env, executionCtx })
      for (const module of modules) if (await module.queue?.(scope, batch)) return
      throw new Error(`leanto: no module takes messages of queue ${JSON.stringify(batch.queue)}`)
    },
  }
}
