import { env } from 'cloudflare:workers'
import { data, expose } from 'leanto/data'
import * as v from 'valibot'
import { vi } from 'vitest'
import { coreFaults } from '../../src/core/fault.ts'
import { conforms, type World } from '../kit/conformance.ts'
import { makeBase, mount } from '../kit/world.ts'
import { makeLibrary } from './library.ts'
import { alice, bob, hostSql, makeStore, people, tags } from './store.ts'

const rest = '/rest/v1'

/** Asks as the owner. */
const owner =
  (path: string, more: Parameters<World['ask']>[1] = {}) =>
  (world: World) =>
    world.ask(rest + path, { token: alice, ...more })

const as = (prefer: string, more = {}) => ({ headers: { prefer, ...more } })
const post = (path: string, body: unknown, more: Parameters<World['ask']>[1] = {}) =>
  owner(path, { method: 'POST', body, ...more })

const inBatch = (...operations: object[]) => post('/batch', { operations })

/** Asks a store whose database throws. */
const failing = (message: string) => async () => {
  const throws = () => Promise.reject(new Error(message))
  const statement = { bind: () => statement, all: throws, first: throws, run: throws, raw: throws }
  const db = () => ({ prepare: () => statement, batch: throws }) as never
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  const ask = mount({ [rest]: makeStore(makeBase({ db })) })
  const response = await ask(`${rest}/notes`, { key: 'secret' })
  log.mockRestore()
  return response
}

/** A store whose identity has had enough of the caller. */
const overrun = data(makeBase(), {
  identity: { principal: () => Promise.reject(coreFaults.rate_limited()) },
  tables: {},
})

/** A store whose rows have a schema. */
const checked = data(makeBase(), {
  identity: people,
  tables: {
    tags: expose(tags, {
      insert: () => true,
      schema: v.object({ name: v.pipe(v.string(), v.minLength(2)) }),
    }),
  },
})

conforms('data', {
  make: makeStore,
  mount: rest,
  hostSql,
  migrations: {
    '0001_answers': '9ncBa-YKRCEX5oAlIrUU1u0WlrIYAkXrHm-epQzg6oE',
    '0002_changes': 'vqhp7FiXcIQm3vBfryGMhc4Jb0kyMU_lh-4vAEvrShU',
    // Not frozen as the others are; but who changes it has every host make its triggers anew.
    live_jots: '7MqJFnpwCcoqbAnP_o7PgoTJD-hIwgJ9EWafhfrLIIQ',
    search_jots: 'CKprqKjzpFLavrpH9Xlig-ZlrOvRguGg-EFLuP559Ek',
  },
  async prepare(world) {
    world.tokens = { owner: alice, stranger: bob }
    await env.DB.prepare(
      `INSERT INTO notes (id, owner_id, title) VALUES (1, 'alice', 'first')`,
    ).run()
  },
  matrix: [
    ...['/', '/:root{$}'].map((path) => ({
      route: `GET ${path}`,
      ask: () => ({ path: '/' }),
      answers: { guest: 200, owner: 200, stranger: 200, service: 200 },
    })),
    {
      route: 'GET /:table',
      ask: () => ({
        path: '/notes?id=eq.1',
        headers: { accept: 'application/vnd.pgrst.object+json' },
      }),
      answers: { guest: 406, owner: 200, stranger: 406, service: 200 },
    },
    {
      route: 'POST /:table',
      ask: () => ({ path: '/notes', method: 'POST', body: { title: 'new', owner_id: 'alice' } }),
      answers: { guest: 401, owner: 201, stranger: 403, service: 201 },
    },
    {
      route: 'PATCH /:table',
      ask: () => ({
        path: '/notes?id=eq.1',
        method: 'PATCH',
        body: { done: true },
        headers: { prefer: 'return=representation', accept: 'application/vnd.pgrst.object+json' },
      }),
      answers: { guest: 406, owner: 200, stranger: 406, service: 200 },
    },
    {
      route: 'PUT /:table',
      ask: () => ({
        path: '/notes?id=eq.1',
        method: 'PUT',
        body: { id: 1, owner_id: 'alice', title: 'put' },
      }),
      answers: { guest: 401, owner: 204, stranger: 403, service: 204 },
    },
    {
      route: 'DELETE /:table',
      ask: () => ({
        path: '/notes?id=eq.1',
        method: 'DELETE',
        headers: { prefer: 'return=representation', accept: 'application/vnd.pgrst.object+json' },
      }),
      answers: { guest: 406, owner: 200, stranger: 406, service: 200 },
    },
    {
      route: 'POST /batch',
      ask: () => ({
        path: '/batch',
        body: {
          operations: [
            { method: 'POST', path: '/notes', body: { title: 'new', owner_id: 'alice' } },
          ],
        },
      }),
      answers: { guest: 401, owner: 200, stranger: 403, service: 200 },
    },
    {
      route: 'GET /rpc/:function',
      ask: () => ({ path: '/rpc/mine' }),
      answers: { guest: 401, owner: 200, stranger: 200, service: 200 },
    },
    {
      route: 'POST /rpc/:function',
      ask: () => ({
        path: '/rpc/mine?id=eq.1',
        body: {},
        headers: { accept: 'application/vnd.pgrst.object+json' },
      }),
      answers: { guest: 401, owner: 200, stranger: 406, service: 200 },
    },
    ...['PATCH', 'PUT', 'DELETE'].map((method) => ({
      route: `${method} /rpc/:function`,
      ask: () => ({ path: '/rpc/mine', method }),
      answers: { guest: 405, owner: 405, stranger: 405, service: 405 },
    })),
  ],
  faults: {
    P0001: async (world) => {
      await env.DB.prepare(
        `CREATE TRIGGER no_more BEFORE INSERT ON notes BEGIN SELECT RAISE(ABORT, 'no more'); END`,
      ).run()
      return post('/notes', { title: 'one too many' })(world)
    },
    PGRST001: failing('D1_ERROR: Network connection lost.'),
    PGRST100: owner('/notes?id=nonsense.1'),
    PGRST101: owner('/rpc/mine', { method: 'DELETE' }),
    PGRST102: post('/notes', '{'),
    PGRST103: owner('/notes?offset=5', as('count=exact')),
    PGRST105: owner('/notes?title=eq.x', { method: 'PUT', body: { id: 1 } }),
    PGRST106: owner('/notes', { headers: { 'accept-profile': 'private' } }),
    PGRST107: owner('/notes', { headers: { accept: 'image/png' } }),
    PGRST108: owner('/notes?tags.name=eq.x'),
    PGRST109: owner('/notes?limit=1', { method: 'DELETE' }),
    PGRST114: owner('/notes?id=eq.1&limit=1', { method: 'PUT', body: { id: 1 } }),
    PGRST115: owner('/notes?id=eq.1', { method: 'PUT', body: { id: 2, title: 'x' } }),
    PGRST116: owner('/notes?id=eq.9', { headers: { accept: 'application/vnd.pgrst.object+json' } }),
    PGRST118: owner('/notes?select=id,comments(id)&order=comments(id)'),
    PGRST122: owner('/notes', as('handling=strict, nonsense=1')),
    PGRST124: owner('/notes?id=gt.0', {
      method: 'DELETE',
      ...as('handling=strict, max-affected=0'),
    }),
    PGRST127: post('/notes?select=count()', { title: 'x' }, as('return=representation')),
    PGRST128: owner('/rpc/zero', as('handling=strict, max-affected=1')),
    PGRST200: owner('/notes?select=tags(name)'),
    PGRST201: () => mount({ [rest]: makeLibrary(makeBase()) })(`${rest}/books?select=members(id)`),
    PGRST202: owner('/rpc/anything'),
    PGRST204: post('/notes', { nonsense: 1 }),
    PGRST205: owner('/nonsense'),
    PGRST301: (world) => world.ask(`${rest}/notes`, { token: 'nobody' }),
    '22001': post('/kinds', { short: 'too long' }),
    '22003': post('/kinds', { whole: 1e30 }),
    '22007': post('/kinds', { millis: 'yesterday' }),
    '22008': post('/kinds', { millis: '2024-02-30' }),
    '22023': () =>
      mount({ [rest]: checked })(`${rest}/tags`, { token: alice, body: { name: 'x' } }),
    '2201B': owner('/notes?title=match.('),
    '22025': owner(`/notes?title=like.${encodeURIComponent('a\\')}`),
    '22P02': post('/kinds', { whole: 'many' }),
    '22P05': post('/kinds', { words: 'a\0b' }),
    '23502': post('/notes', { title: null }),
    '23503': post('/comments', { note_id: 99, text: 'x' }),
    '23505': post('/notes', { title: 'first' }),
    '23514': post('/notes', { title: 'x'.repeat(201) }),
    '428C9': post('/kinds', { double: 1 }),
    '25006': owner('/rpc/double?n=1'),
    '42501': owner('/closed'),
    '42601': owner('/jots?text=fts.(a'),
    '42703': owner('/notes?select=secret'),
    '42704': owner('/notes?select=id::nonsense'),
    '42803': owner('/notes?select=count()&order=id'),
    '42846': owner('/notes?select=done::date'),
    '42804': inBatch(
      { id: 'a', method: 'GET', path: '/notes' },
      { method: 'POST', path: '/comments', body: { note_id: { $ref: 'a.title' }, text: 'x' } },
    ),
    '42883': owner('/notes?id=like.1*'),
    '42P10': post('/notes?on_conflict=body', { title: 'x' }, as('resolution=merge-duplicates')),
    '54000': owner(`/notes?title=like.${encodeURIComponent('a_'.repeat(40))}`),
    PT400: post('/notes', { title: 'x' }, { headers: { 'idempotency-key': '' } }),
    PT409: async (world) => {
      const headers = { 'idempotency-key': 'once' }
      await post('/notes', { title: 'x' }, { headers })(world)
      await env.DB.prepare(`UPDATE leanto_data_answers SET kept = json_set(kept, '$[1]', '')`).run()
      return post('/notes', { title: 'x' }, { headers })(world)
    },
    PT412: owner('/notes?id=eq.1', {
      method: 'PATCH',
      body: { done: true },
      headers: { 'if-match': '"5"' },
    }),
    PT413: post('/notes', JSON.stringify({ title: 'x'.repeat(11 * 1024 * 1024) })),
    PT422: async (world) => {
      const headers = { 'idempotency-key': 'once' }
      await post('/notes', { title: 'x' }, { headers })(world)
      return post('/notes', { title: 'y' }, { headers })(world)
    },
    PT424: inBatch(
      { id: 'a', method: 'GET', path: '/notes?id=eq.99' },
      { method: 'POST', path: '/comments', body: { note_id: { $ref: 'a.id' }, text: 'x' } },
    ),
    PT429: () => mount({ [rest]: overrun })(`${rest}/notes`),
    PT500: () => mount({ [rest]: makeStore(makeBase({ secret: () => 'short' })) })(`${rest}/notes`),
  },
})
