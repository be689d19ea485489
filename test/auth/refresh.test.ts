import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase, makeBase, testSecret } from '../kit/world.ts'
import {
  claimsOf,
  count,
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  refresh,
  rows,
  signIn,
  signUp,
  snapshot,
} from './world.ts'

const users = makeAuth()
const ask = mountAuth(users)
beforeEach(() => freshDatabase([users]))

const refused = async (token: unknown, code: string) => {
  const body = await expectStatus(await refresh(ask, token), 400)
  expect(body.error_code).toBe(code)
}

describe('refresh', () => {
  it('answers the same session with the next token and fresh claims', async () => {
    const first = await signUp(ask, 'ann@example.com')
    clock.advance(1800)
    await env.DB.prepare(`UPDATE leanto_auth_users SET app_metadata = '{"plan":"gold"}'`).run()
    const second = await expectStatus(await refresh(ask, first.refresh_token), 200)
    expect(second.refresh_token).toMatch(/^[\w-]{43}$/)
    expect(second.refresh_token).not.toBe(first.refresh_token)
    const [before, after] = [claimsOf(first.access_token), claimsOf(second.access_token)]
    expect(after.session_id).toBe(before.session_id)
    expect(after.amr).toEqual(before.amr)
    expect(after.exp).toBe(before.exp + 1800)
    expect(after.app_metadata).toEqual({ plan: 'gold' })
    expect(second.user.id).toBe(first.user.id)
    expect(await expectStatus(await refresh(ask, second.refresh_token), 200)).toBeTruthy()
    expect(await count('refresh_tokens')).toBe(3)
    expect(await count('sessions')).toBe(1)
  })

  it.each([20, 50])(
    'of one token by %i parallel calls makes one child (cases 15 and 19)',
    async (parallel) => {
      const { refresh_token } = await signUp(ask, 'ann@example.com')
      const answers = await Promise.all(
        Array.from({ length: parallel }, () => refresh(ask, refresh_token)),
      )
      const sessions: Json[] = await Promise.all(answers.map((answer) => expectStatus(answer, 200)))
      expect(new Set(sessions.map((session) => session.refresh_token)).size).toBe(1)
      expect(sessions[0].refresh_token).not.toBe(refresh_token)
      expect(await count('refresh_tokens')).toBe(2)
      expect(
        await rows('SELECT 1 FROM leanto_auth_refresh_tokens WHERE used_at IS NULL'),
      ).toHaveLength(1)
      // The one child works.
      await expectStatus(await refresh(ask, sessions[0].refresh_token), 200)
    },
  )

  it('answers the same child again within the grace, and after it ends the session', async () => {
    const first = await signUp(ask, 'ann@example.com')
    const other = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    const second = await expectStatus(await refresh(ask, first.refresh_token), 200)
    clock.advance(10)
    const again = await expectStatus(await refresh(ask, first.refresh_token), 200)
    expect(again.refresh_token).toBe(second.refresh_token)
    clock.advance(1)
    await refused(first.refresh_token, 'refresh_token_already_used')
    // The family is dead, whoever holds its youngest token.
    await refused(second.refresh_token, 'refresh_token_not_found')
    await refused(first.refresh_token, 'refresh_token_already_used')
    expect((await expectStatus(await getUser(ask, second.access_token), 403)).error_code).toBe(
      'session_not_found',
    )
    // And only that family.
    await expectStatus(await refresh(ask, other.refresh_token), 200)
  })

  it('ends the session even within the grace once the child is used', async () => {
    const first = await signUp(ask, 'ann@example.com')
    const second = await expectStatus(await refresh(ask, first.refresh_token), 200)
    const third = await expectStatus(await refresh(ask, second.refresh_token), 200)
    await refused(first.refresh_token, 'refresh_token_already_used')
    await refused(third.refresh_token, 'refresh_token_not_found')
    expect(await count('sessions')).toBe(0)
  })

  it('ends the session for every one of 50 parallel replays', async () => {
    const first = await signUp(ask, 'ann@example.com')
    const second = await expectStatus(await refresh(ask, first.refresh_token), 200)
    clock.advance(11)
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => refresh(ask, first.refresh_token)),
    )
    for (const answer of answers)
      expect((await expectStatus(answer, 400)).error_code).toBe('refresh_token_already_used')
    await refused(second.refresh_token, 'refresh_token_not_found')
  })

  it.each([
    ['nonsense', 400, 'refresh_token_not_found'],
    ['A'.repeat(43), 400, 'refresh_token_not_found'],
    ["' OR 1=1 --", 400, 'refresh_token_not_found'],
    ['', 400, 'validation_failed'],
    [null, 400, 'validation_failed'],
    [42, 400, 'validation_failed'],
    [true, 400, 'validation_failed'],
    [{ $ne: null }, 400, 'validation_failed'],
    [['a'], 400, 'validation_failed'],
  ])('refuses %j (case 22)', async (token, status, code) => {
    await signUp(ask, 'ann@example.com')
    const before = await snapshot()
    expect((await expectStatus(await refresh(ask, token), status)).error_code).toBe(code)
    expect(await snapshot()).toBe(before)
  })

  it('takes no access token, and a refresh token is none (case 32)', async () => {
    const { access_token, refresh_token } = await signUp(ask, 'ann@example.com')
    await refused(access_token, 'refresh_token_not_found')
    expect((await getUser(ask, refresh_token)).status).toBe(403)
  })

  it('takes a stored hash for nothing', async () => {
    await signUp(ask, 'ann@example.com')
    const [{ hash }] = await rows('SELECT hash FROM leanto_auth_refresh_tokens')
    await refused(hash, 'refresh_token_not_found')
  })

  it('refuses a banned user and keeps the token for later', async () => {
    const { refresh_token } = await signUp(ask, 'ann@example.com')
    await rows('UPDATE leanto_auth_users SET banned_until = ?', clock.now() + 5000)
    await refused(refresh_token, 'user_banned')
    clock.advance(5)
    await expectStatus(await refresh(ask, refresh_token), 200)
  })

  it('refuses who was deleted', async () => {
    const { refresh_token } = await signUp(ask, 'ann@example.com')
    await env.DB.prepare('DELETE FROM leanto_auth_users').run()
    await refused(refresh_token, 'refresh_token_not_found')
  })
})

describe('a session’s end', () => {
  it('comes after 90 idle days, and scheduled work clears it away', async () => {
    const { refresh_token } = await signUp(ask, 'ann@example.com')
    clock.advance(90 * 86_400 - 1)
    const next = await expectStatus(await refresh(ask, refresh_token), 200)
    clock.advance(90 * 86_400)
    await refused(next.refresh_token, 'session_expired')
    await users.scheduled(makeBase().scope({ env }))
    expect([await count('sessions'), await count('refresh_tokens'), await count('users')]).toEqual([
      0, 0, 1,
    ])
    await refused(next.refresh_token, 'refresh_token_not_found')
  })

  it('comes at the absolute limit however often it is refreshed', async () => {
    const strict = mountAuth(makeAuth({ refreshToken: { absolute: 7200, idle: 3600 } }))
    let session = await signUp(strict, 'ann@example.com')
    for (let i = 0; i < 3; i++) {
      clock.advance(2399)
      session = await expectStatus(await refresh(strict, session.refresh_token), 200)
    }
    // Nor does a token go on without its session, wherever it is shown.
    expect(session.expires_in).toBe(3)
    expect(claimsOf(session.access_token).exp).toBe(clock.now() / 1000 + 3)
    clock.advance(3)
    const body = await expectStatus(await refresh(strict, session.refresh_token), 400)
    expect(body.error_code).toBe('session_expired')
    const answer = await expectStatus(await getUser(strict, session.access_token), 403)
    expect(answer.error_code).toBe('bad_jwt')
  })

  it('leaves what has not ended alone', async () => {
    const { refresh_token } = await signUp(ask, 'ann@example.com')
    const next = await expectStatus(await refresh(ask, refresh_token), 200)
    await users.scheduled(makeBase().scope({ env }))
    expect([await count('sessions'), await count('refresh_tokens')]).toEqual([1, 2])
    await expectStatus(await refresh(ask, next.refresh_token), 200)
  })
})

it('with a changed secret, tokens that are out still work once', async () => {
  const { refresh_token } = await signUp(ask, 'ann@example.com')
  const changed = mountAuth(makeAuth({}, { secret: () => `${testSecret}-changed` }))
  const next = await expectStatus(await refresh(changed, refresh_token), 200)
  // The old isolate cannot compute the child that the new one made: no answer, but no alarm either.
  await refused(refresh_token, 'refresh_token_already_used')
  await expectStatus(await refresh(changed, next.refresh_token), 200)
})
