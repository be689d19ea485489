import { env } from 'cloudflare:workers'
import { admin } from 'leanto/auth/admin'
import { issuedKeys, turnstile } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { freshDatabase, makeBase } from '../kit/world.ts'
import {
  type Asker,
  count,
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  refresh,
  signIn,
} from './world.ts'

let ask: Asker
const setUp = async (options: Parameters<typeof makeAuth>[0]) => {
  const users = makeAuth(options)
  ask = mountAuth(users)
  await freshDatabase([users])
}
const code = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code

describe('Turnstile', () => {
  const asked: Json[] = []
  let verdict: () => Response = () => Response.json({ success: true })
  const captcha = () =>
    turnstile({
      secret: () => 'the-secret',
      fetch: async (url, init) => {
        asked.push({ url, ...JSON.parse(String(init.body)) })
        return verdict()
      },
    })
  beforeEach(async () => {
    asked.length = 0
    verdict = () => Response.json({ success: true })
    await setUp({ with: [captcha()] })
  })
  const solved = { gotrue_meta_security: { captcha_token: 'solved' } }
  const ann = { email: 'ann@example.com', password }

  it('stands before sign-up and sign-in, and nothing else', async () => {
    expect(await code(await post(ask, '/signup', ann), 400)).toBe('captcha_failed')
    const headers = { 'cf-connecting-ip': '192.0.2.1' }
    const session = await expectStatus(
      await post(ask, '/signup', { ...ann, ...solved }, { headers }),
      200,
    )
    expect(asked).toEqual([
      {
        url: 'https://challenges.cloudflare.com/turnstile/v0/siteverify',
        secret: 'the-secret',
        response: 'solved',
        remoteip: '192.0.2.1',
      },
    ])
    expect(await code(await signIn(ask, ann.email), 400)).toBe('captcha_failed')
    for (const path of ['/recover', '/resend', '/otp', '/magiclink'])
      expect(await code(await post(ask, path, ann), 400), path).toBe('captcha_failed')
    await expectStatus(await post(ask, '/token?grant_type=password', { ...ann, ...solved }), 200)
    await expectStatus(await refresh(ask, session.refresh_token), 200)
    await expectStatus(await getUser(ask, session.access_token), 200)
  })

  it('asks nothing of the server, by its key or its token, and all of whoever else shows one', async () => {
    const backend = admin()
    await setUp({ with: [captcha(), backend, issuedKeys()] })
    const key = 'secret'
    await expectStatus(await post(ask, '/signup', ann, { key }), 200)
    const { access_token } = await expectStatus(
      await post(ask, '/token?grant_type=password', ann, { key }),
      200,
    )
    const token = await backend.serviceToken(makeBase().scope({ env }), { seconds: 60 })
    await expectStatus(await post(ask, '/token?grant_type=password', ann, { token }), 200)
    expect(asked).toEqual([])
    const issue = async (scopes: string[]) => {
      const body = { type: 'secret', name: 'CI', scopes }
      return (await expectStatus(await post(ask, '/admin/api-keys', body, { key }), 200)).api_key
    }
    const [whole, scoped] = [await issue([]), await issue(['mail'])]
    const by = async (headers: Record<string, string>) =>
      (await post(ask, '/token?grant_type=password', ann, { headers })).status
    expect(await by({ apikey: whole })).toBe(200)
    for (const shown of [scoped, `sb_secret_${'x'.repeat(43)}`])
      expect(await by({ apikey: shown })).toBe(400)
    for (const shown of [access_token, 'no.such.token', 'x'])
      expect(await by({ authorization: `Bearer ${shown}` })).toBe(400)
    expect(await code(await post(ask, '/otp', ann, { key: 'publishable' }), 400)).toBe(
      'captcha_failed',
    )
    expect(asked).toEqual([])
  })

  // The route and the guard must read the same grant.
  it.each([
    'grant%5Ftype=refresh_token&grant_type=password',
    'grant%5ftype=password',
    'grant_type=%70assword',
    'x=1&grant_type=password',
    'grant_type=password&grant_type=refresh_token',
    'grant_type=refresh_token&grant_type=password',
    'GRANT_TYPE=refresh_token&grant_type=password',
    'grant_type=&grant_type=password',
  ])('is not got past by ?%s (case 54)', async (query) => {
    await expectStatus(await post(ask, '/signup', { ...ann, ...solved }), 200)
    asked.length = 0
    const response = await post(ask, `/token?${query}`, ann)
    expect(response.status).toBe(400)
    expect(await count('sessions')).toBe(1)
    const { error_code } = (await response.json()) as Json
    // Nor does the other grant see the password.
    expect(['captcha_failed', 'validation_failed', 'invalid_credentials']).toContain(error_code)
    const solvedToo = await post(ask, `/token?${query}`, { ...ann, ...solved })
    if (solvedToo.status === 200) expect([error_code, asked.length]).toEqual(['captcha_failed', 1])
  })

  it.each<[string, () => Response]>([
    ['says no', () => Response.json({ success: false, 'error-codes': ['timeout-or-duplicate'] })],
    ['says truthy', () => Response.json({ success: 'true' })],
    ['says nothing', () => new Response('', { status: 200 })],
    ['is down', () => new Response('oops', { status: 502 })],
    [
      'cannot be reached',
      () => {
        throw new TypeError('no network')
      },
    ],
  ])('refuses when it %s', async (_, answer) => {
    verdict = answer
    expect(await code(await post(ask, '/signup', { ...ann, ...solved }), 400)).toBe(
      'captcha_failed',
    )
    expect(await count('users')).toBe(0)
  })

  it.each([
    [{ captcha_token: { $ne: null } }],
    [{ captcha_token: ['solved'] }],
    [{ captcha_token: 'x'.repeat(2049) }],
    [{}],
    ['solved'],
  ])('asks nobody about %j', async (gotrue_meta_security) => {
    const response = await post(ask, '/signup', { ...ann, gotrue_meta_security })
    expect(await code(response, 400)).toBe('captcha_failed')
    expect(asked).toEqual([])
  })

  it('wants a secret', () => {
    expect(() => turnstile({ secret: '' })).toThrow(TypeError)
  })
})
