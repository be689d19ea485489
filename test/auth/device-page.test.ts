import { beforeEach, describe, expect, it } from 'vitest'
import { placeOf } from '../../src/auth/oauth-server/device/place.ts'
import { clock, site } from '../kit/world.ts'
import {
  browser,
  type DeviceWorld,
  formTo,
  makeClient,
  makeWorld,
  own,
  type Setup,
  submit,
  worldOf,
} from './device-world.ts'
import { claimsOf, count, expectStatus, type Json, rows } from './world.ts'

let world: DeviceWorld
let ann: { cookie: string }
const mounted = async (setup: Setup = {}) => {
  world = await makeWorld(setup)
  ann = await browser(world.ask, 'ann2@example.com')
}
beforeEach(() => mounted())

const open = (query = '', headers: Record<string, string> = ann) =>
  world.ask(`/auth/v1/oauth/device${query}`, { headers })

const htmlOf = async (response: Response, status = 200): Promise<string> => {
  const html = await response.text()
  expect(response.status, html).toBe(status)
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  return html
}

/** That it runs nothing, is in no frame, and is nobody else's. */
async function expectSafe(response: Response) {
  const { headers } = response
  const policy = headers.get('content-security-policy') as string
  expect(policy.split('; ')).toEqual([
    `default-src 'none'`,
    expect.stringMatching(/^style-src 'sha256-[\w+/]{43}='$/),
    `form-action 'self'`,
    `frame-ancestors 'none'`,
    `base-uri 'none'`,
  ])
  expect(headers.get('x-frame-options')).toBe('DENY')
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('referrer-policy')).toBe('same-origin')
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  const html = await response.clone().text()
  const [, style = ''] = html.match(/<style>([\s\S]*?)<\/style>/) ?? []
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style))
  expect(policy).toContain(btoa(String.fromCharCode(...new Uint8Array(digest))))
  expect(html).not.toMatch(/<script|javascript:|\son\w+=|style="|<img|<link/i)
}

describe('the page for codes', () => {
  it('goes from the code to the answer by forms alone', async () => {
    const { device_code, user_code } = await world.begin()
    const first = await open()
    await expectSafe(first)
    expect(await htmlOf(first)).toContain(`action="${site}/auth/v1/oauth/device"`)

    const asked = await submit(world.ask, { user_code }, ann)
    await expectSafe(asked)
    const question = await htmlOf(asked)
    expect(question).toContain('Let Big Screen use your account?')
    expect(question).toContain('screen.example')
    expect(question).toContain('ann2@example.com')
    expect(question).toContain('Read and change your notes')
    expect(question).toContain('See your email address')
    expect(question).toContain(`<dd class="code">${user_code}</dd>`)
    expect(question).toContain('Only go on if the device is in front of you.')
    expect(question).not.toContain('nobody has checked')
    expect(await expectStatus(await world.poll(device_code), 400)).toMatchObject({
      error: 'authorization_pending',
    })

    const answered = await submit(world.ask, { user_code, answer: 'approve' }, ann)
    await expectSafe(answered)
    expect(await htmlOf(answered)).toContain('Big Screen is connected')
    const tokens = await expectStatus(await world.poll(device_code), 200)
    expect(claimsOf(tokens.id_token).email).toBe('ann2@example.com')
  })

  it('takes no answer but Allow for a yes', async () => {
    for (const answer of ['deny', '', 'Approve', 'allow', 'yes']) {
      const { device_code, user_code } = await world.begin()
      await htmlOf(await submit(world.ask, { user_code }, ann))
      const html = await htmlOf(await submit(world.ask, { user_code, answer }, ann))
      expect(html).toContain('Nothing was connected')
      expect(await expectStatus(await world.poll(device_code), 400)).toMatchObject({
        error: 'access_denied',
      })
    }
  })

  it('shows the code of its address, and does nothing with it (RFC 8628, 3.3.1)', async () => {
    const { user_code } = await world.begin()
    const html = await htmlOf(await open(`?user_code=${user_code.toLowerCase()}`))
    expect(html).toContain(`value="${user_code}"`)
    const [row] = await rows('SELECT claimed_by, polled_at FROM leanto_auth_oauth_devices')
    expect(row).toEqual({ claimed_by: null, polled_at: null })
    const head = await world.ask('/auth/v1/oauth/device', { method: 'HEAD', headers: ann })
    expect(head.status).toBe(200)
  })

  it('escapes whatever it is told (case 59)', async () => {
    const evil = `"><script>alert(1)</script>'`
    const shown = await htmlOf(await open(`?user_code=${encodeURIComponent(evil)}`))
    expect(shown).not.toContain('<script')
    const again = await htmlOf(await submit(world.ask, { user_code: evil }, ann), 400)
    expect(again).not.toContain('<script')
    const client = await makeClient(world.ask, { client_name: '<b>Big</b> & "co"' })
    const { user_code } = await worldOf({ ...world, client }).begin()
    const question = await htmlOf(await submit(world.ask, { user_code }, ann))
    expect(question).toContain('&#60;b&#62;Big&#60;/b&#62; &#38; &#34;co&#34;')
    expect(question).not.toContain('<b>Big')
    const done = await htmlOf(await submit(world.ask, { user_code, answer: 'approve' }, ann))
    expect(done).not.toContain('<b>Big')
  })

  it('says of a client that has registered itself that nobody has checked it', async () => {
    await mounted({ server: { registration: true } })
    await rows(`UPDATE leanto_auth_oauth_clients SET registration = 'dynamic', name = ''`)
    const { user_code } = await world.begin()
    const question = await htmlOf(await submit(world.ask, { user_code }, ann))
    expect(question).toContain('nobody has checked who it is')
    expect(question).toContain('Let An app use your account?')
  })

  it('says what was wrong with a code, and keeps it in the field', async () => {
    const wrong = await submit(world.ask, { user_code: 'BBBB-BBBB' }, ann)
    await expectSafe(wrong)
    const html = await htmlOf(wrong, 404)
    expect(html).toContain('role="alert"')
    expect(html).toContain('value="BBBB-BBBB"')
    expect(await htmlOf(await submit(world.ask, { user_code: 'x' }, ann), 400)).toContain(
      'A code has 8 letters',
    )
    for (let i = 0; i < 9; i++) await submit(world.ask, { user_code: 'BBBB-BBBB' }, ann)
    const refused = await submit(world.ask, { user_code: 'BBBB-BBBB' }, ann)
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(await htmlOf(refused, 429)).toContain('Too many codes were wrong')
  })

  it('answers for the session that entered the code, and for no other (case 28)', async () => {
    const { device_code, user_code } = await world.begin()
    await htmlOf(await submit(world.ask, { user_code }, ann))
    const eve = await browser(world.ask, 'eve@example.com')
    await htmlOf(await submit(world.ask, { user_code }, eve), 404)
    for (const answer of ['approve', 'deny'])
      await htmlOf(await submit(world.ask, { user_code, answer }, eve), 404)
    expect(await expectStatus(await world.poll(device_code), 400)).toMatchObject({
      error: 'authorization_pending',
    })
    expect(await count('oauth_consents')).toBe(0)
  })

  it('answers once', async () => {
    const { user_code } = await world.begin()
    await htmlOf(await submit(world.ask, { user_code }, ann))
    await htmlOf(await submit(world.ask, { user_code, answer: 'deny' }, ann))
    await htmlOf(await submit(world.ask, { user_code, answer: 'approve' }, ann), 404)
  })

  it('says where the device is, and whether that is near', async () => {
    const network = { 'cf-connecting-ip': '203.0.113.9' }
    const { user_code } = await world.begin({}, network)
    await rows(`UPDATE leanto_auth_oauth_devices SET place = 'Lisbon, <Portugal>'`)
    const at = new Date(clock.now()).toISOString().slice(11, 16)
    const near = await htmlOf(await submit(world.ask, { user_code }, { ...ann, ...network }))
    expect(near).toContain('Lisbon, &#60;Portugal&#62;')
    expect(near).toContain(`in the same network as you, asked at ${at} UTC`)
    const far = await htmlOf(await submit(world.ask, { user_code }, ann))
    expect(far).toContain('not in the same network as you')
  })
})

describe('whoever is not signed in', () => {
  it('is told so, and nothing is done', async () => {
    const { user_code } = await world.begin()
    for (const response of [
      await open('', {}),
      await open(`?user_code=${user_code}`, { cookie: '__Host-auth-access=x.y.z' }),
      await submit(world.ask, { user_code }, {}),
      await submit(world.ask, { user_code, answer: 'approve' }, {}),
    ]) {
      await expectSafe(response)
      expect(await htmlOf(response, 401)).toContain('Sign in')
    }
    expect(await rows('SELECT claimed_by FROM leanto_auth_oauth_devices')).toEqual([
      { claimed_by: null },
    ])
  })

  it('is led to where one signs in, and back with the code', async () => {
    await mounted({ server: { signInPage: '/sign-in' } })
    const { user_code } = await world.begin()
    const response = await open(`?user_code=${user_code}`, {})
    expect(response.status).toBe(303)
    const to = new URL(response.headers.get('location') as string)
    expect(to.origin + to.pathname).toBe(`${site}/sign-in`)
    const back = `${site}/auth/v1/oauth/device`
    expect([...to.searchParams]).toEqual([['redirect_to', `${back}?user_code=${user_code}`]])
    const evil = await open('?user_code=%22%3E%26redirect_to=https://evil.example', {})
    const nowhere = new URL(evil.headers.get('location') as string)
    expect([...nowhere.searchParams]).toEqual([['redirect_to', back]])
  })

  it('is led there also from the host’s own address', async () => {
    await mounted({ server: { signInPage: '/sign-in' }, devices: { page: '/tv' } })
    const to = new URL((await open('', {})).headers.get('location') as string)
    expect(to.searchParams.get('redirect_to')).toBe(`${site}/tv`)
  })
})

describe('a form', () => {
  const elsewhere: readonly (readonly [string, Record<string, string>])[] = [
    ['another site’s page', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
    ['a neighbour’s page', { 'sec-fetch-site': 'same-site', origin: 'https://x.app.example' }],
    ['a bookmark', { 'sec-fetch-site': 'none' }],
    ['another origin, of an old browser', { origin: 'https://evil.example' }],
    ['no origin', { origin: 'null' }],
    ['nowhere', {}],
  ]

  it.each(elsewhere)('of %s is refused (case 64)', async (_, headers) => {
    const { device_code, user_code } = await world.begin()
    await htmlOf(await submit(world.ask, { user_code }, ann))
    const forms: Record<string, string>[] = [{ user_code }, { user_code, answer: 'approve' }]
    for (const form of forms)
      for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/json']) {
        const response = await formTo(world.ask, '/oauth/device', form, {
          ...ann,
          'content-type': type,
          ...headers,
        })
        expect(response.status).toBe(403)
        expect(((await response.json()) as Json).error_code).toBe('bad_origin')
      }
    expect(await expectStatus(await world.poll(device_code), 400)).toMatchObject({
      error: 'authorization_pending',
    })
  })

  it.each(elsewhere)('of JSON, by cookies and from %s, is refused as well', async (_, headers) => {
    const { user_code } = await world.begin()
    for (const path of ['claim', 'consent']) {
      const body = { user_code, action: 'approve' }
      const response = await world.ask(`/auth/v1/oauth/device/${path}`, {
        body,
        headers: { ...ann, ...headers },
      })
      expect(response.status).toBe(403)
    }
    expect(await rows('SELECT claimed_by FROM leanto_auth_oauth_devices')).toEqual([
      { claimed_by: null },
    ])
  })

  it('is a form, and small', async () => {
    const { user_code } = await world.begin()
    const json = await world.ask('/auth/v1/oauth/device', {
      body: { user_code },
      headers: { ...ann, ...own },
    })
    expect(json.status).toBe(415)
    const large = await submit(world.ask, { user_code, more: 'x'.repeat(5000) }, ann)
    expect(large.status).toBe(413)
  })
})

it('says a place by its names', () => {
  const at = (cf: object | undefined) => placeOf({ cf } as never)
  expect(at({ city: 'Lisbon', country: 'PT' })).toBe('Lisbon, Portugal')
  expect(at({ country: 'JP' })).toBe('Japan')
  expect(at({ city: 'Nowhere' })).toBe('Nowhere')
  expect(at({ country: 'T1' })).toBe('the Tor network')
  expect(at({ country: 'ß?' })).toBe('ß?')
  expect(at({ city: 'a\u0000\u202eb'.repeat(60) })).toBe('ab'.repeat(30))
  expect(at({ city: 7, country: {} })).toBeNull()
  expect(at({})).toBeNull()
  expect(at(undefined)).toBeNull()
})
