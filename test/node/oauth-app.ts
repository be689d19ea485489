import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { migrate } from 'leanto'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { authMigrations } from '../../src/auth/migrations.ts'
import type { Migration } from '../../src/core/migrate.ts'

const root = process.cwd()

/** Where the app is, to itself and to the fake browser; nothing listens there. */
export const local = 'http://127.0.0.1:8788'

/** The secret of these apps. */
export const secret = 's'.repeat(40)

export interface App {
  /** Asks the app as the outside world would; follows nothing. */
  fetch(url: string, init?: RequestInit): Promise<Response>
  rows(sql: string): Promise<Record<string, unknown>[]>
  empty(): Promise<void>
  stop(): Promise<void>
}

/**
 * Runs a Worker with `auth` and these providers in workerd.
 *
 * @param providers TypeScript: a list of calls of `leanto/auth/providers`, as `p`.
 * @param outbound Answers whatever the Worker fetches; without it the network does.
 * @param options TypeScript: more options of `auth`.
 * @param bindings TypeScript: more options of `bind`.
 * @param migrations Of the parts beside the providers.
 * @param routes TypeScript: what else the Worker has, as statements about `app`.
 * @param imports TypeScript: what `providers` and those need besides.
 * @param port Where it listens, for a browser.
 */
export async function startApp(
  name: string,
  {
    site = local,
    providers,
    outbound,
    options = '',
    bindings = '',
    imports = '',
    migrations = [],
    routes = '',
    port,
  }: {
    site?: string
    providers: string
    outbound?: (request: Request) => Promise<Response>
    options?: string
    bindings?: string
    imports?: string
    migrations?: readonly Migration[]
    routes?: string
    port?: number
  },
): Promise<App> {
  const folder = join(root, '.wrangler', name)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: join(root, 'tsconfig.json') }),
  )
  await writeFile(
    join(folder, 'app.ts'),
    `import { Hono } from 'hono'
import { bind } from 'leanto'
import { auth } from 'leanto/auth'
import * as p from 'leanto/auth/providers'
${imports}
const base = bind<any>({ db: (e) => e.DB, kv: (e) => e.KV, secret: () => '${secret}', ${bindings} })
const users = auth(base, { site: '${site}', with: [${providers}], ${options} })
const app = new Hono().route('/auth/v1', users.routes)
${routes}
export default app
`,
  )
  await build({
    entryPoints: [join(folder, 'app.ts')],
    bundle: true,
    format: 'esm',
    outfile: join(folder, 'out', 'app.js'),
    loader: { '.wasm': 'copy' },
    assetNames: '[name]',
    conditions: ['workerd', 'worker', 'browser'],
  })
  const app = new Miniflare(
    convertV4MiniflareOptions({
      modules: [
        { type: 'ESModule', path: join(folder, 'out', 'app.js') },
        { type: 'CompiledWasm', path: join(folder, 'out', 'argon2.wasm') },
      ],
      compatibilityDate: '2026-10-01',
      d1Databases: ['DB'],
      kvNamespaces: ['KV'],
      ...(port ? { host: '127.0.0.1', port } : {}),
      ...(outbound ? { outboundService: outbound as never } : {}),
    }),
  )
  await app.ready
  const db = await app.getD1Database('DB')
  await migrate(db as never, [{ name: 'auth', migrations: [...authMigrations, ...migrations] }])
  return {
    fetch: (url, init) => app.dispatchFetch(url, { ...init, redirect: 'manual' } as never) as never,
    rows: async (sql) => (await db.prepare(sql).all()).results as never,
    async empty() {
      for (const table of ['users', 'identities', 'sessions', 'refresh_tokens', 'flows'])
        await db.prepare(`DELETE FROM leanto_auth_${table}`).run()
    },
    async stop() {
      await app.dispose()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Begins a sign-in; what the provider is asked, and the cookie. */
export async function depart(app: App, query: string, site = local) {
  const response = await app.fetch(`${site}/auth/v1/authorize?${query}`)
  const location = response.headers.get('location')
  if (!location) throw new Error(`${response.status} ${await response.text()}`)
  const url = new URL(location)
  const cookie = (response.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
  return { url, cookie, state: url.searchParams.get('state') ?? '' }
}

/** Comes back with a code; where the browser is led. */
export async function arrive(
  app: App,
  { state, cookie }: { state: string; cookie: string },
  { more = '', post, site = local }: { more?: string; post?: boolean; site?: string } = {},
): Promise<URL> {
  const body = `code=the-code&state=${state}${more}`
  const response = post
    ? await app.fetch(`${site}/auth/v1/callback`, {
        method: 'POST',
        body,
        headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' },
      })
    : await app.fetch(`${site}/auth/v1/callback?${body}`, { headers: { cookie } })
  return new URL(response.headers.get('location') ?? `none:${response.status}`)
}

export const fragment = (url: URL): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(url.hash.slice(1)))
