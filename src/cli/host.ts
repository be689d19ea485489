import { readFile, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Refusal } from './refusal.ts'

/** What the host's wrangler config says that the CLI needs; absolute paths. */
export interface Host {
  main: string | undefined
  migrationsDir: string
}

interface WranglerConfig {
  main?: string
  configPath?: string
  d1_databases?: { migrations_dir?: string }[]
}

/**
 * Reads the host's wrangler config (toml, json or jsonc) by the host's own wrangler, so that both read the same thing. A
 * host without wrangler gets the defaults.
 *
 * @param config A path, else the config is looked for as wrangler does.
 */
export async function readHost(directory: string, config?: string): Promise<Host> {
  const wrangler = await importWrangler(directory)
  if (!wrangler) {
    if (config) throw new Refusal('--config needs wrangler: install it, or use --dir and names')
    return { main: undefined, migrationsDir: join(directory, 'migrations') }
  }
  const found = readConfig(wrangler, config ? resolve(directory, config) : undefined, directory)
  const root = found.configPath ? dirname(resolve(directory, found.configPath)) : directory
  const folder = found.d1_databases?.[0]?.migrations_dir ?? 'migrations'
  return {
    main: found.main ? resolve(root, found.main) : undefined,
    migrationsDir: resolve(root, folder),
  }
}

type ReadConfig = (args: { config?: string }, options: { hideWarnings: boolean }) => WranglerConfig

async function importWrangler(directory: string): Promise<ReadConfig | undefined> {
  let entry: string
  try {
    entry = createRequire(join(directory, 'package.json')).resolve('wrangler')
  } catch {
    return undefined
  }
  const wrangler = await import(pathToFileURL(entry).href)
  return wrangler.unstable_readConfig
}

function readConfig(read: ReadConfig, config: string | undefined, directory: string) {
  // Wrangler looks for its config from the working directory on.
  const before = process.cwd()
  process.chdir(directory)
  try {
    return read({ config }, { hideWarnings: true })
  } catch (cause) {
    throw new Refusal(`The wrangler config cannot be read: ${(cause as Error).message}`)
  } finally {
    process.chdir(before)
  }
}

/**
 * The names of `leanto/<name>` that the sources import, from the entry on along relative imports. Type-only imports
 * mount nothing and do not count; a path alias is not followed.
 */
export async function importedModules(main: string): Promise<Set<string>> {
  const names = new Set<string>()
  const seen = new Set<string>()
  const queue = [main]
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    for (const specifier of specifiers(await readFile(file, 'utf8'))) {
      const name = specifier.match(/^leanto\/([a-z]+(?:\/[a-z]+)?)$/)?.[1]
      if (name) names.add(name)
      const next = /^\.\.?\//.test(specifier) && (await resolveSource(dirname(file), specifier))
      if (next) queue.push(next)
    }
  }
  return names
}

const specifiers = (source: string): string[] =>
  [
    ...source
      .replaceAll(/\/\*.*?\*\/|^\s*\/\/.*$/gms, '')
      .matchAll(/\b(?:import|export)\b(?!\s+type\b)[^'";]*?['"]([^'"\n]+)['"]/g),
  ].map((match) => match[1] as string)

const endings = ['', '.ts', '.tsx', '.mts', '.js', '.jsx', '.mjs', '/index.ts', '/index.js']

async function resolveSource(directory: string, specifier: string): Promise<string | undefined> {
  const path = resolve(directory, specifier)
  // TypeScript lets an import say `./x.js` and mean `./x.ts`.
  for (const base of [path, path.replace(/\.([mc]?)js(x?)$/, '.$1ts$2')])
    for (const ending of endings) {
      const file = base + ending
      if (/\.[mc]?[jt]sx?$/.test(file) && (await isFile(file))) return file
    }
  return undefined
}

const isFile = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
