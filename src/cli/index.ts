#!/usr/bin/env node
import { readFile } from 'node:fs/promises'
import { parseArgs, parseEnv, styleText } from 'node:util'
import { apiKeys } from '../core/identity.ts'
import { checkSecret, randomToken } from '../core/secret.ts'
import { bold, dim, out } from './print.ts'
import { Refusal } from './refusal.ts'
import { users } from './users/index.ts'
import { migrations, rebuild, search } from './writing.ts'

const usage = `Usage: leanto <command> [options]

Commands:
  migrations [modules…]  Write pending migrations into the host's migrations folder.
                         Without names: of the modules that the Worker imports, and
                         what follows its tables (live, search).
      --dir <folder>     The folder; otherwise migrations_dir of the first D1 binding.
      --config <file>    The wrangler config; otherwise as wrangler finds it.
      --from <file>      Where to begin; otherwise \`main\` of the wrangler config. It is
                         loaded to see what its tables ask for.
  rebuild [tables…]      Write what follows the tables anew, all of it or of some, as
                         after a table was replaced or imported by hand. Same options.
  search drop [tables…]  Print the SQL that drops the indexes of full text, with which
                         \`wrangler d1 export\` refuses a database. Same options.
  search make [tables…]  Print the SQL that makes them again.
  users import <file>    Bring users from elsewhere, with their passwords; see
                         \`leanto users --help\`.
  users export           Take all users along, with all that they sign in by.
  secret                 Print a fresh 256-bit value for LEANTO_SECRET.
  keys                   Print the API keys that belong to LEANTO_SECRET
                         (from the environment, else from .dev.vars).

Options:
  -h, --help             Print this.
  -v, --version          Print the version.
`

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
        from: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    })
  } catch (error) {
    throw new Refusal(`${(error as Error).message.split('. ')[0]}.\n\n${usage.trimEnd()}`, 2)
  }
}

async function run() {
  // Has options of its own.
  if (process.argv[2] === 'users') {
    process.exitCode = await users(process.argv.slice(3))
    return
  }
  const { values, positionals } = parse()
  const [command, ...rest] = positionals
  if (values.version) return version()
  if (values.help || command === 'help') return out(usage)
  if (command === 'migrations') return migrations(rest, values)
  if (command === 'rebuild') return rebuild(rest, values)
  const [way, ...tables] = rest
  if (command === 'search' && (way === 'drop' || way === 'make')) return search(way, tables, values)
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
