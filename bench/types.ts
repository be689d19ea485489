/*
 * What the types cost the compiler: a schema of 50 tables with relations, then `DatabaseOf` of it, then queries with two
 * levels of embedding, each on top of the one before. Prints instantiations (which are exact) and times (which are not).
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const count = Number(process.env.TABLES ?? 50)
const root = fileURLToPath(new URL('..', import.meta.url))

const imports = `
import { createClient } from '@supabase/supabase-js'
import { blob, integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { bind } from 'leanto'
import { type DatabaseOf, data, expose } from 'leanto/data'
export { blob, createClient, data, expose, integer, real, sqliteTable, text }
export type { DatabaseOf }
export const base = bind<{ DB: never }>({ db: (env) => env.DB, kv: () => ({}) as never, secret: () => '' })
`

const numbers = Array.from({ length: count }, (_, i) => i)
// Each table refers to its neighbour, to one of the first five, and to itself.
const tables = numbers
  .map(
    (i) => `
const t${i} = sqliteTable('t${i}', {
  id: integer('id').primaryKey(), ownerId: text('owner_id').notNull(), title: text('title').notNull(), body: text('body'),
  done: integer('done', { mode: 'boolean' }).notNull().default(false), kind: text('kind', { enum: ['a', 'b'] }).notNull(),
  rank: real('rank'), meta: text('meta', { mode: 'json' }).$type<{ tags: string[] }>(), bytes: blob('bytes', { mode: 'buffer' }),
  at: integer('at', { mode: 'timestamp_ms' }).notNull(), nextId: integer('next_id').notNull(), rootId: integer('root_id'),
  parentId: integer('parent_id'), secret: text('secret'),
})`,
  )
  .join('')
const without = (references: (i: number) => string) => `
const store = data(base, {
  identity: { principal: async () => ({}) as never },
  tables: {
${numbers.map((i) => `    t${i}: expose(t${i}, { select: () => true, hidden: ['secret'], defaults: { ownerId: () => '' }${references(i)} }),`).join('\n')}
  },
})`
const declared = (i: number) =>
  `, references: { nextId: 't${(i + 1) % count}.id', root_of_${i}: { columns: ['rootId'], to: ['t${(i % 5) + (i < 5 ? 5 : 0)}.id'] }, parentId: 't${i}.id' }`
const typed = `
const client = createClient<DatabaseOf<typeof store>>('https://app.example', 'key')
export const all = client.from('t0').select()`
const queries = numbers
  .map(
    (i) => `
export const q${i} = client.from('t${i}')
  .select('id, name:title, t${(i + 1) % count}!next_id(title, t${(i + 2) % count}!next_id(id, ...t${(i + 3) % count}!next_id(body))), children:t${i}!parent_id(count)')`,
  )
  .join('')

const steps: [string, string][] = [
  ['imports alone', imports],
  [`${count} drizzle tables`, imports + tables],
  ['exposed', imports + tables + without(() => '')],
  ['with references', imports + tables + without(declared)],
  ['typed client', imports + tables + without(declared) + typed],
  [`${count} queries, embeds`, imports + tables + without(declared) + typed + queries],
]

// Inside the repository, where the packages are.
const folder = await mkdtemp(join(root, 'bench/.types-'))
try {
  console.log(
    `${''.padEnd(24)}${['instantiations', 'types', 'check', 'total', 'memory'].map((word) => word.padStart(16)).join('')}`,
  )
  for (const [name, source] of steps) {
    await writeFile(join(folder, 'index.ts'), source)
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: '../../tsconfig.json',
        compilerOptions: {
          rootDir: '../..',
          types: [],
          paths: { leanto: ['../../src/core/index.ts'], 'leanto/*': ['../../src/*/index.ts'] },
        },
        include: ['index.ts', '../../src/auth/wasm.d.ts'],
        exclude: [],
      }),
    )
    const { stdout } = await promisify(execFile)(process.execPath, [
      join(root, 'node_modules/typescript/bin/tsc'),
      '-p',
      folder,
      '--extendedDiagnostics',
    ]).catch((error: { stdout: string }) => error)
    if (/error TS/.test(stdout)) throw new Error(stdout)
    const cells = ['Instantiations', 'Types', 'Check time', 'Total time', 'Memory used'].map(
      (label) => new RegExp(`^${label}:\\s+(\\S+)`, 'm').exec(stdout)?.[1] ?? '?',
    )
    console.log(name.padEnd(24) + cells.map((cell) => cell.padStart(16)).join(''))
  }
} finally {
  await rm(folder, { recursive: true })
}
