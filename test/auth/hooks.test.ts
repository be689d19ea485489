import { Fault } from 'leanto'
import { mfa } from 'leanto/auth/mfa'
import { describe, expect, it } from 'vitest'
import { freshDatabase } from '../kit/world.ts'
import { enroll } from './mfa-world.ts'
import {
  type Asker,
  claimsOf,
  expectStatus,
  type Json,
  makeAuth,
  mountAuth,
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
})
