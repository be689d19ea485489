import { createExecutionContext, reset, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { apiKeys, type Base, type BindOptions, bind, type Module, migrate } from 'leanto'

/** The secret of every test: long enough, random enough, and not the development one. */
export const testSecret = 'a-secret-that-is-used-by-no-one-but-the-tests-0123456789'

export type Env = Cloudflare.Env

/** A clock that stands still until a test moves it. */
export const clock = {
  time: Date.parse('2026-06-01T12:00:00Z'),
  now: (): number => clock.time,
  advance(seconds: number) {
    clock.time += seconds * 1000
  },
}

export const makeBase = (options: Partial<BindOptions<Env>> = {}): Base<Env> =>
  bind<Env>({
    db: (e) => e.DB as never,
    kv: (e) => e.KV as never,
    secret: () => testSecret,
    now: clock.now,
    ...options,
  })

/** Where the tests' app lives; not a loopback name, so nothing is as in development. */
export const site = 'https://app.example'

const isEmpty = async () =>
  (await env.DB.prepare(`SELECT 1 FROM sqlite_master WHERE name LIKE 'leanto%'`).first()) === null

/** Empties the bindings, makes the host's tables and applies the modules' migrations, some of which stand on them. */
export async function freshDatabase(modules: readonly Module[], hostSql: readonly string[] = []) {
  // Files share this clock; another may have left it within a second.
  clock.time = Math.ceil(clock.time / 1000) * 1000
  await reset()
  // Seen with workerd of 2026-11: after a file that took long, one reset left the old database in place.
  for (let tries = 0; tries < 5 && !(await isEmpty()); tries++) await reset()
  if (hostSql.length > 0) await env.DB.batch(hostSql.map((sql) => env.DB.prepare(sql)))
  await migrate(env.DB as never, modules)
}

export interface Ask {
  method?: string
  headers?: Record<string, string>
  /** Sent as JSON; a string goes as it is. */
  body?: unknown
  token?: string
  key?: 'publishable' | 'secret'
}

/** An app with the modules mounted, and a way to ask it that waits for background work as the runtime would. */
export function mount(mounts: Record<string, Module>, origin = site) {
  const app = new Hono()
  for (const [path, module] of Object.entries(mounts)) app.route(path, module.routes)
  return asker(app, origin)
}

export const asker =
  (app: { fetch: Hono['fetch'] }, origin = site) =>
  async (path: string, { method, headers, body, token, key }: Ask = {}): Promise<Response> => {
    const ctx = createExecutionContext()
    const keys = key ? await apiKeys(testSecret) : undefined
    const request = new Request(origin + path, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(keys && key ? { apikey: keys[key] } : {}),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const response = await app.fetch(request, env as never, ctx as never)
    await waitOnExecutionContext(ctx as never)
    return response
  }
