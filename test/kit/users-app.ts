/* Runs the Worker that users move to, for the command line in Node. */
import { basename } from 'node:path'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { mfaMigrations } from '../../src/auth/mfa/migrations.ts'
import { authMigrations } from '../../src/auth/migrations.ts'
import { passkeyMigrations } from '../../src/auth/passkeys/migrations.ts'
import { apiKeys } from '../../src/core/identity.ts'
import { migrate } from '../../src/core/migrate.ts'
import { freePort, root } from './running.ts'

const secret = 'a-secret-that-is-used-by-no-one-but-the-tests-0123456789'

export interface UsersApp {
  /** Of its auth. */
  url: string
  keys: { publishable: string; secret: string }
  rows(sql: string): Promise<Record<string, unknown>[]>
  /** As if nobody had ever been here. */
  empty(): Promise<void>
  stop(): Promise<void>
}

export async function startUsersApp(): Promise<UsersApp> {
  const { outputFiles } = await build({
    entryPoints: [`${root}test/kit/users-worker.ts`],
    bundle: true,
    write: false,
    format: 'esm',
    outfile: 'worker.js',
    loader: { '.wasm': 'copy' },
    assetNames: '[name]',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*'],
    alias: {
      leanto: `${root}src/core/index.ts`,
      ...Object.fromEntries(
        ['', '/mfa', '/moving', '/passkeys', '/passwords'].map((path) => [
          `leanto/auth${path}`,
          `${root}src/auth${path}/index.ts`,
        ]),
      ),
    },
  })
  const flare = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      port: await freePort(),
      // The Worker itself has to be the first.
      modules: ['.js', '.wasm'].flatMap((end) =>
        outputFiles
          .filter(({ path }) => path.endsWith(end))
          .map(({ path, contents }) => ({
            type: end === '.js' ? ('ESModule' as const) : ('CompiledWasm' as const),
            path: basename(path),
            contents,
          })),
      ),
      compatibilityDate: '2026-10-01',
      d1Databases: ['DB'],
      kvNamespaces: ['KV'],
    }),
  )
  const { origin } = await flare.ready
  const db = await flare.getD1Database('DB')
  const migrations = [...authMigrations, ...mfaMigrations, ...passkeyMigrations]
  await migrate(db as never, [{ name: 'auth', migrations }])
  return {
    url: `${origin}/auth/v1`,
    keys: await apiKeys(secret),
    rows: async (sql) => (await db.prepare(sql).all()).results,
    async empty() {
      for (const table of [
        'users',
        'identities',
        'sessions',
        'refresh_tokens',
        'factors',
        'recovery_codes',
        'passkeys',
      ])
        await db.prepare(`DELETE FROM leanto_auth_${table}`).run()
    },
    stop: () => flare.dispose(),
  }
}
