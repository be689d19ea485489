import { env } from 'cloudflare:workers'
import { trust } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { makeBase, site } from '../kit/world.ts'
import { errorOf, type Moved, oldIssuer, oldSecret, setUpMove, signOld } from './trust-world.ts'
import { type Asker, expectStatus, getUser, makeAuth } from './world.ts'

/* Another issuer’s tokens of the role `service_role`, and what the part refuses to be made of. */

let ask: Asker
let users: Moved['users']
const setUp = async (...of: Parameters<typeof setUpMove>) => {
  ;({ ask, users } = await setUpMove(...of))
}
beforeEach(() => setUp())

describe('the role service_role', () => {
  const key = (claims: object = {}, secret = oldSecret) =>
    signOld({
      secret,
      // As Supabase's own key: of no user and for no audience.
      claims: {
        role: 'service_role',
        sub: undefined,
        aud: undefined,
        session_id: undefined,
        amr: undefined,
        ...claims,
      },
    })
  const list = (token: string) => ask('/auth/v1/admin/users', { token })
  const principal = (token: string) =>
    users.principal(
      makeBase().scope({ env }),
      new Request(site, { headers: { authorization: `Bearer ${token}` } }),
    )

  it('is nobody’s, unless the host says so', async () => {
    for (const token of [await key(), await signOld({ claims: { role: 'service_role' } })]) {
      expect(await errorOf(await list(token), 403)).toBe('bad_jwt')
      await expect(principal(token)).rejects.toMatchObject({ status: 401 })
    }
    expect(await errorOf(await list(await signOld()), 403)).toBe('not_admin')
  })

  it('is the service’s then, and no user’s', async () => {
    await setUp({}, { unsafeServiceRole: true })
    expect((await list(await key())).status).toBe(200)
    expect(await principal(await key())).toMatchObject({ id: null, role: 'service', claims: {} })
    expect((await getUser(ask, await key())).status).toBe(401)
    const bad = [
      await key({}, 'y'.repeat(40)),
      await key({ exp: 1 }),
      await key({ exp: undefined }),
      await key({ aud: 'others' }),
      await key({ role: 'anon' }),
      await key({ role: ['service_role'] }),
      await key({ iss: 'https://nobody.example' }),
    ]
    for (const token of bad) {
      expect((await list(token)).status).toBe(403)
      await expect(principal(token)).rejects.toMatchObject({ status: 401 })
    }
    // A user's token is that user's, as before.
    expect(await errorOf(await list(await signOld()), 403)).toBe('not_admin')
    await expectStatus(await getUser(ask, await signOld()), 200)
  })
})

describe('the part', () => {
  it('is for one auth, and says what is wrong', () => {
    const issuers = [{ issuer: oldIssuer, secret: oldSecret }]
    const part = trust(issuers)
    makeAuth({ with: [part] })
    expect(() => makeAuth({ with: [part] })).toThrow(TypeError)
    const upstream = { url: 'https://old.supabase.co/auth/v1', key: 'k' }
    for (const wrong of [
      { url: 'old.supabase.co', key: 'k' },
      { url: 'ftp://old.supabase.co', key: 'k' },
      { url: 'https://user:pass@old.supabase.co', key: 'k' },
      { url: 'https://old.supabase.co/auth/v1?x=1', key: 'k' },
      { url: 'https://old.supabase.co/auth/v1', key: '' },
      { url: 'https://old.supabase.co/auth/v1' },
    ])
      expect(() => trust([{ ...issuers[0], upstream: wrong } as never])).toThrow(TypeError)
    expect(() =>
      trust([
        { issuer: 'a', secret: oldSecret, upstream },
        { issuer: 'b', secret: oldSecret, upstream },
      ]),
    ).toThrow('at most one issuer')
    expect(() => trust([{ ...issuers[0], unsafeServiceRole: 'yes' } as never])).toThrow(TypeError)
  })
})
