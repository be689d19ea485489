/*
 * Signs people up and in through leanto's auth and through better-auth in one run, alternating, and prints how fast
 * leanto is against it: 2.00 takes half the time. `npm run bench:auth` installs what it needs in bench first.
 *
 * Both are asked over HTTP under workerd, with D1 simulated, one request after the other, by e-mail and password, with
 * budgets, mails and telemetry off. Both hash by the same code with the same parameters; in the second half of the run
 * that code is swapped in both for one that costs nothing. Both make a session at sign-up.
 *
 * The two are no equals in what a session is. leanto's refresh uses a token up, stores its child and signs a JWT;
 * better-auth has nothing to rotate, so beside it stands the look at a session that also puts its end off
 * (`updateAge: 0`), and then the look as it is by default, which only reads. leanto's own look at a token, without a user
 * to answer, needs no database at all and is not in here.
 *
 * D1 is in the same process here, so a trip to it costs next to nothing, as it never does in production. Trips of leanto and of
 * better-auth as they are set up here: sign up 1 and 4, sign in 2 and 2, refresh 1 and 2, get user 1 and 1. leanto's
 * budgets, which are on by default, make sign up 2.
 */
import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { build, type Plugin } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { authMigrations } from '../src/auth/migrations.ts'
import { migrate } from '../src/core/migrate.ts'

const rounds = Number(process.env.ROUNDS ?? 11)
const perRound = Number(process.env.REQUESTS ?? 60)
/** Accounts to sign in to. */
const accounts = 25
const password = 'correct horse battery staple'

const path = (file: string) => new URL(file, import.meta.url).pathname

/** The WebAssembly beside the script, as wrangler puts it. */
const wasm: Plugin = {
  name: 'wasm',
  setup({ onResolve }) {
    onResolve({ filter: /\.wasm$/ }, () => ({ path: './argon2.wasm', external: true }))
  },
}

/** A hash of no cost in the place of argon2id, in whatever worker imports it. */
const withoutHash: Plugin = {
  name: 'without-hash',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/auth\/argon2\.ts$/ }, () => ({
      contents: `export const argon2id = (password, salt) =>
        Uint8Array.from({ length: 32 }, (_, i) => password[i % password.length] ^ salt[i % salt.length])`,
    }))
  },
}

async function bundle(file: string, plugins: Plugin[] = []) {
  const { outputFiles } = await build({
    entryPoints: [path(file)],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*', 'cloudflare:*'],
    define: { 'process.env.NODE_ENV': '"production"' },
    tsconfig: path('../tsconfig.json'),
    plugins: [...plugins, wasm],
    write: false,
  })
  return outputFiles[0]?.text ?? ''
}

async function start(file: string, plugins: Plugin[], compatibilityFlags: string[]) {
  const argon2 = await readFile(new URL(import.meta.resolve('@phi-ag/argon2/argon2.wasm')))
  const worker = new Miniflare(
    convertV4MiniflareOptions({
      modules: [
        { type: 'ESModule', path: 'worker.js', contents: await bundle(file, plugins) },
        { type: 'CompiledWasm', path: 'argon2.wasm', contents: argon2 },
      ],
      compatibilityDate: '2026-10-01',
      compatibilityFlags,
      d1Databases: ['DB'],
      kvNamespaces: ['KV'],
      bindings: { SECRET: 'a-secret-of-the-bench-that-guards-nothing-at-all' },
    }),
  )
  return { worker, url: await worker.ready, db: await worker.getD1Database('DB') }
}

// biome-ignore lint/suspicious/noExplicitAny: looked at, whatever came.
type Json = Record<string, any>

/** What both can do; each call is one request. */
interface Side {
  nothing(): Promise<void>
  signUp(name: string): Promise<void>
  signIn(name: string): Promise<void>
  refresh(): Promise<void>
  getUser(): Promise<void>
  stop(): Promise<void>
}

const asker =
  (url: URL) =>
  async (path: string, { headers, body }: { headers?: Record<string, string>; body?: object }) => {
    const response = await fetch(new URL(path, url), {
      method: body ? 'POST' : 'GET',
      headers: { origin: 'https://notes.dev', 'content-type': 'application/json', ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await response.text()
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`)
    return { json: JSON.parse(text) as Json, cookies: response.headers.getSetCookie() }
  }

/** An answer that is not what it should be would be measured all the same. */
function want(answer: unknown, path: string): void {
  if (!answer) throw new Error(`${path}: not the answer that was asked for`)
}

const email = (name: string) => `${name}@notes.dev`

async function startLeanto(plugins: Plugin[]): Promise<Side> {
  const { worker, url, db } = await start('./auth-leanto.ts', plugins, [])
  await migrate(db as never, [{ name: 'auth', migrations: authMigrations }])
  const ask = asker(url)
  let session: { access_token: string; refresh_token: string } | undefined
  const take = ({ json }: { json: Json }) => {
    want(json.refresh_token && json.access_token && json.user, 'leanto session')
    session = json as typeof session
  }
  const credentials = (name: string) => ({ body: { email: email(name), password } })
  return {
    nothing: async () => want((await ask('/auth/v1/health', {})).json, 'health'),
    signUp: async (name) => take(await ask('/auth/v1/signup', credentials(name))),
    signIn: async (name) =>
      take(await ask('/auth/v1/token?grant_type=password', credentials(name))),
    refresh: async () => {
      const body = { refresh_token: session?.refresh_token }
      take(await ask('/auth/v1/token?grant_type=refresh_token', { body }))
    },
    getUser: async () => {
      const headers = { authorization: `Bearer ${session?.access_token}` }
      want((await ask('/auth/v1/user', { headers })).json.email, 'user')
    },
    stop: () => worker.dispose(),
  }
}

async function startBetterAuth(plugins: Plugin[]): Promise<Side & { lookOnly: Side['refresh'] }> {
  const { worker, url, db } = await start('./better-auth/worker.mjs', plugins, ['nodejs_compat'])
  await (await import(path('./better-auth/migrate.mjs'))).migrate(db)
  const ask = asker(url)
  let cookie = ''
  const take = ({ json, cookies }: { json: Json; cookies: string[] }) => {
    cookie = cookies.map((line) => line.split(';')[0]).join('; ')
    want(json.token && json.user && cookie, 'better-auth session')
  }
  const look = (base: string) => async () => {
    const { json, cookies } = await ask(`${base}/get-session`, { headers: { cookie } })
    want(json?.user?.email, 'get-session')
    want(cookies.length > 0 === (base === '/api/fresh'), 'get-session: session put off')
  }
  return {
    nothing: async () => want((await ask('/api/auth/ok', {})).json, 'ok'),
    signUp: async (name) =>
      take(await ask('/api/auth/sign-up/email', { body: { name, email: email(name), password } })),
    signIn: async (name) =>
      take(await ask('/api/auth/sign-in/email', { body: { email: email(name), password } })),
    refresh: look('/api/fresh'),
    lookOnly: look('/api/auth'),
    getUser: look('/api/auth'),
    stop: () => worker.dispose(),
  }
}

const median = (values: readonly number[]) =>
  [...values].sort((x, y) => x - y)[values.length >> 1] ?? 0

async function time(call: (i: number) => Promise<void>, requests: number): Promise<number> {
  const started = performance.now()
  for (let i = 0; i < requests; i++) await call(i)
  return (performance.now() - started) / requests
}

type Calls = (side: Side, i: number) => Promise<void>

let signedUp = 0
const signUp: Calls = (side) => side.signUp(`new${signedUp++}`)
const signIn: Calls = (side, i) => side.signIn(`user${i % accounts}`)

async function compare(name: string, ours: () => Promise<void>, theirs: () => Promise<void>) {
  await time(ours, perRound)
  await time(theirs, perRound)
  const pairs: [ours: number, theirs: number][] = []
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0 ? await time(ours, perRound) : 0
    const b = await time(theirs, perRound)
    pairs.push([first || (await time(ours, perRound)), b])
  }
  const ratios = pairs.map(([a, b]) => b / a)
  const cells = [
    ...[Math.min(...ratios), median(ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2)),
    ...[0, 1].map((side) => `${median(pairs.map((pair) => pair[side] ?? 0)).toFixed(2)} ms`),
  ]
  console.log(`  ${name.padEnd(32)}${cells.map((cell) => cell.padStart(12)).join('')}`)
}

async function run(title: string, plugins: Plugin[]) {
  const [leanto, betterAuth] = await Promise.all([startLeanto(plugins), startBetterAuth(plugins)])
  try {
    for (const side of [leanto, betterAuth])
      for (let i = 0; i < accounts; i++) await side.signUp(`user${i}`)
    console.log(
      `\n${title.padEnd(34)}${['min', 'median', 'max', 'leanto', 'better-auth'].map((word) => word.padStart(12)).join('')}`,
    )
    const both = (name: string, calls: Calls) => {
      let i = 0
      let j = 0
      return compare(
        name,
        () => calls(leanto, i++),
        () => calls(betterAuth, j++),
      )
    }
    await both('sign up', signUp)
    await both('sign in', signIn)
    await both('refresh / put session off', (side) => side.refresh())
    await compare('refresh / look at session', leanto.refresh, betterAuth.lookOnly)
    await both('get user / look at session', (side) => side.getUser())
    await both('health / ok: no work at all', (side) => side.nothing())
  } finally {
    await Promise.all([leanto.stop(), betterAuth.stop()])
  }
}

console.log(
  `${rounds} rounds of ${perRound} requests each, alternating; better-auth / leanto, more is better`,
)
await run('argon2id on both sides', [])
await run('hash taken out on both sides', [withoutHash])

const weight = async (file: string) => {
  const bytes = gzipSync(await bundle(file), { level: 9 }).length
  return `${(bytes / 1024).toFixed(1)} KB`
}
console.log(`
whole worker, minified and gzipped, without WebAssembly:
  leanto with hono ${await weight('./auth-leanto.ts')}, better-auth ${await weight('./better-auth/size.mjs')}`)
