import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, site } from '../kit/world.ts'
import {
  answer,
  app,
  ask,
  asked,
  callback,
  codeOf,
  exchange,
  identities,
  inbox,
  leadsTo,
  own,
  pkce,
  setUp,
  start,
  subOf,
} from './held-world.ts'
import { member } from './inbox.ts'
import { withFactor } from './mfa-world.ts'
import { begin, comeBack, departed, fragment, signInBy } from './oauth-world.ts'
import {
  claimsOf,
  count,
  expectStatus,
  getUser,
  type Json,
  password,
  post,
  refresh,
  rows,
} from './world.ts'

let attacker: Json
beforeEach(async () => {
  attacker = await setUp()
})

describe('without PKCE, whoever sits at the browser is asked', () => {
  it('by a page of ours that runs nothing, is in no frame, and says whose account it is', async () => {
    const flow = await start(attacker.access_token)
    const before = await identities()
    const { response, html } = await asked(flow)
    const { headers } = response
    const policy = headers.get('content-security-policy') as string
    expect(policy.split('; ')).toEqual([
      `default-src 'none'`,
      expect.stringMatching(/^style-src 'sha256-[\w+/]{43}='$/),
      `form-action 'self' https://other.example`,
      `frame-ancestors 'none'`,
      `base-uri 'none'`,
    ])
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('referrer-policy')).toBe('same-origin')
    expect(headers.getSetCookie().join()).not.toContain('oauth')
    // The hash is that of the one style that is there.
    const [, style = ''] = html.match(/<style>([\s\S]*?)<\/style>/) ?? []
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style))
    expect(policy).toContain(btoa(String.fromCharCode(...new Uint8Array(digest))))
    expect(html).not.toMatch(/<script|javascript:|\son\w+=|style="|<img|<link/i)
    expect(html).toContain('victim@example.com')
    expect(html).toContain('at•••r@example.com')
    expect(html).not.toContain('attacker@example.com')
    expect(html).toContain('Link Github to this account?')
    // The clock is shared by all files, and some have moved it on.
    const day = new Date(clock.time).toLocaleDateString('en-GB', {
      dateStyle: 'long',
      timeZone: 'UTC',
    })
    expect(day).toMatch(/^\d{1,2} [A-Z][a-z]+ \d{4}$/)
    expect(html).toContain(`opened on ${day}`)
    expect(html).not.toContain('github-at')
    expect(await identities()).toEqual(before)
    expect(inbox.mails).toEqual([])
  })

  it('escapes what the provider says, and shows a phone by its end (case 59)', async () => {
    const guest = await expectStatus(await post(ask, '/signup', {}), 200)
    const { html } = await asked(await start(guest.access_token, '', 'spotify'), 'nameless')
    expect(html).toContain('&#60;b&#62;Nel&#60;/b&#62; &#38; &#34;co&#34;')
    expect(html).not.toContain('<b>Nel')
    expect(html).toContain('a guest account')
    await env.DB.prepare('UPDATE leanto_auth_users SET email = NULL, phone = ? WHERE id = ?')
      .bind('4915112345678', attacker.user.id)
      .run()
    const phone = await asked(await start(attacker.access_token))
    expect(phone.html).toContain('•••678')
    expect(phone.html).not.toContain('4915112')
  })

  it('links upon a yes, and leads on with the session in the fragment', async () => {
    const { token } = await asked(await start(attacker.access_token))
    const url = leadsTo(await answer({ token, answer: 'link', mine: 'yes' }))
    expect(url.origin + url.pathname + url.search).toBe(app)
    const session = fragment(url)
    expect(session.provider_token).toBe('github-at')
    expect(subOf(session)).toBe(attacker.user.id)
    const user = await expectStatus(await getUser(ask, session.access_token), 200)
    expect(user.identities).toHaveLength(2)
    expect(await count('flows')).toBe(0)
    expect(inbox.mails.map(({ subject }) => subject)).toEqual(['A way to sign in was added'])
  })

  it('links nothing upon a no, or anything that is no yes', async () => {
    for (const said of ['cancel', '', 'LINK', 'yes']) {
      const { token } = await asked(await start(attacker.access_token))
      const url = leadsTo(await answer({ token, answer: said }))
      expect(url.origin + url.pathname).toBe(app)
      expect(fragment(url).error).toBe('access_denied')
      expect(url.searchParams.get('error')).toBe('access_denied')
      expect(url.href).not.toContain('access_token')
      // A no is final.
      const later = leadsTo(await answer({ token, answer: 'link' }))
      expect(later.href).not.toContain('access_token')
      expect(fragment(later).error_code).toBe('flow_state_not_found')
      expect(later.origin).toBe(site)
    }
    expect(await count('identities')).toBe(1)
    expect(await count('flows')).toBe(0)
  })

  it.each<[string, Record<string, string>]>([
    ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
    ['a sister of ours', { 'sec-fetch-site': 'same-site', origin: 'https://sub.app.example' }],
    ['the app’s other origin', { 'sec-fetch-site': 'cross-site', origin: 'https://other.example' }],
    ['a page without an origin', { origin: 'null' }],
    ['an old browser elsewhere', { origin: 'https://evil.example' }],
    ['nowhere', {}],
    ['the address bar', { 'sec-fetch-site': 'none' }],
  ])('takes no answer from %s, and the token stays good (case 64)', async (_, headers) => {
    const { token } = await asked(await start(attacker.access_token))
    for (const said of ['link', 'cancel'])
      expect(
        (await expectStatus(await answer({ token, answer: said }, headers), 403)).error_code,
      ).toBe('bad_origin')
    expect(await count('identities')).toBe(1)
    expect(leadsTo(await answer({ token, answer: 'link' })).hash).toContain('access_token')
  })

  it.each(['text/plain', 'application/json', 'multipart/form-data; boundary=x', ''])(
    'takes no answer as %j',
    async (type) => {
      const { token } = await asked(await start(attacker.access_token))
      const response = await answer({ token, answer: 'link' }, { ...own, 'content-type': type })
      expect(response.status).toBe(415)
      expect(await count('identities')).toBe(1)
    },
  )

  it('takes a token once, of 50 answers at once too, and no other’s (case 19)', async () => {
    const { token } = await asked(await start(attacker.access_token))
    const all = await Promise.all(
      Array.from({ length: 50 }, () => answer({ token, answer: 'link' })),
    )
    const led = all.map(leadsTo)
    expect(led.filter(({ hash }) => hash.includes('access_token'))).toHaveLength(1)
    expect([await count('identities'), await count('sessions')]).toEqual([2, 2])
    for (const nonsense of ['', 'x', 'A'.repeat(43), token.toLowerCase()]) {
      const url = leadsTo(await answer({ token: nonsense, answer: 'link' }))
      expect(fragment(url).error_code).toBe('flow_state_not_found')
    }
    // A form's token is no code, and a code no form's token.
    const code = await codeOf(await start(attacker.access_token, pkce), 'own')
    const url = leadsTo(await answer({ token: code, answer: 'link' }))
    expect(fragment(url).error_code).toBe('flow_state_not_found')
    const form = await asked(await start(attacker.access_token), 'own')
    expect((await expectStatus(await exchange(form.token), 404)).error_code).toBe(
      'flow_state_not_found',
    )
  })

  it('asks what stands against it once more, and leads back with that', async () => {
    const { token } = await asked(await start(attacker.access_token))
    const late = await asked(await start(attacker.access_token), 'own')
    await signInBy(ask, 'github', 'victim')
    const url = leadsTo(await answer({ token, answer: 'link' }))
    expect(url.origin + url.pathname).toBe(app)
    expect(fragment(url).error_code).toBe('identity_already_exists')
    await post(ask, '/logout', undefined, { token: attacker.access_token })
    const ended = leadsTo(await answer({ token: late.token, answer: 'link' }))
    expect(fragment(ended)).toMatchObject({
      error: 'access_denied',
      error_code: 'session_not_found',
    })
    const old = await signUpLate()
    clock.advance(301)
    const expired = leadsTo(await answer({ token: old, answer: 'link' }))
    expect(fragment(expired).error_code).toBe('flow_state_expired')
  })
  const signUpLate = async () => {
    const session = await member(ask, inbox, 'late@example.com')
    return (await asked(await start(session.access_token), 'own')).token
  }

  it('leads an app of its own scheme, and lets the form go there', async () => {
    const path = `/auth/v1/user/identities/authorize?provider=github&skip_http_redirect=true&redirect_to=notes://login`
    const response = await ask(path, { token: attacker.access_token })
    const flow = departed(response, (await expectStatus(response.clone(), 200)).url)
    const page = await asked(flow)
    expect(page.response.headers.get('content-security-policy')).toContain(
      `form-action 'self' notes:;`,
    )
    expect((await answer({ token: page.token, answer: 'cancel' })).headers.get('location')).toMatch(
      /^notes:\/\/login\?error=access_denied/,
    )
  })
})

describe('the browser that began', () => {
  const path = `/auth/v1/user/identities/authorize?provider=github&skip_http_redirect=true&redirect_to=${encodeURIComponent(app)}`

  it.each(['', pkce])('links at the callback, as ever %s', async (more) => {
    const response = await ask(path + more, { token: attacker.access_token })
    const flow = departed(response, (await expectStatus(response.clone(), 200)).url)
    expect(flow.setCookie).toMatch(/^__Host-leanto-oauth-.*HttpOnly; SameSite=Lax; Secure$/)
    const url = await comeBack(ask, flow, 'victim')
    expect(await count('identities')).toBe(2)
    if (more) {
      const code = url.searchParams.get('code')
      expect(code?.[14]).toBe('4')
      await expectStatus(await exchange(code), 200)
    } else expect(fragment(url).access_token).toBeTruthy()
  })

  it.each([
    ['another flow’s secret', (cookie: string) => cookie.replace(/=.*/, `=${'x'.repeat(21)}`)],
    ['two of one name', (cookie: string) => `${cookie}; ${cookie}`],
    ['half of it', (cookie: string) => cookie.slice(0, -1)],
  ])('is not one that shows %s: it is asked', async (_, change) => {
    const response = await ask(path, { token: attacker.access_token })
    const flow = departed(response, (await expectStatus(response.clone(), 200)).url)
    const page = await callback(flow, 'victim', change(flow.cookie))
    expect(page.status).toBe(200)
    expect(await page.text()).toContain('Link Github to this account?')
    expect(await count('identities')).toBe(1)
  })

  it('a sign-in still needs the cookie, whatever it is called', async () => {
    const flow = await begin(ask, 'provider=github')
    for (const code of ['victim', 'own']) {
      const url = await comeBack(ask, { ...flow, cookie: '' }, code)
      expect(url.searchParams.get('error_code')).toBe('bad_oauth_state')
    }
    expect(await count('users')).toBe(1)
    // And was not taken by it.
    expect(fragment(await comeBack(ask, flow, 'own')).access_token).toBeTruthy()
  })
})

describe('second factors and guests', () => {
  it('a guest who links becomes a user, by a new session alone (case 16)', async () => {
    const guest = await expectStatus(await post(ask, '/signup', {}), 200)
    const code = await codeOf(await start(guest.access_token, pkce))
    const session = await expectStatus(await exchange(code), 200)
    expect(claimsOf(session.access_token)).toMatchObject({
      sub: guest.user.id,
      is_anonymous: false,
      email: 'victim@example.com',
    })
    await expectStatus(await getUser(ask, guest.access_token), 403)
    await expectStatus(await refresh(ask, guest.refresh_token), 400)
    await expectStatus(await getUser(ask, session.access_token), 200)
  })

  it('and by the page as well, whose no leaves the guest a guest', async () => {
    const guest = await expectStatus(await post(ask, '/signup', {}), 200)
    const first = await asked(await start(guest.access_token))
    leadsTo(await answer({ token: first.token, answer: 'cancel' }))
    expect((await expectStatus(await getUser(ask, guest.access_token), 200)).is_anonymous).toBe(
      true,
    )
    const { token } = await asked(await start(guest.access_token))
    const session = fragment(leadsTo(await answer({ token, answer: 'link' })))
    expect(claimsOf(session.access_token as string).is_anonymous).toBe(false)
    await expectStatus(await getUser(ask, guest.access_token), 403)
    await expectStatus(await refresh(ask, guest.refresh_token), 400)
    expect(
      await rows('SELECT id FROM leanto_auth_sessions WHERE user_id = ?', guest.user.id),
    ).toEqual([{ id: claimsOf(session.access_token as string).session_id }])
  })

  it('what was begun before the second factor is not made after it (case 16)', async () => {
    const code = await codeOf(await start(attacker.access_token, pkce))
    const other = await expectStatus(
      await post(ask, '/token?grant_type=password', { email: 'attacker@example.com', password }),
      200,
    )
    await withFactor(ask, other)
    // The session that began it has shown none, and has ended by the other one's.
    expect((await expectStatus(await exchange(code), 403)).error_code).toBe('session_not_found')
    const path = '/auth/v1/user/identities/authorize?provider=github'
    await expectStatus(await ask(path, { token: other.access_token }), 401)
  })
})
