import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AuthClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startUsersApp, type UsersApp } from '../kit/users-app.ts'
import { type Ran, runLeanto } from './cli-run.ts'
import { host, write } from './cli-world.ts'
import {
  auth0Passwords,
  auth0Users,
  betterAuthSecret,
  betterAuthTotp,
  betterAuthUsers,
  csvOf,
  firebaseUsers,
  hashConfig,
  ids,
  password,
  supabaseRows,
  totpKey,
  totpOf,
} from './vendor-dumps.ts'
import { clerkRows, clerkUsers } from './vendor-dumps-clerk.ts'

/*
 * Dumps of every place are brought into a real app in workerd, and whoever is in them signs in there by the stock client, with
 * the password that they have.
 */

let app: UsersApp
beforeAll(async () => {
  app = await startUsersApp()
})
afterAll(() => app?.stop())
beforeEach(() => app.empty())

const lines = (list: readonly object[]) => list.map((one) => `${JSON.stringify(one)}\n`).join('')

const bring = (file: string, from: string, args: readonly string[] = [], env = {}): Promise<Ran> =>
  runLeanto(host, ['users', 'import', file, '--from', from, '--to', app.url, ...args], {
    env: { LEANTO_KEY: app.keys.secret, ...env },
  })

const client = () =>
  new AuthClient({
    url: app.url,
    headers: { apikey: app.keys.publishable, Authorization: `Bearer ${app.keys.publishable}` },
    autoRefreshToken: false,
    persistSession: false,
  })

async function signIn(name: string, secret = password) {
  const stock = client()
  const { data, error } = await stock.signInWithPassword({
    email: `${name}@example.com`,
    password: secret,
  })
  return { stock, user: data.user, code: error?.code }
}

const identities = () =>
  app.rows(`SELECT u.email, i.provider, i.subject FROM leanto_auth_identities i
    JOIN leanto_auth_users u ON u.id = i.user_id ORDER BY u.email, i.provider`)
const google = '110169484474386276334'

/** Ann comes in, Bob has an address to prove, Eve is banned; nobody by another password. */
async function expectAnnBobEve() {
  expect((await signIn('ann', 'wrong password')).code).toBe('invalid_credentials')
  const ann = await signIn('ann')
  expect(ann.code).toBeUndefined()
  expect((await signIn('bob')).code).toBe('email_not_confirmed')
  expect((await signIn('eve')).code).toBe('user_banned')
  return ann
}

/** The app that Ann has goes on. */
async function expectTotp({ stock }: Awaited<ReturnType<typeof signIn>>, key: Buffer) {
  const { data } = await stock.mfa.listFactors()
  expect(data?.totp).toHaveLength(1)
  const factorId = data?.totp[0]?.id as string
  expect((await stock.mfa.challengeAndVerify({ factorId, code: '000000' })).error).not.toBeNull()
  const { error } = await stock.mfa.challengeAndVerify({ factorId, code: totpOf(key) })
  expect(error).toBeNull()
}

describe('Supabase', () => {
  const expectThem = async (ran: Ran) => {
    expect([ran.status, ran.stderr.split('\n').length]).toEqual([0, 2])
    expect(ran.stdout).toContain('3  created')
    const ann = await expectAnnBobEve()
    expect(ann.user).toMatchObject({
      id: ids.ann,
      created_at: '2024-01-02T03:04:05.678Z',
      app_metadata: { plan: 'gold', providers: ['email', 'google'] },
      user_metadata: { name: 'Someone' },
    })
    await expectTotp(ann, totpKey)
    expect(await identities()).toEqual([
      { email: 'ann@example.com', provider: 'email', subject: ids.ann },
      { email: 'ann@example.com', provider: 'google', subject: google },
      { email: 'bob@example.com', provider: 'email', subject: ids.bob },
      { email: 'eve@example.com', provider: 'email', subject: ids.eve },
    ])
  }

  it('rows with what belongs to them, as NDJSON', async () => {
    write({ 'users.ndjson': lines(supabaseRows()) })
    await expectThem(await bring('users.ndjson', 'supabase'))
  })

  it('rows as a list', async () => {
    write({ 'users.json': JSON.stringify(supabaseRows(), null, 2) })
    await expectThem(await bring('users.json', 'supabase'))
  })

  it('tables as CSV, each its own file', async () => {
    const rows = supabaseRows()
    write({
      'users.csv': csvOf(rows.map(({ identities: _, mfa_factors: __, ...row }) => row)).replaceAll(
        /(\d{4}-\d\d-\d\d)T([\d:.]+)\+00:00/g,
        '$1 $2+00',
      ),
      'identities.csv': csvOf(rows.flatMap(({ identities }) => identities)),
      'factors.csv': csvOf(rows.flatMap(({ mfa_factors }) => mfa_factors ?? [])),
    })
    await expectThem(
      await bring('users.csv', 'supabase', [
        '--identities',
        'identities.csv',
        '--factors',
        'factors.csv',
      ]),
    )
  })
})

describe('Firebase', () => {
  it('the file of auth:export, with the hash parameters of the console', async () => {
    write({ 'users.json': JSON.stringify(firebaseUsers(), null, 2), 'hash.txt': hashConfig })
    const ran = await bring('users.json', 'firebase', [
      '--hash-config',
      'hash.txt',
      '--ids',
      'ids.ndjson',
    ])
    expect(ran.status).toBe(0)
    expect(ran.stdout).toContain(
      '4  created\n1  without a second factor whose secret is not in the file',
    )
    const ann = await expectAnnBobEve()
    expect(ann.user).toMatchObject({
      app_metadata: { plan: 'gold', old_id: 'GmWw6RTPXCTwQzKdkpHVSBkfJ2k1' },
      user_metadata: { name: 'Ann', avatar_url: 'https://example.com/ann.png' },
      created_at: '2024-01-02T03:04:05.678Z',
    })
    expect(readFileSync(join(host, 'ids.ndjson'), 'utf8').split('\n')[0]).toBe(
      JSON.stringify({ from: 'firebase:GmWw6RTPXCTwQzKdkpHVSBkfJ2k1', id: ann.user?.id }),
    )
    expect(await identities()).toContainEqual({
      email: 'ann@example.com',
      provider: 'google',
      subject: google,
    })
    expect(
      await app.rows(
        'SELECT phone, phone_confirmed_at IS NULL AS open FROM leanto_auth_users WHERE phone IS NOT NULL',
      ),
    ).toEqual([{ phone: '15550001111', open: 0 }])
    expect(await app.rows('SELECT type, phone, name FROM leanto_auth_factors')).toEqual([
      { type: 'phone', phone: '15550002222', name: 'Work' },
    ])
  })

  it('asks for the hash parameters where there are passwords', async () => {
    write({
      'users.json': JSON.stringify(firebaseUsers()),
      'hash.txt': 'hash_config { rounds: 8 }',
    })
    const none = await bring('users.json', 'firebase')
    expect([none.status, none.stderr.includes('--hash-config <file>')]).toEqual([1, true])
    expect((await bring('users.json', 'firebase', ['--hash-config', 'hash.txt'])).stderr).toContain(
      'base64_signer_key',
    )
    expect(await app.rows('SELECT * FROM leanto_auth_users')).toEqual([])
  })
})

describe('Auth0', () => {
  it('the bulk export with the export of hashes', async () => {
    write({ 'users.ndjson': lines(auth0Users()), 'passwords.ndjson': lines(auth0Passwords()) })
    const ran = await bring('users.ndjson', 'auth0', ['--passwords', 'passwords.ndjson'])
    expect(ran.status).toBe(0)
    expect(ran.stdout).toContain('4  created\n')
    expect(ran.stdout).toContain('1  without an account elsewhere (samlp)\n')
    expect(ran.stdout).toContain('1  without a second factor whose secret is not in the file\n')
    const { user } = await expectAnnBobEve()
    expect(user).toMatchObject({
      app_metadata: { plan: 'gold', old_id: 'auth0|60425dc43519d90068f82973' },
      user_metadata: { name: 'Ann', colour: 'blue' },
      last_sign_in_at: expect.any(String),
    })
    expect(await identities()).toContainEqual({
      email: 'ann@example.com',
      provider: 'google',
      subject: google,
    })
  })

  it('the export of hashes alone', async () => {
    write({ 'passwords.ndjson': lines(auth0Passwords()) })
    expect((await bring('passwords.ndjson', 'auth0')).stdout).toContain('3  created')
    expect((await signIn('ann')).code).toBeUndefined()
    expect((await signIn('bob')).code).toBe('email_not_confirmed')
    // The other file knows them by the same ids.
    write({ 'users.ndjson': lines(auth0Users()) })
    expect((await bring('users.ndjson', 'auth0')).stdout).toContain('3  are there already')
  })
})

describe('better-auth', () => {
  it('rows with what belongs to them, and second factors by its secret', async () => {
    write({ 'users.ndjson': lines(betterAuthUsers()) })
    const ran = await bring('users.ndjson', 'better-auth', [], {
      BETTER_AUTH_SECRET: betterAuthSecret,
    })
    expect(ran.status).toBe(0)
    expect(ran.stdout).toContain(
      '3  created\n1  without their recovery codes, which they make anew\n',
    )
    const ann = await expectAnnBobEve()
    expect(ann.user).toMatchObject({
      app_metadata: { role: 'admin', old_id: 'kYb1zR0nQ8vTnPqL2mXw7sHc4dFgJ5aE' },
    })
    // Its key is the text of the secret.
    await expectTotp(ann, Buffer.from(betterAuthTotp))
    expect(await identities()).toContainEqual({
      email: 'ann@example.com',
      provider: 'google',
      subject: google,
    })
  })

  it.each([
    [{}, 'without a second factor whose secret is encrypted'],
    [
      { BETTER_AUTH_SECRET: 'another' },
      'without a second factor that the given secret does not open',
    ],
  ])('by %j without second factors, and says so', async (env, said) => {
    write({ 'users.ndjson': lines(betterAuthUsers()) })
    expect((await bring('users.ndjson', 'better-auth', [], env)).stdout).toContain(`1  ${said}`)
    expect((await signIn('ann')).code).toBeUndefined()
    expect(await app.rows('SELECT * FROM leanto_auth_factors')).toEqual([])
  })
})

describe('Clerk', () => {
  it('the CSV of its Dashboard', async () => {
    write({ 'users.csv': csvOf(clerkRows()) })
    const ran = await bring('users.csv', 'clerk')
    expect(ran.status).toBe(0)
    expect(ran.stdout).toContain('4  created\n')
    expect(ran.stdout).toContain('1  with one address alone\n')
    expect(ran.stdout).toContain('1  without their password: its hash is of no format')
    const ann = await signIn('ann')
    expect(ann.code).toBeUndefined()
    expect(ann.user?.user_metadata).toEqual({ name: 'Ann Lee', user_name: 'ann' })
    await expectTotp(ann, totpKey)
    expect((await signIn('bob')).code).toBe('email_not_confirmed')
    expect((await signIn('zoe', 'password')).code).toBeUndefined()
    // That of md5 is nobody's.
    expect((await signIn('moe', 'password')).code).toBe('invalid_credentials')
  })

  it('the users of its API, with the CSV for what is secret', async () => {
    write({ 'users.json': JSON.stringify(clerkUsers()), 'users.csv': csvOf(clerkRows()) })
    const ran = await bring('users.json', 'clerk', ['--passwords', 'users.csv'])
    expect(ran.stdout).toContain(
      '1  without private metadata, for there is none that a user cannot read\n',
    )
    expect(ran.stdout).toContain('1  without their recovery codes, which they make anew\n')
    const ann = await signIn('ann')
    expect(ann.user).toMatchObject({
      created_at: '2024-01-02T03:04:05.678Z',
      app_metadata: { plan: 'gold', providers: ['email', 'google'] },
      user_metadata: { colour: 'blue', avatar_url: 'https://img.clerk.com/x' },
    })
    expect(JSON.stringify(ann.user)).not.toContain('cus_1')
    await expectTotp(ann, totpKey)
  })
})

describe('leanto', () => {
  it('2,000 users go out and come back, and sign in as before', async () => {
    const people = Array.from({ length: 1997 }, (_, i) => ({
      foreign_id: `old|${i}`,
      email: `user${i}@example.com`,
      email_confirmed_at: '2024-01-02T03:04:05.000Z',
      identities: [{ provider: 'email' }, { provider: 'google', subject: `g${i}` }],
    }))
    write({ 'people.ndjson': lines(people), 'users.ndjson': lines(supabaseRows()) })
    expect((await bring('people.ndjson', 'leanto')).stdout).toContain('1,997  created')
    expect((await bring('users.ndjson', 'supabase')).status).toBe(0)
    const exported = (out: string) =>
      runLeanto(host, ['users', 'export', '--from', app.url, '--out', out], {
        env: { LEANTO_KEY: app.keys.secret },
      })
    const before = await exported('all.ndjson')
    expect(before.stderr).toMatch(/^2,000 users/)
    expect(statSync(join(host, 'all.ndjson')).mode & 0o777).toBe(0o600)
    await app.empty()
    expect((await bring('all.ndjson', 'leanto')).stdout).toBe(
      'all.ndjson\n2,000  users in the file\n2,000  created\n',
    )
    expect((await exported('again.ndjson')).status).toBe(0)
    expect(readFileSync(join(host, 'again.ndjson'), 'utf8')).toBe(
      readFileSync(join(host, 'all.ndjson'), 'utf8'),
    )
    await expectTotp(await expectAnnBobEve(), totpKey)
    expect((await bring('all.ndjson', 'leanto')).stdout).toContain('2,000  are there already')
  })

  it('says what is wrong with the key and the place', async () => {
    write({ 'users.ndjson': lines(supabaseRows()) })
    const wrong = await bring('users.ndjson', 'supabase', [], { LEANTO_KEY: 'sb_secret_wrong' })
    expect([wrong.status, wrong.stderr.includes('answers 401')]).toEqual([1, true])
    const elsewhere = await runLeanto(
      host,
      ['users', 'import', 'users.ndjson', '--from', 'supabase', '--to', `${app.url}/x`],
      { env: { LEANTO_KEY: app.keys.secret } },
    )
    expect(elsewhere.stderr).toContain('is moving() of leanto/auth/moving in its `with`?')
  })
})
