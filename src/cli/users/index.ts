import { parseArgs } from 'node:util'
import { out } from '../print.ts'
import { Refusal } from '../refusal.ts'
import { exportUsers } from './export.ts'
import { importUsers } from './import.ts'

const usage = `Usage: leanto users import <file> --from <place> --to <url> [options]
       leanto users export --from <url> [--out <file>] [options]

Both need moving() of leanto/auth/moving in the app, and the app's secret API key in
the environment as LEANTO_KEY; not as an option, which every program on this machine
could read.

import  Brings the users of a dump: JSON, NDJSON or CSV.
  --from <place>         supabase, firebase, auth0, better-auth, clerk or leanto.
  --to <url>             Where auth is, such as https://my.app/auth/v1.
  --dry-run              Changes nothing. Without --to it only reads the file.
  --update               Users who are there already, and have not signed in there
                         since, become what the file says. Otherwise they stay.
  --resume               Goes on where the run before has stopped.
  --ids <file>           Writes which new id each old one has, as NDJSON.
  --hash-config <file>   Firebase: the hash parameters of the project.
  --passwords <file>     Auth0: the export of hashes. Clerk: the Dashboard's CSV, where
                         <file> is JSON of the Backend API.
  --identities <file>    Supabase: auth.identities, where it is a file of its own.
  --factors <file>       Supabase: auth.mfa_factors, where it is a file of its own.
  --batch <users>        In one request. 500 by default.
  --retries <times>      5 by default, after 1, 2, 4 … seconds.
  BETTER_AUTH_SECRET in the environment opens the second factors of better-auth.

export  Writes every user with hashes and secrets, one JSON object a line.
  --from <url>           Where auth is.
  --out <file>           Otherwise standard output.
  --resume               Goes on with a file that was begun.
  --retries <times>      5 by default.

Exit codes: 0 all done; 1 could not be done, or not to its end; 2 the command line is
wrong; 3 done, but some users were refused; 130 stopped by Ctrl-C.
`

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const

const optionsOf = {
  import: {
    ...{ from: text, to: text, ids: text, passwords: text, identities: text, factors: text },
    ...{ 'hash-config': text, batch: text, retries: text },
    ...{ resume: flag, update: flag, 'dry-run': flag },
  },
  export: { from: text, out: text, retries: text, resume: flag },
} as const

/** `leanto users …` @returns The exit code. */
export async function users(args: readonly string[]): Promise<number> {
  const [way, ...rest] = args
  if (way === undefined || args.includes('--help') || args.includes('-h')) {
    if (way !== undefined) out(usage)
    else throw new Refusal(`Import or export?\n\n${usage.trimEnd()}`, 2)
    return 0
  }
  if (way !== 'import' && way !== 'export')
    throw new Refusal(`Not a command: users ${way}.\n\n${usage.trimEnd()}`, 2)
  if (rest.some((arg) => /^--(?:api-?)?key\b|^--secret\b/.test(arg)))
    throw new Refusal(
      'The key is not taken as an option: every program on this machine could read it. Set LEANTO_KEY.',
      2,
    )
  const { values, positionals } = parse(way, rest)
  const stop = new AbortController()
  // Once, politely: what is under way is told. A second time ends the process as ever.
  const stopped = () => stop.abort(new Error('stopped'))
  process.once('SIGINT', stopped).once('SIGTERM', stopped)
  try {
    const { 'hash-config': hashConfig, ...options } = values as Record<string, never>
    return way === 'import'
      ? await importUsers(positionals, { ...options, hashConfig }, stop.signal)
      : await exportUsers(positionals, options, stop.signal)
  } finally {
    process.off('SIGINT', stopped).off('SIGTERM', stopped)
  }
}

function parse(way: 'import' | 'export', args: string[]) {
  try {
    return parseArgs({ args, allowPositionals: true, options: optionsOf[way] })
  } catch (error) {
    throw new Refusal(`${(error as Error).message.split('. ')[0]}.\n\n${usage.trimEnd()}`, 2)
  }
}
