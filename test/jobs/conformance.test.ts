import { env } from 'cloudflare:workers'
import { job, jobs } from 'leanto/jobs'
import { webhooks } from 'leanto/jobs/webhooks'
import * as v from 'valibot'
import { vi } from 'vitest'
import { coreFaults } from '../../src/core/fault.ts'
import { conforms, type World } from '../kit/conformance.ts'
import { makeBase, mount, testSecret } from '../kit/world.ts'
import { alice, bob, people } from './world.ts'

const handlers = { work: job({ payload: v.object({ n: v.number() }), run: () => {} }) }
const as =
  (token: string, path: string, method = 'GET') =>
  (world: World) =>
    world.ask(`/jobs${path}`, { method, token })
const service = (path: string, method: string) => (world: World) =>
  world.ask(`/jobs${path}`, { method, key: 'secret' })

/** Asked where whoever is asked throws. */
const throwing =
  (error: Error, secret = testSecret) =>
  async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const module = jobs(makeBase({ secret: () => secret }), {
      handlers,
      identity: { principal: () => Promise.reject(error) },
    })
    const response = await mount({ '/jobs': module })('/jobs')
    log.mockRestore()
    return response
  }

conforms('jobs', {
  make: (base) => jobs(base, { handlers, identity: people, parts: [webhooks()] }),
  mount: '/jobs',
  migrations: {
    '0001_jobs': '23YqWk49YHwD3yBkRFbIKjCOr3VmfjBmx8OkFHXM5aA',
    '0002_webhooks': 'UcsXyD3Y-ZXXV-7dAdlUQ5kQPs0bMwxaxfvppwh8DFM',
  },
  async prepare(world) {
    world.tokens = { owner: alice, stranger: bob }
    await env.DB.batch(
      ['ready', 'dead', 'done'].map((state) =>
        env.DB.prepare(
          `INSERT INTO leanto_jobs_jobs (id, name, payload, state, priority, due, attempts, owner_id, once, created_at, scheduled_at)
           VALUES (?1, 'work', '{"n":1}', ?1, 0, 0, 3, 'alice', 0, 0, 0)`,
        ).bind(state),
      ),
    )
  },
  matrix: [
    {
      route: 'GET /:id',
      ask: () => ({ path: '/ready' }),
      answers: { guest: 401, owner: 200, stranger: 404, service: 200 },
    },
    {
      route: 'GET /',
      ask: () => ({ path: '' }),
      answers: { guest: 401, owner: 200, stranger: 200, service: 200 },
    },
    {
      route: 'DELETE /:id',
      ask: () => ({ path: '/ready', method: 'DELETE' }),
      answers: { guest: 401, owner: 204, stranger: 404, service: 204 },
    },
    {
      route: 'POST /:id/retry',
      ask: () => ({ path: '/dead/retry', method: 'POST' }),
      answers: { guest: 401, owner: 403, stranger: 403, service: 202 },
    },
  ],
  faults: {
    bad_request: as(alice, '?state=running'),
    unauthenticated: (world) => world.ask('/jobs'),
    bad_token: throwing(coreFaults.bad_token()),
    bad_api_key: throwing(coreFaults.bad_api_key()),
    forbidden: as(alice, '/dead/retry', 'POST'),
    job_not_found: as(bob, '/ready'),
    job_ended: as(alice, '/done', 'DELETE'),
    job_not_dead: service('/ready/retry', 'POST'),
    misconfigured: throwing(new Error('not reached'), 'short'),
    database_unavailable: throwing(new Error('D1_ERROR: Network connection lost.')),
  },
})
