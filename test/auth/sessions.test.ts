import { sessions } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Ask, clock, freshDatabase } from '../kit/world.ts'
import {
  type Asker,
  claimsOf,
  count,
  expectStatus,
  getUser,
  makeAuth,
  mountAuth,
  password,
  refresh,
  signIn,
  signUp,
} from './world.ts'

type Options = Parameters<typeof makeAuth>[0]
let users = makeAuth()
let ask: Asker
const setUp = async (options: Options) => {
  users = makeAuth(options)
  ask = mountAuth(users)
  await freshDatabase([users])
}
const code = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code
const unknown = '00000000-0000-7000-8000-000000000000'

describe('sessions', () => {
  beforeEach(() => setUp({ with: [sessions()] }))

  it('are listed to their user, and ended by them alone (case 42)', async () => {
    const headers = { 'user-agent': 'Browser/1', 'cf-connecting-ip': '192.0.2.7' }
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    clock.advance(1)
    const other = await expectStatus(
      await signIn(ask, 'ann@example.com', password, { headers }),
      200,
    )
    const eve = await signUp(ask, 'eve@example.com')
    const list = await expectStatus(await ask('/auth/v1/sessions', { token }), 200)
    expect(list).toMatchObject([
      {
        id: claimsOf(other.access_token).session_id,
        current: false,
        aal: 'aal1',
        amr: [{ method: 'password' }],
        user_agent: 'Browser/1',
        ip: '192.0.2.7',
      },
      { id: claimsOf(token).session_id, current: true },
    ])
    const end = (id: string, more: Ask) =>
      ask(`/auth/v1/sessions/${id}`, { method: 'DELETE', ...more })
    const id = list[0].id
    expect(await code(await end(id, {}), 401)).toBe('no_authorization')
    expect(await code(await end(id, { token: eve.access_token }), 404)).toBe('session_not_found')
    expect(await code(await end(unknown, { token }), 404)).toBe('session_not_found')
    expect(await code(await end('x', { token }), 404)).toBe('validation_failed')
    expect(await count('sessions')).toBe(3)
    expect((await end(id, { token })).status).toBe(204)
    expect((await refresh(ask, other.refresh_token)).status).toBe(400)
    // An ended session sees and ends nothing.
    expect(await code(await ask('/auth/v1/sessions', { token: other.access_token }), 403)).toBe(
      'session_not_found',
    )
    expect(
      await code(await end(claimsOf(token).session_id, { token: other.access_token }), 403),
    ).toBe('session_not_found')
    await expectStatus(await getUser(ask, token), 200)
  })

  it('are one at a time if asked, whoever comes at once', async () => {
    await setUp({ with: [sessions({ single: true })] })
    const first = await signUp(ask, 'ann@example.com')
    await signUp(ask, 'eve@example.com')
    await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    expect((await refresh(ask, first.refresh_token)).status).toBe(400)
    await Promise.all(Array.from({ length: 5 }, () => signIn(ask, 'ann@example.com')))
    expect(await count('sessions')).toBe(2)
    expect(() => sessions({ single: 'yes' as never })).toThrow(TypeError)
  })
})
