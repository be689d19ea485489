import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, expect, it } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }

const run = promisify(execFile)
let folder: string
let tarball: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leanto-pack-'))
  await run('npm', ['pack', '--pack-destination', folder], { shell: process.platform === 'win32' })
  const [file = ''] = await readdir(folder)
  tarball = join(folder, file)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it('passes publint, strictly', async () => {
  const { messages, pkg } = await publint({ pkgDir: process.cwd(), strict: true })
  expect(messages.map((message) => formatMessage(message, pkg as Record<string, unknown>))).toEqual(
    [],
  )
})

it('resolves with types everywhere that ESM does', async () => {
  const attw = 'node_modules/@arethetypeswrong/cli/dist/index.js'
  // Its exit code counts; what an ESM-only package cannot be for `require` is ignored by the profile.
  await run(process.execPath, [attw, tarball, '--profile', 'esm-only'])
})

it('packs what is needed and no more', async () => {
  const { stdout } = await run('tar', ['-tzf', tarball])
  const files = stdout.trim().split('\n')
  const unexpected = files.filter(
    (file) =>
      !/^package\/(package\.json|README\.md|LICENSE|CHANGELOG\.md|dist\/([\w/-]+\.(js|d\.ts)|sync\/scripts\/quickjs\.wasm))$/.test(
        file,
      ),
  )
  expect(unexpected).toEqual([])
  expect(files).toContain('package/dist/cli/index.js')
  expect(files).toContain('package/dist/sync/scripts/quickjs.wasm')
})

it('has exact versions, hono and drizzle as peers, and is ESM alone', () => {
  const { dependencies, devDependencies, peerDependencies } = packageJson
  for (const version of Object.values({ ...dependencies, ...devDependencies }))
    expect(version).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/)
  expect(Object.keys(peerDependencies).sort()).toEqual(['drizzle-orm', 'hono'])
  expect(packageJson.type).toBe('module')
  expect(JSON.stringify(packageJson.exports)).not.toContain('require')
})
