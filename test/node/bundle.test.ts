import { gzipSync } from 'node:zlib'
import { type BuildOptions, build, type Metafile } from 'esbuild'
import { describe, expect, it } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { exported } from './exported.ts'

/** What each subpath may weigh in a Worker: bytes, minified and gzipped, without its peers and without WebAssembly. */
const ceilings: Record<string, number> = {
  core: 6.25 * 1024,
  auth: 45 * 1024,
  // Each with all that it needs of `auth`, as if it were alone.
  'auth/mfa': 26 * 1024,
  'auth/passkeys': 24 * 1024,
  'auth/custom-providers': 42 * 1024,
  'auth/organizations': 27.5 * 1024,
  'auth/scim': 16 * 1024,
  'auth/oauth-server': 33.5 * 1024,
  'auth/oauth-server/device': 22.5 * 1024,
  'auth/oauth-server/dpop': 10 * 1024,
  'auth/wallets': 33 * 1024,
  'auth/impersonation': 20 * 1024,
  'auth/admin': 23 * 1024,
  'auth/moving': 17 * 1024,
  'auth/parts': 24 * 1024,
  'auth/passwords': 56 * 1024,
  'auth/providers': 38 * 1024,
  data: 64 * 1024,
  sync: 30 * 1024,
  // With all that it needs of `sync`, as if it were alone.
  'sync/find': 26 * 1024,
  'sync/snapshot': 7 * 1024,
  'sync/upkeep': 9 * 1024,
  // The interpreter's own JavaScript, and what of `sync` it needs. Its WebAssembly is 490 KiB, 200 gzipped.
  'sync/scripts': 30 * 1024,
  'sync/notifier': 1024,
  jobs: 10 * 1024,
  // croner.
  'jobs/cron': 11 * 1024,
  'jobs/webhooks': 8 * 1024,
  // Of which 8.6 are its own, the rest what of `core` it needs.
  services: 11.25 * 1024,
  // Each with all that it needs of `services`, as if it were alone.
  'services/alerts': 1024,
  'services/cache': 2 * 1024,
  'services/presets': 6.25 * 1024,
  'services/streamed': 1024,
  'services/translate': 13 * 1024,
  'services/usage': 3 * 1024,
  email: 10 * 1024,
  'email/binding': 1024,
  // Each with all that it needs of `email`, as if it were alone.
  'email/capture': 4.25 * 1024,
  'email/events': 3 * 1024,
  'email/jobs': 3 * 1024,
  'email/templates': 9 * 1024,
  'email/unsubscribe': 3.25 * 1024,
  'email/mailgun': 3 * 1024,
  'email/postmark': 3 * 1024,
  'email/resend': 3 * 1024,
  'email/sendgrid': 3 * 1024,
  'email/ses': 8 * 1024,
  'email/smtp': 4 * 1024,
  jwks: 20 * 1024,
}

/** Node modules that a Worker has to offer for a subpath. */
const nodeImports: Record<string, string[]> = {}

const subpaths = Object.keys(packageJson.exports)
  .filter((path) => path !== './package.json')
  .map((path) => (path === '.' ? 'core' : path.slice(2)))

const bundle = (subpath: string) => weigh({ entryPoints: [`src/${subpath}/index.ts`] })

const weigh = async (from: BuildOptions) => {
  const { outputFiles, metafile } = await build({
    ...from,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: [
      'hono',
      'hono/*',
      'drizzle-orm',
      'drizzle-orm/*',
      '*.wasm',
      'node:*',
      'cloudflare:*',
    ],
    metafile: true,
    write: false,
  })
  return {
    bytes: gzipSync(outputFiles?.[0]?.contents ?? new Uint8Array(), { level: 9 }).length,
    metafile,
  }
}

const externals = (metafile: Metafile) =>
  Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path))

describe.each(subpaths)('the bundle of %s', (subpath) => {
  it('stays under its ceiling and asks Node for nothing undeclared', async () => {
    const { bytes, metafile } = await bundle(subpath)
    console.log(`${subpath}: ${bytes} bytes of ${ceilings[subpath]}`)
    expect(bytes).toBeLessThanOrEqual(ceilings[subpath] ?? 0)
    const node = externals(metafile).filter((path) => path.startsWith('node:'))
    expect([...new Set(node)].sort()).toEqual(nodeImports[subpath] ?? [])
  })

  it('imports core and nothing of another module', async () => {
    const { metafile } = await bundle(subpath)
    const sources = Object.keys(metafile.inputs).filter((path) => path.startsWith('src/'))
    const strangers = sources.filter(
      (path) => !path.startsWith('src/core/') && path.split('/')[1] !== subpath.split('/')[0],
    )
    expect(strangers).toEqual([])
  })
})

/** What a part makes a Worker heavier that has its module; and a module one that has `core`, which all of them share. */
const added: Record<string, number> = {
  jobs: 10 * 1024,
  services: 10 * 1024,
  email: 10 * 1024,
  // croner is 10 of it.
  'jobs/cron': 10.25 * 1024,
  'jobs/webhooks': 6 * 1024,
  'services/alerts': 512,
  'services/cache': 1.25 * 1024,
  'services/presets': 4 * 1024,
  'services/streamed': 512,
  'services/translate': 7 * 1024,
  'services/usage': 512,
  'email/binding': 1024,
  'email/capture': 3 * 1024,
  'email/events': 1024,
  'email/jobs': 1024,
  'email/mailgun': 2 * 1024,
  'email/postmark': 2 * 1024,
  'email/resend': 2 * 1024,
  'email/sendgrid': 2 * 1024,
  // aws4fetch.
  'email/ses': 6 * 1024,
  'email/smtp': 3 * 1024,
  'email/templates': 1.5 * 1024,
  'email/unsubscribe': 1024,
}

/** Imports together, in bytes, as `bundle` has them. */
const together = (list: readonly string[]): Promise<number> =>
  bytesOf(list.map((path) => `export * from './src/${path}/index.ts'`).join('\n'))

const bytesOf = async (contents: string): Promise<number> =>
  (await weigh({ stdin: { contents, resolveDir: '.', loader: 'ts' } })).bytes

it('weighs what every subpath of jobs, services and email adds', () => {
  const weighed = subpaths.filter((path) => /^(?:jobs|services|email)(?:\/|$)/.test(path))
  expect(Object.keys(added).sort()).toEqual(weighed.sort())
})

it.each(Object.entries(added))(
  '%s adds at most %i bytes to what it stands on',
  async (path, most) => {
    const under = path.includes('/') ? (path.split('/')[0] as string) : 'core'
    const bytes = (await together([under, path])) - (await together([under]))
    console.log(`${path} adds ${bytes} bytes to ${under}`)
    expect(bytes).toBeLessThanOrEqual(most)
  },
)

it.each([
  ...['deepl', 'google', 'libre', 'workersAi'].map((name) => [name, 'translate'] as const),
  ...['llm', 'geocode'].map((name) => [name, 'presets'] as const),
])('%s, alone of leanto/services/%s, adds at most 3 KB', async (name, from) => {
  const under = `export * from './src/services/index.ts'
    export { translate } from './src/services/translate/index.ts'`
  const one = `export { ${name} } from './src/services/${from}/index.ts'`
  const bytes = (await bytesOf(`${under}\n${one}`)) - (await bytesOf(under))
  console.log(`${name} adds ${bytes} bytes to translate`)
  expect(bytes).toBeLessThanOrEqual(3 * 1024)
})

it('stored providers add little to a Worker that has a provider already', async () => {
  const under = `export { auth } from './src/auth/index.ts'
    export { oidc } from './src/auth/providers/index.ts'
    export { admin } from './src/auth/admin/index.ts'`
  const one = "export { customProviders } from './src/auth/custom-providers/index.ts'"
  const bytes = (await bytesOf(`${under}\n${one}`)) - (await bytesOf(under))
  console.log(`custom providers add ${bytes} bytes`)
  expect(bytes).toBeLessThanOrEqual(6.25 * 1024)
})

it('exports what the snapshot says', async () => {
  const { metafile } = await build({
    entryPoints: subpaths.map((subpath) => `src/${subpath}/index.ts`),
    outdir: 'out',
    bundle: true,
    format: 'esm',
    packages: 'external',
    external: ['*.wasm'],
    metafile: true,
    write: false,
  })
  const found = Object.values(metafile.outputs).map(({ entryPoint, exports }) => [
    entryPoint?.slice('src/'.length, -'/index.ts'.length),
    [...exports].sort(),
  ])
  expect(Object.fromEntries(found)).toEqual(exported)
})

/** What of the repository and of npm is left in a Worker that says this, as `src/…` and as packages' names. */
async function partsOf(contents: string): Promise<string[]> {
  const { metafile } = await build({
    stdin: { contents, resolveDir: '.', loader: 'ts' },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2024',
    external: ['hono', 'hono/*', 'drizzle-orm', 'drizzle-orm/*', '*.wasm', 'node:*'],
    metafile: true,
    write: false,
  })
  const [output] = Object.values(metafile.outputs)
  const left = Object.entries(output?.inputs ?? {}).filter(([, of]) => of.bytesInOutput > 0)
  return left.map(([path]) => path.replace(/^.*node_modules\/((?:@[^/]+\/)?[^/]+).*$/, '$1'))
}

it('impersonation adds under 3 KB to a Worker with auth and admin', async () => {
  const under = ['auth', 'auth/admin']
  const added = (await together([...under, 'auth/impersonation'])) - (await together(under))
  console.log(`auth/impersonation adds ${added} bytes`)
  expect(added).toBeLessThan(3 * 1024)
})

describe('what auth leaves out of a Worker', () => {
  const auth = `export { auth } from './src/auth/index.ts'`
  const folder = (name: string) => new RegExp(`^src/auth/${name}/`)

  it('is every part that is not mounted', async () => {
    const left = await partsOf(auth)
    expect(left).toContain('src/auth/sign-in.ts')
    expect(left).toContain('jose')
    for (const name of [
      'mfa',
      'admin',
      'oauth',
      'providers',
      'custom-providers',
      'passwords',
      'parts',
    ])
      expect(left.filter((path) => folder(name).test(path))).toEqual([])
    for (const file of [
      'cookies',
      'sessions-list',
      'api-keys',
      'legacy-keys',
      'turnstile',
      'audit',
    ])
      expect(left).not.toContain(`src/auth/${file}.ts`)
    for (const name of ['oauth4webapi', 'uqr', 'bcryptjs', '@noble/hashes'])
      expect(left).not.toContain(name)
  })

  it.each((exported['auth/providers'] ?? []).map((name) => [name]))(
    'is every provider but %s, where it alone is mounted',
    async (name) => {
      const left = await partsOf(`${auth}\nexport { ${name} } from './src/auth/providers/index.ts'`)
      const shared = ['cache', 'discovery', 'id-token', 'preset', 'provider', 'site']
      const file = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
      const found = left.flatMap(
        (path) => path.match(/^src\/auth\/providers\/(.+)\.ts$/)?.[1] ?? [],
      )
      expect(found.filter((one) => !shared.includes(one))).toEqual([file])
      expect(left.filter((path) => /^src\/auth\/(?:mfa|admin|passwords)\//.test(path))).toEqual([])
    },
  )

  it('is the 10,000 passwords, where only the formats are asked for', async () => {
    const left = await partsOf(`export { bcrypt } from './src/auth/passwords/index.ts'`)
    expect(left).toContain('bcryptjs')
    expect(left).not.toContain('src/auth/passwords/common-list.ts')
    expect(left).not.toContain('@noble/hashes')
  })
})
