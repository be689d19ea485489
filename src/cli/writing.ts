import { stat } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { type DerivedMigration, derivedOf, dropsOf } from '../core/derived.ts'
import type { Migrated } from '../core/migrate.ts'
import { type Bundle, bundle } from './bundle.ts'
import type { Deriving } from './derived.ts'
import { type Host, readHost } from './host.ts'
import { modulesOf } from './load.ts'
import { writeMigrations } from './migrations.ts'
import { bold, dim, out } from './print.ts'
import { Refusal } from './refusal.ts'
import { following, migratedModules, moduleNames } from './registry.ts'

/** The options of both commands; paths as the user gave them. */
export interface WritingOptions {
  dir?: string | undefined
  config?: string | undefined
  from?: string | undefined
}

/** `leanto migrations [modules…]` */
export async function migrations(names: string[], options: WritingOptions) {
  const unknown = names.find((name) => !moduleNames.includes(name))
  if (unknown !== undefined)
    throw new Refusal(`There is no module ${unknown}. Modules: ${moduleNames.join(', ')}.`, 2)
  // Who names modules may have no sources that can be loaded.
  if (names.length > 0 && options.from === undefined) {
    const host = options.dir ? undefined : await readHost(process.cwd(), options.config)
    const used = new Set(names)
    await write(folderOf(options, host), used, await migratedModules(used))
    return
  }
  const host = await readHost(process.cwd(), options.config)
  const sources = await sourcesOf(host, options)
  const used = names.length > 0 ? new Set(names) : importsOf(sources)
  const folder = folderOf(options, host)
  const lasting = await migratedModules(used)
  if (!follows(used)) {
    await write(folder, used, lasting)
    return
  }
  let made: Migrated[]
  try {
    made = await modulesMade(sources)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    await write(folder, used, lasting)
    throw new Refusal(
      `${error.message}\nWhat follows its tables (live, search) was therefore not looked at. Name a file that makes the data module and needs ` +
        `less around it, such as: npx leanto migrations --from src/backend.ts\nOr, if nothing follows them, name the modules: npx leanto migrations ${[...used].join(' ')}`,
    )
  }
  await write(folder, used, [...lasting, ...made], derivingOf(made))
}

/** `leanto rebuild [tables…]` */
export async function rebuild(names: string[], options: WritingOptions) {
  const { host, used, made, migrations } = await derivedBy(options)
  const tables = chosen(names, migrations, 'Nothing follows any table: none is live or searched.')
  await write(folderOf(options, host), used, [...(await migratedModules(used)), ...made], {
    ...derivingOf(made),
    again: tables,
  })
}

/** `leanto search drop [tables…]` and `leanto search make [tables…]`: prints SQL. */
export async function search(way: 'drop' | 'make', names: string[], options: WritingOptions) {
  const { migrations } = await derivedBy(options)
  const searches = migrations.filter(({ id }) => id.startsWith('search_'))
  const tables = chosen(names, searches, 'No table is searched.')
  for (const { derived, sql } of searches)
    if (tables.has(derived.table))
      for (const statement of way === 'drop' ? dropsOf(derived.makes) : sql) out(`${statement};\n`)
}

async function derivedBy(options: WritingOptions) {
  const host = await readHost(process.cwd(), options.config)
  const sources = await sourcesOf(host, options)
  const used = importsOf(sources)
  const made = follows(used) ? await modulesMade(sources) : []
  const migrations = [...derivedOf(made).values()].map(({ migration }) => migration)
  return { host, used, made, migrations }
}

/** The tables of these names, or all. */
function chosen(
  names: readonly string[],
  migrations: readonly DerivedMigration[],
  none: string,
): ReadonlySet<string> {
  const tables = new Set(migrations.map(({ derived }) => derived.table))
  const unknown = names.find((name) => !tables.has(name))
  if (unknown !== undefined)
    throw new Refusal(
      `Nothing follows a table ${unknown}. Tables: ${[...tables].join(', ') || 'none'}.`,
      2,
    )
  if (tables.size === 0) throw new Refusal(none)
  return names.length > 0 ? new Set(names) : tables
}

const derivingOf = (made: readonly Migrated[]): Deriving => ({
  modules: new Set(made.map(({ name }) => name)),
})

const follows = (used: ReadonlySet<string>): boolean =>
  [...used].some((name) => following.has(`leanto/${name}`))

async function write(
  folder: string,
  used: ReadonlySet<string>,
  modules: readonly Migrated[],
  deriving?: Deriving,
) {
  const shown = relative(process.cwd(), folder) || '.'
  const written = await writeMigrations(folder, modules, deriving)
  const of = dim(`(${['core', ...moduleNames.filter((name) => used.has(name))].join(', ')})`)
  if (written.length === 0) {
    out(`${bold(shown)} has every migration ${of}\n`)
    return
  }
  out(`Wrote into ${bold(shown)} ${of}:\n${written.map(({ name }) => `  ${name}\n`).join('')}`)
  for (const { name, misses } of written)
    if (misses !== undefined)
      out(
        `No migration here makes the table ${misses}, which ${name} stands on: it must have been made before.\n`,
      )
  out(dim('Apply them: npx wrangler d1 migrations apply <database> --local (or --remote)\n'))
}

const folderOf = ({ dir }: WritingOptions, host: Host | undefined): string =>
  dir === undefined ? (host?.migrationsDir ?? resolve('migrations')) : resolve(dir)

/** The host's sources, from `--from` or the wrangler config's `main` on. */
interface Sources extends Bundle {
  /** The file that they begin with, as the user knows it. */
  readonly shown: string
}

const nameThem = 'name the modules, such as: npx leanto migrations auth'

async function sourcesOf(
  { main, alias, define, tsconfig }: Host,
  { from }: WritingOptions,
): Promise<Sources> {
  const entry = from === undefined ? main : resolve(from)
  if (!entry) throw new Refusal(`No wrangler config with a \`main\` here: ${nameThem}`)
  const shown = relative(process.cwd(), entry)
  if (!(await isThere(entry)))
    throw new Refusal(
      `${shown} (${from === undefined ? '`main`' : '--from'}) does not exist: ${nameThem}`,
    )
  return { shown, ...(await bundle({ entry, directory: process.cwd(), alias, define, tsconfig })) }
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  )

function importsOf({ shown, imports, why }: Sources): ReadonlySet<string> {
  if (imports.size > 0) return imports
  const because = why === undefined ? '' : ` that could be found (${why})`
  throw new Refusal(`${shown} imports no leanto module${because}: ${nameThem}`)
}

async function modulesMade(sources: Sources): Promise<Migrated[]> {
  try {
    return await modulesOf(sources, process.cwd())
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new Refusal(`${sources.shown} could not be loaded: ${error.message}`)
  }
}
