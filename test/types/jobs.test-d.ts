import type { Enqueue, Identity, Scope, Statement } from 'leanto'
import { job, jobs } from 'leanto/jobs'
import { schedule } from 'leanto/jobs/cron'
import { webhooks } from 'leanto/jobs/webhooks'
import * as v from 'valibot'
import { expectTypeOf } from 'vitest'
import { base } from './relations.ts'

/*
 * What a job's name says of its payload: `tsc -p test` is the test.
 */

declare const scope: Scope
declare const identity: Identity

const work = jobs(base, {
  identity,
  handlers: {
    digest: job({
      payload: v.object({ to: v.string(), at: v.pipe(v.string(), v.transform(Number)) }),
      run: (_, payload, { attempt }) => {
        // The output of the schema here, its input where it is enqueued.
        expectTypeOf(payload).toEqualTypeOf<{ to: string; at: number }>()
        expectTypeOf(attempt).toEqualTypeOf<number>()
      },
    }),
    ping: job({ payload: v.null(), run: (own: Scope<{ KEY: string }>) => own.env.KEY }),
  },
  cron: [schedule('0 9 * * 1', 'ping')],
  parts: [webhooks()],
})

const batch: Statement[] = []
expectTypeOf(work.enqueue(scope, 'digest', { to: 'a', at: '1' }, { within: batch })).toEqualTypeOf<
  Promise<{ readonly id: string; readonly fresh?: boolean }>
>()
work.enqueue(scope, 'ping', null)
// @ts-expect-error: there is no such job.
work.enqueue(scope, 'other', null)
// @ts-expect-error: not its payload.
work.enqueue(scope, 'digest', { to: 1, at: '1' })
// @ts-expect-error: its output, not its input.
work.enqueue(scope, 'digest', { to: 'a', at: 1 })

expectTypeOf(work).toExtend<Enqueue>()
