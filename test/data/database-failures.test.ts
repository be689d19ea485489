import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Env, makeBase, mount } from '../kit/world.ts'
import { everything, seed, wellFormed } from './intact.ts'
import { alice, makeStore } from './store.ts'

beforeEach(seed)
afterEach(() => vi.restoreAllMocks())

describe('when the database fails', () => {
  /** A database whose calls of one kind throw. */
  const failing = (kind: 'prepare' | 'all' | 'batch', text: string) =>
    makeBase({
      db: (e: Env) => {
        const fail = () => {
          throw new Error(text)
        }
        const wrap = (statement: object): object =>
          new Proxy(statement, {
            get: (target, name) => {
              if (name === 'bind')
                return (...values: unknown[]) =>
                  wrap((target as { bind: (...v: unknown[]) => object }).bind(...values))
              return name === 'all' ? async () => fail() : Reflect.get(target, name)
            },
          })
        return {
          prepare: (sql: string) => {
            if (kind === 'prepare') fail()
            const statement = e.DB.prepare(sql)
            return kind === 'all' ? wrap(statement) : statement
          },
          batch: async (statements: never[]) =>
            kind === 'batch' ? fail() : e.DB.batch(statements),
        } as never
      },
    })

  const requests: Record<'all' | 'batch', [path: string, options?: object][]> = {
    all: [
      ['/notes'],
      ['/notes', { body: { title: 'x' } }],
      ['/notes?id=eq.1', { method: 'PATCH', body: { title: 'x' } }],
      ['/notes?id=eq.1', { method: 'DELETE' }],
    ],
    batch: [
      ['/notes', { headers: { prefer: 'count=exact' } }],
      [
        '/notes',
        { body: { id: 1, title: 'x' }, headers: { prefer: 'resolution=merge-duplicates' } },
      ],
      ['/notes?id=eq.1', { method: 'PUT', body: { id: 1, title: 'x' } }],
      ['/notes', { method: 'DELETE', headers: { prefer: 'handling=strict, max-affected=1' } }],
    ],
  }
  const texts: [text: string, status: number, code: string][] = [
    ['D1_ERROR: no such table: leanto_secret: SQLITE_ERROR', 500, 'XX000'],
    ['D1_ERROR: near "SELECT": syntax error at offset 7: SQLITE_ERROR', 500, 'XX000'],
    ['D1_ERROR: database disk image is malformed: SQLITE_CORRUPT', 500, 'XX000'],
    ['internal error; reference = 0123456789abcdef', 500, 'XX000'],
    ["bad JSON path: 'leanto:nonsense:'", 500, 'XX000'],
    ['', 500, 'XX000'],
    ['D1_ERROR: D1 DB is overloaded. Too many requests queued.', 503, 'PGRST001'],
    ['D1_ERROR: D1 DB is overloaded. Requests queued for too long.', 503, 'PGRST001'],
    ['D1_ERROR: Network connection lost.', 503, 'PGRST001'],
    ['D1 DB storage operation exceeded timeout which caused object to be reset.', 503, 'PGRST001'],
    ['D1 DB reset because its code was updated.', 503, 'PGRST001'],
    ['Internal error in D1 DB storage caused object to be reset.', 503, 'PGRST001'],
    ['D1 DB exceeded its CPU time limit and was reset.', 503, 'PGRST001'],
    ['Cannot resolve D1 DB due to transient issue on remote node.', 503, 'PGRST001'],
  ]
  it.each(texts)('%s is %i %s', async (text, status, code) => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    const before = await everything()
    for (const kind of ['prepare', 'all', 'batch'] as const) {
      const ask = mount({ '/rest/v1': makeStore(failing(kind, text)) })
      const asked = kind === 'prepare' ? [...requests.all, ...requests.batch] : requests[kind]
      for (const [path, options] of asked) {
        const response = await ask(`/rest/v1${path}`, { token: alice, ...options })
        const body = wellFormed(await response.text())
        expect([kind, path, response.status, body]).toEqual([
          kind,
          path,
          status,
          {
            code,
            message: code === 'XX000' ? 'Internal server error' : 'Could not reach the database',
            details: null,
            hint: null,
          },
        ])
        expect(response.headers.get('cache-control')).toBe('no-store')
      }
    }
    // The cause is for the log, where the host finds it.
    expect(JSON.stringify(logged.mock.calls.map((args) => args.map(String)))).toContain(
      JSON.stringify(text).slice(1, -1),
    )
    expect(await everything()).toEqual(before)
  })

  it.each([
    ['D1_ERROR: too many SQL variables at offset 9: SQLITE_ERROR'],
    ['D1_ERROR: string or blob too big: SQLITE_TOOBIG'],
    ['D1_ERROR: Expression tree is too large (maximum depth 100): SQLITE_ERROR'],
  ])('%s is 54000', async (text) => {
    const ask = mount({ '/rest/v1': makeStore(failing('all', text)) })
    const response = await ask('/rest/v1/notes', { body: { title: 'x' }, token: alice })
    expect([response.status, wellFormed(await response.text()).code]).toEqual([400, '54000'])
  })
})
