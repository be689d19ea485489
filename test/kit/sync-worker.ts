/* The Worker that stock clients replicate with in tests: databases of every kind, people by the token they show. */
import { Hono } from 'hono'
import { bind, type Identity } from 'leanto'
import { owned, shared, sync } from 'leanto/sync'
import { find } from 'leanto/sync/find'
import { notifier } from 'leanto/sync/notifier'
import { scripts } from 'leanto/sync/scripts'
import { snapshot } from 'leanto/sync/snapshot'
import { upkeep } from 'leanto/sync/upkeep'

export { SyncNotifier } from 'leanto/sync/notifier'

interface Env {
  DB: D1Database
  KV: KVNamespace
  SYNC: DurableObjectNamespace
}

const base = bind<Env>({
  db: (env) => env.DB as never,
  kv: (env) => env.KV as never,
  secret: () => 'a-secret-that-is-used-by-no-one-but-the-tests-0123456789',
})

/** `Bearer user-<name>` is that user, `Bearer user-<name>.red.blue` one of those channels. */
const identity: Identity = {
  principal: async (_, request) => {
    const token = request.headers.get('authorization')?.match(/^Bearer user-([\w.*]+)$/)?.[1]
    const [name = '', ...channels] = token?.split('.') ?? []
    return name
      ? { id: name, role: 'authenticated', claims: { channels } }
      : { id: null as unknown as string, role: 'anon', claims: {} }
  },
}

const anyone = () => true
const open = { read: anyone, write: anyone, admin: anyone }

const docs = sync(base, {
  identity,
  parts: [find, upkeep, snapshot],
  databases: {
    notes: owned(),
    // As CouchDB itself is: whoever asks makes a database, and old revisions are kept until it is compacted.
    '*': shared({ ...open, keepRevisions: true, revsLimit: 1000 }),
    'team-*': shared({
      ...open,
      read: ({ role }) => role === 'authenticated',
      write: ({ role }) => role === 'authenticated',
      channels: (doc) => (Array.isArray(doc.in) ? (doc.in as string[]) : []),
      member: ({ claims }) => claims.channels as string[],
    }),
    'views-*': shared({
      ...open,
      views: {
        'people/by-name': { map: (doc, emit) => emit(doc.name, doc.age), reduce: '_sum' },
        'people/by-path': { map: (doc, emit) => emit([doc.city, doc.name]), reduce: '_count' },
        'people/ages': { map: (doc, emit) => emit(null, doc.age), reduce: '_stats' },
      },
      filters: { 'people/in': (doc, { query }) => doc.city === query.city },
    }),
    'short-*': shared({ ...open, revsLimit: 5 }),
    // A second.
    'brief-*': shared({ ...open, skipTombstones: 1 / (24 * 60 * 60) }),
  },
})

/** As CouchDB itself is, with what its design documents hold. */
const scripted = sync(base, {
  identity,
  parts: [find, upkeep, snapshot, scripts],
  databases: {
    '*': shared({ ...open, keepRevisions: true, revsLimit: 1000 }),
    'kept-*': shared({ ...open, admin: ({ id }) => id === 'root' }),
    'team-*': shared({
      ...open,
      admin: ({ id }) => id === 'root',
      channels: (doc) => (Array.isArray(doc.in) ? (doc.in as string[]) : []),
      member: ({ claims }) => (claims.channels ?? []) as string[],
    }),
  },
})

/** The same, where feeds are woken by a Durable Object. */
const live = sync(base, {
  identity,
  databases: { '*': shared(open) },
  notifier: notifier<Env>((env) => env.SYNC as never),
})

const app = new Hono()
  .route('/couch', docs.routes)
  .route('/scripted', scripted.routes)
  .route('/live', live.routes)
export default { fetch: app.fetch } satisfies ExportedHandler<Env>
