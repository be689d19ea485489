import type { Context } from 'hono'
import type { Migration } from '../core/migrate.ts'
import type { Identity, Principal } from '../core/ports.ts'
import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { checkName } from './database.ts'
import * as database from './database-routes.ts'
import * as document from './document-routes.ts'
import { syncFaults } from './faults.ts'
import { readChanges } from './feed-routes.ts'
import { type Asked, type Find, placeOf, segmentsOf } from './request.ts'
import * as server from './server-routes.ts'
import type { Scripts } from './stored.ts'
import type { Watcher } from './watch.ts'

type Handler = (asked: Asked) => Promise<Response>

export interface RoutesInput {
  identity: Identity
  databases: Find
  /** Names that are no patterns. */
  names: readonly string[]
  watcher: Watcher
  wrote: document.Wrote
  parts: readonly Part[]
}

/** Makes a route that has its database. */
export type InDb = (method: Route[0], path: string, handler: Handler) => Route

/** What is not of one database: who asks, and which databases there are. */
export interface Server {
  readonly who: (scope: Scope, c: Context) => Promise<Principal>
  readonly find: Find
  readonly names: readonly string[]
}

/** What a host may leave out: `find`, `upkeep`, `snapshot` and `scripts`, of `leanto/sync/<name>`. */
export interface Part {
  readonly routes: (inDb: InDb, wrote: document.Wrote) => readonly Route[]
  /** Routes that name no database. */
  readonly server?: (server: Server) => readonly Route[]
  /** Ids that sort after `0001_sync`; tables `leanto_sync_*`. */
  readonly migrations?: readonly Migration[]
  /** Whether it answers for the host's views. */
  readonly views?: boolean
  /** Runs what design documents have. */
  readonly scripts?: Scripts
  /** Runs at every cron trigger. */
  readonly scheduled?: (scope: Scope, databases: Find) => Promise<void>
}

/** Every route under the mount. What begins with `_` comes before documents, whose ids never do. */
export function syncRoutes(input: RoutesInput): Route[] {
  const { identity, databases, names, watcher, wrote, parts } = input
  const inDb: InDb = (method, path, handler) => [
    method,
    path,
    async (scope, c) => handler(await askedOf(identity, databases, scope, c, path)),
  ]
  const both = (path: string, handler: Handler) => [
    inDb('GET', path, handler),
    inDb('POST', path, handler),
  ]
  const whoAsks = (scope: Scope, c: Context) => identity.principal(scope, withBearer(c.req.raw))
  const written = (path: string, on: Record<'put' | 'remove', Handler>) => [
    inDb('PUT', path, on.put),
    inDb('DELETE', path, on.remove),
  ]
  const documents = (path: string) => [
    inDb('GET', path, document.readDocument),
    ...written(path, { put: document.putDocument(wrote), remove: document.removeDocument(wrote) }),
    inDb('COPY', path, document.copy(wrote)),
  ]
  const attachments = (path: string) => [
    inDb('GET', path, document.readAttachment),
    ...written(path, {
      put: document.putAttachment(wrote),
      remove: document.removeAttachment(wrote),
    }),
  ]
  return [
    ['GET', '/', server.welcome],
    ['GET', '/_up', server.up],
    ['GET', '/_uuids', server.uuids],
    [
      'GET',
      '/_all_dbs',
      async (scope, c) => server.allDbs(await whoAsks(scope, c), databases, names),
    ],
    ['GET', '/_session', async (scope, c) => server.session(await whoAsks(scope, c))],
    // Signing in is the host's: CouchDB's replicator goes on with its credentials in the header when this is not there.
    ['POST', '/_session', server.noSession],
    ...parts.flatMap(({ server }) => server?.({ who: whoAsks, find: databases, names }) ?? []),
    ...['/:db', '/:db/'].flatMap((path) => [
      inDb('GET', path, database.readInfo),
      inDb('PUT', path, database.create),
      inDb('DELETE', path, database.remove),
      inDb('POST', path, document.postDocument(wrote)),
    ]),
    ...both('/:db/_changes', readChanges(watcher)),
    ...both('/:db/_all_docs', database.readAllDocs),
    inDb('POST', '/:db/_bulk_docs', database.postBulkDocs(wrote)),
    inDb('POST', '/:db/_bulk_get', database.postBulkGet),
    inDb('POST', '/:db/_revs_diff', database.postRevsDiff),
    inDb('POST', '/:db/_ensure_full_commit', database.postFullCommit),
    inDb('GET', '/:db/_revs_limit', database.readRevsLimit),
    inDb('PUT', '/:db/_revs_limit', database.putRevsLimit),
    inDb('GET', '/:db/_security', database.readSecurity),
    inDb('PUT', '/:db/_security', database.putSecurity),
    ...parts.flatMap(({ routes }) => routes(inDb, wrote)),
    ...documents('/:db/_local/:id'),
    ...documents('/:db/_design/:id'),
    ...attachments('/:db/_design/:id/:name{[\\s\\S]+}'),
    ...documents('/:db/:id'),
    ...attachments('/:db/:id/:name{[\\s\\S]+}'),
    // With a slash at the end of the mount, the welcome is found here.
    ['GET', '/*', (scope, c) => (isMount(c) ? server.welcome(scope) : refuse())],
    ...(['POST', 'PUT', 'PATCH', 'DELETE', 'COPY'] as const).map(
      (method): Route => [method, '/*', refuse],
    ),
  ]
}

const refuse = () => Promise.reject(syncFaults.method_not_allowed())
const isMount = (c: Context): boolean => segmentsOf(c, '/*').segments.length === 0

async function askedOf(
  identity: Identity,
  find: Find,
  scope: Scope,
  c: Context,
  path: string,
): Promise<Asked> {
  const { mount, segments } = segmentsOf(c, path)
  const [name = '', ...rest] = segments
  if (c.req.method === 'PUT' && rest.length === 0) checkName(name)
  const again = async () =>
    placeOf(find, name, await identity.principal(scope, withBearer(c.req.raw)))
  return {
    scope,
    request: c.req.raw,
    place: await again(),
    rest,
    query: new URL(c.req.url).searchParams,
    mount,
    again,
  }
}

/**
 * Clients of CouchDB know one way to name themselves, Basic: its password may be a token or an API key. The user's name is
 * not looked at.
 */
function withBearer(request: Request): Request {
  const basic = request.headers.get('authorization')?.match(/^Basic +([\w+/=]+) *$/i)?.[1]
  if (!basic) return request
  const headers = new Headers(request.headers)
  headers.set('authorization', `Bearer ${passwordOf(basic)}`)
  return new Request(request.url, { method: request.method, headers })
}

function passwordOf(basic: string): string {
  try {
    const text = atob(basic)
    return text.slice(text.indexOf(':') + 1)
  } catch {
    return ''
  }
}
