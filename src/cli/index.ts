#!/usr/bin/env node
import { readFile } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { parseArgs, parseEnv, styleText } from 'node:util'
import { apiKeys } from '../core/identity.ts'
import { checkSecret, randomToken } from '../core/secret.ts'
import { importedModules, readHost } from './host.ts'
import { writeMigrations } from './migrations.ts'
import { Refusal } from './refusal.ts'
import { migratedModules, moduleNames } from './registry.ts'

const usage = `Usage: leanto <command> [options]

Commands:
  migrations [modules…]  Write pending migrations into the host's migrations folder.
                         Without names: of the modules that the Worker imports.
      --dir <folder>     The folder; otherwise migrations_dir of the first D1 binding.
      --config <file>    The wrangler config; otherwise as wrangler finds it.
  secret                 Print a fresh 256-bit value for LEANTO_SECRET.
  keys                   Print the API keys that belong to LEANTO_SECRET
                         (from the environment, else from .dev.vars).

Options:
  -h, --help             Print this.
  -v, --version          Print the version.
`

const out = (text: string) => process.stdout.write(text)
const bold = (text: string) => styleText('bold', text, { stream: process.stdout })
const dim = (text: string) => styleText('dim', text, { stream: process.stdout })

async function migrations(names: string[], dir: string | undefined, config: string | undefined) {
  const unknown = names.find((name) => !moduleNames.includes(name))
  if (unknown !== undefined)
    throw new Refusal(`There is no module ${unknown}. Modules: ${moduleNames.join(', ')}.`, 2)
  const cwd = process.cwd()
  const host = dir && names.length > 0 ? undefined : await readHost(cwd, config)
  const used = names.length > 0 ? new Set(names) : await detect(host?.main)
  const folder = dir ? resolve(cwd, dir) : (host?.migrationsDir ?? resolve(cwd, 'migrations'))
  const shown = relative(cwd, folder) || '.'
  const written = await writeMigrations(folder, await migratedModules(used))
  const of = dim(`(${['core', ...moduleNames.filter((name) => used.has(name))].join(', ')})`)
  if (written.length === 0) {
    out(`${bold(shown)} has every migration ${of}\n`)
    return
  }
  out(`Wrote into ${bold(shown)} ${of}:\n${written.map((file) => `  ${file}\n`).join('')}`)
  out(dim('Apply them: npx wrangler d1 migrations apply <database> --local (or --remote)\n'))
}

async function detect(main: string | undefined): Promise<Set<string>> {
  const name = 'name the modules, such as: npx leanto migrations auth'
  if (!main) throw new Refusal(`No wrangler config with a \`main\` here: ${name}`)
  let found: Set<string>
  try {
    found = await importedModules(main)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Refusal(`${relative(process.cwd(), main)} (\`main\`) does not exist: ${name}`)
  }
  if (found.size === 0)
    throw new Refusal(`${relative(process.cwd(), main)} imports no leanto module: ${name}`)
  return found
}

function secret() {
  out(`${randomToken()}\n`)
  // Not a part of the value, so that it can be piped: `npx leanto secret | npx wrangler secret put LEANTO_SECRET`.
  if (process.stderr.isTTY && process.stdout.isTTY)
    process.stderr.write(
      styleText(
        'dim',
        'Deployed: npx wrangler secret put LEANTO_SECRET\nLocally:  LEANTO_SECRET=<value> in .dev.vars, a file that git ignores\n',
        { stream: process.stderr },
      ),
    )
}

async function keys() {
  const value = process.env.LEANTO_SECRET ?? (await devVars()).LEANTO_SECRET
  let checked: string
  try {
    checked = checkSecret(value, true)
  } catch (error) {
    throw new Refusal((error as Error).message)
  }
  const { publishable, secret } = await apiKeys(checked)
  out(`${bold('publishable')}  ${publishable}  ${dim('for pages and apps; grants nothing')}\n`)
  out(`${bold('secret')}       ${secret}  ${dim('for servers; past every policy')}\n`)
}

async function devVars(): Promise<NodeJS.Dict<string>> {
  try {
    return parseEnv(await readFile('.dev.vars', 'utf8'))
  } catch {
    return {}
  }
}

async function version() {
  const file = new URL('../../package.json', import.meta.url)
  out(`${JSON.parse(await readFile(file, 'utf8')).version}\n`)
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        dir: { type: 'string' },
        config: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    })
  } catch (error) {
    throw new Refusal(`${(error as Error).message.split('. ')[0]}.\n\n${usage.trimEnd()}`, 2)
  }
}

async function run() {
  const { values, positionals } = parse()
  const [command, ...rest] = positionals
  if (values.version) return version()
  if (values.help || command === 'help') return out(usage)
  if (command === 'migrations') return migrations(rest, values.dir, values.config)
  if (command === 'secret' && rest.length === 0) return secret()
  if (command === 'keys' && rest.length === 0) return keys()
  const wrong =
    command === undefined ? 'Which command?' : `Not a command: ${positionals.join(' ')}.`
  throw new Refusal(`${wrong}\n\n${usage.trimEnd()}`, 2)
}

try {
  await run()
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = error.exitCode
}
