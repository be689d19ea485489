/*
 * Runs the same reads and writes through leanto and through a hand-written worker in one run, alternating, and prints how
 * fast leanto is against it: 1.00 is as fast, 0.90 takes a ninth longer.
 */
import { build } from 'esbuild'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { audience, issuer } from './tables.ts'

const rounds = Number(process.env.ROUNDS ?? 15)
const perRound = Number(process.env.REQUESTS ?? 60)

const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'bench', use: 'sig' }
const token = await new SignJWT({})
  .setProtectedHeader({ alg: 'ES256', kid: 'bench' })
  .setSubject('alice')
  .setIssuer(issuer)
  .setAudience(audience)
  .setExpirationTime('2h')
  .sign(privateKey)

async function start(name: string) {
  const { outputFiles } = await build({
    entryPoints: [new URL(`./${name}.ts`, import.meta.url).pathname],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    tsconfig: new URL('../tsconfig.json', import.meta.url).pathname,
    write: false,
  })
  const worker = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: outputFiles[0]?.text ?? '',
      compatibilityDate: '2026-10-01',
      d1Databases: ['DB'],
      kvNamespaces: ['KV'],
      bindings: {
        SECRET: 'a-secret-of-the-bench-that-guards-nothing-at-all',
        JWK: JSON.stringify(jwk),
      },
    }),
  )
  const db = await worker.getD1Database('DB')
  await db.batch(
    [
      `CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, owner_id TEXT NOT NULL, title TEXT NOT NULL, body TEXT,
         done INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL DEFAULT (unixepoch() * 1000))`,
      'CREATE INDEX notes_owner ON notes (owner_id, created_at)',
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO notes (owner_id, title, body) SELECT CASE i % 4 WHEN 0 THEN 'alice' ELSE 'bob' END, 'note ' || i, 'words' FROM n`,
    ].map((sql) => db.prepare(sql)),
  )
  return { worker, url: await worker.ready }
}

interface Work {
  name: string
  path: (i: number) => string
  init?: (i: number) => RequestInit
  status: number
}

const body = (method: string, value: unknown): RequestInit => ({
  method,
  body: JSON.stringify(value),
  headers: { 'content-type': 'application/json', prefer: 'return=representation' },
})

const works: Work[] = [
  { name: 'read one by key', path: (i) => `notes?id=eq.${4 * ((i % 500) + 1)}`, status: 200 },
  {
    name: 'list 20, newest first',
    path: () => 'notes?order=created_at.desc&limit=20',
    status: 200,
  },
  {
    name: 'insert 1',
    path: () => 'notes',
    init: (i) => body('POST', { title: `new ${i}`, body: 'words' }),
    status: 201,
  },
  {
    name: 'insert 100',
    path: () => 'notes',
    init: (i) =>
      body(
        'POST',
        Array.from({ length: 100 }, (_, j) => ({ title: `many ${i}.${j}`, body: 'words' })),
      ),
    status: 201,
  },
  {
    name: 'update one',
    path: (i) => `notes?id=eq.${4 * ((i % 500) + 1)}`,
    init: (i) => body('PATCH', { title: `changed ${i}` }),
    status: 200,
  },
]

async function time(url: URL, work: Work, requests: number): Promise<number> {
  const started = performance.now()
  for (let i = 0; i < requests; i++) {
    const { headers, ...init } = work.init?.(i) ?? {}
    const response = await fetch(new URL(work.path(i), url), {
      ...init,
      headers: { ...(headers as Record<string, string>), authorization: `Bearer ${token}` },
    })
    const text = await response.text()
    if (response.status !== work.status || !text.includes('alice'))
      throw new Error(`${work.name}: ${response.status} ${text.slice(0, 200)}`)
  }
  return performance.now() - started
}

const [leanto, byHand] = await Promise.all([start('leanto'), start('by-hand')])
console.log(
  `${rounds} rounds of ${perRound} requests each, alternating; by hand / leanto, more is better\n`,
)
console.log(
  `${''.padEnd(24)}${['min', 'median', 'max', 'leanto', 'by hand'].map((word) => word.padStart(9)).join('')}`,
)
try {
  for (const work of works) {
    const requests = work.name === 'insert 100' ? Math.ceil(perRound / 4) : perRound
    for (const { url } of [leanto, byHand]) await time(url, work, requests)
    const ratios: number[] = []
    const times: [number, number][] = []
    for (let round = 0; round < rounds; round++) {
      const first = round % 2 === 0
      const a = first ? await time(leanto.url, work, requests) : 0
      const b = await time(byHand.url, work, requests)
      const ours = first ? a : await time(leanto.url, work, requests)
      ratios.push(b / ours)
      times.push([ours / requests, b / requests])
    }
    ratios.sort((x, y) => x - y)
    const median = (values: number[]) => values.sort((x, y) => x - y)[values.length >> 1] ?? 0
    const cells = [
      ...[ratios[0], ratios[ratios.length >> 1], ratios.at(-1)].map((ratio) =>
        (ratio ?? 0).toFixed(2),
      ),
      `${median(times.map(([ours]) => ours)).toFixed(2)} ms`,
      `${median(times.map(([, theirs]) => theirs)).toFixed(2)} ms`,
    ]
    console.log(work.name.padEnd(24) + cells.map((cell) => cell.padStart(9)).join(''))
  }
} finally {
  await Promise.all([leanto, byHand].map(({ worker }) => worker.dispose()))
}
