import {
  authorCount,
  commentsPerNote,
  drafts,
  firstCreated,
  noteCount,
  numbers,
  ownId,
  type Side,
} from '../side.ts'
import { startWorker } from '../worker.ts'

const email = 'alice@notes.dev'

/** bknd in workerd on D1, signed in. Its tokens are HS256. */
export async function startBknd(): Promise<Side> {
  const { url, pid, db, worker } = await startWorker('./bknd/worker.mjs', {
    compatibilityFlags: ['nodejs_compat'],
  })
  const response = await fetch(new URL('/api/auth/password/register', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: 'correct horse battery staple' }),
  })
  const { token } = (await response.json()) as { token?: string }
  if (!token) throw new Error(`bknd: ${response.status}`)
  const fill = [
    `${numbers(authorCount)} INSERT INTO people (name) SELECT 'person ' || i FROM n`,
    `${numbers(noteCount)} INSERT INTO notes (owner_id, title, body, done, created_at)
       SELECT CASE i % 4 WHEN 0 THEN '${email}' ELSE 'bob' END, 'note ' || i, 'words', 0,
         strftime('%Y-%m-%d %H:%M:%S', ${firstCreated / 1000} + i, 'unixepoch') FROM n`,
    `${numbers(noteCount * commentsPerNote)} INSERT INTO comments (notes_id, people_id, text)
       SELECT (i - 1) / ${commentsPerNote} + 1, i % ${authorCount} + 1, 'comment ' || i FROM n`,
  ]
  await db.batch(fill.map((sql) => db.prepare(sql)))
  const api = '/api/data/entity/notes'
  const mine = { owner_id: email, created_at: '2026-11-01 00:00:00' }
  const embeds = { comments: { select: ['id', 'text'], with: { people: {} } } }
  return {
    name: 'bknd',
    pid,
    url,
    headers: { authorization: `Bearer ${token}` },
    asks: {
      'read one by key': (i) => ({ path: `${api}/${ownId(i)}`, status: 200 }),
      'list 20, newest first': () => ({ path: `${api}?sort=-created_at&limit=20`, status: 200 }),
      'list 1,000': () => ({ path: `${api}?sort=-created_at&limit=1000`, status: 200 }),
      'embed 2 levels, 20 rows': () => ({
        path: `${api}?select=id,title&sort=-created_at&limit=20&with=${encodeURIComponent(JSON.stringify(embeds))}`,
        status: 200,
      }),
      'insert 1': (i) => ({
        path: api,
        method: 'POST',
        body: { title: `new ${i}`, body: 'words', ...mine },
        status: 201,
      }),
      // It binds each value, of which D1 takes 100: a hundred rows are five requests.
      'insert 100': (i) =>
        [0, 20, 40, 60, 80].map((at) => ({
          path: api,
          method: 'POST',
          body: drafts(i, mine).slice(at, at + 20),
          status: 201,
        })),
      'update one': (i) => ({
        path: `${api}/${ownId(i)}`,
        method: 'PATCH',
        body: { title: `changed ${i}` },
        status: 200,
      }),
    },
    rowsOf: ({ data }: { data: unknown }) => data,
    stop: () => worker.dispose(),
  }
}
