import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { migrate } from 'leanto'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { authMigrations } from '../../src/auth/migrations.ts'
import { apiKeys } from '../../src/core/identity.ts'

const run = promisify(execFile)
const root = process.cwd()
// Inside the repository, so that packages resolve as they do for everything else here.
const folder = join(root, '.wrangler', 'readme-test')
const secret = 'the-secret-of-an-app-that-someone-typed-from-the-readme'
const docs = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md']

const fences = async () => {
  const text = await readFile(join(root, 'README.md'), 'utf8')
  return new Map(
    [...text.matchAll(/```ts file=(\S+)\n([\s\S]*?)```/g)].map(([, name, code]) => [name, code]),
  )
}

let app: Miniflare
let url: URL

beforeAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  for (const [name = '', code = ''] of await fences()) await writeFile(join(folder, name), code)
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { types: ['@cloudflare/workers-types'], rootDir: root, declaration: true },
      include: ['.', join(root, 'src/auth/wasm.d.ts')],
      exclude: [],
    }),
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
  app = new Miniflare(
    convertV4MiniflareOptions({
      modules: [
        { type: 'ESModule', path: join(folder, 'out', 'app.js') },
        { type: 'CompiledWasm', path: join(folder, 'out', 'argon2.wasm') },
      ],
      compatibilityDate: '2026-10-01',
      d1Databases: ['DB'],
      kvNamespaces: ['KV'],
      bindings: { LEANTO_SECRET: secret },
    }),
  )
  url = await app.ready
  const db = await app.getD1Database('DB')
  await migrate(db, [{ name: 'auth', migrations: authMigrations }])
  await db
    .prepare(
      'CREATE TABLE notes (id INTEGER PRIMARY KEY, owner_id TEXT NOT NULL, title TEXT NOT NULL)',
    )
    .run()
})

afterAll(async () => {
  await app?.dispose()
  await rm(folder, { recursive: true, force: true })
})

it('is under 150 lines, and its app is a short one', async () => {
  const lines = (await readFile(join(root, 'README.md'), 'utf8')).trimEnd().split('\n')
  expect(lines.length).toBeLessThan(150)
  expect((await fences()).get('app.ts')?.trim().split('\n').length).toBeLessThanOrEqual(28)
})

it('has examples that compile', async () => {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = await run(process.execPath, [tsc, '-p', folder]).catch((error) => error)
  expect(stdout).toBe('')
})

it('has an app and a client that work together', async () => {
  const { publishable } = await apiKeys(secret)
  const client = (await fences()).get('client.ts') ?? ''
  const file = join(folder, 'run.ts')
  await writeFile(
    file,
    client.replace('http://localhost:8787', url.origin).replace('sb_publishable_…', publishable),
  )
  const { stdout } = await run(process.execPath, [file])
  expect(stdout.trim()).toBe('First')
  expect(await (await fetch(url)).text()).toBe('an app that was here before')
  expect((await fetch(new URL('/me', url))).status).toBe(401)
})

it.each(docs)('%s links to what is there', async (doc) => {
  const text = await readFile(join(root, doc), 'utf8')
  for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g))
    await expect(
      readFile(join(root, target)).catch((error) =>
        error.code === 'EISDIR' ? '' : Promise.reject(error),
      ),
    ).resolves.toBeDefined()
})
