/* A host's folder of its own for each test, and `npx leanto` in it. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { quiet, removeFolder, root, temporaryFolder, wranglerBin } from '../kit/running.ts'

/** The host's folder. */
export let host: string

beforeEach(() => {
  host = temporaryFolder()
})
afterEach(() => removeFolder(host))

export function leanto(args: string[], env: Record<string, string> = {}, cwd = host) {
  const { LEANTO_SECRET: _, ...clean } = quiet as Record<string, string>
  return spawnSync(process.execPath, [join(root, 'src/cli/index.ts'), ...args], {
    cwd,
    encoding: 'utf8',
    env: { ...clean, ...env },
    timeout: 30_000,
  })
}

export function write(files: Record<string, string>) {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(host, path)), { recursive: true })
    writeFileSync(join(host, path), text)
  }
}

export const list = (folder = 'migrations') => readdirSync(join(host, folder)).sort()
export const read = (file: string) => readFileSync(join(host, file), 'utf8')

/** Makes the host one that has wrangler installed. */
export const installWrangler = () =>
  symlinkSync(join(root, 'node_modules'), join(host, 'node_modules'))

/** Makes the host one that has all installed that an app needs, `leanto` among it, from its sources. */
export function installAll() {
  write({
    'node_modules/leanto/package.json': JSON.stringify({
      name: 'leanto',
      type: 'module',
      exports: { '.': './src/core/index.ts', './*': './src/*/index.ts' },
    }),
  })
  symlinkSync(join(root, 'src'), join(host, 'node_modules/leanto/src'))
  for (const name of ['hono', 'drizzle-orm', 'wrangler'])
    symlinkSync(join(root, 'node_modules', name), join(host, 'node_modules', name))
}

/** Runs `wrangler d1` on the host's local database. */
export const d1 = (...args: string[]): string =>
  execFileSync(process.execPath, [wranglerBin, 'd1', ...args, '--local'], {
    cwd: host,
    env: quiet,
    encoding: 'utf8',
    // What wrangler says of a failure belongs into the error, not among the test's output.
    stdio: 'pipe',
  })
