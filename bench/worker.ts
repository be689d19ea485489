import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { childrenOf } from './cpu.ts'
import {
  authorCount,
  commentsPerNote,
  drafts,
  firstCreated,
  noteCount,
  numbers,
  ownId,
  type Side,
} from './side.ts'
import { audience, issuer } from './tables.ts'

const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'bench', use: 'sig' }
const token = await new SignJWT({})
  .setProtectedHeader({ alg: 'ES256', kid: 'bench' })
  .setSubject('alice')
  .setIssuer(issuer)
  .setAudience(audience)
  .setExpirationTime('2h')
  .sign(privateKey)

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url))

interface Start {
  compatibilityFlags?: string[]
  /** A port for the inspector. The functions then keep their names. */
  inspectorPort?: number
}

/** A file of the bench in workerd, on D1 and KV. */
export async function startWorker(file: string, { compatibilityFlags, inspectorPort }: Start = {}) {
  const { outputFiles } = await build({
    entryPoints: [path(file)],
    bundle: true,
    minify: inspectorPort === undefined,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*', 'cloudflare:*'],
    define: { 'process.env.NODE_ENV': '"production"' },
    tsconfig: path('../tsconfig.json'),
    write: false,
  })
  const script = outputFiles[0]?.text ?? ''
  const worker = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script,
      compatibilityDate: '2026-10-01',
      ...(compatibilityFlags ? { compatibilityFlags } : {}),
      ...(inspectorPort === undefined ? {} : { inspectorPort }),
      d1Databases: ['DB'],
      kvNamespaces: ['KV'],
      bindings: {
        SECRET: 'a-secret-of-the-bench-that-guards-nothing-at-all',
        JWK: JSON.stringify(jwk),
      },
    }),
  )
  const before = childrenOf('workerd')
  const url = await worker.ready
  const pid = childrenOf('workerd').find((pid) => !before.includes(pid)) ?? 0
  return { url, pid, db: await worker.getD1Database('DB'), worker, script }
}

const schema = [
  'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)',
  `CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, owner_id TEXT NOT NULL, title TEXT NOT NULL, body TEXT,
     done INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL DEFAULT (unixepoch() * 1000))`,
  'CREATE INDEX notes_owner ON notes (owner_id, created_at)',
  `CREATE TABLE comments (id INTEGER PRIMARY KEY, note_id INTEGER NOT NULL REFERENCES notes (id),
     author_id INTEGER NOT NULL REFERENCES users (id), text TEXT NOT NULL)`,
  'CREATE INDEX comments_note ON comments (note_id)',
  `${numbers(authorCount)} INSERT INTO users (name) SELECT 'person ' || i FROM n`,
  `${numbers(noteCount)} INSERT INTO notes (owner_id, title, body, created_at)
     SELECT CASE i % 4 WHEN 0 THEN 'alice' ELSE 'bob' END, 'note ' || i, 'words', ${firstCreated} + i * 1000 FROM n`,
  `${numbers(noteCount * commentsPerNote)} INSERT INTO comments (note_id, author_id, text)
     SELECT (i - 1) / ${commentsPerNote} + 1, i % ${authorCount} + 1, 'comment ' || i FROM n`,
]

/** leanto, and the worker by hand, which have the same tables and the same tokens. */
export async function startOurs(
  name: 'leanto' | 'by hand',
  start?: Start,
): Promise<Side & { script: string }> {
  const leanto = name === 'leanto'
  const { url, pid, db, worker, script } = await startWorker(
    leanto ? './leanto.ts' : './by-hand.ts',
    start,
  )
  await db.batch(schema.map((sql) => db.prepare(sql)))
  const written = { status: 201, method: 'POST', path: 'notes' }
  return {
    name,
    script,
    pid,
    url,
    headers: { authorization: `Bearer ${token}`, prefer: 'return=representation' },
    asks: {
      'read one by key': (i) => ({ path: `notes?id=eq.${ownId(i)}`, status: 200 }),
      'list 20, newest first': () => ({
        path: 'notes?order=created_at.desc&limit=20',
        status: 200,
      }),
      'list 1,000': () => ({ path: 'notes?order=created_at.desc&limit=1000', status: 200 }),
      'embed 2 levels, 20 rows': () => ({
        path: leanto
          ? 'notes?select=id,title,comments(id,text,author:users(id,name))&order=created_at.desc&limit=20'
          : 'threads?limit=20',
        status: 200,
      }),
      'insert 1': (i) => ({ ...written, body: { title: `new ${i}`, body: 'words' } }),
      'insert 100': (i) => ({ ...written, body: drafts(i) }),
      'update one': (i) => ({
        path: `notes?id=eq.${ownId(i)}`,
        method: 'PATCH',
        body: { title: `changed ${i}` },
        status: 200,
      }),
    },
    rowsOf: (json) => json,
    stop: () => worker.dispose(),
  }
}
