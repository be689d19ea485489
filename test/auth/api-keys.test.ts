import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { admin } from 'leanto/auth/admin'
import { issuedKeys } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { asker, clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import {
  type Asker,
  count,
  expectStatus,
  type Json,
  makeAuth,
  mountAuth,
  post,
  rows,
  signUp,
} from './world.ts'

type Options = Parameters<typeof makeAuth>[0]
let users = makeAuth()
let ask: Asker
const setUp = async (options: Options) => {
  users = makeAuth(options)
  ask = mountAuth(users)
  await freshDatabase([users])
}
const code = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code

describe('keys that were made', () => {
  beforeEach(() => setUp({ with: [issuedKeys(), admin()] }))
  const make = async (body: object): Promise<Json> =>
    expectStatus(await post(ask, '/admin/api-keys', body, { key: 'secret' }), 200)
  const as = (apikey: string) => ({ headers: { apikey } })

  it('work, are listed without themselves, expire, and are revoked at once', async () => {
    const made = await make({ type: 'secret', name: 'CI', expires_in: 60 })
    expect(made.api_key).toMatch(/^sb_secret_[\w-]{43}$/)
    const stored = JSON.stringify(await rows('SELECT * FROM leanto_auth_api_keys'))
    expect(stored).not.toContain(made.api_key)
    const list = await expectStatus(await ask('/auth/v1/admin/api-keys', { key: 'secret' }), 200)
    expect(list).toMatchObject([
      { id: made.id, name: 'CI', scopes: [], hint: made.api_key.slice(-4) },
    ])
    expect(JSON.stringify(list)).not.toContain(made.api_key)

    expect((await ask('/auth/v1/admin/users', as(made.api_key))).status).toBe(200)
    expect((await ask('/auth/v1/admin/users', { token: made.api_key })).status).toBe(200)
    const principal = (key: string) =>
      users.principal(makeBase().scope({ env }), new Request(site, as(key)))
    expect(await principal(made.api_key)).toMatchObject({
      role: 'service',
      claims: { key_id: made.id },
    })
    clock.advance(60)
    await expect(principal(made.api_key)).rejects.toMatchObject({ status: 401 })

    const other = await make({ type: 'publishable', name: 'app', expires_in: null })
    expect(other.expires_at).toBeUndefined()
    expect(await principal(other.api_key)).toMatchObject({ role: 'anon', id: null })
    expect((await ask('/auth/v1/admin/users', as(other.api_key))).status).toBe(403)
    const end = await ask(`/auth/v1/admin/api-keys/${other.id}`, {
      method: 'DELETE',
      key: 'secret',
    })
    expect((await expectStatus(end, 200)).id).toBe(other.id)
    await expect(principal(other.api_key)).rejects.toMatchObject({ status: 401 })
    expect(
      (await ask(`/auth/v1/admin/api-keys/${other.id}`, { method: 'DELETE', key: 'secret' }))
        .status,
    ).toBe(404)
  })

  it('with scopes are for those alone: no service, and no maker of keys (case 18)', async () => {
    const made = await make({ type: 'secret', name: 'reports', scopes: ['reports:read'] })
    const host = asker(
      new Hono().get('/who', users.identify, (c) => c.json({ ...c.var.principal }, 200)),
    )
    expect(await expectStatus(await host('/who', as(made.api_key)), 200)).toEqual({
      id: null,
      role: 'anon',
      claims: { key_id: made.id, scopes: ['reports:read'] },
    })
    const before = await count('api_keys')
    for (const [method, path] of [
      ['GET', '/admin/users'],
      ['GET', '/admin/api-keys'],
      ['POST', '/admin/api-keys'],
      ['DELETE', `/admin/api-keys/${made.id}`],
    ] as const) {
      const body = method === 'POST' ? { type: 'secret', name: 'more' } : undefined
      const response = await ask(`/auth/v1${path}`, { method, body, ...as(made.api_key) })
      expect(await code(response, 403), path).toBe('not_admin')
    }
    expect(await count('api_keys')).toBe(before)
  })

  it('are refused when they are nonsense, or nobody’s', async () => {
    for (const body of [
      {},
      { type: 'service', name: 'x' },
      { type: 'secret', name: 'x'.repeat(101) },
      { type: 'secret', name: 'x', scopes: ['a b'] },
      { type: 'secret', name: 'x', scopes: 'all' },
      { type: 'secret', name: 'x', expires_in: 0 },
      { type: 'secret', name: 'x', expires_in: 1e12 },
      { type: 'secret', name: 'x', expires_in: '60' },
    ])
      expect(await code(await post(ask, '/admin/api-keys', body, { key: 'secret' }), 400)).toBe(
        'validation_failed',
      )
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    expect(
      (await post(ask, '/admin/api-keys', { type: 'secret', name: 'x' }, { token })).status,
    ).toBe(403)
    for (const key of [`sb_secret_${'A'.repeat(43)}`, 'sb_secret_', "sb_secret_' OR 1=1 --"])
      expect((await ask('/auth/v1/settings', as(key))).status).toBe(200)
    for (const key of [`sb_secret_${'A'.repeat(43)}`, 'sb_secret_x'])
      expect((await ask('/auth/v1/admin/users', as(key))).status).toBe(401)
    expect(await count('api_keys')).toBe(0)
  })
})
