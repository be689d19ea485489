import { beforeEach, describe, expect, it } from 'vitest'
import { type DeviceWorld, formTo, makeWorld, type Setup } from './device-world.ts'
import { claimsOf, count, expectStatus, rows, signIn, signUp } from './world.ts'

let world: DeviceWorld
const mounted = async (setup: Setup = {}) => {
  world = await makeWorld(setup)
}
beforeEach(() => mounted())

const errorOf = async (response: Response, status = 400): Promise<string> =>
  (await expectStatus(response, status)).error
const codeOf = async (response: Response, status: number): Promise<string> =>
  (await expectStatus(response, status)).error_code

describe('a code', () => {
  it('is claimed by one session, which alone may look and answer (case 28)', async () => {
    const { device_code, user_code } = await world.begin()
    const bob = await signUp(world.ask, 'bob@example.com')
    const elsewhere = await expectStatus(await signIn(world.ask, 'ann@example.com'), 200)
    const others = [bob.access_token, elsewhere.access_token]
    // Nobody answers what they have not claimed.
    for (const token of [...others, world.session.access_token])
      for (const action of ['approve', 'deny'])
        expect(await codeOf(await world.consent(user_code, action, token), 404)).toBe(
          'oauth_device_not_found',
        )
    await expectStatus(await world.claim(user_code), 200)
    for (const token of others) {
      expect(await codeOf(await world.claim(user_code, token), 404)).toBe('oauth_device_not_found')
      for (const action of ['approve', 'deny'])
        expect(await codeOf(await world.consent(user_code, action, token), 404)).toBe(
          'oauth_device_not_found',
        )
    }
    expect(await errorOf(await world.poll(device_code))).toBe('authorization_pending')
    expect(await count('oauth_consents')).toBe(0)
    // The one that has claimed it may look again, and answers.
    await world.approve(user_code)
    const tokens = await expectStatus(await world.poll(device_code), 200)
    expect(claimsOf(tokens.access_token).sub).toBe(world.session.user.id)
  })

  it('is claimed by one, of 20 sessions at once', async () => {
    const { user_code } = await world.begin()
    const sessions = await Promise.all(
      Array.from({ length: 20 }, (_, i) => signUp(world.ask, `u${i}@example.com`)),
    )
    const all = await Promise.all(
      sessions.map(({ access_token }) => world.claim(user_code, access_token)),
    )
    expect(all.filter(({ ok }) => ok)).toHaveLength(1)
  })

  it('is nobody’s who is not signed in, a guest’s, or a client’s', async () => {
    await mounted({ auth: { anonymous: true } })
    const { user_code } = await world.begin()
    expect((await world.claim(user_code, '')).status).toBe(401)
    expect((await world.consent(user_code, 'approve', '')).status).toBe(401)
    const guest = await expectStatus(await world.ask('/auth/v1/signup', { body: {} }), 200)
    expect(await codeOf(await world.claim(user_code, guest.access_token), 400)).toBe(
      'reauthentication_needed',
    )
    const { access_token: clients } = await world.connect()
    expect(await codeOf(await world.claim(user_code, clients), 403)).toBe('insufficient_scope')
    expect(await codeOf(await world.consent(user_code, 'approve', clients), 403)).toBe(
      'insufficient_scope',
    )
    const [waiting] = await rows(
      'SELECT claimed_by FROM leanto_auth_oauth_devices WHERE decision IS NULL',
    )
    expect(waiting).toEqual({ claimed_by: null })
  })

  it('is nobody’s whose session has ended', async () => {
    const { user_code } = await world.begin()
    await expectStatus(await world.claim(user_code), 200)
    await rows('DELETE FROM leanto_auth_sessions')
    expect(await codeOf(await world.claim(user_code), 403)).toBe('session_not_found')
    expect(await codeOf(await world.consent(user_code), 403)).toBe('session_not_found')
  })

  it('is typed in any case, with any signs between', async () => {
    const { user_code } = await world.begin()
    const bare = user_code.replace('-', '')
    for (const typed of [
      bare,
      bare.toLowerCase(),
      ` ${user_code.toLowerCase()} `,
      [...bare].join(' '),
      user_code.replace('-', '—'),
    ])
      expect((await expectStatus(await world.claim(typed), 200)).user_code).toBe(user_code)
  })

  it.each(['', 'WDJB', 'WDJB-MJHTT', 'ABCD-EFGH', 'WDJB-MJH1', 'x'.repeat(5000), 'ẞDJB-MJHT'])(
    'is refused without an attempt where it can be none: %s',
    async (code) => {
      expect(await codeOf(await world.claim(code), 400)).toBe('validation_failed')
      expect(await rows(`SELECT * FROM leanto_core_limits WHERE key LIKE 'auth:device%'`)).toEqual(
        [],
      )
    },
  )

  it.each([[null], [1], [['WDJB-MJHT']], [{ a: 1 }], [true]])(
    'is text, and not %j (case 22)',
    async (user_code) => {
      const { access_token: token } = world.session
      for (const path of ['claim', 'consent']) {
        const body = { user_code, action: 'approve' }
        const response = await world.ask(`/auth/v1/oauth/device/${path}`, { body, token })
        expect(response.status).toBe(400)
      }
    },
  )

  it('is guessed ten times by an account, wherever it is, and a right one costs nothing', async () => {
    const { user_code } = await world.begin()
    const wrong = 'BBBB-BBBB'
    for (let i = 0; i < 9; i++) expect((await world.claim(wrong)).status).toBe(404)
    for (let i = 0; i < 5; i++) expect((await world.claim(user_code)).status).toBe(200)
    expect((await world.claim(wrong)).status).toBe(404)
    const { user_code: another } = await world.begin()
    const refused = await world.claim(another)
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(await codeOf(refused, 429)).toBe('over_request_rate_limit')
    const headers = { 'cf-connecting-ip': '198.51.100.7' }
    expect((await world.claim(another, undefined, { headers })).status).toBe(429)
    const [{ claimed_by }] = await rows(
      'SELECT claimed_by FROM leanto_auth_oauth_devices ORDER BY created_at DESC, claimed_by',
    )
    expect(claimed_by).toBeNull()
    const bob = await signUp(world.ask, 'bob@example.com')
    expect((await world.claim(another, bob.access_token)).status).toBe(200)
  })

  it('is never guessed more often by many at once (case 20)', async () => {
    const { user_code } = await world.begin()
    const all = await Promise.all(Array.from({ length: 40 }, () => world.claim('BBBB-BBBB')))
    expect(all.filter(({ status }) => status === 404)).toHaveLength(10)
    expect(all.filter(({ status }) => status === 429)).toHaveLength(30)
    expect((await world.claim(user_code)).status).toBe(429)
  })

  it('of one’s own gives no attempt back, once its network has none (case 20)', async () => {
    const headers = { 'cf-connecting-ip': '203.0.113.9' }
    const mine = await world.begin()
    expect((await world.claim(mine.user_code, undefined, { headers })).status).toBe(200)
    const wrong = () => world.claim('BBBB-BBBB')
    for (let i = 0; i < 10; i++) expect((await wrong()).status).toBe(404)
    const others = await Promise.all(
      ['a', 'b', 'c'].map(
        async (one) => (await signUp(world.ask, `${one}@example.com`)).access_token,
      ),
    )
    for (let i = 0; i < 30; i++) await world.claim('BBBB-BBBB', others[i % 3], { headers })
    const before = await rows('SELECT key, spent FROM leanto_core_limits ORDER BY key')
    for (let i = 0; i < 15; i++)
      expect((await world.claim(mine.user_code, undefined, { headers })).status).toBe(429)
    const after = await rows('SELECT key, spent FROM leanto_core_limits ORDER BY key')
    const accounts = (all: typeof before) => all.filter(({ key }) => key.includes('device-user'))
    expect(accounts(after)).toEqual(accounts(before))
    expect((await wrong()).status).toBe(429)
    const negative = await rows('SELECT key FROM leanto_core_limits WHERE spent < 0')
    expect(negative).toEqual([])
  })

  it('is guessed thirty times by a network, with however many accounts', async () => {
    const headers = { 'cf-connecting-ip': '203.0.113.9' }
    const tokens = await Promise.all(
      Array.from(
        { length: 4 },
        async (_, i) => (await signUp(world.ask, `n${i}@example.com`)).access_token,
      ),
    )
    const heard: number[] = []
    for (let i = 0; i < 36; i++) {
      const response = await world.claim('BBBB-BBBB', tokens[i % 4], { headers })
      heard.push(response.status)
    }
    expect(heard.filter((status) => status === 404)).toHaveLength(30)
    expect(heard.slice(30)).toEqual(Array(6).fill(429))
  })

  it('is made as often as a network may begin what it begins', async () => {
    await mounted({ auth: { limits: { flows: { max: 3, seconds: 300 } } } })
    const form = { client_id: world.client.client_id, scope: 'openid' }
    const begin = () => formTo(world.ask, '/oauth/device_authorization', form)
    for (let i = 0; i < 3; i++) await expectStatus(await begin(), 200)
    const refused = await begin()
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    await expectStatus(refused, 429)
    expect(await count('oauth_devices')).toBe(3)
  })

  it('is stored in no form that says it (case 23)', async () => {
    const { device_code, user_code } = await world.begin()
    await world.approve(user_code)
    const stored = JSON.stringify(await rows('SELECT * FROM leanto_auth_oauth_devices'))
    for (const secret of [device_code, user_code, user_code.replace('-', '')])
      expect(stored).not.toContain(secret)
  })

  it('is another one where one is taken', async () => {
    const codes = new Set<string>()
    for (let i = 0; i < 20; i++) codes.add((await world.begin()).user_code)
    expect(codes.size).toBe(20)
  })

  it('says where its device is, as far as that is known', async () => {
    const from = (address: string) => ({ 'cf-connecting-ip': address })
    const { user_code } = await world.begin({}, from('203.0.113.9'))
    const headers = from('203.0.113.9')
    expect(
      await expectStatus(await world.claim(user_code, undefined, { headers }), 200),
    ).toMatchObject({ same_network: true, place: null, user: { email: 'ann@example.com' } })
    expect(
      await expectStatus(
        await world.claim(user_code, undefined, { headers: from('192.0.2.1') }),
        200,
      ),
    ).toMatchObject({ same_network: false })
    const unknown = await world.begin()
    expect(await expectStatus(await world.claim(unknown.user_code), 200)).toMatchObject({
      same_network: false,
    })
  })
})
