import { env } from 'cloudflare:workers'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Ask, clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import { withFactor } from './mfa-world.ts'
import { stockAdmin } from './stock.ts'
import {
  count,
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  signIn,
  signUp,
} from './world.ts'

let staff = admin()
let mails: Json[] = []
const make = () => {
  staff = admin()
  mails = []
  return makeAuth({
    with: [mfa(), staff],
    mailer: { send: async (_, mail) => void mails.push(mail) },
    autoconfirm: true,
    redirects: ['https://other.example/welcome'],
  })
}
let users = make()
let ask = mountAuth(users)
beforeEach(async () => {
  users = make()
  ask = mountAuth(users)
  await freshDatabase([users])
})

const unknown = '00000000-0000-7000-8000-000000000000'
const service = { key: 'secret' } as const
const asService = (path: string, more: Ask = {}) => ask(`/auth/v1${path}`, { ...service, ...more })
const code = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code

describe('a stock admin client', () => {
  const client = (headers?: Record<string, string>) => stockAdmin(ask, headers)

  it('creates, gets, lists, updates and deletes users', async () => {
    const api = await client()
    const made = await api.createUser({
      email: 'Ann@example.com',
      password,
      email_confirm: true,
      user_metadata: { name: 'Ann' },
      app_metadata: { plan: 'gold' },
    })
    expect(made.error).toBeNull()
    const id = made.data.user?.id as string
    expect(made.data.user).toMatchObject({
      email: 'ann@example.com',
      app_metadata: { plan: 'gold', provider: 'email', providers: ['email'] },
      user_metadata: { name: 'Ann' },
      identities: [{ provider: 'email', user_id: id }],
    })
    expect(made.data.user?.email_confirmed_at).toBeTruthy()
    expect((await api.createUser({ email: 'ann@example.com' })).error?.code).toBe('email_exists')
    expect((await api.getUserById(id)).data.user?.email).toBe('ann@example.com')
    expect((await api.getUserById(unknown)).error).toMatchObject({
      status: 404,
      code: 'user_not_found',
    })

    const changed = await api.updateUserById(id, {
      email: 'anna@example.com',
      phone: '+15550001111',
      phone_confirm: true,
      user_metadata: { city: 'Graz' },
      app_metadata: { plan: null },
    })
    expect(changed.data.user).toMatchObject({
      email: 'anna@example.com',
      phone: '15550001111',
      user_metadata: { name: 'Ann', city: 'Graz' },
      app_metadata: { provider: 'email' },
    })
    expect(changed.data.user?.app_metadata.plan).toBeUndefined()
    expect(changed.data.user?.identities?.map(({ provider }) => provider).sort()).toEqual([
      'email',
      'phone',
    ])
    await expectStatus(await signIn(ask, 'anna@example.com'), 200)

    const list = await api.listUsers()
    expect(list.data).toMatchObject({ users: [{ id }], aud: 'authenticated', total: 1 })
    expect((await api.deleteUser(id)).error).toBeNull()
    expect((await api.getUserById(id)).error?.code).toBe('user_not_found')
    for (const table of ['users', 'identities', 'sessions'])
      expect(await count(table), table).toBe(0)
  })

  it('pages', async () => {
    const api = await client()
    for (let i = 0; i < 7; i++) {
      clock.advance(1)
      await api.createUser({ email: `u${i}@example.com` })
    }
    const first = await api.listUsers({ page: 1, perPage: 3 })
    expect(first.data).toMatchObject({ total: 7, nextPage: 2, lastPage: 3 })
    expect(first.data.users.map(({ email }) => email)).toEqual([
      'u6@example.com',
      'u5@example.com',
      'u4@example.com',
    ])
    const last = await api.listUsers({ page: 3, perPage: 3 })
    expect(last.data).toMatchObject({ total: 7, nextPage: null, lastPage: 3 })
    expect(last.data.users).toHaveLength(1)
    for (const query of ['page=0', 'page=x', 'per_page=-1', 'per_page=0', 'page=1e3'])
      expect(await code(await asService(`/admin/users?${query}`), 400)).toBe('validation_failed')
  })

  it('invites', async () => {
    const api = await client()
    const invited = await api.inviteUserByEmail('Ann@example.com', {
      data: { team: 'a' },
      redirectTo: 'https://other.example/welcome',
    })
    expect(invited.data.user).toMatchObject({
      email: 'ann@example.com',
      user_metadata: { team: 'a' },
    })
    expect(invited.data.user?.invited_at).toBeTruthy()
    expect(invited.data.user?.email_confirmed_at).toBeUndefined()
    expect(mails).toHaveLength(1)
    const link = new URL(mails[0].text.match(/https:\S+/)[0])
    expect(link.searchParams.get('type')).toBe('invite')
    expect(link.searchParams.get('redirect_to')).toBe('https://other.example/welcome')
    const session = await expectStatus(
      await post(ask, '/verify', { type: 'invite', token_hash: link.searchParams.get('token') }),
      200,
    )
    expect(session.user.id).toBe(invited.data.user?.id)
    expect((await api.inviteUserByEmail('ann@example.com')).error?.code).toBe('email_exists')
  })

  it.each([
    ['signup', { password }],
    ['invite', {}],
    ['magiclink', {}],
    ['recovery', {}],
  ] as const)('generates a link of type %s', async (type, more) => {
    const api = await client()
    const known = type === 'magiclink' || type === 'recovery'
    if (known) await api.createUser({ email: 'ann@example.com', email_confirm: true })
    const { data, error } = await api.generateLink({
      type,
      email: 'ann@example.com',
      options: { redirectTo: 'https://evil.example/' },
      ...more,
    } as never)
    expect(error).toBeNull()
    expect(data.properties).toMatchObject({ verification_type: type, redirect_to: site })
    expect(data.properties?.email_otp).toMatch(/^\d{6}$/)
    const link = new URL(data.properties?.action_link as string)
    expect(link.origin + link.pathname).toBe(`${site}/auth/v1/verify`)
    expect(link.searchParams.get('token')).toBe(data.properties?.hashed_token)
    expect(mails).toEqual([])
    const session = await expectStatus(
      await post(ask, '/verify', { type, token_hash: data.properties?.hashed_token }),
      200,
    )
    expect(session.user).toMatchObject({ id: data.user?.id, email: 'ann@example.com' })
    if (type === 'signup') await expectStatus(await signIn(ask, 'ann@example.com'), 200)
  })

  it('generates the two links of a change of address', async () => {
    const api = await client()
    const { data: made } = await api.createUser({ email: 'ann@example.com', email_confirm: true })
    const link = async (type: 'email_change_current' | 'email_change_new') => {
      const { data, error } = await api.generateLink({
        type,
        email: 'ann@example.com',
        newEmail: 'anna@example.com',
      })
      expect(error).toBeNull()
      expect(data.properties?.verification_type).toBe(type)
      return { type: 'email_change', token_hash: data.properties?.hashed_token }
    }
    const [current, next] = [await link('email_change_current'), await link('email_change_new')]
    await expectStatus(await post(ask, '/verify', current), 200)
    expect((await api.getUserById(made.user?.id as string)).data.user?.email).toBe(
      'ann@example.com',
    )
    await expectStatus(await post(ask, '/verify', next), 200)
    expect((await api.getUserById(made.user?.id as string)).data.user?.email).toBe(
      'anna@example.com',
    )
  })

  it('refuses links that lead nowhere', async () => {
    const api = await client()
    const refused = async (params: Json) => (await api.generateLink(params)).error?.code
    await api.createUser({ email: 'ann@example.com', email_confirm: true })
    await api.createUser({ email: 'bob@example.com' })
    expect(await refused({ type: 'recovery', email: 'no@example.com' })).toBe('user_not_found')
    expect(await refused({ type: 'signup', email: 'ann@example.com', password })).toBe(
      'email_exists',
    )
    expect(await refused({ type: 'invite', email: 'ann@example.com' })).toBe('email_exists')
    expect(
      await refused({
        type: 'email_change_new',
        email: 'ann@example.com',
        newEmail: 'bob@example.com',
      }),
    ).toBe('email_exists')
    expect(await refused({ type: 'constructor', email: 'ann@example.com' })).toBe(
      'validation_failed',
    )
  })

  it('signs a user out, by their token', async () => {
    const api = await client()
    const session = await signUp(ask, 'ann@example.com')
    const other = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    expect((await api.signOut(session.access_token, 'others')).error).toBeNull()
    expect((await getUser(ask, other.access_token)).status).toBe(403)
    expect((await api.signOut(session.access_token)).error).toBeNull()
    expect((await getUser(ask, session.access_token)).status).toBe(403)
  })

  it('lists and deletes factors', async () => {
    const api = await client()
    const { factor, session } = await withFactor(ask, await signUp(ask, 'ann@example.com'))
    await ask('/auth/v1/factors/recovery-codes', { method: 'POST', token: session.access_token })
    const userId = session.user.id
    const { data } = await api.mfa.listFactors({ userId })
    expect(data?.factors.map((found) => [found.id, found.factor_type, found.status])).toEqual([
      [factor.id, 'totp', 'verified'],
      [expect.any(String), 'recovery_code', 'verified'],
    ])
    expect(JSON.stringify(data)).not.toContain('secret')
    expect((await api.mfa.deleteFactor({ userId, id: unknown })).error?.code).toBe(
      'mfa_factor_not_found',
    )
    expect((await api.mfa.deleteFactor({ userId, id: factor.id })).data).toMatchObject({
      data: { id: factor.id },
    })
    expect([await count('factors'), await count('recovery_codes')]).toEqual([0, 0])
    // Whoever had stolen the factor is out.
    expect((await getUser(ask, session.access_token)).status).toBe(403)
  })

  it('works by a token that the server has signed', async () => {
    const scope = makeBase().scope({ env })
    const token = await staff.serviceToken(scope, { seconds: 60 })
    const api = await client({ Authorization: `Bearer ${token}` })
    expect((await api.listUsers()).error).toBeNull()
    // To everything else it is nobody's.
    expect(await code(await getUser(ask, token), 403)).toBe('bad_jwt')
    const request = new Request(site, { headers: { authorization: `Bearer ${token}` } })
    await expect(users.principal(scope, request)).rejects.toMatchObject({ status: 401 })
    clock.advance(60)
    expect((await api.listUsers()).error).toMatchObject({ status: 403, code: 'bad_jwt' })
    for (const seconds of [0, 59, 86_401, 1.5, '60'])
      await expect(staff.serviceToken(scope, { seconds: seconds as number })).rejects.toThrow(
        TypeError,
      )
  })
})
