import { cpSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '../kit/running.ts'
import { d1, host, installWrangler, leanto, list, write } from './cli-world.ts'

const core = '_leanto_core_0001_core.sql'
const auth = '_leanto_auth_0001_accounts.sql'

describe('leanto migrations', () => {
  it('writes core first, then the named modules, and nothing the second time', () => {
    const first = leanto(['migrations', 'auth'])
    expect(first.stderr).toBe('')
    expect(first.stdout).toContain(`0001${core}`)
    expect(list().slice(0, 2)).toEqual([`0001${core}`, `0002${auth}`])
    const before = list().map((file) => readFileSync(join(host, 'migrations', file), 'utf8'))

    const second = leanto(['migrations', 'auth'])
    expect(second.status).toBe(0)
    expect(second.stdout).toContain('has every migration')
    expect(list().map((file) => readFileSync(join(host, 'migrations', file), 'utf8'))).toEqual(
      before,
    )
  })

  it('numbers on from whatever is there, and knows its files by any number', () => {
    write({ 'migrations/0007_notes.sql': '', 'migrations/0009_more.txt': '' })
    leanto(['migrations', 'jwks'])
    expect(list()).toContain(`0008${core}`)
    renameSync(join(host, `migrations/0008${core}`), join(host, `migrations/0003${core}`))
    leanto(['migrations', 'auth'])
    expect(list()).toEqual(expect.arrayContaining([`0003${core}`, `0008${auth}`]))
  })

  it('goes on with time stamps where the host has them', () => {
    write({ 'db/20261001093000_notes.sql': '' })
    leanto(['migrations', 'jwks', '--dir', 'db'])
    expect(list('db')).toContain(`20261001093001${core}`)
  })

  it('does not take a file of another module for its own', () => {
    write({ 'migrations/0001_x_leanto_core_0001_core.sql': '' })
    leanto(['migrations', 'jwks'])
    expect(list()).toContain(`0002${core}`)
  })

  it('refuses a file that was changed, and writes nothing then', () => {
    leanto(['migrations', 'jwks'])
    write({ [`migrations/0001${core}`]: 'DROP TABLE users;' })
    const { status, stderr } = leanto(['migrations', 'auth'])
    expect(status).toBe(1)
    expect(stderr).toContain('is not the migration that leanto ships')
    expect(list()).toEqual([`0001${core}`])
  })

  it('finds the modules that the Worker imports, and the folder of its first database', () => {
    installWrangler()
    write({
      'wrangler.jsonc': `{
        // as in any host
        "name": "host", "main": "src/worker.ts", "compatibility_date": "2026-10-01",
        "d1_databases": [{ "binding": "DB", "database_name": "host", "migrations_dir": "db/steps" }]
      }`,
      'src/worker.ts': `import { Hono } from 'hono'\nimport { users } from '@/backend.js'\nexport * from './routes'\nexport default new Hono().route('/', users.routes)`,
      'src/backend.ts': `import {\n  bind,\n} from 'leanto'\nimport { auth } from "leanto/auth"\n// import { data } from 'leanto/data'\nexport const users = auth(bind({}))`,
      'tsconfig.json': '{ "compilerOptions": { "paths": { "@/*": ["./src/*"] } } }',
      'src/routes/index.ts': `import type { Data } from 'leanto/data'\nconst late = () => import('leanto/jwks')`,
    })
    const { stdout, stderr, status } = leanto(['migrations'])
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(stdout).toContain('(core, auth, jwks)')
    expect(list('db/steps')).toEqual(expect.arrayContaining([`0001${core}`, `0002${auth}`]))
  })

  it.each([
    ['a wrangler.toml in another place', ['--config', 'deploy/wrangler.toml'], 'deploy/migrations'],
    [
      'and a folder that is named',
      ['--config', 'deploy/wrangler.toml', '--dir', 'elsewhere'],
      'elsewhere',
    ],
  ])('reads %s', (_, options, folder) => {
    installWrangler()
    write({
      'deploy/wrangler.toml': 'name = "host"\nmain = "../worker.ts"\n',
      'worker.ts': `import 'leanto/auth'`,
    })
    expect(leanto(['migrations', ...options]).stderr).toBe('')
    expect(list(folder)).toEqual(expect.arrayContaining([`0001${core}`]))
  })

  it('says what to do where there is nothing to go by', () => {
    const bare = leanto(['migrations'])
    expect([bare.status, bare.stderr]).toEqual([1, expect.stringContaining('name the modules')])
    installWrangler()
    write({ 'wrangler.toml': 'name = "host"\nmain = "worker.ts"\n' })
    expect(leanto(['migrations']).stderr).toContain('worker.ts (`main`) does not exist')
    write({ 'worker.ts': `import 'hono'` })
    expect(leanto(['migrations']).stderr).toContain('imports no leanto module')
    const unknown = leanto(['migrations', 'sorcery'])
    expect([unknown.status, unknown.stderr]).toEqual([2, expect.stringContaining('sorcery')])
    expect(readdirSync(host)).not.toContain('migrations')
  })

  it('writes what wrangler applies to a fresh database, and its own runner then takes as done', () => {
    installWrangler()
    write({
      'wrangler.toml': `name = "host"\nmain = "worker.ts"\ncompatibility_date = "2026-10-01"\n
        [[d1_databases]]\nbinding = "DB"\ndatabase_name = "host"\n`,
      'worker.ts': `import 'leanto/auth'\nexport default {}`,
      'migrations/0001_notes.sql': 'CREATE TABLE notes (id INTEGER PRIMARY KEY);',
    })
    leanto(['migrations'])
    d1('migrations', 'apply', 'DB')
    const sql = 'SELECT module, id FROM leanto_core_migrations ORDER BY module, id'
    const [{ results }] = JSON.parse(d1('execute', 'DB', '--json', '--command', sql))
    expect(results).toEqual(
      expect.arrayContaining([
        { module: 'auth', id: '0001_accounts' },
        { module: 'core', id: '0001_core' },
      ]),
    )
    expect(results).toHaveLength(list().length - 1)
    expect(d1('migrations', 'apply', 'DB')).toContain('No migrations to apply')
  })

  it('has written what the examples hold', () => {
    for (const [name, folder] of [
      // That of the root's wrangler.toml.
      ['notes', '.'],
      ['auth-only', 'examples/auth-only'],
      ['data-only', 'examples/data-only'],
    ] as const) {
      cpSync(join(root, 'examples', name, 'migrations'), join(host, name), { recursive: true })
      const args = ['migrations', '--dir', join(host, name)]
      const { stdout, stderr } = leanto(args, {}, join(root, folder))
      expect(stdout + stderr, `run npx leanto migrations in ${folder}`).toContain(
        'has every migration',
      )
    }
  })
})

describe('leanto secret', () => {
  it('prints 256 random bits and nothing else, so that it can be piped', () => {
    const values = Array.from({ length: 5 }, () => {
      const { stdout, stderr, status } = leanto(['secret'])
      expect([stderr, status]).toEqual(['', 0])
      return stdout
    })
    for (const value of values) expect(value).toMatch(/^[\w-]{43}\n$/)
    expect(new Set(values).size).toBe(5)
  })
})

describe('leanto keys', () => {
  const secret = 'q'.repeat(43)

  it('reads the environment before .dev.vars', () => {
    write({ '.dev.vars': `OTHER=1\nLEANTO_SECRET="${secret}"\n` })
    const { stdout } = leanto(['keys'])
    expect(stdout).toMatch(
      /^publishable {2}sb_publishable_[\w-]{22} .*\nsecret {7}sb_secret_[\w-]{43} /,
    )
    expect(leanto(['keys'], { LEANTO_SECRET: secret }).stdout).toBe(stdout)
    expect(leanto(['keys'], { LEANTO_SECRET: 'r'.repeat(43) }).stdout).not.toBe(stdout)
  })

  it.each([
    ['', 'is missing'],
    ['short', 'is shorter than 32 characters'],
  ])('refuses the secret %j and does not repeat it', (value, why) => {
    const { status, stdout, stderr } = leanto(['keys'], { LEANTO_SECRET: value })
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr).toContain(why)
    expect(stderr).toContain('npx leanto secret')
    expect(stderr).not.toContain('    at ')
  })
})

describe('the command line', () => {
  it('helps', () => {
    for (const args of [['--help'], ['-h'], ['help'], ['migrations', '--help']]) {
      const { status, stdout, stderr } = leanto(args)
      expect([status, stderr]).toEqual([0, ''])
      expect(stdout).toContain('Usage: leanto <command>')
    }
  })

  it('tells its version', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(leanto(['--version']).stdout).toBe(`${version}\n`)
  })

  it.each([[[]], [['sorcery']], [['--sorcery']], [['secret', 'x']], [['keys', 'x']]])(
    'answers %j with usage and exit code 2',
    (args) => {
      const { status, stdout, stderr } = leanto(args)
      expect([status, stdout]).toEqual([2, ''])
      expect(stderr).toContain('Usage: leanto <command>')
    },
  )
})
