/* Runs a Worker of the tests in workerd, for clients in Node. */
import { basename } from 'node:path'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { findMigrations } from '../../src/sync/find/migrations.ts'
import { syncMigrations } from '../../src/sync/migrations.ts'
import { freePort, root } from './running.ts'

export interface SyncServer {
  /** Where the databases are, without a slash at its end. */
  url: string
  flare: Miniflare
  stop(): Promise<void>
}

export interface SyncServerOptions {
  /** @default one that is free */
  port?: number
  /** A folder where its data stays. @default none: it is gone afterwards */
  persist?: string
}

export async function startSync({ port, persist }: SyncServerOptions = {}): Promise<SyncServer> {
  const { outputFiles } = await build({
    entryPoints: [`${root}test/kit/sync-worker.ts`],
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
      'leanto/sync': `${root}src/sync/index.ts`,
      'leanto/sync/find': `${root}src/sync/find/index.ts`,
      'leanto/sync/snapshot': `${root}src/sync/snapshot/index.ts`,
      'leanto/sync/upkeep': `${root}src/sync/upkeep/index.ts`,
      'leanto/sync/scripts': `${root}src/sync/scripts/index.ts`,
      'leanto/sync/notifier': `${root}src/sync/notifier/index.ts`,
    },
  })
  const flare = new Miniflare({
    ...convertV4MiniflareOptions({
      host: '127.0.0.1',
      port: port ?? (await freePort()),
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
      durableObjects: { SYNC: 'SyncNotifier' },
    }),
    ...(persist ? { resourcePersistencePath: persist } : {}),
  })
  const url = await flare.ready
  const db = await flare.getD1Database('DB')
  for (const { sql } of [...syncMigrations, ...findMigrations])
    for (const statement of sql) await db.prepare(statement).run()
  return { url: `${url.origin}/couch`, flare, stop: () => flare.dispose() }
}

/** What a server answers, as JSON. */
export const answerOf = async (response: Promise<Response> | Response): Promise<PouchDB.Doc> =>
  (await response).json()
