import { env } from 'cloudflare:workers'
import { admin } from 'leanto/auth/admin'
import { moving } from 'leanto/auth/moving'
import { trust } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { clock, freshDatabase } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import { oldIssuer, oldSecret } from './trust-world.ts'
import {
  bcryptHash,
  bring,
  makeMoving,
  many,
  ndjson,
  readAnswer,
  results,
  send,
  tables,
  take,
  user,
} from './users-world.ts'
import { type Asker, count, type Json, mountAuth, post, rows } from './world.ts'

const inbox = makeInbox()

let users = makeMoving()
let ask: Asker = mountAuth(users)
beforeEach(async () => {
  users = makeMoving()
  ask = mountAuth(users)
  await freshDatabase([users])
})

describe('another run that is told to update', () => {
  const update = '?existing=update'

  it('makes of them what their lines say now', async () => {
    const totp = (secret: string) => [{ factor_type: 'totp', secret }]
    await bring(ask, [
      user(1, {
        password_hash: bcryptHash,
        identities: [{ provider: 'google', subject: 'old' }],
        factors: totp('JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'),
      }),
      user(2),
    ])
    const later = [
      user(1, {
        email: 'moved@example.com',
        user_metadata: { name: 'Now' },
        identities: [{ provider: 'github', subject: 'new' }],
        factors: totp('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'),
      }),
      user(3),
    ]
    expect(results(await bring(ask, later))).toEqual(['exists', 'created'])
    expect(results(await bring(ask, later, update))).toEqual(['updated', 'updated'])
    const [one] = await take(ask)
    const lines = await take(ask)
    const moved = lines.find(({ email }) => email === 'moved@example.com')
    expect(moved).toMatchObject({
      user_metadata: { name: 'Now' },
      identities: [{ provider: 'github', subject: 'new' }],
      factors: [{ secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ' }],
      app_metadata: { providers: ['github'] },
    })
    expect(moved.password_hash).toBeUndefined()
    expect(one).toBeDefined()
    expect([await count('users'), await count('identities'), await count('factors')]).toEqual([
      3, 3, 1,
    ])
    // And again, the same.
    const before = await tables()
    await bring(ask, later, update)
    const { factors, ...after } = await tables()
    expect(after).toEqual({
      ...before,
      factors: undefined,
      ...after,
      users: before.users,
      identities: before.identities,
    })
    expect(factors).toHaveLength(1)
  })

  it('leaves who has signed in here since, and who is deleted', async () => {
    const now = new Date(clock.now()).toISOString()
    await bring(ask, [user(1, { password_hash: bcryptHash }), user(2), user(3)])
    await env.DB.prepare(
      `UPDATE leanto_auth_users SET last_sign_in_at = ? WHERE email = 'user1@example.com'`,
    )
      .bind(clock.now())
      .run()
    await env.DB.prepare(
      `UPDATE leanto_auth_users SET deleted_at = 1, email = NULL WHERE email = 'user2@example.com'`,
    ).run()
    const change = { user_metadata: { name: 'old news' } }
    const before = await tables()
    const lines = [user(1, change), user(2, change)]
    expect(results(await bring(ask, lines, update))).toEqual(['exists', 'exists'])
    expect(await tables()).toEqual(before)
    // Whoever signed in there later still lives there.
    expect(
      results(await bring(ask, [user(1, { ...change, last_sign_in_at: now })], update)),
    ).toEqual(['updated'])
  })

  it('leaves who signs in between the look and the write', async () => {
    await bring(ask, many(3))
    let trips = 0
    const racing = makeMoving(
      {},
      {
        db: (bound) =>
          faulty(bound.DB as never, async () => {
            if (++trips !== 2) return false
            await env.DB.prepare('UPDATE leanto_auth_users SET last_sign_in_at = ? WHERE email = ?')
              .bind(clock.now(), 'user2@example.com')
              .run()
            return false
          }),
      },
    )
    const change = { user_metadata: { name: 'Now' } }
    const lines = [1, 2, 3].map((i) => user(i, change))
    const answer = readAnswer(await (await send(racing, ndjson(lines), update)).text())
    expect(results(answer)).toEqual(['updated', 'exists', 'updated'])
    expect(
      (await tables()).users
        .map(({ email, user_metadata }: Json) => [email, user_metadata.name])
        .sort(),
    ).toEqual([
      ['user1@example.com', 'Now'],
      ['user2@example.com', 'User 2'],
      ['user3@example.com', 'Now'],
    ])
  })

  it('gives nobody another’s address', async () => {
    await bring(ask, many(3))
    const swap = [user(1, { email: 'user2@example.com' }), user(3, { email: 'three@example.com' })]
    expect(results(await bring(ask, swap, update))).toEqual(['email_exists', 'updated'])
    expect(
      (await rows('SELECT email FROM leanto_auth_users ORDER BY email')).map(({ email }) => email),
    ).toEqual(['three@example.com', 'user1@example.com', 'user2@example.com'])
  })

  it('ends sessions by a new password and by a ban, and links by any change (cases 11 and 12)', async () => {
    users = makeMoving({
      with: [trust([{ issuer: oldIssuer, secret: oldSecret }]), admin(), moving()],
      mailer: inbox.mailer,
    })
    ask = mountAuth(users)
    await freshDatabase([users])
    await bring(ask, many(4))
    const ids = await rows('SELECT id FROM leanto_auth_users ORDER BY email')
    for (const [i, { id }] of ids.entries()) {
      await env.DB.prepare(
        'INSERT INTO leanto_auth_sessions (id, user_id, created_at) VALUES (?, ?, 1)',
      )
        .bind(`s${i + 1}`, id)
        .run()
      await post(ask, '/otp', { email: `user${i + 1}@example.com` })
    }
    expect(await count('tokens')).toBe(4)
    const answer = await bring(
      ask,
      [
        user(1, {
          password_hash:
            '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
        }),
        user(2, { banned_until: '2100-01-01T00:00:00Z' }),
        user(3, { user_metadata: {} }),
      ],
      update,
    )
    expect(results(answer)).toEqual(['updated', 'updated', 'updated'])
    expect(
      (await rows('SELECT id FROM leanto_auth_sessions ORDER BY id')).map(({ id }) => id),
    ).toEqual(['s3', 's4'])
    expect(await count('tokens')).toBe(1)
    expect(
      (await rows('SELECT user_id FROM leanto_auth_endings')).map(({ user_id }) => user_id).sort(),
    ).toEqual([ids[0].id, ids[1].id].sort())
  })
})
