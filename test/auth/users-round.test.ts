import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { base32 } from '../../src/auth/mfa/base32.ts'
import { sealedFor } from '../../src/auth/mfa/enroll.ts'
import { migrate } from '../../src/core/migrate.ts'
import { open, seal } from '../../src/core/secret.ts'
import { freshDatabase, makeBase, testSecret } from '../kit/world.ts'
import { bring, makeMoving, otherSecret, publicKey, results, tables, take } from './users-world.ts'
import { type Json, mountAuth } from './world.ts'

/* What is exported from one leanto and imported into an empty one, under another secret, is the same there, row by row. */

const here = makeMoving()
const there = makeMoving({}, { db: (e) => e.OTHER_DB as never, secret: () => otherSecret })
const askHere = mountAuth(here)
const askThere = mountAuth(there)
const scopeHere = makeBase().scope({ env })
const scopeThere = makeBase({ secret: () => otherSecret }).scope({ env })

const fresh = async () => {
  await freshDatabase([here])
  await migrate(env.OTHER_DB as never, [there])
}

const token = (bytes: Uint8Array) =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')

const time = fc.integer({ min: 0, max: Date.parse('2500-01-01') })
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null })
const storable = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .filter((text) => !text.includes('\0') && text.isWellFormed())
const plain = fc
  .string({ unit: 'grapheme-composite', minLength: 1, maxLength: 20 })
  .filter((text) => text.isWellFormed() && !/\p{Cc}/u.test(text) && text.trim() !== '')
const metadata = fc.dictionary(
  storable.filter((key) => key !== '__proto__'),
  fc.oneof(
    storable,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(storable, { maxLength: 3 }),
  ),
  { maxKeys: 4 },
)
const hash = fc.constantFrom(
  '$2b$05$LAwy47Buq3B7ehujA/b/yu5XBYNCMaskVLTCIv4UJwjpVL18u0pT.',
  '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
)
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

const identity = fc.record({
  id: fc.uuid(),
  provider: fc.constantFrom('google', 'github', 'custom:acme', 'web3'),
  subject: plain,
  email: maybe(fc.nat(99).map((n) => `at${n}@elsewhere.example`)),
  data: metadata,
  last_sign_in_at: maybe(time),
  created_at: time,
  updated_at: time,
})

const factor = fc.record({
  id: fc.uuid(),
  type: fc.constantFrom('totp', 'phone', 'webauthn', 'recovery_code'),
  status: fc.constantFrom('verified', 'unverified'),
  secret: bytes(20).map(base32),
  phone: fc.integer({ min: 1e9, max: 9e9 }).map(String),
  last_step: maybe(fc.nat()),
  challenged_at: maybe(time),
  created_at: time,
  updated_at: time,
  codes: fc.uniqueArray(bytes(32).map(token), { maxLength: 10 }),
})

const passkey = fc.record({
  id: fc.uuid(),
  credential_id: bytes(16).map(token),
  counter: fc.nat(),
  aaguid: fc.uuid(),
  transports: fc.subarray(['usb', 'nfc', 'internal', 'hybrid']),
  backup_eligible: fc.constantFrom(0, 1),
  backed_up: fc.constantFrom(0, 1),
  name: storable,
  created_at: time,
  last_used_at: maybe(time),
})

const person = fc.record({
  id: fc.uuid(),
  email: fc.boolean(),
  phone: fc.boolean(),
  password: maybe(hash),
  app_metadata: metadata,
  user_metadata: metadata,
  email_confirmed_at: maybe(time),
  phone_confirmed_at: maybe(time),
  kind: fc.constantFrom('usual', 'usual', 'usual', 'anonymous', 'deleted'),
  invited_at: maybe(time),
  last_sign_in_at: maybe(time),
  banned_until: maybe(time),
  created_at: time,
  updated_at: time,
  identities: fc.array(identity, { maxLength: 3 }),
  factors: fc.array(factor, { maxLength: 4 }),
  passkeys: fc.array(passkey, { maxLength: 2 }),
})

const insert = async (table: string, rows: readonly Json[]) => {
  for (const row of rows) {
    const columns = Object.keys(row)
    await env.DB.prepare(
      `INSERT INTO leanto_auth_${table} (${columns}) VALUES (${columns.map(() => '?')})`,
    )
      .bind(...Object.values(row))
      .run()
  }
}

/** Writes someone past every verb, so that nothing here is only what an import makes. */
async function write(one: Json, i: number) {
  const { identities, factors, passkeys, kind, ...row } = one
  const usual = kind === 'usual'
  const email =
    usual && (one.email || (!one.phone && identities.length === 0)) ? `p${i}@example.com` : null
  const phone = usual && one.phone ? String(15550000000 + i) : null
  const ways =
    kind === 'deleted'
      ? []
      : [
          ...(email ? [{ ...own(one, 'email'), id: one.id, email }] : []),
          ...(phone ? [{ ...own(one, 'phone'), id: crypto.randomUUID(), email: null }] : []),
          ...(usual ? identities : []),
        ]
  const confirmed = {
    email: email && one.email_confirmed_at,
    phone: phone && one.phone_confirmed_at,
  }
  await insert('users', [
    {
      ...row,
      email,
      phone,
      app_metadata: JSON.stringify({
        ...one.app_metadata,
        ...(ways.length > 0
          ? {
              provider: ways[0].provider,
              providers: [...new Set(ways.map((way: Json) => way.provider))],
            }
          : {}),
      }),
      user_metadata: JSON.stringify(one.user_metadata),
      email_confirmed_at: confirmed.email,
      phone_confirmed_at: confirmed.phone,
      is_anonymous: Number(kind === 'anonymous'),
      deleted_at: kind === 'deleted' ? one.updated_at : null,
    },
  ])
  await insert(
    'identities',
    ways.map((way: Json) => ({ ...way, user_id: one.id, data: JSON.stringify(way.data) })),
  )
  // Nobody who has proven nothing has ever been in, and so has none of these.
  if (confirmed.email === null && confirmed.phone === null && !(usual && identities.length > 0))
    return
  for (const { codes, secret, phone, ...factor } of factors) {
    const kept = {
      totp: { secret: await seal(scopeHere, sealedFor(factor.id), secret), phone: null },
      phone: { secret: null, phone },
      webauthn: {
        secret: JSON.stringify({
          credentialId: token(Uint8Array.of(1)),
          publicKey,
          transports: [],
        }),
        phone: null,
      },
      recovery_code: { secret: null, phone: null },
    }[factor.type as 'totp']
    await insert('factors', [
      { ...factor, ...kept, name: factor.type === 'totp' ? '' : factor.id, user_id: one.id },
    ])
    if (factor.type === 'recovery_code')
      await insert(
        'recovery_codes',
        codes.map((hash: string) => ({ hash, factor_id: factor.id })),
      )
  }
  await insert(
    'passkeys',
    passkeys.map((one_: Json) => ({
      ...one_,
      public_key: publicKey,
      transports: JSON.stringify(one_.transports),
      user_id: one.id,
    })),
  )
}

const own = (one: Json, provider: string) => ({
  provider,
  subject: one.id,
  data: {},
  last_sign_in_at: one.last_sign_in_at,
  created_at: one.created_at,
  updated_at: one.updated_at,
})

/** With the secrets of factors as they are. */
async function opened(read: Json, scope: typeof scopeHere): Promise<Json> {
  const factors = await Promise.all(
    read.factors.map(async (row: Json) => ({
      ...row,
      secret: row.type === 'totp' ? await open(scope, sealedFor(row.id), row.secret) : row.secret,
    })),
  )
  return { ...read, factors }
}

describe('from one leanto to another', () => {
  it('everyone is who they were, with all that they sign in by', async () => {
    let people = 0
    let factorRows = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(person, { minLength: 1, maxLength: 6 }).filter(distinct),
        async (list) => {
          await fresh()
          for (const [i, one] of list.entries()) await write(one, i)
          const before = await opened(await tables(), scopeHere)
          const lines = await take(askHere)
          expect(lines.map(({ id }) => id)).toEqual(list.map(({ id }) => id).sort())
          const answer = await bring(askThere, lines, '', otherSecret)
          expect(new Set(results(answer))).toEqual(new Set(['created']))
          expect(answer.lines.flatMap(({ notes }) => notes ?? [])).toEqual([])
          expect(await opened(await tables(env.OTHER_DB), scopeThere)).toEqual(before)
          // Nothing here has changed by it, and there nothing by another go.
          expect(await opened(await tables(), scopeHere)).toEqual(before)
          const after = await tables(env.OTHER_DB)
          expect(new Set(results(await bring(askThere, lines, '', otherSecret)))).toEqual(
            new Set(['exists']),
          )
          expect(await tables(env.OTHER_DB)).toEqual(after)
          people += list.length
          factorRows += before.factors.length
        },
      ),
      { numRuns: 40 },
    )
    expect(people).toBeGreaterThan(60)
    expect(factorRows).toBeGreaterThan(20)
  }, 120_000)
})

/** No two that a unique index would refuse. */
function distinct(list: Json[]): boolean {
  const one = (values: string[]) => new Set(values).size === values.length
  const all = (of: (person: Json) => string[]) => one(list.flatMap(of))
  return (
    all(({ id, identities }) => [id, ...identities.map((way: Json) => way.id)]) &&
    all(({ identities }) => identities.map((way: Json) => `${way.provider} ${way.subject}`)) &&
    all(({ factors }) => factors.map((row: Json) => row.id)) &&
    all(({ factors }) => factors.flatMap((row: Json) => row.codes)) &&
    all(({ passkeys }) => passkeys.flatMap((row: Json) => row.id)) &&
    all(({ passkeys }) => passkeys.flatMap((row: Json) => row.credential_id)) &&
    // A name is one user's once, and no name is as good as another.
    list.every(({ factors }) => one(factors.map((row: Json) => row.id)))
  )
}

it('uses two secrets', () => {
  expect(scopeHere.secret).toBe(testSecret)
  expect(scopeThere.secret).not.toBe(testSecret)
})
