/* Starts the examples as a developer would, for tests in Node. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { apiKeys } from '../../src/core/identity.ts'
import { developmentSecret } from '../../src/core/secret.ts'

export const root = fileURLToPath(new URL('../../', import.meta.url))
export const wranglerBin = join(root, 'node_modules/wrangler/bin/wrangler.js')

/** Nothing asks, nothing phones home, and what is printed has no colours. */
export const quiet = {
  ...process.env,
  CI: '1',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  FORCE_COLOR: '0',
  WRANGLER_LOG_PATH: join(tmpdir(), 'leanto-wrangler-logs'),
  WRANGLER_SEND_ERROR_REPORTS: 'false',
  WRANGLER_SEND_METRICS: 'false',
}

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'leanto-'))
export const removeFolder = (folder: string) => rmSync(folder, { recursive: true, force: true })

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

export interface Running {
  url: string
  port: number
  keys: { publishable: string; secret: string }
  process: ChildProcess
  /** What it has printed so far, errors included. */
  printed(): string
  /** Sends the signal to its process group, as a terminal's Ctrl-C does. @returns The exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Runs `npm start`'s script on a free port, with bindings of its own that are gone afterwards. */
export async function startNotes(env: Record<string, string> = {}): Promise<Running> {
  const persist = temporaryFolder()
  const port = await freePort()
  const started = group('examples/notes/start.ts', [], root, {
    PORT: String(port),
    PERSIST: persist,
    ...env,
  })
  const running = await describe(started, port, persist)
  await until(started, () => running.printed().includes('Ctrl-C stops it'))
  return running
}

/** Runs another example by wrangler, with its migrations applied. */
export async function startExample(
  name: string,
  vars: Record<string, string>,
  path = '/',
): Promise<Running> {
  const folder = join(root, 'examples', name)
  const persist = temporaryFolder()
  const port = await freePort()
  const migrate = ['d1', 'migrations', 'apply', 'DB', '--local', '--persist-to', persist]
  execFileSync(process.execPath, [wranglerBin, ...migrate], { cwd: folder, env: quiet })
  const all = { LEANTO_SECRET: developmentSecret, ...vars }
  const started = group(
    wranglerBin,
    [
      ...['dev', '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0'],
      ...['--persist-to', persist, '--show-interactive-dev-session=false'],
      ...Object.entries(all).flatMap(([key, value]) => ['--var', `${key}:${value}`]),
    ],
    folder,
  )
  const running = await describe(started, port, persist)
  await until(started, async () => {
    try {
      return (await fetch(running.url + path)).ok
    } catch {
      return false
    }
  })
  return running
}

interface Started {
  child: ChildProcess
  printed: () => string
}

function group(script: string, args: string[], cwd: string, env: object = {}): Started {
  const child = spawn(process.execPath, [script, ...args], {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...quiet, ...env },
  })
  let printed = ''
  const keep = (chunk: Buffer) => {
    printed += chunk
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  return { child, printed: () => printed }
}

async function describe({ child, printed }: Started, port: number, persist: string) {
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve))
  const running: Running = {
    // By name, as people do; a page's storage and cookies go by it.
    url: `http://localhost:${port}`,
    port,
    keys: await apiKeys(developmentSecret),
    process: child,
    printed,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.pid) process.kill(-child.pid, signal)
      const code = await exited
      removeFolder(persist)
      return code
    },
  }
  return running
}

async function until({ child, printed }: Started, ready: () => boolean | Promise<boolean>) {
  const end = Date.now() + 90_000
  while (!(await ready())) {
    if (child.exitCode !== null || Date.now() > end)
      throw new Error(`It did not start:\n${printed()}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** @throws {Error} that says what to do. A test that needs a browser fails without one: it is not skipped. */
export function chromiumPath(): string {
  const places = [
    process.env.CHROMIUM,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome-stable',
    '/usr/bin/google-chrome',
    '/snap/bin/chromium',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
  ]
  for (const place of places)
    try {
      if (!place) continue
      accessSync(place, constants.X_OK)
      return place
    } catch {}
  throw new Error(
    'The browser tests found no Chromium. Install one (Debian: apt-get install chromium), or set CHROMIUM to its path.',
  )
}

export const chromiumFlags = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
]
