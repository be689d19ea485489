import { service } from 'leanto/services'
import { translate } from 'leanto/services/translate'
import { vi } from 'vitest'
import { conforms, type World } from '../kit/conformance.ts'
import { type Env, mount } from '../kit/world.ts'
import { providers, Translator } from './translate-world.ts'
import { deepl, gateway, hello, Upstream } from './world.ts'

const path = '/services'

/** A module of one service that answers, or fails, as told; asked as the owner. */
const meeting =
  (
    answer: () => Response | Promise<Response>,
    options: Parameters<typeof deepl>[1] = {},
    ask: { path?: string; method?: string; times?: number } = {},
  ) =>
  async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const upstream = new Upstream()
    upstream.answer = answer
    const asked = mount({ [path]: gateway({ deepl: deepl(upstream, options) }) })
    let response = new Response()
    for (let i = 0; i < (ask.times ?? 1); i++)
      response = await asked(path + (ask.path ?? '/deepl/v2/translate'), {
        token: 'ada',
        ...(ask.method ? { method: ask.method } : { body: hello }),
      })
    log.mockRestore()
    // A HEAD has no body to look into.
    if (ask.method === 'HEAD')
      return Response.json({ code: codes[response.status] }, { status: response.status })
    return response
  }
const codes: Record<number, string> = { 405: 'method_not_allowed' }

const ok = () => Response.json({})
const status = (code: number) => () => new Response('', { status: code })
const late = () => new Promise<Response>(() => {})

const reads = { guest: 401, owner: 200, stranger: 403, service: 200 }

conforms('services', {
  make: (base) => {
    const upstream = new Upstream()
    const access = ({ id, role }: { id: string; role: string }) =>
      role === 'service' || id === 'ada'
    const open = service<Env>({
      origin: 'https://open.example',
      access: () => true,
      allow: (['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const).map((method) => ({
        method,
        path: '/v1/things/:id',
      })),
      quota: { user: { requests: { minute: 5 } } },
      fetch: upstream.fetch,
    })
    const parts = [
      translate({
        access,
        providers: [providers.libre(new Translator('libre'))],
        quota: { app: {} },
      }),
    ]
    return gateway({ deepl: deepl(upstream, { access }), open }, { parts }, base)
  },
  mount: path,
  migrations: { '0001_services': 'lOVrZQ_uHZJxntqbjVqvpJ6LgsBLHNRFq9oX_JVrX-k' },
  async prepare(world: World) {
    world.tokens = { owner: 'ada', stranger: 'bob' }
  },
  matrix: [
    {
      route: 'GET /usage',
      ask: () => ({ path: '/usage' }),
      answers: { guest: 200, owner: 200, stranger: 200, service: 200 },
    },
    {
      route: 'POST /translate',
      ask: () => ({ path: '/translate', body: { text: 'Hello', target: 'de' } }),
      answers: reads,
    },
    {
      route: 'POST /deepl/v2/translate',
      ask: () => ({ path: '/deepl/v2/translate', body: hello }),
      answers: reads,
    },
    {
      route: 'GET /deepl/v2/glossaries/:id',
      ask: () => ({ path: '/deepl/v2/glossaries/g1' }),
      answers: reads,
    },
    {
      route: 'POST /deepl/v2/document',
      ask: () => ({
        path: '/deepl/v2/document',
        body: 'text',
        headers: { 'content-type': 'text/plain' },
      }),
      answers: reads,
    },
    ...['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].map((method) => ({
      route: `${method} /open/v1/things/:id`,
      ask: () => ({ path: '/open/v1/things/1', method }),
      answers: { guest: 200, owner: 200, stranger: 200, service: 200 },
    })),
  ],
  faults: {
    forbidden: meeting(ok, { access: () => false }),
    method_not_allowed: meeting(ok, {}, { path: '/deepl/v2/glossaries/a', method: 'HEAD' }),
    quota_exceeded: meeting(ok, { quota: { user: { requests: { day: 0 } } } }),
    upstream_failed: meeting(status(500)),
    upstream_refused: meeting(status(401)),
    budget_exhausted: meeting(ok, { price: { request: 2 }, budget: { money: 1 } }),
    service_unavailable: meeting(status(503)),
    upstream_timeout: meeting(late, {
      timeout: 10,
      fetch: (request) =>
        new Promise((_, reject) => {
          request.signal.addEventListener('abort', () => reject(new Error('aborted')))
        }),
    }),
  },
})
