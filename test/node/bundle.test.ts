import { gzipSync } from 'node:zlib'
import { build, type Metafile } from 'esbuild'
import { describe, expect, it } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }

/** What each subpath may weigh in a Worker: bytes, minified and gzipped, without its peers and without WebAssembly. */
const ceilings: Record<string, number> = {
  core: 6 * 1024,
  auth: 45 * 1024,
  // Each with all that it needs of `auth`, as if it were alone.
  'auth/mfa': 26 * 1024,
  'auth/passkeys': 23 * 1024,
  'auth/wallets': 33 * 1024,
  'auth/admin': 23 * 1024,
  'auth/parts': 24 * 1024,
  'auth/passwords': 56 * 1024,
  'auth/providers': 38 * 1024,
  data: 64 * 1024,
  sync: 30 * 1024,
  // With all that it needs of `sync`, as if it were alone.
  'sync/find': 20 * 1024,
  'sync/upkeep': 7 * 1024,
  'sync/notifier': 1024,
  jwks: 20 * 1024,
}

/** Node modules that a Worker has to offer for a subpath. */
const nodeImports: Record<string, string[]> = {}

const subpaths = Object.keys(packageJson.exports)
  .filter((path) => path !== './package.json')
  .map((path) => (path === '.' ? 'core' : path.slice(2)))

const bundle = async (subpath: string) => {
  const { outputFiles, metafile } = await build({
    entryPoints: [`src/${subpath}/index.ts`],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['hono', 'hono/*', 'drizzle-orm', 'drizzle-orm/*', '*.wasm', 'node:*'],
    metafile: true,
    write: false,
  })
  return {
    bytes: gzipSync(outputFiles[0]?.contents ?? new Uint8Array(), { level: 9 }).length,
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

/** Everything that can be imported. A change here is a change of the public API. */
const exported: Record<string, string[]> = {
  core: [
    'Fault',
    'apiKeys',
    'bind',
    'developmentSecret',
    'exceeded',
    'faults',
    'guest',
    'handlers',
    'migrate',
    'networkOf',
    'open',
    'problem',
    'randomToken',
    'refund',
    'routesOf',
    'seal',
    'spend',
    'uuidv7',
    'validate',
  ],
  auth: [
    'auth',
    'authFlows',
    'authIdentities',
    'authKeys',
    'authRefreshTokens',
    'authSessions',
    'authTokens',
    'authUsers',
    'escapeHtml',
  ],
  'auth/admin': ['admin'],
  'auth/mfa': ['mfa', 'mfaFaults'],
  'auth/passkeys': ['passkeyFaults', 'passkeys'],
  'auth/wallets': ['wallets'],
  'auth/parts': ['cookies', 'issuedKeys', 'sessions', 'trust', 'turnstile'],
  'auth/passwords': ['bcrypt', 'betterAuth', 'breached', 'common', 'firebase', 'pbkdf2', 'scrypt'],
  'auth/providers': [
    'apple',
    'azure',
    'bitbucket',
    'discord',
    'facebook',
    'figma',
    'github',
    'gitlab',
    'google',
    'kakao',
    'keycloak',
    'linkedinOidc',
    'notion',
    'oidc',
    'slackOidc',
    'snapchat',
    'spotify',
    'twitch',
    'twitter',
    'workos',
    'zoom',
  ],
  data: ['changes', 'computed', 'data', 'explainPolicy', 'expose', 'fn', 'relation'],
  sync: ['forbidden', 'owned', 'shared', 'sync', 'unauthorized'],
  'sync/find': ['find'],
  'sync/upkeep': ['upkeep'],
  'sync/notifier': ['SyncNotifier', 'notifier'],
  jwks: ['jwks'],
}

it('exports what the snapshot says', async () => {
  const { metafile } = await build({
    entryPoints: subpaths.map((subpath) => `src/${subpath}/index.ts`),
    outdir: 'out',
    bundle: true,
    format: 'esm',
    packages: 'external',
    metafile: true,
    write: false,
  })
  const found = Object.values(metafile.outputs).map(({ entryPoint, exports }) => [
    entryPoint?.slice('src/'.length, -'/index.ts'.length),
    [...exports].sort(),
  ])
  expect(Object.fromEntries(found)).toEqual(exported)
})
