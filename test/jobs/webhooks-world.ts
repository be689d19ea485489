import { env } from 'cloudflare:workers'
import type { Base, Scope } from 'leanto'
import { type Drained, type Jobs, jobs } from 'leanto/jobs'
import { type Webhooks, type WebhooksOptions, webhooks } from 'leanto/jobs/webhooks'
import { Webhook } from 'standardwebhooks'
import { vi } from 'vitest'
import { clock, type Env, makeBase } from '../kit/world.ts'
import { scopeOf } from './world.ts'

export interface Received {
  url: string
  headers: Record<string, string>
  body: string
  init: RequestInit
}

/** Webhooks whose names lead to public addresses, and whose receivers answer as the test says. */
export interface HooksWorld {
  readonly base: Base<Env>
  readonly received: Received[]
  /** Where every name leads. */
  addresses: string[] | Error
  answer: (received: Received) => Response | Promise<Response>
  hooks: Webhooks
  work: Jobs
  scope(): Scope<Env>
  drain(): Promise<Drained>
}

export function hooksWorld(
  options: WebhooksOptions = {},
  base: Base<Env> = makeBase(),
): HooksWorld {
  const received: Received[] = []
  const world: HooksWorld = {
    base,
    received,
    addresses: ['93.184.216.34'],
    answer: () => new Response(null, { status: 204 }),
    hooks: webhooks({
      resolve: async () => {
        if (world.addresses instanceof Error) throw world.addresses
        return world.addresses
      },
      fetch: async (url, init) => {
        const headers = Object.fromEntries(new Headers(init.headers as HeadersInit))
        const one = { url, headers, body: String(init.body), init }
        received.push(one)
        return world.answer(one)
      },
      ...options,
    }),
    work: undefined as never as Jobs,
    scope: () => scopeOf(base),
    drain: () => world.work.drain(scopeOf(base)),
  }
  world.work = jobs(base, { handlers: {}, parts: [world.hooks] }) as never
  return world
}

/** As a receiver that uses the official library: what the body says, or a throw. */
export function verified(secret: string, { headers, body }: Received): unknown {
  vi.useFakeTimers({ toFake: ['Date'], now: clock.time })
  try {
    return new Webhook(secret).verify(body, headers)
  } finally {
    vi.useRealTimers()
  }
}

export const all = async <Row>(sql: string): Promise<Row[]> =>
  (await env.DB.prepare(sql).all<Row>()).results
