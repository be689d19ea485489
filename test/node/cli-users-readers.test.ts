import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { csvRows } from '../../src/cli/users/csv.ts'
import { auth0 } from '../../src/cli/users/formats/auth0.ts'
import { betterAuth, openBetterAuth } from '../../src/cli/users/formats/better-auth.ts'
import { clerk } from '../../src/cli/users/formats/clerk.ts'
import { timeOf } from '../../src/cli/users/formats/fields.ts'
import { firebase, readHashConfig } from '../../src/cli/users/formats/firebase.ts'
import { supabase } from '../../src/cli/users/formats/supabase.ts'
import { jsonItems, jsonLines } from '../../src/cli/users/json-items.ts'
import { type Fields, recordsOf } from '../../src/cli/users/records.ts'
import { host } from './cli-world.ts'
import {
  betterAuthSealed,
  betterAuthSecret,
  betterAuthTotp,
  csvOf,
  hashConfig,
} from './vendor-dumps.ts'

const now = '2026-06-01T12:00:00.000Z'

/** In pieces, as a file comes; cut anywhere. */
async function* pieces(text: string, size: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size)
}
const all = async <T>(of: AsyncIterable<T>): Promise<T[]> => {
  const list: T[] = []
  for await (const one of of) list.push(one)
  return list
}

describe('a JSON list', () => {
  const value = fc.jsonValue({ maxDepth: 3 })
  const layout = fc.constantFrom(undefined, 1, 2, '\t')

  it('is its items, whatever they hold and however it comes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(value, { maxLength: 6 }),
        layout,
        fc.integer({ min: 1, max: 40 }),
        async (list, space, size) => {
          for (const text of [
            JSON.stringify(list, null, space),
            JSON.stringify({ users: list, more: [1, { users: [2] }] }, null, space),
          ]) {
            const items = await all(jsonItems(pieces(text, size)))
            expect(items.map((item) => JSON.parse(item))).toEqual(JSON.parse(JSON.stringify(list)))
          }
        },
      ),
      { numRuns: 300 },
    ))

  it.each(['[1, 2', '{"users": [1', '[', '{"a": 1}', ''])('%s does not end', async (text) => {
    await expect(all(jsonItems(pieces(text, 3)))).rejects.toThrow('the list does not end')
  })

  it('is not held for an item without end', async () => {
    await expect(all(jsonItems(pieces(`["${'x'.repeat(2_000_000)}"]`, 65_536)))).rejects.toThrow(
      'megabyte',
    )
    await expect(all(jsonLines(pieces('x'.repeat(2_000_000), 65_536)))).rejects.toThrow('megabyte')
  })
})

describe('a CSV', () => {
  const field = fc.string({ unit: fc.constantFrom('a', 'ü', '😀', '"', ',', '\n', ' ', "'", '{') })

  it('is its rows, whatever they hold and however it comes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ a: field, b: field, c: field }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 40 }),
        async (rows, size) => {
          // A row of nothing but empty fields looks like none.
          const list = rows.map((row) => ({ id: 'x', ...row }))
          const read = await all(csvRows(pieces(csvOf(list), size)))
          const present = list.map((row) =>
            Object.fromEntries(Object.entries(row).filter(([, value]) => value !== '')),
          )
          expect(read).toEqual(present)
        },
      ),
      { numRuns: 300 },
    ))

  it('may end its lines as on Windows, and begin with a mark', async () => {
    writeFileSync(join(host, 'a.csv'), '\uFEFFid, email\r\n1,"a ""b"" c"\r\n\r\n2,\r\n')
    expect(await all(recordsOf(join(host, 'a.csv')))).toEqual([
      { fields: { id: '1', email: 'a "b" c' } },
      { fields: { id: '2' } },
    ])
  })

  it('is refused with a quote that is left open', async () => {
    await expect(all(csvRows(pieces('a\n"x', 2)))).rejects.toThrow('a quote is left open')
    await expect(all(csvRows(pieces(`a\n"${'x'.repeat(2_000_000)}`, 65_536)))).rejects.toThrow(
      'too long',
    )
  })
})

it.each([
  ['2024-01-02T03:04:05.678Z', '2024-01-02T03:04:05.678Z'],
  ['2024-01-02 03:04:05.678901+00', '2024-01-02T03:04:05.678Z'],
  ['2024-01-02 05:04:05.5+0200', '2024-01-02T03:04:05.500Z'],
  ['2024-01-02 05:04:05-02:30', '2024-01-02T07:34:05.000Z'],
  ['2024-01-02 03:04:05', '2024-01-02T03:04:05.000Z'],
  ['2024-01-02 03:04:05 UTC', '2024-01-02T03:04:05.000Z'],
  ['2024-01-02', '2024-01-02T00:00:00.000Z'],
  ['1704164645678', '2024-01-02T03:04:05.678Z'],
  [1704164645678, '2024-01-02T03:04:05.678Z'],
  [1704164645, '2024-01-02T03:04:05.000Z'],
  [{ $date: '2024-01-02T03:04:05.678Z' }, '2024-01-02T03:04:05.678Z'],
  [{ $date: { $numberLong: '1704164645678' } }, '2024-01-02T03:04:05.678Z'],
  ['infinity', undefined],
  ['yesterday', undefined],
  ['', undefined],
  [0, undefined],
  ['0', undefined],
  [null, undefined],
  [false, undefined],
  [9e99, undefined],
])('%j is the time %s', (value, time) => {
  expect(timeOf({ at: value }, 'at')).toBe(time)
})

describe('what better-auth has encrypted', () => {
  it('is opened by its secret alone', () => {
    expect(openBetterAuth(betterAuthSealed, betterAuthSecret)).toBe(betterAuthTotp)
    expect(openBetterAuth(`$ba$1$${betterAuthSealed}`, betterAuthSecret)).toBe(betterAuthTotp)
    expect(openBetterAuth(betterAuthSealed.toUpperCase(), betterAuthSecret)).toBe(betterAuthTotp)
    expect(openBetterAuth(betterAuthSealed, 'another')).toBeUndefined()
    for (const broken of [
      '',
      'ab',
      betterAuthSealed.slice(2),
      `${betterAuthSealed}00`,
      'x'.repeat(90),
    ])
      expect(openBetterAuth(broken, betterAuthSecret)).toBeUndefined()
  })
})

describe('Firebase’s hash parameters', () => {
  const config = {
    signerKey:
      'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==',
    saltSeparator: 'Bw==',
    rounds: 8,
    memoryCost: 14,
  }
  it('are read as the console shows them, and as JSON', () => {
    expect(readHashConfig(hashConfig)).toEqual(config)
    const json = {
      algorithm: 'SCRYPT',
      base64_signer_key: config.signerKey,
      base64_salt_separator: 'Bw==',
      rounds: 8,
      mem_cost: 14,
    }
    expect(readHashConfig(JSON.stringify(json, null, 2))).toEqual(config)
    expect(() => readHashConfig(JSON.stringify({ ...json, algorithm: 'BCRYPT' }))).toThrow(
      'is of BCRYPT',
    )
    expect(() => readHashConfig('{}')).toThrow('must have base64_signer_key')
  })
})

describe('an address that nobody has proven stays so (case 3), of', () => {
  const of: [string, (fields: Fields) => { line: Record<string, unknown> }, Fields][] = [
    [
      'Supabase',
      supabase,
      { id: 'x', email: 'a@b.c', email_confirmed_at: null, phone: '1', phone_confirmed_at: '' },
    ],
    ['Firebase', firebase(undefined, now), { localId: 'x', email: 'a@b.c', emailVerified: false }],
    [
      'Firebase’s CSV',
      firebase(undefined, now),
      { localId: 'x', email: 'a@b.c', emailVerified: 'false' },
    ],
    [
      'Auth0',
      auth0(() => undefined, now),
      { user_id: 'x', email: 'a@b.c', email_verified: false, phone_number: '1' },
    ],
    ['Auth0, which says nothing', auth0(() => undefined, now), { user_id: 'x', email: 'a@b.c' }],
    [
      'better-auth',
      betterAuth(undefined, now),
      { id: 'x', email: 'a@b.c', emailVerified: 0, phoneNumber: '1' },
    ],
    [
      'better-auth’s CSV',
      betterAuth(undefined, now),
      { id: 'x', email: 'a@b.c', email_verified: 'f' },
    ],
    [
      'Clerk',
      clerk(() => undefined, now),
      { id: 'x', primary_email_address: 'a@b.c', verified_email_addresses: 'other@b.c' },
    ],
    [
      'Clerk’s API',
      clerk(() => undefined, now),
      {
        id: 'x',
        email_addresses: [{ email_address: 'a@b.c', verification: { status: 'unverified' } }],
      },
    ],
  ]
  it.each(of)('%s', (_, convert, fields) => {
    const { line } = convert(fields)
    expect(line.email).toBe('a@b.c')
    expect(line.email_confirmed_at ?? null).toBeNull()
    expect(line.phone_confirmed_at ?? null).toBeNull()
  })

  it.each([
    ['Google', { provider: 'google-oauth2', user_id: '1', profileData: { email: 'other@b.c' } }],
    ['a list that is none', 'text'],
  ])('Auth0 with %s, no account elsewhere vouches for it', (_, identities) => {
    const { line } = auth0(
      () => undefined,
      now,
    )({
      user_id: 'x',
      email: 'a@b.c',
      email_verified: false,
      identities,
    })
    expect(JSON.stringify(line)).not.toContain('email_verified')
  })
})

describe('what is proven, but not said when, is proven now, of', () => {
  it.each([
    ['Firebase', firebase(undefined, now), { localId: 'x', email: 'a@b.c', emailVerified: true }],
    ['Auth0', auth0(() => undefined, now), { user_id: 'x', email: 'a@b.c', email_verified: true }],
    ['better-auth', betterAuth(undefined, now), { id: 'x', email: 'a@b.c', emailVerified: 1 }],
    [
      'Clerk',
      clerk(() => undefined, now),
      { id: 'x', primary_email_address: 'A@b.c', verified_email_addresses: 'a@B.c' },
    ],
  ] as [string, (fields: Fields) => { line: Record<string, unknown> }, Fields][])(
    '%s',
    (_, convert, fields) => {
      expect(convert(fields).line.email_confirmed_at).toBe(now)
    },
  )
})

describe('a reader takes what it does not know for nothing', () => {
  const anything = fc.dictionary(
    fc.constantFrom(
      ...[
        'id',
        'user_id',
        'localId',
        'email',
        'emails',
        'identities',
        'accounts',
        'providerUserInfo',
      ],
      ...[
        'mfa_factors',
        'raw_app_meta_data',
        'twoFactor',
        'passkeys',
        'created_at',
        'createdAt',
        '_id',
      ],
      ...[
        'email_addresses',
        'external_accounts',
        'password_digest',
        'password_hasher',
        'multifactor',
      ],
      ...['customAttributes', 'mfaInfo', 'totp_secret', '__proto__', 'twoFactorEnabled', 'banned'],
    ),
    fc.jsonValue({ maxDepth: 3 }),
  )
  it.each([
    ['Supabase', supabase],
    ['Firebase', firebase({ signerKey: '', saltSeparator: '', rounds: 8, memoryCost: 14 }, now)],
    ['Auth0', auth0(() => undefined, now)],
    ['better-auth', betterAuth(betterAuthSecret, now)],
    ['Clerk', clerk(() => undefined, now)],
  ] as [string, (fields: Fields) => { line: object; notes: readonly string[] }][])(
    '%s',
    (_, convert) =>
      fc.assert(
        fc.property(anything, (fields) => {
          const { line, notes } = convert(fields as Fields)
          expect(JSON.parse(JSON.stringify(line))).toBeTypeOf('object')
          expect(notes.every((note) => /^[a-z_]+(?:: .*)?$/s.test(note))).toBe(true)
          expect(({} as Record<string, unknown>).polluted).toBeUndefined()
        }),
        { numRuns: 300 },
      ),
  )
})

it('a user whom Supabase has deleted softly is an id alone', () => {
  expect(
    supabase({
      id: 'x',
      email: 'aGFzaA==',
      deleted_at: '2024-01-02T03:04:05Z',
      encrypted_password: 'x',
    }).line,
  ).toEqual({ id: 'x', deleted_at: '2024-01-02T03:04:05.000Z' })
})

it('Supabase’s encrypted factors and security keys are told of', () => {
  const factor = (more: object) => ({ id: 'f', status: 'verified', factor_type: 'totp', ...more })
  const { line, notes } = supabase({
    id: 'x',
    mfa_factors: [
      factor({ secret: '{"key_id":"1","alg":"aes-gcm-hkdf"}' }),
      factor({ factor_type: 'webauthn' }),
      factor({ factor_type: 'phone', phone: '+15550001111' }),
    ],
    raw_app_meta_data: { providers: ['email', 'github'] },
  })
  expect(notes).toEqual(['identities_missing', 'factor_encrypted', 'factor_webauthn'])
  expect(line.factors).toEqual([{ id: 'f', factor_type: 'phone', phone: '15550001111' }])
})

it('Clerk’s digest of Firebase’s scrypt is one of Firebase’s', () => {
  const { line } = clerk(
    () => undefined,
    now,
  )({
    id: 'x',
    password_digest: 'hash=$salt=$key=$sep=$8$14',
    password_hasher: 'scrypt_firebase',
  })
  expect(line.password_hash).toBe('$fbscrypt$v=1,n=14,r=8,p=1,ss=sep=,sk=key=$salt=$hash=')
})
