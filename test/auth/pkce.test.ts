import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase, site } from '../kit/world.ts'
import { fragmentOf, locationOf, makeInbox, member, open, register } from './inbox.ts'
import { allowed, redirects, refused } from './redirect-corpus.ts'
import { claimsOf, count, expectStatus, getUser, makeAuth, mountAuth, post, rows } from './world.ts'

const inbox = makeInbox()
const free = {
  guesses: false,
  signIns: false,
  signUps: false,
  messages: false,
  inbox: false,
} as const
const users = makeAuth({
  mailer: inbox.mailer,
  limits: free,
  redirects,
})
const ask = mountAuth(users)
const ann = 'ann@example.com'
const verifier = 'v-0123456789.abcdefghijklmnopqrstuvwxyz~ABCDEF'

beforeEach(async () => {
  await freshDatabase([users])
  inbox.clear()
})

const s256 = async (text: string) => {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
const challenge = async (method = 's256') => ({
  code_challenge: method === 'plain' ? verifier : await s256(verifier),
  code_challenge_method: method,
})
const exchange = (auth_code: unknown, code_verifier: unknown = verifier) =>
  post(ask, '/token?grant_type=pkce', { auth_code, code_verifier })
const codeOf = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code

async function authCode(method?: string, path = '/otp'): Promise<string> {
  await expectStatus(await post(ask, path, { email: ann, ...(await challenge(method)) }), 200)
  const url = locationOf(await open(ask, inbox.link(ann)))
  return url.searchParams.get('code') as string
}

describe('a link with PKCE', () => {
  it.each(['s256', 'S256', 'plain'])(
    '%s: answers a code that its verifier exchanges',
    async (method) => {
      await post(ask, '/otp', { email: ann, ...(await challenge(method)) })
      expect(inbox.token(ann)).toMatch(/^pkce_/)
      const url = locationOf(await open(ask, inbox.link(ann)))
      expect([url.origin, url.hash]).toEqual([site, ''])
      // Whoever opens the link has no session by it.
      expect(await count('sessions')).toBe(0)
      const code = url.searchParams.get('code')
      expect(JSON.stringify(await rows('SELECT * FROM leanto_auth_flows'))).not.toContain(code)
      const session = await expectStatus(await exchange(code), 200)
      expect(claimsOf(session.access_token).amr[0].method).toBe('magiclink')
      expect((await getUser(ask, session.access_token)).status).toBe(200)
      expect([await count('flows'), await count('tokens'), await count('sessions')]).toEqual([
        0, 0, 1,
      ])
      expect(await codeOf(await exchange(code), 404)).toBe('flow_state_not_found')
    },
  )

  it('says how it began', async () => {
    await register(ask, ann, await challenge())
    const up = locationOf(await open(ask, inbox.link(ann))).searchParams.get('code')
    const session = await expectStatus(await exchange(up), 200)
    expect(claimsOf(session.access_token).amr[0].method).toBe('email/signup')
    const recovery = await expectStatus(await exchange(await authCode('s256', '/recover')), 200)
    expect(claimsOf(recovery.access_token).amr[0].method).toBe('recovery')
  })

  it('needs the verifier, and a wrong one spends nothing (case 26)', async () => {
    const code = await authCode()
    expect(await codeOf(await exchange(code, 'x'.repeat(43)), 400)).toBe('bad_code_verifier')
    expect(await codeOf(await exchange(code, await s256(verifier)), 400)).toBe('bad_code_verifier')
    for (const nothing of ['', null, undefined])
      expect(
        await codeOf(
          await post(ask, '/token?grant_type=pkce', { auth_code: code, code_verifier: nothing }),
          400,
        ),
      ).toBe('validation_failed')
    expect(await count('sessions')).toBe(0)
    await expectStatus(await exchange(code), 200)
  })

  it('is over after five minutes (case 26)', async () => {
    const code = await authCode()
    clock.advance(300)
    expect(await codeOf(await exchange(code), 422)).toBe('flow_state_expired')
    expect(await count('sessions')).toBe(0)
  })

  it('is exchanged once by 50 parallel calls (case 19)', async () => {
    const code = await authCode()
    const calls = await Promise.all(Array.from({ length: 50 }, () => exchange(code)))
    expect(calls.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(await count('sessions')).toBe(1)
  })

  it('is made once by 50 parallel clicks (case 19)', async () => {
    await post(ask, '/otp', { email: ann, ...(await challenge()) })
    const link = inbox.link(ann)
    const urls = (await Promise.all(Array.from({ length: 50 }, () => open(ask, link)))).map(
      locationOf,
    )
    expect(urls.filter((url) => url.searchParams.has('code'))).toHaveLength(1)
    expect(await count('flows')).toBe(1)
  })

  it('is refused to who was banned meanwhile', async () => {
    const code = await authCode()
    await rows('UPDATE leanto_auth_users SET banned_until = ?', clock.now() + 1000)
    expect((await exchange(code)).status).toBe(403)
    expect(await count('sessions')).toBe(0)
  })

  it.each([
    [{ code_challenge: 'short', code_challenge_method: 's256' }],
    [{ code_challenge: 'x'.repeat(129), code_challenge_method: 's256' }],
    [{ code_challenge: `${'x'.repeat(43)}'`, code_challenge_method: 's256' }],
    [{ code_challenge: 'x'.repeat(43), code_challenge_method: 'none' }],
    [{ code_challenge: 'x'.repeat(43) }],
    [{ code_challenge_method: 's256' }],
  ])('wants a challenge, not %j', async (pkce) => {
    for (const path of ['/otp', '/recover', '/resend', '/magiclink'])
      expect(
        await codeOf(await post(ask, path, { email: ann, type: 'signup', ...pkce }), 400),
      ).toBe('validation_failed')
    expect(inbox.mails).toEqual([])
  })
})

describe('a link without PKCE', () => {
  it('hands the session over in the fragment, and no page learns the link', async () => {
    await register(ask, ann)
    const response = await open(ask, inbox.link(ann))
    expect(response.headers.get('referrer-policy')).toBe('no-referrer')
    expect(response.headers.get('cache-control')).toBe('no-store')
    const url = locationOf(response)
    expect([url.origin, url.search]).toEqual([site, ''])
    const { access_token, refresh_token, ...rest } = fragmentOf(url)
    expect(rest).toEqual({
      expires_in: '3600',
      expires_at: String(clock.now() / 1000 + 3600),
      token_type: 'bearer',
      type: 'signup',
    })
    expect(refresh_token).toMatch(/^[\w-]{43}$/)
    expect((await getUser(ask, access_token)).status).toBe(200)
  })

  it('leads with an error once it is used, and never into the app with a session', async () => {
    await register(ask, ann)
    const link = inbox.link(ann)
    await open(ask, link)
    const url = locationOf(await open(ask, link))
    expect(fragmentOf(url)).toEqual({
      error: 'access_denied',
      error_code: 'otp_expired',
      error_description: 'Email link is invalid or has expired',
    })
    const odd = new URL(link)
    odd.searchParams.set('token', 'pkce_nonsense')
    const inQuery = locationOf(await open(ask, odd))
    expect(inQuery.searchParams.get('error_code')).toBe('otp_expired')
    odd.searchParams.set('type', '"><script>alert(1)</script>')
    const unknown = locationOf(await open(ask, odd))
    expect(unknown.href).not.toContain('<')
    expect(unknown.searchParams.get('error_code')).toBe('validation_failed')
  })

  it('wants a token and a type', async () => {
    for (const query of ['', '?token=x', '?type=signup', '?token[]=x&type=signup'])
      expect((await ask(`/auth/v1/verify${query}`)).status).toBe(400)
  })
})

describe('a redirect (case 24)', () => {
  it.each([
    ...allowed.map((to) => [to, true] as const),
    ...refused.map((to) => [to, false] as const),
  ])('%j: %s, in success and in error', async (to, fine) => {
    const query = `?redirect_to=${encodeURIComponent(to)}`
    await post(ask, `/otp${query}`, { email: ann })
    const link = inbox.link(ann)
    const mailed = link.searchParams.get('redirect_to') as string
    expect(mailed).toBe(
      fine ? new URL(to).href.replace(/^(https:\/\/app\.example)\/$/, mailed) : site,
    )
    // Whoever changes the link gets no further.
    link.searchParams.set('redirect_to', to)
    for (const expected of ['access_token', 'error']) {
      const url = locationOf(await open(ask, link))
      expect(fragmentOf(url)[expected]).toBeDefined()
      const bare = url.href.split('#')[0]
      expect(bare).toBe(fine ? new URL(to).href.split('#')[0] : `${site}/`)
    }
    link.searchParams.set('token', 'pkce_x')
    const pkce = locationOf(await open(ask, link))
    expect(
      pkce.href.startsWith(fine ? (new URL(to).href.split(/[?#]/)[0] as string) : `${site}/`),
    ).toBe(true)
  })

  it('in every route that takes one', async () => {
    const evil = '?redirect_to=https://evil.example'
    await post(ask, `/signup${evil}`, { email: ann, password: 'correct horse' })
    await post(ask, `/resend${evil}`, { email: ann, type: 'signup' })
    await post(ask, `/recover${evil}`, { email: ann })
    await post(ask, `/magiclink${evil}`, { email: ann })
    const { access_token: token } = await member(ask, inbox, 'bob@example.com')
    await ask(`/auth/v1/user${evil}`, { method: 'PUT', token, body: { email: 'rob@example.com' } })
    expect(inbox.mails.length).toBe(7)
    for (const { to } of inbox.mails)
      expect(inbox.link(to).searchParams.get('redirect_to')).toBe(site)
    expect(JSON.stringify(inbox.mails)).not.toContain('evil')
  })
})
