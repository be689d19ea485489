import { Fault } from 'leanto'
import { mfa } from 'leanto/auth/mfa'
import { describe, expect, it } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { freshDatabase } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import { enroll } from './mfa-world.ts'
import {
  type Asker,
  claimsOf,
  count,
  expectStatus,
  type Json,
  makeAuth,
  mountAuth,
  post,
  rows,
  signIn,
  signUp,
} from './world.ts'

let ask: Asker
const setUp = async (options: Parameters<typeof makeAuth>[0]) => {
  const users = makeAuth(options)
  ask = mountAuth(users)
  await freshDatabase([users])
}
const code = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code

describe('the host’s hooks', () => {
  it('hear of each password at an account, and of what happens', async () => {
    const attempts: Json[] = []
    const events: Json[] = []
    let refuse = false
    await setUp({
      with: [mfa()],
      before: {
        password(_, attempt) {
          attempts.push(attempt)
          if (refuse) throw new Fault('too_late', { status: 403, message: 'Come back tomorrow' })
        },
        accessToken: () => ({ plan: 'gold', role: 'service_role', aal: 'aal2', sub: 'x' }),
      },
      after: { event: (_, event) => void events.push(event) },
    })
    const { user } = await signUp(ask, 'ann@example.com')
    const session = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    // Claims are added, and none of ours is replaced.
    expect(claimsOf(session.access_token)).toMatchObject({
      plan: 'gold',
      role: 'authenticated',
      aal: 'aal1',
      sub: user.id,
    })
    await signIn(ask, 'ann@example.com', 'wrong password')
    await signIn(ask, 'nobody@example.com')
    refuse = true
    expect(await code(await signIn(ask, 'ann@example.com'), 403)).toBe('too_late')
    expect(attempts.map(({ userId, valid }) => [userId, valid])).toEqual([
      [user.id, true],
      [user.id, false],
      [user.id, true],
    ])
    await enroll(ask, session.access_token)
    const actions = events.map(({ action }) => action)
    expect(actions).toEqual(expect.arrayContaining(['login', 'login_failed', 'factor_enrolled']))
    expect(JSON.stringify(events)).not.toContain('wrong password')
  })

  it('let nobody be made whom they were not asked of, though the account goes while a code is asked for', async () => {
    const inbox = makeInbox()
    const asked: Json[] = []
    let meddle: (() => Promise<unknown>) | undefined
    const users = makeAuth(
      {
        mailer: inbox.mailer,
        autoconfirm: true,
        before: { signUp: (_, request) => void asked.push(request) },
      },
      {
        db: (bound) =>
          faulty(bound.DB as never, async (sql) => {
            // Before the second trip: the first has found her.
            if (sql.some((text) => /INSERT INTO leanto_auth_users/.test(text))) await meddle?.()
            return false
          }),
      },
    )
    ask = mountAuth(users)
    await freshDatabase([users])
    const email = 'ann@example.com'
    await signUp(ask, email)
    expect(asked).toHaveLength(1)
    meddle = () => rows('DELETE FROM leanto_auth_users')
    expect(await expectStatus(await post(ask, '/otp', { email }), 200)).toEqual({})
    expect(await count('users')).toBe(0)
    expect(asked).toHaveLength(1)
    expect(inbox.mails).toEqual([])
    // The next one is a stranger's, of whom the host is asked.
    meddle = undefined
    await expectStatus(await post(ask, '/otp', { email }), 200)
    expect(asked).toHaveLength(2)
    expect(await count('users')).toBe(1)
  })
})
