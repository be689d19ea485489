/*
 * `npm start`: the example on this machine, with D1 and KV simulated on disk.
 * PORT is the port (8787), PERSIST the folder of the simulated bindings (.wrangler/state).
 * TRANSLATE_ORIGIN is where LibreTranslate runs (a stand-in, which marks what it is given); `none`: nowhere.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { styleText } from 'node:util'
import { developmentSecret } from '../../src/core/secret.ts'
import { startTranslator } from './translator.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
// Not by npx: a killed npx leaves wrangler's workerd behind.
const wrangler = fileURLToPath(import.meta.resolve('wrangler')).replace(
  /wrangler-dist\/.*$/,
  'bin/wrangler.js',
)
const port = Number(process.env.PORT || 8787)
const persist = process.env.PERSIST || '.wrangler/state'
const address = `http://localhost:${port}`

let child: ChildProcess | undefined
let stopping = false

/** Starts wrangler in a process group of its own, so that all of it can be stopped. Its words are kept for the case of failure. */
function run(...args: string[]) {
  const started = spawn(process.execPath, [wrangler, ...args, '--config', 'wrangler.toml'], {
    cwd: root,
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      // No question, no telemetry, no network: everything that runs is here.
      CI: '1',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
      FORCE_COLOR: '0',
      WRANGLER_HIDE_BANNER: 'true',
      WRANGLER_LOG_PATH: '.wrangler/logs',
      WRANGLER_SEND_ERROR_REPORTS: 'false',
      WRANGLER_SEND_METRICS: 'false',
    },
  })
  child = started
  let words = ''
  const keep = (chunk: Buffer) => {
    words = (words + chunk).slice(-20_000)
  }
  started.stdout.on('data', keep)
  started.stderr.on('data', keep)
  const ended = new Promise<number>((resolve) => {
    started.on('error', () => resolve(1))
    started.on('close', (code, signal) => resolve(code ?? (signal ? 1 : 0)))
  })
  return {
    ended,
    words: () => words.trim(),
    listen: (to: (chunk: Buffer) => void) => started.stderr.on('data', to),
  }
}

/** Ends the whole group: asks first, and does not ask twice. */
async function stop(code: number): Promise<never> {
  if (!stopping) {
    stopping = true
    kill('SIGTERM')
    for (let waited = 0; waited < 3000 && kill(0); waited += 50) await pause(50)
    kill('SIGKILL')
  }
  process.exit(code)
}

/** @returns Whether there was anything to send it to. */
function kill(signal: NodeJS.Signals | 0): boolean {
  if (!child?.pid) return false
  try {
    return process.kill(process.platform === 'win32' ? child.pid : -child.pid, signal)
  } catch {
    return false
  }
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const isFree = (): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })

function fail(what: string, words = ''): Promise<never> {
  process.stderr.write(
    `${styleText('red', what, { stream: process.stderr })}\n${words ? `${words}\n` : ''}`,
  )
  return stop(1)
}

/** What the Worker itself says its key is: so it runs, has its bindings, and has its secret. */
async function publishableKey(): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/config.json`, {
      signal: AbortSignal.timeout(5000),
    })
    return response.ok ? ((await response.json()) as { key: string }).key : undefined
  } catch {
    return undefined
  }
}

function box(title: string, rows: [string, string][]): string {
  const wide = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(([name, value]) => `${name.padEnd(wide)}  ${value}`)
  const width = Math.max(title.length, ...lines.map((line) => line.length))
  const line = (text: string, shown = text) => `│  ${shown}${' '.repeat(width - text.length)}  │\n`
  const bold = (text: string) => styleText('bold', text, { stream: process.stdout })
  return [
    `╭${'─'.repeat(width + 4)}╮\n`,
    line(title, bold(title)),
    line(''),
    ...lines.map((text) => line(text)),
    `╰${'─'.repeat(width + 4)}╯\n`,
  ].join('')
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(0))

if (!Number.isInteger(port) || port < 1 || port > 65_535)
  await fail(`PORT must be a number from 1 to 65535, and is ${process.env.PORT}.`)
if (!(await isFree()))
  await fail(
    `Port ${port} is in use. Stop what runs there, or take another: PORT=${port + 1} npm start`,
  )

process.stdout.write('Starting…\n')
const migrating = run('d1', 'migrations', 'apply', 'DB', '--local', '--persist-to', persist)
const migrated = await migrating.ended
// Stopped meanwhile: stay here until the process ends.
if (stopping) await new Promise(() => {})
if (migrated !== 0) await fail('The migrations could not be applied.', migrating.words())

const wanted = process.env.TRANSLATE_ORIGIN
const translator = wanted === 'none' ? '' : wanted || (await startTranslator())
const vars = [
  `LEANTO_SECRET:${developmentSecret}`,
  `SITE:${address}`,
  `TRANSLATE_ORIGIN:${translator}`,
]
const serving = run(
  ...['dev', '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0'],
  ...['--persist-to', persist, '--show-interactive-dev-session=false', '--log-level', 'warn'],
  ...vars.flatMap((value) => ['--var', value]),
)
serving.ended.then((code) => {
  if (!stopping) void fail(`wrangler ended with code ${code}.`, serving.words())
})

let key: string | undefined
for (const until = Date.now() + 60_000; !key && !stopping; key = await publishableKey()) {
  if (Date.now() > until) await fail('The example did not answer within a minute.', serving.words())
  await pause(150)
}
if (stopping) await new Promise(() => {})

process.stdout.write(
  box('Notes, an app with leanto', [
    ['App', address],
    ['Auth API', `${address}/auth/v1`],
    ['Data API', `${address}/rest/v1`],
    ['Sync', `${address}/sync`],
    ['Publishable key', key ?? ''],
    ['Captured mail', `${address}/mail`],
  ]),
)
process.stdout.write('Ctrl-C stops it.\n')
// From here on, what goes wrong inside is worth seeing at once.
serving.listen((chunk) => process.stderr.write(chunk))
