/* Runs the mailing Worker of the tests in workerd, in a process of its own that can be killed. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { lastingOf } from '../../src/core/migrate.ts'
import { captureMigrations } from '../../src/email/capture/migrations.ts'
import { emailMigrations } from '../../src/email/migrations.ts'
import { jobsMigrations } from '../../src/jobs/migrations.ts'
import { quiet, root } from './running.ts'

export interface EmailServer {
  url: string
  /** At once, and everything with it, as when a machine goes. */
  kill(): Promise<void>
}

/**
 * @param mail As `MAIL` of the Worker.
 * @param persist Where its database stays.
 * @param trusted A file with a certificate that workerd trusts besides those that browsers do.
 */
export async function startEmail(
  mail: string,
  persist: string,
  trusted?: string,
): Promise<EmailServer> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), mail, persist], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    // Miniflare hands it to workerd, for all that the Worker connects to.
    env: { ...quiet, ...(trusted ? { NODE_EXTRA_CA_CERTS: trusted } : {}) },
  })
  const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (line) => resolve(String(line).trim()))
    child.once('exit', (code) => reject(new Error(`It did not start: ${code}`)))
  })
  return {
    url,
    async kill() {
      if (child.pid && child.exitCode === null && child.signalCode === null)
        process.kill(-child.pid, 'SIGKILL')
      await exited
    },
  }
}

async function run(mail: string, persist: string): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [`${root}test/kit/email-worker.ts`],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*'],
    alias: {
      leanto: `${root}src/core/index.ts`,
      ...Object.fromEntries(
        [
          ...['email', 'email/binding', 'email/capture', 'email/jobs', 'email/resend'],
          ...['email/smtp', 'jobs'],
        ].map((path) => [`leanto/${path}`, `${root}src/${path}/index.ts`]),
      ),
    },
  })
  const flare = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      port: 0,
      modules: true,
      script: outputFiles[0]?.text ?? '',
      compatibilityDate: '2026-10-01',
      d1Databases: ['DB'],
      resourcePersistencePath: persist,
      kvNamespaces: ['KV'],
      bindings: { MAIL: mail },
      email: { send_email: [{ name: 'EMAIL' }] },
    }),
  )
  const { origin } = await flare.ready
  const db = await flare.getD1Database('DB')
  const migrations = [...emailMigrations, ...captureMigrations]
  const modules = [
    { name: 'email', migrations },
    { name: 'jobs', migrations: jobsMigrations },
  ]
  for (const module of lastingOf(modules))
    for (const { sql } of module.migrations)
      for (const statement of sql) await db.prepare(statement).run()
  await db.prepare('CREATE TABLE IF NOT EXISTS notes (title TEXT)').run()
  console.log(origin)
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await run(process.argv[2] ?? '', process.argv[3] ?? '')
