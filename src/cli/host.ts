import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Refusal } from './refusal.ts'

/** What the host's wrangler config says that the CLI needs; absolute paths. */
export interface Host {
  main: string | undefined
  migrationsDir: string
  /** What to bundle instead of what, constants, and whose paths: as wrangler would. */
  alias: Record<string, string>
  define: Record<string, string>
  tsconfig?: string
}

interface WranglerConfig {
  main?: string
  tsconfig?: string
  alias?: Record<string, string>
  define?: Record<string, string>
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
    return {
      main: undefined,
      migrationsDir: join(directory, 'migrations'),
      alias: {},
      define: {},
    }
  }
  const found = readConfig(wrangler, config ? resolve(directory, config) : undefined, directory)
  const root = found.configPath ? dirname(resolve(directory, found.configPath)) : directory
  const folder = found.d1_databases?.[0]?.migrations_dir ?? 'migrations'
  return {
    main: found.main ? resolve(root, found.main) : undefined,
    migrationsDir: resolve(root, folder),
    alias: found.alias ?? {},
    define: found.define ?? {},
    ...(found.tsconfig ? { tsconfig: resolve(root, found.tsconfig) } : {}),
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
