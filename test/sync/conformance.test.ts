import { env } from 'cloudflare:workers'
import { shared, sync } from 'leanto/sync'
import { vi } from 'vitest'
import { coreFaults } from '../../src/core/fault.ts'
import { type Caller, conforms, type Row, type World } from '../kit/conformance.ts'
import { type Ask, makeBase, mount } from '../kit/world.ts'
import { alice, bob, makeDocs, open } from './store.ts'

const at = '/sync'

type Answers = Record<Caller, number>
/** By guest, owner, stranger and service. */
const by = (guest: number, owner: number, stranger: number, service: number): Answers => ({
  guest,
  owner,
  stranger,
  service,
})
const all = (status: number) => by(status, status, status, status)
/** In the club: guests are asked to sign in, strangers only read. */
const reads = (status = 200) => by(401, status, status, status)
const writes = (status = 201) => by(401, status, 403, status)

const row = (
  route: string,
  path: string,
  answers: Answers,
  ask: Ask | ((world: World) => Ask) = {},
): Row => ({
  route,
  ask: (world) => ({ path, ...(typeof ask === 'function' ? ask(world) : ask) }),
  answers,
})

const json = { 'content-type': 'application/json' }
const post = (body: unknown): Ask => ({ method: 'POST', body })
const put = (body: unknown): Ask => ({ method: 'PUT', body, headers: json })
const rev = (world: World) => world.made.rev as string

const documents = (path: string, real: string): Row[] => {
  const isLocal = path.includes('_local')
  const admin = path.includes('_design')
  const own = isLocal ? reads(201) : admin ? by(401, 201, 403, 201) : writes()
  return [
    row(`GET ${path}`, `${real}old`, reads()),
    row(`PUT ${path}`, `${real}new`, own, put({ a: 1 })),
    row(
      `DELETE ${path}`,
      `${real}old`,
      isLocal ? by(401, 200, 200, 200) : writes(200),
      (world) => ({
        method: 'DELETE',
        headers: {
          'if-match': (isLocal ? '' : admin ? world.made.designRev : rev(world)) as string,
        },
      }),
    ),
    row(`COPY ${path}`, `${real}old`, isLocal ? by(401, 404, 403, 404) : writes(), {
      method: 'COPY',
      headers: { destination: 'copied' },
    }),
  ]
}

const attachments = (path: string, real: string, name: 'rev' | 'designRev'): Row[] => [
  row(`GET ${path}`, `${real}old/a.txt`, reads()),
  row(`PUT ${path}`, `${real}old/b.txt`, writes(), (world) => ({
    method: 'PUT',
    body: 'text',
    headers: { 'content-type': 'text/plain', 'if-match': world.made[name] as string },
  })),
  row(`DELETE ${path}`, `${real}old/a.txt`, writes(200), (world) => ({
    method: 'DELETE',
    headers: { 'if-match': world.made[name] as string },
  })),
]

const both = (path: string, answers: Answers, body: unknown = {}): Row[] => [
  row(`GET ${path}`, path.replace(':db', 'club'), answers),
  row(`POST ${path}`, path.replace(':db', 'club'), answers, post(body)),
]

const asOwner =
  (path: string, more: Ask = {}) =>
  (world: World) =>
    world.ask(at + path, { token: alice, ...more })

/** Asks databases that are made otherwise. */
const other =
  (path: string, docs: ReturnType<typeof makeDocs>, more: Ask = {}) =>
  async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const response = await mount({ [at]: docs })(at + path, more)
    log.mockRestore()
    return response
  }

const failing = () => {
  const throws = () => Promise.reject(new Error('D1 is away'))
  const statement = { bind: () => statement, all: throws, first: throws, run: throws, raw: throws }
  return makeDocs(makeBase({ db: () => ({ prepare: () => statement, batch: throws }) as never }))
}

const overrun = sync(makeBase(), {
  identity: { principal: () => Promise.reject(coreFaults.rate_limited()) },
  databases: { a: shared(open) },
})

conforms('sync', {
  make: makeDocs,
  mount: at,
  migrations: {
    '0001_sync': 'Ch_T5jjUD9TVlPWCF0TS_lStOXZDabDYY1uWTkiCn8I',
    '0002_reduced': 'xnOvAbSHFDhRi-g3JX0PlRPAfnr2jlpdyTiC6VzZAMU',
  },
  codeOf: (code) => code,
  async prepare(world) {
    world.tokens = { owner: alice, stranger: bob }
    const ask = (path: string, more: Ask) =>
      world.ask(`${at}/club${path}`, { token: alice, ...more })
    const attached = { 'a.txt': { content_type: 'text/plain', data: btoa('hello') } }
    const revOf = async (response: Promise<Response>) =>
      ((await (await response).json()) as { rev: string }).rev
    world.made.rev = await revOf(ask('/old', put({ n: 1, _attachments: attached })))
    world.made.designRev = await revOf(ask('/_design/old', put({ _attachments: attached })))
    const index = { index: { fields: ['n'] }, ddoc: 'mango', name: 'by-n' }
    await ask('/_index', post(index))
    await world.ask(`${at}/lean-db`, { method: 'PUT' })
    for (const token of [alice, bob])
      await world.ask(`${at}/club/_local/old`, { token, ...put({ a: 1 }) })
    await world.ask(`${at}/club/_local/old`, { key: 'secret', ...put({ a: 1 }) })
  },
  matrix: [
    row('GET /', '', all(200)),
    row('GET /_up', '/_up', all(200)),
    row('GET /_uuids', '/_uuids?count=3', all(200)),
    row('GET /_all_dbs', '/_all_dbs', all(200)),
    row('GET /_session', '/_session', all(200)),
    row('GET /_dbs_info', '/_dbs_info', all(200)),
    row('POST /_dbs_info', '/_dbs_info', all(200), post({ keys: ['club'] })),
    row('GET /_active_tasks', '/_active_tasks', all(200)),
    row('POST /_session', '/_session', all(404), post({ name: 'a', password: 'b' })),
    ...['/:db', '/:db/'].flatMap((path) => [
      row(`GET ${path}`, path.replace(':db', 'club'), reads()),
      row(`PUT ${path}`, path.replace(':db', 'club'), writes(412), { method: 'PUT' }),
      row(`DELETE ${path}`, path.replace(':db', 'club'), writes(200), { method: 'DELETE' }),
      row(`POST ${path}`, path.replace(':db', 'club'), writes(), post({ a: 1 })),
    ]),
    ...both('/:db/_changes', reads()),
    ...both('/:db/_all_docs', reads()),
    ...both('/:db/_design_docs', reads()),
    ...both('/:db/_local_docs', reads()),
    row('POST /:db/_all_docs/queries', '/club/_all_docs/queries', reads(), post({ queries: [{}] })),
    row(
      'POST /:db/_design_docs/queries',
      '/club/_design_docs/queries',
      reads(),
      post({ queries: [{}] }),
    ),
    row(
      'POST /:db/_local_docs/queries',
      '/club/_local_docs/queries',
      reads(),
      post({ queries: [{}] }),
    ),
    row('POST /:db/_bulk_docs', '/club/_bulk_docs', writes(), post({ docs: [{ a: 1 }] })),
    row('POST /:db/_bulk_get', '/club/_bulk_get', reads(), post({ docs: [{ id: 'old' }] })),
    row('POST /:db/_revs_diff', '/club/_revs_diff', reads(), post({ old: ['1-a'] })),
    row('POST /:db/_ensure_full_commit', '/club/_ensure_full_commit', reads(201), post({})),
    row('GET /:db/_snapshot', '/club/_snapshot', reads()),
    row('GET /:db/_revs_limit', '/club/_revs_limit', reads()),
    row('PUT /:db/_revs_limit', '/club/_revs_limit', writes(200), put('100')),
    row('GET /:db/_security', '/club/_security', reads()),
    row('PUT /:db/_security', '/club/_security', writes(200), put({})),
    row('POST /:db/_find', '/club/_find', reads(), post({ selector: {} })),
    row('POST /:db/_explain', '/club/_explain', reads(), post({ selector: {} })),
    row('GET /:db/_index', '/club/_index', reads()),
    row('POST /:db/_index', '/club/_index', writes(200), post({ index: { fields: ['a'] } })),
    row(
      'POST /:db/_index/_bulk_delete',
      '/club/_index/_bulk_delete',
      writes(200),
      post({ docids: ['mango'] }),
    ),
    row('DELETE /:db/_index/:ddoc/:type/:name', '/club/_index/mango/json/by-n', writes(200), {
      method: 'DELETE',
    }),
    row(
      'DELETE /:db/_index/_design/:ddoc/:type/:name',
      '/club/_index/_design/mango/json/by-n',
      writes(200),
      { method: 'DELETE' },
    ),
    ...['GET', 'POST'].map((method) =>
      row(
        `${method} /:db/_design/:ddoc/_view/:view`,
        '/lean-db/_design/all/_view/ids',
        all(200),
        method === 'POST' ? post({}) : {},
      ),
    ),
    row(
      'POST /:db/_design/:ddoc/_view/:view/queries',
      '/lean-db/_design/all/_view/ids/queries',
      all(200),
      post({ queries: [{}] }),
    ),
    row('GET /:db/_design/:ddoc/_info', '/club/_design/mango/_info', reads()),
    row('POST /:db/_view_cleanup', '/club/_view_cleanup', writes(202), post({})),
    row('POST /:db/_missing_revs', '/club/_missing_revs', reads(), post({ old: ['1-a'] })),
    row('POST /:db/_compact/:ddoc', '/club/_compact/mango', writes(202), post({})),
    row('POST /:db/_purge', '/club/_purge', writes(), (world) => post({ old: [rev(world)] })),
    row('POST /:db/_compact', '/club/_compact', writes(202), post({})),
    ...documents('/:db/_local/:id', '/club/_local/'),
    ...documents('/:db/_design/:id', '/club/_design/'),
    ...attachments('/:db/_design/:id/:name{[\\s\\S]+}', '/club/_design/', 'designRev'),
    ...documents('/:db/:id', '/club/'),
    ...attachments('/:db/:id/:name{[\\s\\S]+}', '/club/', 'rev'),
    row('GET /*', '/', all(200)),
    ...['POST', 'PUT', 'PATCH', 'DELETE', 'COPY'].map((method) =>
      row(`${method} /*`, '/', all(405), { method }),
    ),
  ],
  faults: {
    bad_request: asOwner('/club/_bulk_docs', post({})),
    illegal_database_name: asOwner('/Club', { method: 'PUT' }),
    illegal_docid: asOwner('/club/_bulk_docs', post({ docs: [{ _id: '_x' }] })),
    doc_validation: asOwner('/club/x', put({ _nothing: 1 })),
    query_parse_error: asOwner('/club/_all_docs?limit=many'),
    invalid_selector_json: asOwner('/club/_find', post({ selector: 1 })),
    invalid_operator: asOwner('/club/_find', post({ selector: { a: { $no: 1 } } })),
    bad_arg: asOwner('/club/_find', post({ selector: { a: { $in: 1 } } })),
    unauthorized: (world) => world.ask(`${at}/club`),
    forbidden: (world) => world.ask(`${at}/club/x`, { token: bob, ...put({}) }),
    not_found: asOwner('/club/nothing'),
    method_not_allowed: asOwner('/club/_changes', { method: 'PUT' }),
    conflict: asOwner('/club/old', put({})),
    missing_rev: asOwner('/club/old/a.txt?rev=7-x', { method: 'DELETE' }),
    async checkpoint_expired(world) {
      await env.DB.prepare(
        `UPDATE leanto_sync_databases SET floor_seq = 2 WHERE name = 'club'`,
      ).run()
      return asOwner('/club/_changes?since=1')(world)
    },
    file_exists: asOwner('/club', { method: 'PUT' }),
    missing_stub: asOwner('/club/x', put({ _attachments: { a: { stub: true } } })),
    too_large: asOwner('/club/_bulk_docs', post({ docs: [{ a: 'x'.repeat(110_000) }] })),
    document_too_large: asOwner('/club/x', put({ a: 'x'.repeat(3000) })),
    attachment_too_large: asOwner(
      '/club/x',
      put({ _attachments: { a: { data: btoa('x'.repeat(1100)) } } }),
    ),
    async database_full(world) {
      const docs = Array.from({ length: 15 }, () => ({ a: 'x'.repeat(1500) }))
      return asOwner('/club/_bulk_docs', post({ docs }))(world)
    },
    bad_content_type: asOwner('/club/_bulk_docs', {
      method: 'POST',
      body: 'a=b',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }),
    requested_range_not_satisfiable: asOwner('/club/old/a.txt', {
      headers: { range: 'bytes=99-100' },
    }),
    too_many_requests: other('/a', overrun as never),
    misconfigured: other('/club', makeDocs(makeBase({ secret: () => 'short' }))),
    service_unavailable: other('/club', failing(), { token: alice }),
  },
})
