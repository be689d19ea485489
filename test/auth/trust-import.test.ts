import { env } from 'cloudflare:workers'
import { admin } from 'leanto/auth/admin'
import { type MovedSession, sessions, trust } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, makeBase } from '../kit/world.ts'
import { withFactor } from './mfa-world.ts'
import {
  ann,
  bob,
  device,
  errorOf,
  type Moved,
  oldIssuer,
  oldSecret,
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

/* Sessions of a project that is gone: their refresh tokens were brought over, and each is used once. */

let ask: Asker
let old: Moved['old']
let users: Moved['users']
beforeEach(async () => {
  ;({ ask, old, users } = await setUpMove())
})

const scope = () => makeBase().scope({ env })
const bring = (...list: MovedSession[]) => old.importSessions(scope(), list)
const token = 'abc123def456'
const forms = ['abc123def456', 'aB3-_5678901234567890x', `v1.${'Ab-_'.repeat(15)}`, 'A'.repeat(51)]

describe('sessions that are brought over', () => {
  it.each(forms)('go on by the token that the client has: %s', async (refreshToken) => {
    const since = (seconds() - 86_400) * 1000
    const amr = [{ method: 'password', timestamp: seconds() - 86_400 }]
    expect(await bring({ refreshToken, userId: ann.toUpperCase(), amr })).toBe(1)
    const session = await expectStatus(await refresh(ask, refreshToken), 200)
    expect(session.user.id).toBe(ann)
    expect(claimsOf(session.access_token)).toMatchObject({ iss: issuer, aal: 'aal1', amr })
    expect(session.refresh_token).toMatch(/^[\w-]{43}$/)
    expect(await rows('SELECT created_at FROM leanto_auth_sessions')).toEqual([
      { created_at: since },
    ])
    const next = await expectStatus(await refresh(ask, session.refresh_token), 200)
    await expectStatus(await getUser(ask, next.access_token), 200)
    // Used once: whoever comes with it now ends the session.
    expect(await errorOf(await refresh(ask, refreshToken), 400)).toBe('refresh_token_already_used')
    expect(await errorOf(await refresh(ask, next.refresh_token), 400)).toBe(
      'refresh_token_not_found',
    )
  })

  it('bring their second factor along, and none that they did not have', async () => {
    await withFactor(ask, await expectStatus(await signIn(ask, 'ann@example.com'), 200))
    clock.advance(60)
    const since = clock.now() - 1000
    await bring(
      { refreshToken: 'high12345678', userId: ann, aal: 'aal2', since },
      { refreshToken: 'low123456789', userId: ann, aal: 'aal1', since },
      { refreshToken: 'none12345678', userId: ann, since },
    )
    const claims = async (shown: string) =>
      claimsOf((await expectStatus(await refresh(ask, shown), 200)).access_token)
    expect(await claims('high12345678')).toMatchObject({ aal: 'aal2' })
    // `enforce` holds for it.
    expect(await claims('low123456789')).toMatchObject({ aal: 'aal1', mfa: 'pending' })
    expect(await claims('none12345678')).toMatchObject({ aal: 'aal1', mfa: 'pending', amr: [] })
  })

  it('of one token are one, by 50 parallel calls and after a lost answer (cases 15, 19)', async () => {
    await bring({ refreshToken: token, userId: ann })
    const all = await Promise.all(Array.from({ length: 50 }, () => refresh(ask, token)))
    const bodies = await Promise.all(all.map((response) => expectStatus(response, 200)))
    expect(new Set(bodies.map(({ refresh_token }: Json) => refresh_token)).size).toBe(1)
    expect(await count('sessions')).toBe(1)
    clock.advance(9)
    expect((await expectStatus(await refresh(ask, token), 200)).refresh_token).toBe(
      bodies[0].refresh_token,
    )
    clock.advance(2)
    expect(await errorOf(await refresh(ask, token), 400)).toBe('refresh_token_already_used')
    expect(await errorOf(await refresh(ask, bodies[0].refresh_token), 400)).toBe(
      'refresh_token_not_found',
    )
    expect(await count('sessions')).toBe(0)
  })

  it('are stored as a keyed hash alone: another secret opens none', async () => {
    await bring({ refreshToken: token, userId: ann })
    const stored = JSON.stringify([
      await rows('SELECT * FROM leanto_auth_refresh_tokens'),
      await rows('SELECT * FROM leanto_auth_sessions'),
    ])
    expect(stored).not.toContain(token)
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token))
    const plain = btoa(String.fromCharCode(...new Uint8Array(digest)))
    expect(stored).not.toContain(plain.replaceAll('+', '-').replaceAll('/', '_').slice(0, 43))
    const [{ hash }] = await rows('SELECT hash FROM leanto_auth_refresh_tokens')
    expect(await errorOf(await refresh(ask, hash), 400)).toBe('refresh_token_not_found')
    await expectStatus(await refresh(ask, token), 200)
  })

  it('are of those who are here, each once, and not again', async () => {
    await env.DB.prepare('UPDATE leanto_auth_users SET deleted_at = 1 WHERE id = ?').bind(bob).run()
    const list = [
      { refreshToken: 'one123456789', userId: ann },
      { refreshToken: 'one123456789', userId: ann },
      { refreshToken: 'two123456789', userId: bob },
      { refreshToken: 'three1234567', userId: device(7) },
    ]
    expect(await bring(...list)).toBe(1)
    expect(await count('sessions')).toBe(1)
    const session = await expectStatus(await refresh(ask, 'one123456789'), 200)
    // A second run makes no used token new.
    expect(await bring(...list)).toBe(0)
    clock.advance(60)
    await expectStatus(await refresh(ask, session.refresh_token), 200)
    expect(await errorOf(await refresh(ask, 'one123456789'), 400)).toBe(
      'refresh_token_already_used',
    )
    expect(await bring(...list)).toBe(0)
    for (const shown of ['two123456789', 'three1234567', 'nine12345678'])
      expect(await errorOf(await refresh(ask, shown), 400)).toBe('refresh_token_not_found')
  })

  it('are refused while their user is banned', async () => {
    await bring({ refreshToken: token, userId: ann })
    await env.DB.prepare('UPDATE leanto_auth_users SET banned_until = 9e15').run()
    expect(await errorOf(await refresh(ask, token), 400)).toBe('user_banned')
    await env.DB.prepare('UPDATE leanto_auth_users SET banned_until = NULL').run()
    await expectStatus(await refresh(ask, token), 200)
  })

  it('end with all others by a new password, before they came and after (case 11)', async () => {
    const since = clock.now() - 3_600_000
    await bring({ refreshToken: token, userId: ann, since })
    const here = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    await expectStatus(
      await ask('/auth/v1/user', {
        method: 'PUT',
        token: here.access_token,
        body: { password: 'another good passphrase' },
      }),
      200,
    )
    expect(await errorOf(await refresh(ask, token), 400)).toBe('refresh_token_not_found')
    expect(await bring({ refreshToken: 'later1234567', userId: ann, since })).toBe(0)
    expect(await bring({ refreshToken: 'noone1234567', userId: ann })).toBe(0)
    expect(await bring({ refreshToken: 'other1234567', userId: bob, since })).toBe(1)
    clock.advance(1)
    expect(await bring({ refreshToken: 'fresh1234567', userId: ann, since: clock.now() })).toBe(1)
  })

  it('ended there by their user here do not come back by their token', async () => {
    const access = await signOld({ session: device(3) })
    const out = { method: 'POST', token: access } as const
    expect((await ask('/auth/v1/logout?scope=local', out)).status).toBe(204)
    const since = (seconds() - 60) * 1000
    expect(
      await bring({ refreshToken: token, userId: ann, sessionId: device(3).toUpperCase(), since }),
    ).toBe(0)
    expect(
      await bring({ refreshToken: 'other1234567', userId: ann, sessionId: device(4), since }),
    ).toBe(1)
  })

  it('live as long as ours do', async () => {
    ;({ ask, old } = await setUpMove({ refreshToken: { absolute: 86_400 } }))
    await bring(
      { refreshToken: 'long12345678', userId: ann, since: clock.now() - 86_400_000 },
      { refreshToken: 'short1234567', userId: ann, since: clock.now() - 3_600_000 },
    )
    expect(await errorOf(await refresh(ask, 'long12345678'), 400)).toBe('session_expired')
    await expectStatus(await refresh(ask, 'short1234567'), 200)
  })

  it('come 500 to a trip, and are what they should be', async () => {
    const list = Array.from({ length: 1001 }, (_, i) => ({
      refreshToken: `token${String(i).padStart(7, '0')}`,
      userId: i % 2 ? ann : bob,
      amr: [{ method: 'otp', timestamp: seconds() - i }],
    }))
    const many = scope()
    expect(await old.importSessions(many, list)).toBe(1001)
    // With the one that reads the keys.
    expect(many.cost.trips).toBe(3)
    expect(await count('refresh_tokens')).toBe(1001)
    await expectStatus(await refresh(ask, 'token0000999'), 200)
    for (const wrong of [
      { refreshToken: 'A'.repeat(43), userId: ann },
      { refreshToken: 'short', userId: ann },
      { refreshToken: 'with space in', userId: ann },
      { refreshToken: token, userId: 'ann' },
      { refreshToken: token, userId: ann, aal: 'aal3' },
      { refreshToken: token, userId: ann, since: 1.5 },
      { refreshToken: token, userId: ann, since: -1 },
    ])
      await expect(bring({ refreshToken: 'fine12345678', userId: ann }, wrong)).rejects.toThrow(
        TypeError,
      )
    expect(await count('refresh_tokens')).toBe(1002)
    const loose = trust([{ issuer: oldIssuer, secret: oldSecret }])
    await expect(loose.importSessions(scope(), [])).rejects.toThrow(TypeError)
  })

  it('are one of each user where that is asked', async () => {
    old = trust([{ issuer: oldIssuer, secret: oldSecret }])
    ;({ ask } = await setUpMove({ with: [sessions({ single: true }), admin(), old] }))
    await bring(
      { refreshToken: 'one123456789', userId: ann },
      { refreshToken: 'two123456789', userId: ann },
    )
    await expectStatus(await refresh(ask, 'one123456789'), 200)
    await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    expect(await count('sessions')).toBe(1)
  })
})

describe('without any of it', () => {
  it.each([...forms, 'x', '', 'a b c d e f g h', 'ü'.repeat(12), '\0'.repeat(12)])(
    'a token that nobody knows is not found: %j',
    async (shown) => {
      const response = await refresh(ask, shown)
      expect(response.status).toBe(400)
      expect(['refresh_token_not_found', 'validation_failed']).toContain(
        (await response.json<Json>()).error_code,
      )
    },
  )

  it('costs nothing for nonsense, and one trip for what might be one', async () => {
    const cost = async (refreshToken: string) => {
      const own = scope()
      await users.refresh(own, { refreshToken }).catch(() => undefined)
      return own.cost.trips
    }
    await cost(token)
    expect(await cost('x')).toBe(0)
    expect(await cost(token)).toBe(1)
  })
})
