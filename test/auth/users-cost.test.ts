import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { apiKeys, type Cost } from 'leanto'
import { auth } from 'leanto/auth'
import { mfa, movedFactors } from 'leanto/auth/mfa'
import { moving } from 'leanto/auth/moving'
import { movedPasskeys, passkeys } from 'leanto/auth/passkeys'
import { bcrypt } from 'leanto/auth/passwords'
import { beforeEach, describe, expect, it } from 'vitest'
import { freshDatabase, makeBase, site, testSecret } from '../kit/world.ts'
import { bcryptHash, many, ndjson, publicKey, user } from './users-world.ts'
import type { Json } from './world.ts'

/* What it costs to bring users and to take them along: trips and rows, to the last one. */

const base = makeBase()
const users = auth(base, {
  site,
  password: { formats: [bcrypt] },
  with: [mfa(), passkeys(), moving({ parts: [movedFactors, movedPasskeys] })],
})
beforeEach(() => freshDatabase([users]))

/** Reads the answer to its end: until then it costs. */
async function costOf(path: string, lines?: readonly Json[]): Promise<Cost> {
  const executionCtx = createExecutionContext()
  const { secret } = await apiKeys(testSecret)
  const request = new Request(site + path, {
    headers: { apikey: secret },
    ...(lines ? { method: 'POST', body: ndjson(lines) } : {}),
  })
  const response = await users.routes.fetch(request, env as never, executionCtx as never)
  expect(response.status).toBe(200)
  await response.text()
  await waitOnExecutionContext(executionCtx as never)
  return base.scope({ env, executionCtx, req: { raw: request } }).cost
}

const bringing = (lines: readonly Json[], query = '') =>
  costOf(`/admin/users/import${query}`, lines)

const totp = (i: number) => ({
  factor_type: 'totp',
  secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
  id: `5b1c2b1e-9d0a-4c55-8f0e-${String(i).padStart(12, '0')}`,
})
const withAll = (count: number): Json[] =>
  many(count).map((line, i) => ({
    ...line,
    phone: String(15550000000 + i),
    password_hash: bcryptHash,
    identities: [
      { provider: 'email' },
      { provider: 'phone' },
      { provider: 'google', subject: `g${i}` },
    ],
    factors: [totp(i)],
    passkeys: [{ credential_id: String(i).padStart(8, 'A'), public_key: publicKey }],
  }))

describe('an import costs', () => {
  it('two trips for 100 users', async () => {
    // Written for each: the user with the entries of address and number, the identity with those of provider and user.
    expect(await bringing(many(100))).toEqual({
      trips: 2,
      statements: 3,
      rowsRead: 400,
      rowsWritten: 600,
    })
  })

  it('20 trips for 1000, among 1000 others, and no row more for each', async () => {
    await bringing(many(1000, 5000))
    expect(await bringing(many(1000))).toEqual({
      trips: 20,
      statements: 30,
      rowsRead: 4000,
      rowsWritten: 6000,
    })
  })

  it('two trips where each has all there is', async () => {
    expect(await bringing(withAll(100))).toEqual({
      trips: 2,
      statements: 5,
      rowsRead: 900,
      rowsWritten: 1700,
    })
  })

  it('one trip where all are there', async () => {
    await bringing(withAll(100))
    expect(await bringing(withAll(100))).toEqual({
      trips: 1,
      statements: 1,
      rowsRead: 700,
      rowsWritten: 0,
    })
  })

  it('two trips to update them', async () => {
    await bringing(many(100))
    expect(await bringing(many(100), '?existing=update')).toMatchObject({ trips: 2, statements: 9 })
  })

  it('one trip for a dry run, and none for lines that are none', async () => {
    expect(await bringing(many(100), '?dry_run=true')).toMatchObject({ trips: 1, rowsWritten: 0 })
    expect(await bringing(['{', '[]'] as never)).toMatchObject({ trips: 0 })
  })

  it('a trip or two more for one that nobody could foresee, for each half', async () => {
    await bringing([user(5000, { factors: [totp(1)] })])
    const lines = many(100).map((line, i) => (i === 99 ? { ...line, factors: [totp(1)] } : line))
    // 100, 50, 50, 25, 25, 13, 12, 6, 6, 3, 3, 2, 1, and the one once more.
    expect((await bringing(lines)).trips).toBeLessThanOrEqual(2 * 16)
  })
})

it('an export costs one trip for 100 users', async () => {
  await bringing(withAll(250))
  expect(await costOf('/admin/users/export')).toEqual({
    trips: 3,
    statements: 3,
    rowsRead: 3497,
    rowsWritten: 0,
  })
  const cost = await costOf('/admin/users/export?limit=10')
  expect(cost).toEqual({ trips: 1, statements: 1, rowsRead: 140, rowsWritten: 0 })
})
