import type { Session } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { freshDatabase, site } from '../kit/world.ts'
import { fragmentOf, locationOf, makeInbox, open, register, verify } from './inbox.ts'
import { type Answers, begin, comeBack, departed, fake, profile } from './oauth-world.ts'
import { allowed, redirects, refused } from './redirect-corpus.ts'
import {
  type Asker,
  count,
  expectStatus,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  rows,
} from './world.ts'

/*
 * Case 24: the whole corpus on every route that takes a `redirect_to`, where it works and where it fails. `pkce.test.ts` has
 * the links of /otp, by query and by a changed link.
 */

const inbox = makeInbox()
const answers: Answers = { ann: profile('1', 'ann@example.com') }
const free = {
  guesses: false,
  signIns: false,
  signUps: false,
  messages: false,
  inbox: false,
  mails: false,
  texts: false,
  flows: false,
} as const
const make = () =>
  makeAuth({
    mailer: inbox.mailer,
    limits: free,
    redirects,
    with: [admin(), fake('google', answers)],
  })
let ask: Asker
// Once: everyone in here has an address of their own.
beforeAll(async () => {
  const users = make()
  ask = mountAuth(users)
  await freshDatabase([users])
})
beforeEach(() => inbox.clear())

const corpus = [
  ...allowed.map((to) => [to.slice(0, 60), to, true] as const),
  ...refused.map((to) => [to.slice(0, 60), to, false] as const),
]
/** Without what is added to it: the query's or the fragment's. */
const bare = (url: string) => url.split(/[?#]/)[0]
const expected = (to: string, fine: boolean) => bare(new URL(fine ? to : site).href)
const asked = (to: string) => `redirect_to=${encodeURIComponent(to)}`
/** A mail's link leads, with its token and without, where it may. */
async function expectLed(link: URL, to: string, fine: boolean) {
  const mailed = new URL(link.searchParams.get('redirect_to') as string)
  expect(bare(mailed.href), to).toBe(expected(to, fine))
  for (const kind of ['works', 'fails']) {
    const url = locationOf(await open(ask, link))
    const { error } = fragmentOf(url)
    expect(error === undefined, `${kind}: ${url}`).toBe(kind === 'works')
    expect(bare(url.href), to).toBe(expected(to, fine))
  }
}

let people = 0
const someone = () => `user${++people}@example.com`
const service = { key: 'secret' } as const
/** Signs someone up by a link: without a password there is nothing to hash. */
async function known(email: string): Promise<Session> {
  await expectStatus(await post(ask, '/otp', { email }), 200)
  const body = { type: 'magiclink', token_hash: inbox.token(email) }
  return expectStatus(await verify(ask, body), 200)
}

type Sends = (to: string) => Promise<string>

/** Each has a mail sent whose link leads there; answers the address. */
const sending: Record<string, Sends> = {
  async '/signup'(to) {
    const email = someone()
    await expectStatus(await post(ask, `/signup?${asked(to)}`, { email, password }), 200)
    return email
  },
  async '/resend of a sign-up'(to) {
    const email = someone()
    await register(ask, email)
    const body = { type: 'signup', email }
    await expectStatus(await post(ask, `/resend?${asked(to)}`, body), 200)
    return email
  },
  async '/magiclink'(to) {
    const email = someone()
    await expectStatus(await post(ask, `/magiclink?${asked(to)}`, { email }), 200)
    return email
  },
  async '/recover'(to) {
    const email = someone()
    await known(email)
    await expectStatus(await post(ask, `/recover?${asked(to)}`, { email }), 200)
    return email
  },
  async '/invite'(to) {
    const email = someone()
    await expectStatus(await post(ask, `/invite?${asked(to)}`, { email }, service), 200)
    return email
  },
}

describe.each(Object.entries(sending))('%s', (_, send) => {
  it.each(corpus)('%j', async (_name, to, fine) => {
    const email = await send(to)
    await expectLed(inbox.link(email), to, fine)
  })
})

/** A change of address is agreed to from two mailboxes, each with its link. */
const changing: Record<string, (token: string, email: string, to: string) => Promise<string>> = {
  async 'PUT /user'(token, _email, to) {
    const next = someone()
    const body = { email: next }
    await expectStatus(await ask(`/auth/v1/user?${asked(to)}`, { method: 'PUT', token, body }), 200)
    return next
  },
  async '/resend of a change of address'(token, email, to) {
    const next = someone()
    await ask('/auth/v1/user', { method: 'PUT', token, body: { email: next } })
    await expectStatus(
      await post(ask, `/resend?${asked(to)}`, { type: 'email_change', email }),
      200,
    )
    return next
  },
}

describe.each(Object.entries(changing))('%s', (_, change) => {
  it.each(corpus)('%j', async (_name, to, fine) => {
    const email = someone()
    const { access_token } = await known(email)
    const next = await change(access_token, email, to)
    // Halfway there is a message, then the session; each link works once.
    await expectLed(inbox.link(next), to, fine)
    await expectLed(inbox.link(email), to, fine)
    expect(await rows('SELECT 1 FROM leanto_auth_users WHERE email = ?', next)).toHaveLength(1)
  })
})

describe('/admin/generate_link', () => {
  it.each(corpus)('%j', async (_name, to, fine) => {
    for (const type of ['signup', 'invite', 'magiclink', 'recovery', 'email_change_new']) {
      const email = someone()
      if (type !== 'signup' && type !== 'invite') await known(email)
      const body = {
        ...{ type, email, password, redirect_to: to },
        ...(type === 'email_change_new' ? { new_email: someone() } : {}),
      }
      const made = await expectStatus(await post(ask, '/admin/generate_link', body, service), 200)
      expect(bare(new URL(made.redirect_to).href), to).toBe(expected(to, fine))
      await expectLed(new URL(made.action_link), to, fine)
    }
  })
})

describe('GET /authorize and /user/identities/authorize', () => {
  // A provider that fails is logged, as it should be.
  beforeEach(() => void vi.spyOn(console, 'error').mockImplementation(() => {}))
  afterEach(() => void vi.restoreAllMocks())

  it.each(corpus)('%j', async (_name, to, fine) => {
    const query = `provider=google&${asked(to)}`
    const led = async (flow: { state: string; cookie: string }, code: string, more = '') =>
      bare((await comeBack(ask, flow, code, more)).href)
    const outcomes: [code: string, more: string][] = [
      ['ann', ''],
      ['nobody', ''],
      ['', '&error=access_denied&error_description=no'],
      ['', ''],
    ]
    const { access_token: token } = await known(someone())
    for (const [code, more] of outcomes) {
      expect(await led(await begin(ask, query), code, more), to).toBe(expected(to, fine))
      const response = await ask(`/auth/v1/user/identities/authorize?${query}`, { token })
      expect(await led(departed(response), code, more), to).toBe(expected(to, fine))
    }
    // With a challenge, in the query.
    const challenge = `&code_challenge=${'v'.repeat(43)}&code_challenge_method=plain`
    expect(await led(await begin(ask, query + challenge), 'ann'), to).toBe(expected(to, fine))
    expect(await led(await begin(ask, query + challenge), 'nobody'), to).toBe(expected(to, fine))
  })
})

it('has every route that reads a redirect', async () => {
  // Whatever else says so leads to the site: the corpus is in every other place that a client can write to.
  const to = 'https://evil.example/'
  const { access_token: token } = await known('eve@example.com')
  const flows = await count('flows')
  const places: [path: string, more: Json][] = [
    ['/signup', { body: { email: someone(), password, redirect_to: to, redirectTo: to } }],
    ['/otp', { body: { email: someone(), redirect_to: to, options: { redirectTo: to } } }],
    ['/recover', { body: { email: 'eve@example.com', redirect_to: to } }],
    ['/otp', { body: { email: someone() }, headers: { referer: to, origin: to } }],
    ['/user', { method: 'PUT', token, body: { email: someone(), redirect_to: to } }],
  ]
  for (const [path, more] of places) await expectStatus(await ask(`/auth/v1${path}`, more), 200)
  expect(JSON.stringify(inbox.mails)).not.toContain('evil.example')
  for (const method of ['GET', 'POST'] as const) {
    const response = await ask(`/auth/v1/callback?${asked(to)}&state=x&code=x`, {
      method,
      headers: { 'content-type': 'application/x-www-form-urlencoded', referer: to },
      ...(method === 'POST' ? { body: `state=x&code=x&${asked(to)}` } : {}),
    })
    expect(response.headers.get('location')).toMatch(/^https:\/\/app\.example\/?\?/)
  }
  const logout = await ask(`/auth/v1/logout?${asked(to)}`, { method: 'POST', token })
  expect([logout.status, logout.headers.get('location')]).toEqual([204, null])
  expect((await verify(ask, { type: 'signup', token_hash: 'x', redirect_to: to })).status).toBe(403)
  expect(await count('flows')).toBe(flows)
})
