import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { apiKeys, type Base, type Cost, Fault, type Identity, type Principal } from 'leanto'
import {
  type ServiceOptions,
  type Services,
  type ServicesOptions,
  service,
  services,
} from 'leanto/services'
import { streamed } from 'leanto/services/streamed'
import { type UsagePart, usage } from 'leanto/services/usage'
import * as v from 'valibot'
import { type Ask, type Env, makeBase, site, testSecret } from '../kit/world.ts'

export const key = 'sk-0123456789-never-to-be-seen'

const principal = (id: string, claims = {}): Principal => ({ id, role: 'authenticated', claims })

/** Tokens are names; `ada@acme` is Ada of the organisation Acme. */
export const people: Identity = {
  async principal(_scope, request) {
    const token = request.headers.get('authorization')?.replace(/^Bearer /, '')
    const none = { id: null as unknown as string, claims: {} }
    if (request.headers.get('apikey') === (await apiKeys(testSecret)).secret)
      return { ...none, role: 'service' }
    if (!token) return { ...none, role: 'anon' }
    if (token === 'bad')
      throw new Fault('bad_token', { status: 401, message: 'Invalid or expired token' })
    const [id = '', org] = token.split('@')
    return principal(id, org ? { org } : {})
  },
}

/** A service that keeps what it was sent, and answers what it is told to. */
export class Upstream {
  readonly seen: { request: Request; body: string }[] = []
  answer: (request: Request, body: string) => Response | Promise<Response> = (request, body) =>
    Response.json({ path: new URL(request.url).pathname, body })

  readonly fetch = async (request: Request): Promise<Response> => {
    // Frozen as it was sent, body included.
    const body = await request.clone().text()
    this.seen.push({ request, body })
    return this.answer(request, body)
  }

  get last() {
    const last = this.seen.at(-1)
    if (!last) throw new Error('nobody came')
    return last
  }
}

const texts = v.object({ text: v.array(v.string()), target_lang: v.string() })

/** A translation service as DeepL's, but for what a test wants otherwise. */
export const deepl = (upstream: Upstream, options: Partial<ServiceOptions<Env>> = {}) =>
  service<Env>({
    origin: 'https://api.deepl.example',
    auth: { header: 'authorization', value: () => `DeepL-Auth-Key ${key}` },
    allow: [
      { method: 'POST', path: '/v2/translate', body: texts },
      { method: 'GET', path: '/v2/glossaries/:id', query: ['page'] },
      { method: 'POST', path: '/v2/document', body: streamed('text/plain'), bytes: 1000 },
    ],
    quota: { user: { requests: { minute: 100 } } },
    fetch: upstream.fetch,
    breaker: false,
    retries: 0,
    ...options,
  })

export const gateway = (
  declared: NonNullable<ServicesOptions<Env>['services']>,
  { parts = [], ...options }: Partial<ServicesOptions<Env>> = {},
  base: Base<Env> = makeBase(),
): Services & { usage: UsagePart['of'] } => {
  const told = usage()
  const module = services(base, {
    identity: people,
    services: declared,
    organisation: (who) => who.claims.org as string | undefined,
    parts: [told, ...parts],
    ...options,
  })
  return Object.freeze({ ...module, usage: told.of })
}

export interface Answer {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever a test expects of it.
  json: any
  cost: Cost
}

/** Asks, reads the answer to its end, and then waits for background work as the runtime would. */
export function client(module: Services, base: Base<Env> = makeBase(), mount = '/services') {
  const app = new Hono().route(mount, module.routes)
  return async (path: string, ask: Ask & { raw?: RequestInit } = {}): Promise<Answer> => {
    const executionCtx = createExecutionContext()
    const { method, headers, body, token, key: kind, raw } = ask
    const keys = await apiKeys(testSecret)
    const request = new Request(site + mount + path, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(kind ? { apikey: keys[kind] } : {}),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...raw,
    })
    const response = await app.fetch(request, env as never, executionCtx as never)
    const text = await response.text()
    await waitOnExecutionContext(executionCtx as never)
    return {
      status: response.status,
      headers: response.headers,
      text,
      get json() {
        return JSON.parse(text)
      },
      cost: base.scope({ env, executionCtx, req: { raw: request } }).cost,
    }
  }
}

export const hello = { text: ['Hello'], target_lang: 'DE' }

/** What stands in the counters, by key. */
export async function counters(): Promise<
  Record<string, { requests: number; units: number; micros: number }>
> {
  const { results } = await env.DB.prepare(
    'SELECT key, requests, units, micros FROM leanto_services_usage',
  ).all<{ key: string; requests: number; units: number; micros: number }>()
  return Object.fromEntries(results.map(({ key: name, ...rest }) => [name, rest]))
}
