import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { getPlatformProxy } from 'wrangler'
import { bundle } from '../../src/cli/bundle.ts'
import { modulesOf } from '../../src/cli/load.ts'
import { migrate } from '../../src/core/migrate.ts'
import { root } from '../kit/running.ts'
import { d1, host, installAll, leanto, list, write } from './cli-world.ts'

const config = {
  'package.json': '{ "name": "host", "type": "module", "sideEffects": false }',
  'wrangler.jsonc': `{
    "name": "host", "main": "src/worker.ts", "compatibility_date": "2026-10-01",
    "d1_databases": [{ "binding": "DB", "database_name": "host", "database_id": "local" }]
  }`,
}
const table = 'CREATE TABLE notes (id INTEGER PRIMARY KEY, owner_id TEXT, body TEXT);'

/** A host's data module, by what it exposes. */
const backend = (exposed: string, columns = '') => `
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { bind, type Identity } from 'leanto'
import { data, expose } from 'leanto/data'

const identity: Identity = { principal: async () => ({ id: null, role: 'anon', claims: {} }) }
const base = bind<{ DB: never }>({ db: (env) => env.DB, kv: (env) => env.DB, secret: () => undefined })
const notes = sqliteTable('notes', { id: integer().primaryKey(), ownerId: text('owner_id')${columns} })
const tags = sqliteTable('tags', { name: text().primaryKey() })
export const store = data(base, { identity, tables: { ${exposed} } })
`
const live = (option = 'true') => backend(`notes: expose(notes, { live: ${option} })`)
const worker = `import { Hono } from 'hono'
import { store } from './backend.ts'
export default new Hono().route('/rest/v1', store.routes)`

/** What the folder holds of a table, by what follows the number. */
const of = (name: string) =>
  list()
    .filter((file) => file.includes(`_leanto_data_live_${name}_`))
    .map((file) => file.replace(/^\d+_leanto_data_live_/, ''))
const written = () => {
  const { stdout, stderr, status } = leanto(['migrations'])
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return [...stdout.matchAll(/^ {2}(\d{4}_\S+)$/gm)].map(([, name]) => name as string)
}

beforeEach(() => {
  installAll()
  write({ ...config, 'src/worker.ts': worker, 'migrations/0001_notes.sql': table })
})

it('npx leanto rebuild writes it anew, of all tables or of some', () => {
  write({
    'src/backend.ts': backend(
      'notes: expose(notes, { live: true }), tags: expose(tags, { live: true })',
    ),
  })
  written()
  expect(leanto(['rebuild', 'tags']).status).toBe(0)
  expect([of('notes').length, of('tags').length]).toEqual([1, 2])
  expect(leanto(['rebuild']).status).toBe(0)
  expect([of('notes').length, of('tags').length]).toEqual([2, 3])
  expect(new Set(of('tags')).size).toBe(1)
  expect(written()).toEqual([])
  const unknown = leanto(['rebuild', 'none'])
  expect([unknown.status, unknown.stderr]).toEqual([
    2,
    'Nothing follows a table none. Tables: notes, tags.\n',
  ])
  write({ 'src/backend.ts': backend('notes: expose(notes, {})') })
  const none = leanto(['rebuild'])
  expect([none.status, none.stderr]).toEqual([
    1,
    expect.stringContaining('none is live or searched'),
  ])
})

describe('the host’s own sources are loaded for it', () => {
  it('whatever they import that Node cannot: workerd’s own, WebAssembly, texts, aliases', () => {
    write({
      'src/backend.ts': live(),
      'src/nothing.wasm': '\0asm',
      'src/words.sql': 'SELECT 1',
      'src/page.html': '<p>',
      'src/real.ts': `export const answer: number = 42`,
      'tsconfig.json': `{ "compilerOptions": { "paths": { "@/*": ["./src/*"] } } }`,
      'wrangler.jsonc': config['wrangler.jsonc'].replace(
        '"main"',
        `"alias": { "aliased": "./src/real.ts" }, "define": { "DEFINED": "\\"as defined\\"" }, "main"`,
      ),
      'src/worker.ts': `
        import { readFile } from 'node:fs/promises'
        import { Buffer } from 'buffer'
        import { DurableObject, env, WorkerEntrypoint } from 'cloudflare:workers'
        import { connect } from 'cloudflare:sockets'
        import { Hono } from 'hono'
        import { answer } from 'aliased'
        import { store } from '@/backend'
        import wasm from './nothing.wasm'
        import other from './nothing.wasm?module'
        import words from './words.sql'
        import page from './page.html'

        console.log('noise', await env.ANY.thing(wasm, other))
        console.error('more noise', [...env.LIST], \`\${env.TEXT}\`)
        if (words !== 'SELECT 1' || page !== '<p>' || answer !== 42 || DEFINED !== 'as defined') throw new Error('other words')
        const cache = caches.default
        setInterval(() => {}, 1000)
        export class Room extends DurableObject<Env> { constructor(ctx, env) { super(ctx, env) } }
        export class Entry extends WorkerEntrypoint { fetch = () => [readFile, Buffer, connect, HTMLRewriter, cache] }
        export default { fetch: new Hono().route('/rest/v1', store.routes).fetch }`,
    })
    const { stdout, stderr, status } = leanto(['migrations'])
    expect([stderr, status]).toEqual(['', 0])
    expect(stdout).toContain('_leanto_data_live_notes_')
    expect(stdout).not.toContain('noise')
  })

  it('also where the data module is not exported', () => {
    write({ 'src/worker.ts': live().replace('export const', 'const') })
    expect(written().at(-1)).toContain('_leanto_data_live_notes_')
  })

  it('from another file, with --from', () => {
    write({
      'src/backend.ts': live(),
      'src/worker.ts': `import './backend.ts'\nthrow new Error('cannot load')`,
    })
    const { stdout, stderr, status } = leanto(['migrations', '--from', 'src/backend.ts'])
    expect([stderr, status]).toEqual(['', 0])
    expect(stdout).toContain('_leanto_data_live_notes_')
    expect(leanto(['rebuild', '--from', 'src/backend.ts']).status).toBe(0)
    const named = leanto(['migrations', 'data', '--from', 'src/backend.ts', '--dir', 'elsewhere'])
    expect([named.stderr, named.status]).toEqual(['', 0])
    expect(list('elsewhere').at(-1)).toContain('_leanto_data_live_notes_')
    const missing = leanto(['migrations', '--from', 'src/nothing.ts'])
    expect([missing.status, missing.stderr]).toEqual([
      1,
      expect.stringContaining('src/nothing.ts (--from) does not exist'),
    ])
  })

  it.each([
    ['throws', `throw new TypeError('not in Node')`, 'TypeError: not in Node'],
    [
      'has a wrong option',
      `import { data } from 'leanto/data'\ndata({} as never, {} as never)`,
      'data: `identity` must have principal',
    ],
    ['cannot be read', 'const = 1', 'src/code.ts:1: Expected identifier'],
    ['imports what is not there', `import './nothing.ts'`, 'Could not resolve "./nothing.ts"'],
    ['ends the process', 'process.exit(0)', 'it ended before it was loaded'],
    ['waits for ever', 'await new Promise(() => {})', 'it ended before it was loaded'],
    [
      'makes its module later',
      `import { data } from 'leanto/data'\nexport const make = () => data`,
      'it makes no data module while it loads',
    ],
  ])('one that %s: what lasts is written all the same, and it says what to do', (_, code, why) => {
    write({
      'src/worker.ts': `import { data } from 'leanto/data'\nimport './code.ts'\nexport default data`,
      'src/code.ts': code,
    })
    const { stdout, stderr, status } = leanto(['migrations'])
    expect(status).toBe(1)
    expect(stderr).toContain('src/worker.ts could not be loaded: ')
    expect(stderr).toContain(why)
    expect(stderr).toContain('npx leanto migrations --from src/backend.ts')
    expect(stderr).toContain('npx leanto migrations data')
    expect(stderr).not.toContain('    at ')
    expect(stdout).toContain('0002_leanto_core_0001_core.sql')
    expect(stdout).not.toContain('_derived')
  })

  it('and what was derived before is left alone when they cannot be', () => {
    write({ 'src/backend.ts': live() })
    written()
    const before = list()
    write({ 'src/worker.ts': `import 'leanto/data'\nthrow new Error('broken')` })
    expect(leanto(['migrations']).status).toBe(1)
    expect(leanto(['migrations', 'data']).status).toBe(0)
    expect(list()).toEqual(before)
  })

  it('but not where nothing can follow: a host without the data module', () => {
    symlinkSync(join(root, 'node_modules/jose'), join(host, 'node_modules/jose'))
    write({ 'src/worker.ts': `import 'leanto/jwks'\nthrow new Error('never run')` })
    expect(leanto(['migrations']).status).toBe(0)
  })
})

describe('wrangler applies it', () => {
  const apply = () => d1('migrations', 'apply', 'DB')
  const execute = (sql: string): Record<string, unknown>[] =>
    JSON.parse(d1('execute', 'DB', '--json', '--command', sql)).at(-1).results
  const loggedBy = (sql: string) =>
    execute(
      `${sql}; SELECT operation, key, old FROM leanto_data_changes ORDER BY seq DESC LIMIT 1`,
    )[0]

  it('through a table’s life: live, with more kept, rebuilt, without a column, not live', () => {
    write({ 'src/backend.ts': live() })
    written()
    apply()
    const insert = `INSERT INTO notes (id, owner_id) VALUES (1, 'alice')`
    expect(loggedBy(insert)).toEqual({ operation: 'insert', key: '{"id":1}', old: null })

    write({
      'src/backend.ts': live(`{ keep: ['ownerId'] }`),
      'migrations/0007_rebuilt.sql': `CREATE TABLE __new_notes (id INTEGER PRIMARY KEY, owner_id TEXT, body TEXT DEFAULT '');
        INSERT INTO __new_notes SELECT * FROM notes; DROP TABLE notes; ALTER TABLE __new_notes RENAME TO notes;`,
    })
    expect(written()).toHaveLength(1)
    apply()
    expect(loggedBy('UPDATE notes SET id = 2')).toEqual({
      operation: 'update',
      key: '{"id":2}',
      old: '{"id":1,"owner_id":"alice"}',
    })

    write({
      'src/backend.ts': live(),
      'migrations/0009_drop.sql': `DROP TRIGGER IF EXISTS "leanto_data_live_notes_update"; DROP TRIGGER IF EXISTS "leanto_data_live_notes_delete";
        ALTER TABLE notes DROP COLUMN owner_id;`,
    })
    written()
    apply()
    expect(loggedBy(`UPDATE notes SET body = 'y'`)).toMatchObject({ old: '{"id":2}' })

    write({ 'src/backend.ts': backend('notes: expose(notes, {})') })
    written()
    apply()
    expect(loggedBy('DELETE FROM notes')).toMatchObject({ operation: 'update', old: '{"id":2}' })
    expect(apply()).toContain('No migrations to apply')
  }, 180_000)

  it('and leanto’s own runner takes it as done', async () => {
    write({ 'src/backend.ts': live(`{ keep: ['ownerId'] }`) })
    written()
    apply()
    const sources = { entry: join(host, 'src/worker.ts'), directory: host, alias: {}, define: {} }
    const made = await modulesOf(await bundle(sources), host)
    const proxy = await getPlatformProxy<{ DB: never }>({
      configPath: join(host, 'wrangler.jsonc'),
      persist: { path: join(host, '.wrangler/state/v3') },
    })
    try {
      expect(await migrate(proxy.env.DB, made)).toEqual([])
      expect(await migrate(proxy.env.DB, [{ name: 'data', migrations: [] }])).toEqual([
        'data/live_notes dropped',
      ])
      expect(await migrate(proxy.env.DB, made)).toEqual(['data/live_notes'])
    } finally {
      await proxy.dispose()
    }
  }, 120_000)
})
