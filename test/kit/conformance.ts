import { env } from 'cloudflare:workers'
import { type Base, type Module, migrate } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import { migrationHash } from '../../src/core/migrate.ts'
import { type Ask, type Env, freshDatabase, makeBase, mount } from './world.ts'

/** The four who ask every route. */
export type Caller = 'guest' | 'owner' | 'stranger' | 'service'
const callers: readonly Caller[] = ['guest', 'owner', 'stranger', 'service']

type Asked = Ask & { path: string }

/** What one route answers each caller: a status. Each is asked in a fresh world. */
export interface Row {
  route: string
  /** What to ask; given the world that `prepare` made, to which a row may add what it alone needs. */
  ask: (world: World) => Asked | Promise<Asked>
  answers: Record<Caller, number>
}

export interface World {
  ask: (path: string, ask?: Ask) => Promise<Response>
  tokens: { owner?: string; stranger?: string }
  /** Whatever else `prepare` made: ids, tokens to spend. */
  made: Record<string, string>
}

export interface Conformance {
  make: (base: Base<Env>) => Module
  mount: string
  hostSql?: readonly string[]
  /** Signs the owner and the stranger in, and makes what the rows need. */
  prepare: (world: World) => Promise<void>
  matrix: readonly Row[]
  /** For each fault code, a way to meet it: an answer whose body names the code. */
  faults: Record<string, (world: World) => Promise<Response>>
  /** How a fault's code reads in the body, where the protocol has another word for it. */
  codeOf?: (code: string) => string
  /** The hash of every migration that was ever released. */
  migrations: Record<string, string>
}

/** The suite that every module passes (DESIGN 8). Its other half, about bundles, is in `test/node/bundle.test.ts`. */
export function conforms(name: string, spec: Conformance) {
  const module = spec.make(makeBase())
  let world: World

  const freshWorld = async () => {
    // Anew, because what a module keeps in memory, such as a key, would not be in the emptied database.
    const fresh = spec.make(makeBase())
    await freshDatabase([fresh], spec.hostSql)
    world = { ask: mount({ [spec.mount]: fresh }), tokens: {}, made: {} }
    await spec.prepare(world)
  }

  describe(`${name} conforms`, () => {
    it('is a frozen plain object with the contract of a module', () => {
      expect(module.name).toBe(name)
      expect(Object.isFrozen(module)).toBe(true)
      expect(Object.getPrototypeOf(module)).toBe(Object.prototype)
      expect(Object.isFrozen(module.table)).toBe(true)
    })

    it('answers no route by ALL and none that its table does not list', () => {
      const routed = module.routes.routes.map(({ method, path }) => `${method} ${path}`)
      expect(routed.filter((route) => route.startsWith('ALL'))).toEqual([])
      expect(module.table.map(({ method, path }) => `${method} ${path}`)).toEqual(routed)
    })

    it('has every route in the matrix', () => {
      const asked = new Set(spec.matrix.map(({ route }) => route))
      expect([...asked].sort()).toEqual(
        module.table.map(({ method, path }) => `${method} ${path}`).sort(),
      )
    })

    it('keeps its migrations as they were released', async () => {
      const hashes = await Promise.all(
        module.migrations.map(async (migration) => [migration.id, await migrationHash(migration)]),
      )
      expect(Object.fromEntries(hashes)).toEqual(spec.migrations)
      const ids = module.migrations.map(({ id }) => id)
      expect(ids).toEqual([...ids].sort())
    })

    it('migrates twice without harm, and makes only what bears its own name', async () => {
      await freshDatabase([], spec.hostSql)
      const before = await namesInDatabase()
      await migrate(env.DB as never, [module])
      const after = await namesInDatabase()
      expect(await migrate(env.DB as never, [module])).toEqual([])
      for (const { sql } of module.migrations)
        for (const statement of sql) await env.DB.prepare(statement).run()
      expect(await namesInDatabase()).toEqual(after)
      for (const made of [...after].filter((found) => !before.has(found)))
        expect(made).toMatch(new RegExp(`^leanto_(?:core|${name})_`))
    })

    it('refuses, in its protocol, to work with a secret that is none', async () => {
      const ask = mount({ [spec.mount]: spec.make(makeBase({ secret: () => 'short' })) })
      const { route } = spec.matrix[0] as Row
      const [method = '', path = ''] = route.split(' ')
      const response = await ask(spec.mount + path, { method })
      expect(response.status).toBe(500)
      expect(await response.text()).toContain('npx leanto secret')
    })

    describe('answers every caller as declared', () => {
      beforeEach(freshWorld)
      for (const row of spec.matrix)
        for (const caller of callers)
          it(`${row.route} as ${caller}: ${row.answers[caller]}`, async () => {
            const { path, ...asked } = await row.ask(world)
            const response = await world.ask(spec.mount + path, { ...asked, ...as(world, caller) })
            expect(response.status, await response.clone().text()).toBe(row.answers[caller])
          })
    })

    describe('reaches every fault that it lists', () => {
      beforeEach(freshWorld)
      it('lists them all here', () => {
        expect(Object.keys(spec.faults).sort()).toEqual(Object.keys(module.faults).sort())
      })
      for (const [code, meet] of Object.entries(spec.faults))
        it(code, async () => {
          const response = await meet(world)
          const body = await response.text()
          expect(response.status, body).toBeGreaterThanOrEqual(300)
          expect(body).toContain(`"${spec.codeOf?.(code) ?? code}"`)
        })
    })
  })
}

function as(world: World, caller: Caller): Ask {
  if (caller === 'service') return { key: 'secret' }
  if (caller === 'guest') return {}
  const token = world.tokens[caller]
  return token ? { token } : {}
}

async function namesInDatabase(): Promise<Set<string>> {
  const { results } = await env.DB.prepare(
    `SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'`,
  ).all<{ name: string }>()
  return new Set(results.map(({ name }) => name))
}
