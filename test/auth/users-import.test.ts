import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import { bcryptHash, bring, makeMoving, many, results, tables, user } from './users-world.ts'
import {
  type Asker,
  count,
  expectStatus,
  type Json,
  mountAuth,
  post,
  rows,
  signIn,
} from './world.ts'

const inbox = makeInbox()

let users = makeMoving()
let ask: Asker = mountAuth(users)
beforeEach(async () => {
  users = makeMoving()
  ask = mountAuth(users)
  await freshDatabase([users])
})

describe('what comes of a line', () => {
  it('is said line by line, after each batch, and at the end', async () => {
    const lines = [...many(150), '', user(7), '{', user(151)]
    const answer = await bring(ask, lines)
    expect(answer.lines.map(({ line }) => line)).toEqual(
      lines.flatMap((line, i) => (line === '' ? [] : [i + 1])),
    )
    expect(answer.lines.at(-1)).toEqual({
      line: 154,
      result: 'created',
      id: expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-5[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/),
    })
    expect(answer.lines[151]).toMatchObject({ line: 153, result: 'refused', code: 'bad_json' })
    // The first is as much as a batch holds.
    expect(answer.progress).toEqual([
      { lines: 100, created: 100, updated: 0, exists: 0, refused: 0 },
      { lines: 154, created: 151, updated: 0, exists: 1, refused: 1 },
    ])
    expect(answer.done).toEqual(answer.progress[1])
    expect(await count('users')).toBe(151)
    expect((await bring(ask, [user(1)], '?line=5000')).lines[0]).toMatchObject({
      line: 5000,
      result: 'exists',
    })
  })

  it('is a user to the letter, and no more than one, however often it comes', async () => {
    const line = {
      id: '5B1C2B1E-9D0A-4C55-8F0E-2F3F1D6F7A10',
      email: ' Ada@EXAMPLE.com'.trim(),
      phone: '+1 (555) 000-1111',
      password_hash: bcryptHash,
      email_confirmed_at: '2024-05-06T07:08:09.123456+02:00',
      banned_until: '2123-01-01T00:00:00Z',
      app_metadata: { plan: 'gold' },
      user_metadata: { name: 'Ada' },
      identities: [
        { provider: 'email' },
        { provider: 'google', subject: '1177', email: 'Ada@Gmail.com', data: { name: 'Ada' } },
        { provider: 'phone' },
      ],
      role: 'service_role',
      aud: 'x',
    }
    expect(results(await bring(ask, [line]))).toEqual(['created'])
    const id = line.id.toLowerCase()
    const before = await tables()
    expect(before.users).toEqual([
      expect.objectContaining({
        id,
        email: 'ada@example.com',
        phone: '15550001111',
        password: bcryptHash,
        email_confirmed_at: Date.parse('2024-05-06T05:08:09.123Z'),
        phone_confirmed_at: null,
        banned_until: Date.parse('2123-01-01'),
        app_metadata: { provider: 'email', providers: ['email', 'google', 'phone'], plan: 'gold' },
        created_at: clock.now(),
        last_sign_in_at: null,
      }),
    ])
    expect(
      before.identities
        .map(({ provider, subject, email }: Json) => [provider, subject, email])
        .sort(),
    ).toEqual([
      ['email', id, 'ada@example.com'],
      ['google', '1177', 'ada@gmail.com'],
      ['phone', id, null],
    ])
    clock.advance(60)
    expect(results(await bring(ask, [line, line]))).toEqual(['exists', 'exists'])
    expect(await tables()).toEqual(before)
  })

  const ids = async () =>
    (await rows('SELECT email FROM leanto_auth_users ORDER BY 1')).map(({ email }) => email)

  it('is refused where the address, the number or the identity is someone else’s, and they keep it', async () => {
    const google = { provider: 'google', subject: 'g1' }
    await bring(ask, [
      user(1, { phone: '+15550001111', identities: [{ provider: 'email' }, google] }),
    ])
    const before = await tables()
    const other = { foreign_id: 'other', email: 'other@example.com' }
    const answer = await bring(ask, [
      { ...other, email: 'USER1@example.com' },
      { ...other, phone: '15550001111' },
      { ...other, identities: [google] },
      { ...other, foreign_id: 'last', email: 'last@example.com' },
    ])
    expect(results(answer)).toEqual([
      'email_exists',
      'phone_exists',
      'identity_already_exists',
      'created',
    ])
    expect(
      (await tables()).users.filter(({ email }: Json) => email !== 'last@example.com'),
    ).toEqual(before.users)
    expect(await ids()).toEqual(['last@example.com', 'user1@example.com'])
  })

  it.each([1, 99, 100])('is the same for two who want one thing, %i lines apart', async (apart) => {
    const way = { provider: 'google', subject: 'same' }
    const pairs: [object, object, string][] = [
      [{ email: 'one@example.com' }, { email: 'One@example.com' }, 'email_exists'],
      [{ phone: '15550001111' }, { phone: '+15550001111' }, 'phone_exists'],
      [{ identities: [way] }, { identities: [way] }, 'identity_already_exists'],
      [
        { foreign_id: 'x', email: 'a@example.com' },
        { foreign_id: 'x', email: 'b@example.com' },
        'exists',
      ],
    ]
    for (const [one, two, verdict] of pairs) {
      await freshDatabase([users])
      const between = many(apart - 1)
      const answer = await bring(ask, [
        { foreign_id: '1', ...one },
        ...between,
        { foreign_id: '2', ...two },
      ])
      expect(results(answer)).toEqual(['created', ...between.map(() => 'created'), verdict])
      expect(await count('users')).toBe(apart)
    }
  })

  it('tells of what stays behind', async () => {
    const totp = { factor_type: 'totp', secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' }
    const answer = await bring(ask, [
      user(1, { password_hash: 'md5$nobody$reads' }),
      user(2, {
        factors: [totp, { factor_type: 'totp' }, { factor_type: 'totp', secret: 'no base32!' }],
      }),
      user(3, { email_confirmed_at: null, factors: [totp], passkeys: [{}] }),
      user(4, { organisations: [1], groups: [] }),
      user(5, {
        passkeys: ['AAAA', 'A', 'oA', 'pQECAyYgASFYIA'].map((public_key) => ({
          credential_id: 'AAAA',
          public_key,
        })),
      }),
    ])
    expect(answer.lines.map(({ result, notes }) => [result, notes])).toEqual([
      ['created', ['password_unknown']],
      ['created', ['factor_unusable: totp', 'factor_unusable: totp']],
      ['created', ['factors_unproven', 'passkeys_unproven']],
      ['created', ['organisations_ignored']],
      ['created', Array.from({ length: 4 }, () => 'passkey_unusable')],
    ])
    expect(await count('factors')).toBe(1)
    expect((await rows('SELECT secret FROM leanto_auth_factors'))[0].secret).not.toContain(
      totp.secret,
    )
  })
})

describe('an address that nobody has proven (case 3)', () => {
  it('opens to its owner alone, who finds nothing of whoever claimed it', async () => {
    users = makeMoving({ mailer: inbox.mailer })
    ask = mountAuth(users)
    inbox.clear()
    const google = { provider: 'google', subject: 'attacker', email: 'attacker@evil.example' }
    await bring(ask, [
      user(1, {
        email: 'victim@example.com',
        email_confirmed_at: null,
        password_hash: bcryptHash,
        identities: [{ provider: 'email' }, google],
        factors: [{ factor_type: 'totp', secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' }],
      }),
      user(2, {
        email: 'other@example.com',
        email_confirmed_at: null,
        password_hash: bcryptHash,
        factors: [{ factor_type: 'totp', secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' }],
      }),
    ])
    for (const email of ['victim@example.com', 'other@example.com'])
      expect((await signIn(ask, email, 'password')).status).toBe(400)
    await expectStatus(await post(ask, '/otp', { email: 'other@example.com' }), 200)
    const session = await expectStatus(
      await post(ask, '/verify', {
        type: 'email',
        email: 'other@example.com',
        token: inbox.code('other@example.com'),
      }),
      200,
    )
    expect(session.user.factors).toBeUndefined()
    await expectStatus(await post(ask, '/otp', { email: 'victim@example.com' }), 200)
    const owner = await expectStatus(
      await post(ask, '/verify', {
        type: 'email',
        email: 'victim@example.com',
        token: inbox.code('victim@example.com'),
      }),
      200,
    )
    expect(owner.user.identities.map(({ provider }: Json) => provider)).toEqual(['email'])
    expect(await rows('SELECT password FROM leanto_auth_users')).toEqual([
      { password: null },
      { password: null },
    ])
  })
})

it('a dry run says what would come, and writes nothing', async () => {
  await bring(ask, many(2))
  const before = await tables()
  const lines = [user(1), user(3), user(4, { email: 'user2@example.com' }), '{']
  expect(results(await bring(ask, lines, '?dry_run=true&existing=update'))).toEqual([
    'updated',
    'created',
    'email_exists',
    'bad_json',
  ])
  expect(await tables()).toEqual(before)
})
