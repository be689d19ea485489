import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { apiKeys } from 'leanto'
import { admin } from 'leanto/auth/admin'
import { mfa, movedFactors } from 'leanto/auth/mfa'
import { moving } from 'leanto/auth/moving'
import { movedPasskeys, passkeys } from 'leanto/auth/passkeys'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { freshDatabase, site, testSecret } from '../kit/world.ts'
import { bcryptHash, bring, makeMoving, many, parseLines, take, user } from './users-world.ts'
import { type Asker, type Json, makeAuth, mountAuth, rows } from './world.ts'

afterEach(() => void vi.restoreAllMocks())

let users = makeMoving()
let ask: Asker = mountAuth(users)
beforeEach(async () => {
  users = makeMoving()
  ask = mountAuth(users)
  await freshDatabase([users])
})

describe('an export', () => {
  it('goes page by page, each user once, from wherever it was left', async () => {
    await bring(ask, many(250))
    const all = await take(ask)
    expect(all.map(({ id }) => id)).toEqual(all.map(({ id }) => id).toSorted())
    expect(new Set(all.map(({ id }) => id)).size).toBe(250)
    const pieces: Json[] = []
    for (;;) {
      const piece = await take(ask, `?limit=60&after=${pieces.at(-1)?.id ?? ''}`)
      if (piece.length === 0) break
      expect(piece.length).toBeLessThanOrEqual(60)
      pieces.push(...piece)
    }
    expect(pieces).toEqual(all)
  })

  it('that fails on its way is cut, and never looks whole', async () => {
    await bring(ask, many(150))
    const { secret } = await apiKeys(testSecret)
    let pages = 0
    const failing = makeMoving(
      {},
      { db: (bound) => faulty(bound.DB as never, () => ++pages === 2) },
    )
    const response = await failing.routes.fetch(
      new Request(`${site}/admin/users/export`, { headers: { apikey: secret } }),
      env as never,
      createExecutionContext() as never,
    )
    expect(response.status).toBe(200)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    const first = await reader.read()
    expect(parseLines(new TextDecoder().decode(first.value))).toHaveLength(100)
    await expect(reader.read()).rejects.toThrow()
  })

  it.each(['?after=x', '?after=%27', '?limit=0', '?limit=many'])(
    'asked by %s is refused',
    async (query) => {
      const { secret } = await apiKeys(testSecret)
      const response = await ask(`/auth/v1/admin/users/export${query}`, {
        headers: { apikey: secret },
      })
      expect(response.status).toBe(400)
    },
  )
})

describe('what is told of it', () => {
  it('is one line of the audit log a run, without a secret, and none in the log (case 74)', async () => {
    const said: string[] = []
    for (const level of ['log', 'info', 'warn', 'error'] as const)
      vi.spyOn(console, level).mockImplementation((...values) => void said.push(values.join(' ')))
    users = makeMoving({
      with: [mfa(), admin(), moving({ parts: [movedFactors] })],
    })
    ask = mountAuth(users)
    await freshDatabase([users])
    const secret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
    await bring(ask, [
      user(1, { password_hash: bcryptHash, factors: [{ factor_type: 'totp', secret }] }),
      '{',
    ])
    await take(ask)
    // It is written after the answer.
    await vi.waitFor(async () => {
      const log = await rows(
        'SELECT action, data FROM leanto_auth_audit ORDER BY created_at, action DESC',
      )
      expect(log.map(({ action, data }) => [action, JSON.parse(data)])).toEqual([
        ['users_imported', { lines: 2, created: 1, updated: 0, exists: 0, refused: 1 }],
        ['users_exported', { after: '', count: 1 }],
      ])
    })
    expect(said.join('\n')).not.toMatch(new RegExp(`${secret}|LAwy47Buq3B7`))
  })
})

describe('the options', () => {
  it.each([
    [{ export: 'yes' }, 'export'],
    [{ import: false, export: false }, 'export'],
    [{ parts: [{}] }, 'parts'],
    [{ parts: {} }, 'parts'],
  ])('%j are refused', (options, name) => {
    expect(() => moving(options as never)).toThrow(new RegExp(`moving: \`${name}\``))
  })

  it('name what would be lost, and what is not there', () => {
    const build =
      (...parts: Parameters<typeof moving>) =>
      () =>
        makeAuth({ with: [mfa(), passkeys(), moving(...parts)] })
    expect(build()).toThrow(/must list what moves the factors of mfa/)
    expect(build({ parts: [movedFactors] })).toThrow(/moves the passkeys of passkeys/)
    expect(build({ parts: [movedFactors, movedPasskeys] })).not.toThrow()
    expect(() => makeAuth({ with: [moving({ parts: [movedFactors] })] })).toThrow(
      /factors, whose part is not mounted/,
    )
  })

  it('leave one of the two ways out', async () => {
    const only = (options: object) =>
      makeMoving({ with: [admin(), moving(options)] }).table.map(
        ({ method, path }) => `${method} ${path}`,
      )
    expect(only({ export: false })).toContain('POST /admin/users/import')
    expect(only({ export: false })).not.toContain('GET /admin/users/export')
    expect(only({ import: false })).toContain('GET /admin/users/export')
    expect(only({ import: false })).not.toContain('POST /admin/users/import')
  })

  it.each([[[admin({ audit: false }), moving()]], [[moving(), admin()]]])(
    'take the parts in any order',
    async (parts) => {
      const app = makeMoving({ with: parts })
      await freshDatabase([app])
      const all = mountAuth(app)
      await bring(all, many(1))
      expect(await take(all)).toHaveLength(1)
    },
  )
})
