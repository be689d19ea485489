import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { beforeEach, describe, expect, it } from 'vitest'
import { asker, clock, makeBase, site } from '../kit/world.ts'
import { challenge, codeOf, enroll, stepUp, verify, withFactor } from './mfa-world.ts'
import {
  ann,
  bob,
  device,
  errorOf,
  type Moved,
  seconds,
  setUpMove,
  signOld,
} from './trust-world.ts'
import {
  type Asker,
  claimsOf,
  count,
  expectStatus,
  getUser,
  issuer,
  type Json,
  refresh,
  rows,
  signIn,
} from './world.ts'

/* Second factors, shown by a token that another issuer has signed. */

let ask: Asker
let users: Moved['users']
beforeEach(async () => {
  ;({ ask, users } = await setUpMove())
})

const ours = async (email = 'ann@example.com'): Promise<Json> =>
  expectStatus(await signIn(ask, email), 200)

describe('second factors', () => {
  const verified = async (token: string) => {
    const factor = await enroll(ask, token)
    const { id } = await challenge(ask, token, factor.id)
    return { factor, challengeId: id, code: await codeOf(factor.totp.secret) }
  }

  it('verified by it start a session of ours, and end those that have shown none', async () => {
    const here = await ours()
    const since = seconds() - 7200
    const own = await signOld({ since })
    const high = await signOld({ session: device(1), aal: 'aal2' })
    const { factor, challengeId, code } = await verified(own)
    const shown = { factorId: factor.id, challengeId, code }
    const raised = await expectStatus(await verify(ask, own, shown), 200)
    expect(claimsOf(raised.access_token)).toMatchObject({
      iss: issuer,
      sub: ann,
      aal: 'aal2',
      amr: [{ method: 'totp' }, { method: 'password', timestamp: since }],
    })
    expect(claimsOf(raised.access_token).session_id).not.toBe(device(0))
    await expectStatus(await refresh(ask, raised.refresh_token), 200)
    // Case 16: what it was raised from is dead, as are all that are no surer.
    expect(await errorOf(await getUser(ask, own), 403)).toBe('session_not_found')
    await expectStatus(await refresh(ask, here.refresh_token), 400)
    await expectStatus(await getUser(ask, high), 200)
    expect(await count('sessions')).toBe(1)
  })

  it('one code, by 50 parallel calls, starts one session (case 19)', async () => {
    const own = await signOld()
    const { factor, challengeId, code } = await verified(own)
    const shown = { factorId: factor.id, challengeId, code }
    const all = await Promise.all(Array.from({ length: 50 }, () => verify(ask, own, shown)))
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(await count('sessions')).toBe(1)
  })

  it('are asked for by `enforce`, of a token that has shown none', async () => {
    const host = asker(new Hono().get('/me', users.signedIn, (c) => c.json({}, 200)))
    const me = async (token: string) => host('/me', { token })
    expect((await me(await signOld())).status).toBe(200)
    await enroll(ask, (await ours()).access_token)
    // Enrolled is not verified.
    expect((await me(await signOld())).status).toBe(200)
    await rows(`DELETE FROM leanto_auth_factors`)
    await withFactor(ask, await ours())
    for (const token of [await signOld(), await signOld({ sub: ann.toUpperCase() })]) {
      const refused = await me(token)
      expect(refused.status).toBe(401)
      expect(refused.headers.get('www-authenticate')).toContain('insufficient_user_authentication')
    }
    expect((await me(await signOld({ aal: 'aal2' }))).status).toBe(200)
    expect((await me(await signOld({ sub: bob }))).status).toBe(200)
  })

  it('which takes one trip, and none of a token that has shown one or is ours', async () => {
    const base = makeBase()
    const cost = async (token: string) => {
      const scope = base.scope({ env })
      const request = new Request(site, { headers: { authorization: `Bearer ${token}` } })
      await users.principal(scope, request).catch(() => undefined)
      return [scope.cost.trips, scope.cost.rowsWritten]
    }
    const session = await ours()
    expect(await cost(await signOld())).toEqual([1, 0])
    expect(await cost(await signOld({ aal: 'aal2' }))).toEqual([0, 0])
    expect(await cost(session.access_token)).toEqual([0, 0])
  })

  it('raise nothing of ours by a token of theirs', async () => {
    const { factor, session } = await withFactor(ask, await ours())
    clock.advance(30)
    const low = await signOld({ since: seconds() })
    // A challenge is of the session that asked.
    const { id } = await challenge(ask, low, factor.id)
    const code = await codeOf(factor.totp.secret)
    const shown = { factorId: factor.id, challengeId: id, code }
    expect(await errorOf(await verify(ask, session.access_token, shown), 422)).toBe(
      'mfa_factor_not_found',
    )
    await expectStatus(await verify(ask, low, shown), 200)
    expect(await count('sessions')).toBe(2)
    await stepUp(ask, session, factor)
  })
})
