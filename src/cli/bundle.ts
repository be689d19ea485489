import { readFile } from 'node:fs/promises'
import { createRequire, isBuiltin } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { build as Build, BuildFailure, Plugin } from 'esbuild'
import { Refusal } from './refusal.ts'
import { following } from './registry.ts'

export interface Bundling {
  /** The file to begin with; absolute. */
  entry: string
  /** The host's folder: where its wrangler, and esbuild with it, is installed. */
  directory: string
  /** As in the wrangler config. */
  alias: Record<string, string>
  define: Record<string, string>
  tsconfig?: string | undefined
}

export interface Bundle {
  /** What of `leanto/…` the sources import; imports of types alone mount nothing and do not count. */
  readonly imports: ReadonlySet<string>
  /** Absent if they could not be bundled; then `why` tells. What they import is known all the same. */
  readonly text?: string
  readonly why?: string
}

/**
 * A Worker's sources as one module that Node runs: when it is imported, as far as the platform lets Workers run before
 * a request comes. What only workerd has (`cloudflare:…`, WebAssembly) is there in name and does nothing. It ends by
 * sending the modules that follow what the host gives them.
 *
 * @throws {Refusal} if esbuild is missing.
 */
export async function bundle({
  entry,
  directory,
  tsconfig,
  ...wrangler
}: Bundling): Promise<Bundle> {
  const build = await importEsbuild(directory)
  const require = `const require = createRequire(${JSON.stringify(pathToFileURL(entry).href)})`
  const imports = new Set<string>()
  try {
    const { outputFiles } = await build({
      stdin: {
        contents: `import 'leanto-load:before'\nimport ${JSON.stringify(entry)}\nimport 'leanto-load:after'`,
        resolveDir: directory,
      },
      absWorkingDir: directory,
      outfile: 'bundle.mjs',
      bundle: true,
      write: false,
      logLevel: 'silent',
      format: 'esm',
      target: 'es2022',
      // As wrangler has it.
      platform: 'browser',
      conditions: ['workerd', 'worker', 'browser'],
      ...wrangler,
      ...(tsconfig ? { tsconfig } : {}),
      // A host that says it has no side effects would else be left out.
      ignoreAnnotations: true,
      banner: { js: `import { createRequire } from 'node:module'\n${require}` },
      plugins: [watching(imports), standIns, ends],
    })
    return { imports, text: outputFiles.find(({ path }) => path.endsWith('.mjs'))?.text ?? '' }
  } catch (error) {
    const [first] = (error as Partial<BuildFailure>).errors ?? []
    if (!first) throw error
    const at = first.location ? `${first.location.file}:${first.location.line}: ` : ''
    return { imports, why: `${at}${first.text}` }
  }
}

/** Wrangler brings the esbuild that it bundles Workers by. */
async function importEsbuild(directory: string): Promise<typeof Build> {
  const from = createRequire(join(directory, 'package.json'))
  for (const find of [() => createRequire(from.resolve('wrangler')), () => from])
    try {
      return (await import(pathToFileURL(find().resolve('esbuild')).href)).build
    } catch {}
  throw new Refusal('esbuild is not installed; wrangler brings it')
}

/** Sees what is imported of leanto, and puts a module before those whose results are wanted, to keep them. */
const watching = (imports: Set<string>): Plugin => ({
  name: 'leanto-watching',
  setup(build) {
    build.onResolve({ filter: /^leanto\// }, ({ path, namespace, resolveDir }) => {
      imports.add(path.slice('leanto/'.length))
      if (namespace === 'leanto-watched' || !following.has(path)) return undefined
      return { path, namespace: 'leanto-watched', pluginData: resolveDir }
    })
    build.onLoad({ filter: /./, namespace: 'leanto-watched' }, ({ path, pluginData }) => ({
      resolveDir: pluginData,
      contents: `export * from '${path}'
        import { ${following.get(path)} as make } from '${path}'
        export const ${following.get(path)} = (...given) => {
          const made = make(...given)
          globalThis[Symbol.for('leanto.made')].push(made)
          return made
        }`,
    }))
  },
})

const inNothing = `module.exports = Object.create(globalThis[Symbol.for('leanto.anything')]())`

/** What Node has not, or esbuild cannot read. */
const standIns: Plugin = {
  name: 'leanto-stand-ins',
  setup(build) {
    build.onResolve({ filter: /^cloudflare:/ }, ({ path }) => ({
      path,
      namespace: 'leanto-nothing',
    }))
    build.onLoad({ filter: /./, namespace: 'leanto-nothing' }, () => ({ contents: inNothing }))
    build.onResolve({ filter: /^(?:node:)?[a-z_/]+$/ }, ({ path }) =>
      isBuiltin(path) ? { path: path.replace(/^(?:node:)?/, 'node:'), external: true } : undefined,
    )
    // `./a.wasm?module`, `./a.sql?raw`
    build.onResolve({ filter: /\?[\w&=-]*$/ }, ({ path, ...more }) =>
      build.resolve(path.replace(/\?[^?]*$/, ''), more),
    )
    build.onLoad({ filter: /\.wasm$/ }, () => ({ contents: inNothing }))
    build.onLoad({ filter: /\.\w+$/ }, async ({ path }) =>
      /\.(?:[cm]?[jt]sx?|json)$/.test(path)
        ? undefined
        : { contents: await readFile(path, 'utf8'), loader: 'text' },
    )
  },
}

/** The first and the last module of the bundle. */
const ends: Plugin = {
  name: 'leanto-ends',
  setup(build) {
    build.onResolve({ filter: /^leanto-load:/ }, ({ path }) => ({ path, namespace: 'leanto-ends' }))
    build.onLoad({ filter: /./, namespace: 'leanto-ends' }, ({ path }) => ({
      contents: path === 'leanto-load:before' ? before : after,
    }))
  },
}

// Answers to every property, call and `new`, but is not a promise: to await one would take for ever.
const before = `
  const anything = () => new Proxy(function () {}, {
    get: (target, name) =>
      name === 'prototype' ? target.prototype
      : name === 'then' ? undefined
      : name === Symbol.toPrimitive ? () => ''
      : name === Symbol.iterator ? function* () {}
      : anything(),
    apply: anything,
    construct: anything,
  })
  globalThis[Symbol.for('leanto.anything')] = anything
  globalThis[Symbol.for('leanto.made')] = []
  for (const name of ['caches', 'HTMLRewriter', 'WebSocketPair', 'FixedLengthStream', 'addEventListener', 'scheduler'])
    globalThis[name] ??= anything()
  process.on('uncaughtException', (error) => {
    const why = error instanceof Error ? error.name + ': ' + error.message : String(error)
    process.send({ why }, () => process.exit(1))
  })`

const after = `
  const made = globalThis[Symbol.for('leanto.made')].map(({ name, migrations }) => ({ name, migrations }))
  process.send({ made }, () => process.exit(0))`
