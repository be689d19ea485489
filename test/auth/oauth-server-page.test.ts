import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  begin,
  exchange,
  form,
  formed,
  granted,
  ledTo,
  makeClient,
  type Place,
  place,
  publicClient,
  redirectUri,
  resource,
} from './oauth-server-world.ts'
import { count, expectStatus, json, signUp } from './world.ts'

/* The consent page, for whoever is signed in by cookies. In a browser: test/browser/consent.test.ts. */

let at: Place
beforeEach(async () => {
  at = await place()
})

const path = '/auth/v1/oauth/consent'
const cookie = (session = at.session) => `__Host-auth-access=${session.access_token}`
const open = (id: string, headers: Record<string, string> = { cookie: cookie() }) =>
  at.ask(`${path}?authorization_id=${id}`, { headers })
const submit = (id: string, answer: string, headers: Record<string, string>) =>
  at.ask(path, {
    method: 'POST',
    body: form({ authorization_id: id, answer }),
    headers: { ...formed, ...headers },
  })
const own = () => ({ cookie: cookie(), 'sec-fetch-site': 'same-origin' })

describe('the page', () => {
  it('says who asks for what, and where the answer goes', async () => {
    const client = await makeClient(at.ask, { client_name: 'Reader <b>' })
    const response = await open(await begin(at.ask, client, { resource }))
    expect(response.status).toBe(200)
    const html = await response.text()
    for (const text of [
      'Reader &#60;b&#62; asks for your app.example account',
      'Know that it is you',
      'Read and change your notes',
      'Notes for assistants',
      'ann@example.com',
      'client.example',
    ])
      expect(html).toContain(text)
    expect(html).not.toContain('<b>')
    expect(html).not.toContain('<script')
    // The server has made it: nobody has to be warned.
    expect(html).not.toContain('class="mark"')
  })

  it('warns of a client that has entered itself, and names no place that is none', async () => {
    const made = await at.ask('/auth/v1/oauth/clients/register', {
      body: {
        redirect_uris: ['http://127.0.0.1:4000/cb', 'com.example.app:/cb'],
        token_endpoint_auth_method: 'none',
      },
    })
    const client = await json(made)
    for (const [redirect_uri, says] of [
      ['http://127.0.0.1:4000/cb', 'an app on this device'],
      ['com.example.app:/cb', 'the app com.example.app'],
    ]) {
      const html = await (await open(await begin(at.ask, client, { redirect_uri }))).text()
      expect(html).toContain('class="mark"')
      expect(html).toContain('An app asks for your app.example account')
      expect(html).toContain(says)
    }
  })

  it('runs nothing, loads nothing, is in no frame, and is not kept', async () => {
    const response = await open(await begin(at.ask, await makeClient(at.ask)))
    const policy = response.headers.get('content-security-policy')
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/=]+'; form-action 'self' https:\/\/client\.example; frame-ancestors 'none'; base-uri 'none'$/,
    )
    expect(response.headers.get('x-frame-options')).toBe('DENY')
    expect(response.headers.get('cache-control')).toBe('no-store')
  })

  it('leads on at once where the user has agreed before', async () => {
    const client = await makeClient(at.ask)
    await granted(at, client)
    const url = ledTo(await open(await begin(at.ask, client)))
    expect(url.searchParams.get('code')).toMatch(/./)
  })

  it('tells whoever comes too late, or from another account', async () => {
    const client = await makeClient(at.ask)
    const id = await begin(at.ask, client)
    await open(id)
    const eve = await signUp(at.ask, 'eve@example.com')
    for (const response of [
      await open(id, { cookie: cookie(eve) }),
      await open('x'),
      await submit(id, 'allow', { ...own(), cookie: cookie(eve) }),
    ]) {
      expect(response.status).toBe(404)
      expect(await response.text()).toContain('There is nothing to answer here')
    }
    clock.advance(600)
    expect((await open(id)).status).toBe(404)
  })
})

describe('whoever is not signed in', () => {
  it('is told so, with the way back', async () => {
    const id = await begin(at.ask, await makeClient(at.ask))
    const response = await open(id, {})
    expect(response.status).toBe(401)
    expect(await response.text()).toContain(
      `href="https://app.example${path}?authorization_id=${id}"`,
    )
    const odd = await (await open('"><script>alert(1)</script>', {})).text()
    expect(odd).toContain('href="https://app.example"')
    expect(odd).not.toContain('<script')
  })

  it('is led to where they sign in, and who has to sign in again is too', async () => {
    at = await place({ signInPage: '/sign-in' })
    const client = await makeClient(at.ask)
    const id = await begin(at.ask, client)
    const back = `https://app.example${path}?authorization_id=${id}`
    const url = ledTo(await open(id, {}))
    expect(url.origin + url.pathname).toBe('https://app.example/sign-in')
    expect(url.searchParams.get('redirect_to')).toBe(back)
    clock.advance(10)
    const again = await begin(at.ask, client, { prompt: 'login' })
    expect(ledTo(await open(again)).pathname).toBe('/sign-in')
    expect(ledTo(await submit(again, 'allow', own())).pathname).toBe('/sign-in')
  })
})

describe('the answer', () => {
  it('leads back with a code, or with an error', async () => {
    const client = await makeClient(at.ask)
    const allowed = ledTo(await submit(await begin(at.ask, client), 'allow', own()))
    expect(allowed.origin + allowed.pathname).toBe(redirectUri)
    await expectStatus(
      await exchange(at.ask, client, allowed.searchParams.get('code') as string),
      200,
    )
    const cancelled = ledTo(await submit(await begin(at.ask, client), 'cancel', own()))
    expect(cancelled.searchParams.get('error')).toBe('access_denied')
  })

  it.each([
    ['another site', { 'sec-fetch-site': 'cross-site' }],
    ['another origin of this site', { 'sec-fetch-site': 'same-site' }],
    ['no page', { 'sec-fetch-site': 'none' }],
    ['another origin', { origin: 'https://evil.example' }],
    ['a sandboxed frame', { origin: 'null' }],
    ['nobody who says', {}],
  ])('is none if it comes from %s (case 64)', async (_, headers) => {
    const id = await begin(at.ask, await makeClient(at.ask))
    const response = await submit(id, 'allow', { cookie: cookie(), ...headers } as never)
    expect(response.status).toBe(403)
    expect((await json(response)).error_code).toBe('bad_origin')
    expect(await count('oauth_codes')).toBe(0)
  })

  it('is this page’s alone, by whatever its sender is known', async () => {
    const id = await begin(at.ask, await makeClient(at.ask))
    const authorization = `Bearer ${at.session.access_token}`
    expect((await submit(id, 'allow', { authorization })).status).toBe(403)
    expect(await count('oauth_codes')).toBe(0)
    const from = { authorization, origin: 'https://app.example' }
    expect((await submit(id, 'allow', from)).status).toBe(303)
  })

  it('must be one of the two', async () => {
    const id = await begin(at.ask, await makeClient(at.ask))
    expect((await submit(id, 'yes', own())).status).toBe(400)
    expect(await count('oauth_codes')).toBe(0)
  })
})

describe('a page of the host’s', () => {
  it('gets the id, and ours is not there', async () => {
    at = await place({ consentPage: '/allow' })
    const client = await publicClient(at.ask)
    const id = await begin(at.ask, client)
    expect((await open(id)).status).toBe(404)
    expect(at.users.table.map((route) => route.path)).not.toContain('/oauth/consent')
  })

  it('may be one of `redirects`, and no other (GoTrue’s check)', async () => {
    at = await place({ consentPage: '/allow' }, { redirects: ['https://pages.example/**'] })
    const id = await begin(at.ask, await makeClient(at.ask))
    const from = (origin: string) =>
      at.ask(`/auth/v1/oauth/authorizations/${id}`, {
        token: at.session.access_token,
        headers: { origin },
      })
    for (const origin of ['https://evil.example', 'null'])
      expect((await expectStatus(await from(origin), 400)).error_code).toBe('validation_failed')
    for (const origin of ['https://app.example', 'https://pages.example'])
      expect((await from(origin)).status).toBe(200)
  })
})
