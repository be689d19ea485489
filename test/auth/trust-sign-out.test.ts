import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import { ann, bob, device, errorOf, seconds, setUpMove, signOld } from './trust-world.ts'
import {
  type Asker,
  count,
  expectStatus,
  getUser,
  type Json,
  refresh,
  rows,
  signIn,
} from './world.ts'

/* Signing out by a token that another issuer has signed, and of the sessions that its users have there. */

let ask: Asker
beforeEach(async () => {
  ;({ ask } = await setUpMove())
})

const logout = (token: string, scope: string) =>
  ask(`/auth/v1/logout?scope=${scope}`, { method: 'POST', token })
const ours = async (email = 'ann@example.com'): Promise<Json> =>
  expectStatus(await signIn(ask, email), 200)

describe('signing out', () => {
  it('local ends that session for good, and no other', async () => {
    const here = await ours()
    const [own, other] = [await signOld(), await signOld({ session: device(1) })]
    expect((await logout(own, 'local')).status).toBe(204)
    expect(await errorOf(await getUser(ask, own), 403)).toBe('session_not_found')
    expect(await errorOf(await logout(own, 'local'), 403)).toBe('session_not_found')
    clock.advance(30)
    const fresh = await signOld({ since: seconds() - 90 })
    expect(await errorOf(await getUser(ask, fresh), 403)).toBe('session_not_found')
    await expectStatus(await getUser(ask, other), 200)
    await expectStatus(await getUser(ask, here.access_token), 200)
  })

  it('others ends all but it', async () => {
    const here = await ours()
    const [own, other] = [await signOld(), await signOld({ session: device(1) })]
    expect((await logout(own, 'others')).status).toBe(204)
    await expectStatus(await getUser(ask, own), 200)
    expect(await errorOf(await getUser(ask, other), 403)).toBe('session_not_found')
    await expectStatus(await refresh(ask, here.refresh_token), 400)
  })

  it.each(['here', 'there'])('global ends all, asked %s', async (where) => {
    const here = await ours()
    const theirs = await ours('bob@example.com')
    const own = await signOld()
    const token = where === 'here' ? here.access_token : own
    expect((await logout(token, 'global')).status).toBe(204)
    expect(await errorOf(await getUser(ask, own), 403)).toBe('session_not_found')
    await expectStatus(await refresh(ask, here.refresh_token), 400)
    await expectStatus(await getUser(ask, theirs.access_token), 200)
    await expectStatus(await getUser(ask, await signOld({ sub: bob })), 200)
  })

  it('others, asked by a session of ours, spares none there', async () => {
    const here = await ours()
    const own = await signOld()
    expect((await logout(here.access_token, 'others')).status).toBe(204)
    await expectStatus(await getUser(ask, here.access_token), 200)
    expect(await errorOf(await getUser(ask, own), 403)).toBe('session_not_found')
  })

  it('by the server ends all', async () => {
    const own = await signOld()
    const end = { method: 'POST', key: 'secret' } as const
    expect((await ask(`/auth/v1/admin/users/${ann}/logout`, end)).status).toBe(204)
    expect(await errorOf(await getUser(ask, own), 403)).toBe('session_not_found')
  })

  it('keeps one row of what ends with all, and none of it comes back', async () => {
    const gone = await Promise.all([0, 1, 2].map((i) => signOld({ session: device(i + 2) })))
    for (const token of gone) expect((await logout(token, 'local')).status).toBe(204)
    const theirs = await signOld({ sub: bob, session: device(9) })
    await logout(theirs, 'local')
    expect(await count('endings')).toBe(4)
    const [own, other] = [await signOld(), await signOld({ session: device(1) })]
    expect((await logout(own, 'others')).status).toBe(204)
    // Bob's stays.
    expect(await count('endings')).toBe(2)
    await expectStatus(await getUser(ask, own), 200)
    clock.advance(30)
    for (const token of [...gone, other, theirs])
      expect(await errorOf(await getUser(ask, token), 403)).toBe('session_not_found')
    expect((await logout(own, 'global')).status).toBe(204)
    expect(await count('endings')).toBe(2)
    for (const token of [...gone, own, other])
      expect(await errorOf(await getUser(ask, token), 403)).toBe('session_not_found')
  })

  it('keeps beside it that those without a second factor have ended, if one is spared', async () => {
    await rows(`INSERT INTO leanto_auth_endings VALUES (?, 'aal1', 1, NULL)`, ann)
    const own = await signOld()
    expect((await logout(own, 'others')).status).toBe(204)
    expect(await count('endings')).toBe(2)
    expect((await logout(own, 'global')).status).toBe(204)
    expect(await count('endings')).toBe(1)
  })

  it('of a user who is deleted leaves nothing behind', async () => {
    await logout(await signOld(), 'global')
    expect(await count('endings')).toBe(1)
    await ask(`/auth/v1/admin/users/${ann}`, { method: 'DELETE', key: 'secret' })
    expect(await count('endings')).toBe(0)
  })

  it('sees and ends the sessions that are here', async () => {
    const here = await ours()
    const token = await signOld()
    const list = await expectStatus(await ask('/auth/v1/sessions', { token }), 200)
    expect(list).toMatchObject([{ current: false, aal: 'aal1' }])
    const end = { method: 'DELETE', token } as const
    expect((await ask(`/auth/v1/sessions/${list[0].id}`, end)).status).toBe(204)
    await expectStatus(await refresh(ask, here.refresh_token), 400)
    await logout(token, 'local')
    expect(await errorOf(await ask('/auth/v1/sessions', { token }), 403)).toBe('session_not_found')
  })
})
