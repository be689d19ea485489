import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { quiet, root, wranglerBin } from '../kit/running.ts'

const folder = join(root, '.wrangler', 'deploy-test')
const site = 'https://app.example'

/** Everything of `leanto/auth` in one Worker, and of `leanto/sync` with the interpreter: as large as it gets. */
const worker = `
import { Hono } from 'hono'
import { apiKeys, bind, handlers, migrate } from 'leanto'
import { auth } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { cookies, issuedKeys, sessions, trust, turnstile } from 'leanto/auth/parts'
import { bcrypt, betterAuth, breached, common, firebase, pbkdf2, scrypt } from 'leanto/auth/passwords'
import * as p from 'leanto/auth/providers'
import { shared, sync } from 'leanto/sync'
import { find } from 'leanto/sync/find'
import { scripts } from 'leanto/sync/scripts'

const base = bind<any>({ db: (e) => e.DB, kv: (e) => e.KV, secret: () => '${'s'.repeat(40)}' })
const client = { clientId: 'app', secret: 'shh' }
const users = auth(base, {
  site: '${site}',
  mailer: { send: async () => {} },
  sms: async () => {},
  password: {
    checks: [common(), breached({ fetch: async () => new Response('') })],
    formats: [bcrypt, betterAuth, firebase, pbkdf2, scrypt],
  },
  with: [
    mfa({ phone: true }), admin(), sessions(), cookies(), issuedKeys(),
    trust([{ issuer: 'https://old.example', secret: '${'t'.repeat(40)}' }]),
    turnstile({ secret: 'shh', fetch: async () => Response.json({ success: true }) }),
    p.google(client), p.github(client), p.gitlab(client), p.discord(client), p.facebook(client),
    p.twitter(client), p.linkedinOidc(client), p.slackOidc(client), p.spotify(client), p.twitch(client),
    p.notion(client), p.bitbucket(client), p.zoom(client), p.figma(client), p.workos(client),
    p.kakao(client), p.snapchat(client), p.keycloak({ ...client, url: 'https://id.example/realms/a' }),
    p.azure({ ...client, tenants: ['11111111-2222-4333-8444-555555555555'] }),
    p.apple({ clientId: 'app', teamId: 'T', keyId: 'K', privateKey: 'shh' }),
    p.oidc({ ...client, name: 'custom:acme', issuer: 'https://id.example' }),
  ],
})
const anyone = () => true
const docs = sync(base, {
  identity: users,
  parts: [find, scripts],
  databases: { club: shared({ read: anyone, write: anyone }) },
})
const app = new Hono<any>()
  .route('/auth/v1', users.routes)
  .route('/sync', docs.routes)
  .get('/migrate', async (c) => c.json(await migrate(c.env.DB, [users, docs]), 200))
  .get('/keys', async (c) => c.json(await apiKeys('${'s'.repeat(40)}'), 200))
export default { fetch: app.fetch, ...handlers(base, [users, docs]) }
`

const config = `
name = "leanto-deploy-test"
main = "worker.ts"
compatibility_date = "2026-10-01"
[[d1_databases]]
binding = "DB"
database_name = "leanto-deploy-test"
[[kv_namespaces]]
binding = "KV"
[triggers]
crons = ["17 3 * * *"]
`

// What other systems have hashed, one of each format (test/auth/foreign-hashes.test.ts has their sources).
const hashes = [
  ['rasmuslerdorf', '$2y$10$.vGA1O9wmRjrwAVXD98HNOgsNpDczlqm3Jq7KnEd1rVAGv3Fykk1a'],
  [
    'user1password',
    '$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
  ],
  [
    'pässwörd of a stranger',
    '30313233343536373839616263646566:33b175df49f00b72520b1bf65689f07afcfb086a3a0ae91b8fd1d84c81a85fccb453ca326637a6cbdba1bba107cf500998caea9820a3137b658a414d1c5709d5',
  ],
  [
    'pässwörd of a stranger',
    '$scrypt$ln=12,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$WDkYs42EYKvurh86rg4wYA5olnn1ISThSMTswYWPY2w',
  ],
  ['lètmein', 'pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s='],
  [
    'rasmuslerdorf',
    '$argon2i$v=19$m=1024,t=2,p=2$YzJBSzV4TUhkMzc3d3laeg$zqU/1IN0/AogfP4cmSJI1vc8lpXRW9/S0sYY2i2jHT0',
  ],
] as const

describe('wrangler deploy of a Worker with every part, provider and password format', () => {
  let printed = ''
  let app: Miniflare

  beforeAll(async () => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ extends: '../../tsconfig.json' }))
    writeFileSync(join(folder, 'worker.ts'), worker)
    writeFileSync(join(folder, 'wrangler.toml'), config)
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [wranglerBin, 'deploy', '--dry-run', '--outdir', 'out'],
      { cwd: folder, env: quiet, encoding: 'utf8', timeout: 90_000 },
    )
    expect(status, stderr).toBe(0)
    expect(stderr).not.toMatch(/WARNING|ERROR/)
    printed = stdout
    const out = join(folder, 'out')
    const wasm = readdirSync(out).filter((name) => name.endsWith('.wasm'))
    app = new Miniflare(
      convertV4MiniflareOptions({
        modules: [
          { type: 'ESModule', path: join(out, 'worker.js') },
          ...wasm.map((name) => ({ type: 'CompiledWasm' as const, path: join(out, name) })),
        ],
        modulesRoot: out,
        compatibilityDate: '2026-10-01',
        d1Databases: ['DB'],
        kvNamespaces: ['KV'],
      }),
    )
    await app.ready
  })
  afterAll(async () => {
    await app?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  const ask = async (path: string, body?: object, headers: Record<string, string> = {}) => {
    const response = await app.dispatchFetch(site + path, {
      method: body ? 'POST' : 'GET',
      headers: { 'content-type': 'application/json', ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    } as never)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  it('bundles, without a warning, to what a Worker may weigh', () => {
    expect(printed).toContain('env.DB')
    const [, unit] = printed.match(/gzip: [\d.]+ (KiB|MiB)/) ?? []
    expect(unit, printed).toBe('KiB')
  })

  it('is served by workerd from that very bundle', async () => {
    const { status, body } = await ask('/auth/v1/settings')
    expect(status).toBe(200)
    const on = Object.entries(body.external as object).filter(([, value]) => value)
    expect(on).toHaveLength(20 + 3)
  })

  it('signs in with a hash of every format', async () => {
    await ask('/migrate')
    const { secret = '' } = (await ask('/keys')).body as { secret?: string }
    for (const [i, [password, password_hash]] of hashes.entries()) {
      const email = `user${i}@example.com`
      const user = { email, password_hash, email_confirm: true }
      const made = await ask('/auth/v1/admin/users', user, { apikey: secret })
      expect(made.status, JSON.stringify(made.body)).toBe(200)
      const solved = { gotrue_meta_security: { captcha_token: 'solved' } }
      const signIn = (guess: string) =>
        ask('/auth/v1/token?grant_type=password', { email, password: guess, ...solved })
      expect((await signIn(`${password}!`)).status).toBe(400)
      expect((await signIn(password)).status).toBe(200)
      expect((await signIn(password)).status).toBe(200)
    }
  })

  it('runs what design documents have', async () => {
    await ask('/migrate')
    const { secret = '' } = (await ask('/keys')).body as { secret?: string }
    const design = {
      _id: '_design/a',
      validate_doc_update: 'function (doc) { if (doc.n < 0) throw({ forbidden: "below 0" }) }',
      views: { n: { map: 'function (doc) { emit(doc.n) }', reduce: '_count' } },
    }
    expect((await ask('/sync/club', design, { apikey: secret })).status).toBe(201)
    expect(await ask('/sync/club', { n: -1 })).toEqual({
      status: 403,
      body: { error: 'forbidden', reason: 'below 0' },
    })
    expect((await ask('/sync/club', { n: 1 })).status).toBe(201)
    expect((await ask('/sync/club/_design/a/_view/n')).body.rows).toEqual([{ key: null, value: 1 }])
  })
})
