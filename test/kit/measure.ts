import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import type { Base, Cost, Module } from 'leanto'
import { type Ask, type Env, site } from './world.ts'

export interface Measured {
  response: Response
  /** What this one request has cost its database. */
  cost: Cost
}

/** Asks a module and says what the answer cost. The scope of a request is the same one for whoever has the request. */
export const measurer =
  (base: Base<Env>, module: Module) =>
  async (path: string, { method, headers, body, token }: Ask = {}): Promise<Measured> => {
    const executionCtx = createExecutionContext()
    const request = new Request(site + path, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const app = new Hono().route('/', module.routes)
    const response = await app.fetch(request, env as never, executionCtx as never)
    await waitOnExecutionContext(executionCtx as never)
    return { response, cost: base.scope({ env, executionCtx, req: { raw: request } }).cost }
  }
