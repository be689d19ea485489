import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import { fragmentOf, locationOf, makeInbox, member, open, register, verify } from './inbox.ts'
import {
  claimsOf,
  count,
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  rows,
  signIn,
} from './world.ts'

const inbox = makeInbox()
const free = {
  guesses: false,
  signIns: false,
  signUps: false,
  messages: false,
  inbox: false,
} as const
const users = makeAuth({ mailer: inbox.mailer, limits: free })
const ask = mountAuth(users)
const ann = 'ann@example.com'

beforeEach(async () => {
  await freshDatabase([users])
  inbox.clear()
})

const codeOf = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code

/** All headers; of D1's bookmark, by how far it has moved since the last answer. */
let bookmark = 0
function headersOf(response: Response) {
  const headers = Object.fromEntries(response.headers)
  const now = Number.parseInt(headers['x-d1-bookmark']?.split('-')[1] ?? '0', 16)
  const moved = now - bookmark
  bookmark = now
  return { ...headers, 'x-d1-bookmark': moved }
}

describe('sign-up with confirmation', () => {
  it('answers a user, no session, and lets in once the mailbox is proven', async () => {
    const user = await register(ask, ann, { data: { name: 'Ann' } })
    expect(user).toMatchObject({
      email: ann,
      user_metadata: { name: 'Ann' },
      role: 'authenticated',
    })
    expect(user.email_confirmed_at).toBeUndefined()
    expect(user.access_token).toBeUndefined()
    expect(await codeOf(await signIn(ask, ann), 400)).toBe('email_not_confirmed')
    expect(await codeOf(await signIn(ask, ann, 'wrong guess'), 400)).toBe('invalid_credentials')
    const body = { type: 'signup', token_hash: inbox.token(ann) }
    const session = await expectStatus(await verify(ask, body), 200)
    expect(session.user.id).toBe(user.id)
    expect(session.user.email_confirmed_at).toBe(new Date(clock.now()).toISOString())
    expect(claimsOf(session.access_token)).toMatchObject({
      aal: 'aal1',
      amr: [{ method: 'otp', timestamp: clock.now() / 1000 }],
    })
    await expectStatus(await signIn(ask, ann), 200)
    expect(await codeOf(await verify(ask, body), 403)).toBe('otp_expired')
    expect(await count('tokens')).toBe(0)
  })

  it('takes the code as well, as type signup and as type email', async () => {
    for (const type of ['signup', 'email']) {
      const email = `${type}@example.com`
      await register(ask, email)
      const token = inbox.code(email)
      expect(token).toMatch(/^\d{6}$/)
      await expectStatus(await verify(ask, { type, email: email.toUpperCase(), token }), 200)
    }
  })

  it('answers a known address as an unknown one (case 55)', async () => {
    await member(ask, inbox, ann)
    await register(ask, 'pending@example.com')
    const strip = (body: Json) =>
      JSON.parse(JSON.stringify(body).replaceAll(body.id, 'ID').replaceAll(body.email, 'EMAIL'))
    const answers = []
    headersOf(await post(ask, '/signup', { email: 'other@example.com', password }))
    for (const email of ['new@example.com', ann, 'pending@example.com']) {
      const response = await post(ask, '/signup', { email, password, data: { a: 1 } })
      const headers = headersOf(response)
      answers.push({ headers, status: response.status, body: strip(await response.json()) })
    }
    expect(answers[1]).toEqual(answers[0])
    expect(answers[2]).toEqual(answers[0])
    expect(inbox.last(ann).subject).toBe('You have an account already')
    // Nothing of the account has changed.
    await expectStatus(await signIn(ask, ann), 200)
    const [row] = await rows('SELECT user_metadata FROM leanto_auth_users WHERE email = ?', ann)
    expect(row.user_metadata).toBe('{}')
  })

  it('belongs to whoever signed up last before the proof', async () => {
    await register(ask, ann, { password: 'the squatter’s', data: { name: 'Mallory' } })
    const old = inbox.token(ann)
    await register(ask, ann, { data: { name: 'Ann' } })
    expect(await codeOf(await verify(ask, { type: 'signup', token_hash: old }), 403)).toBe(
      'otp_expired',
    )
    const body = { type: 'signup', token_hash: inbox.token(ann) }
    const { user } = await expectStatus(await verify(ask, body), 200)
    expect(user.user_metadata).toEqual({ name: 'Ann' })
    await expectStatus(await signIn(ask, ann), 200)
    await expectStatus(await signIn(ask, ann, 'the squatter’s'), 400)
    expect(await count('users')).toBe(1)
  })

  it('of parallel sign-ups makes one user (case 21)', async () => {
    const calls = Array.from({ length: 50 }, () => register(ask, ann))
    await Promise.all(calls)
    expect([await count('users'), await count('identities'), await count('tokens')]).toEqual([
      1, 1, 1,
    ])
  })

  it('sends again what waits, and nothing else, with one answer', async () => {
    await register(ask, ann)
    const old = inbox.token(ann)
    await member(ask, inbox, 'done@example.com')
    inbox.clear()
    for (const email of [ann, 'done@example.com', 'nobody@example.com'])
      expect(
        await expectStatus(await post(ask, '/resend', { type: 'signup', email }), 200),
      ).toEqual({})
    expect(inbox.mails.map(({ to }) => to)).toEqual([ann])
    await expectStatus(await verify(ask, { type: 'signup', token_hash: old }), 403)
    await expectStatus(await verify(ask, { type: 'signup', token_hash: inbox.token(ann) }), 200)
    await expectStatus(await signIn(ask, ann), 200)
  })
})

describe('the first proof of a mailbox (case 3)', () => {
  it.each([
    ['/otp', 'magiclink'],
    ['/magiclink', 'magiclink'],
    ['/recover', 'recovery'],
  ])('by %s drops what a squatter has set', async (path, type) => {
    const { id } = await register(ask, ann, { password: 'the squatter’s' })
    await env.DB.batch([
      env.DB.prepare(
        `INSERT INTO leanto_auth_identities (id, provider, subject, user_id, email, data, created_at, updated_at)
         VALUES ('i', 'github', '42', ?, 'eve@example.com', '{}', 1, 1)`,
      ).bind(id),
      env.DB.prepare(
        `INSERT INTO leanto_auth_sessions (id, user_id, created_at) VALUES ('s', ?, 1)`,
      ).bind(id),
    ])
    await expectStatus(await post(ask, path, { email: ann }), 200)
    const body = { type, token_hash: inbox.token(ann) }
    const { user } = await expectStatus(await verify(ask, body), 200)
    expect(user.id).toBe(id)
    expect(user.identities.map(({ provider }: Json) => provider)).toEqual(['email'])
    expect(user.app_metadata).toEqual({ provider: 'email', providers: ['email'] })
    expect(await codeOf(await signIn(ask, ann, 'the squatter’s'), 400)).toBe('invalid_credentials')
    expect(await rows(`SELECT id FROM leanto_auth_sessions WHERE id = 's'`)).toEqual([])
  })

  it('and every later one drops nothing', async () => {
    const first = await member(ask, inbox, ann)
    await expectStatus(await post(ask, '/otp', { email: ann }), 200)
    await expectStatus(
      await verify(ask, { type: 'email', email: ann, token: inbox.code(ann) }),
      200,
    )
    await expectStatus(await signIn(ask, ann), 200)
    expect((await getUser(ask, first.access_token)).status).toBe(200)
  })
})

describe('a link or code to sign in', () => {
  it('makes an account for an unknown address unless it is told not to', async () => {
    for (const create_user of [false, true]) {
      const body = { email: ann, create_user, data: { name: 'Ann' } }
      expect(await expectStatus(await post(ask, '/otp', body), 200)).toEqual({})
      expect([await count('users'), inbox.mails.length]).toEqual(create_user ? [1, 1] : [0, 0])
    }
    const token = inbox.code(ann)
    const { user } = await expectStatus(
      await verify(ask, { type: 'email', email: ann, token }),
      200,
    )
    expect(user.user_metadata).toEqual({ name: 'Ann' })
    expect(user.identities).toHaveLength(1)
    expect(await codeOf(await verify(ask, { type: 'email', email: ann, token }), 403)).toBe(
      'otp_expired',
    )
  })

  it('makes none where sign-up is closed, and does not say so', async () => {
    const closed = mountAuth(makeAuth({ mailer: inbox.mailer, signUp: false, limits: free }))
    expect(await expectStatus(await post(closed, '/otp', { email: ann }), 200)).toEqual({})
    expect([await count('users'), inbox.mails.length]).toEqual([0, 0])
  })

  it('answers known and unknown alike (case 55)', async () => {
    await member(ask, inbox, ann)
    headersOf(await post(ask, '/recover', { email: ann }))
    for (const [path, body] of [
      ['/otp', {}],
      ['/otp', { create_user: false }],
      ['/magiclink', {}],
      ['/recover', {}],
      ['/resend', { type: 'signup' }],
      ['/resend', { type: 'email_change' }],
    ] as const) {
      const answer = async (email: string) => {
        const response = await post(ask, path, { email, ...body })
        return [response.status, headersOf(response), await response.text()]
      }
      expect(await answer(ann)).toEqual(await answer('nobody@example.com'))
    }
  })

  it('has as many digits as it should', async () => {
    const long = mountAuth(makeAuth({ mailer: inbox.mailer, codes: { length: 10 }, limits: free }))
    await post(long, '/otp', { email: ann })
    expect(inbox.code(ann)).toMatch(/^\d{10}$/)
    await expectStatus(
      await verify(long, { type: 'email', email: ann, token: inbox.code(ann) }),
      200,
    )
  })

  it('is over after its time: ten minutes the code, an hour the link (case 23)', async () => {
    await post(ask, '/otp', { email: ann })
    const code = { type: 'email', email: ann, token: inbox.code(ann) }
    const link = { type: 'magiclink', token_hash: inbox.token(ann) }
    clock.advance(600)
    expect(await codeOf(await verify(ask, code), 403)).toBe('otp_expired')
    clock.advance(2999)
    await expectStatus(await verify(ask, link), 200)
    await post(ask, '/otp', { email: ann })
    clock.advance(3600)
    const late = { type: 'magiclink', token_hash: inbox.token(ann) }
    expect(await codeOf(await verify(ask, late), 403)).toBe('otp_expired')
    expect(await count('tokens')).toBe(1)
    await users.scheduled(makeBase().scope({ env }))
    expect(await count('tokens')).toBe(0)
  })

  it('lets in nobody who is banned', async () => {
    await member(ask, inbox, ann)
    await post(ask, '/otp', { email: ann })
    const token_hash = inbox.token(ann)
    await rows('UPDATE leanto_auth_users SET banned_until = ?', clock.now() + 1e6)
    const sessions = await count('sessions')
    expect(await codeOf(await verify(ask, { type: 'magiclink', token_hash }), 403)).toBe(
      'otp_expired',
    )
    expect(await count('sessions')).toBe(sessions)
    inbox.clear()
    expect(await expectStatus(await post(ask, '/otp', { email: ann }), 200)).toEqual({})
    expect(inbox.mails).toEqual([])
  })

  it('is refused where nothing can be sent', async () => {
    const mute = mountAuth(makeAuth())
    for (const path of ['/otp', '/magiclink', '/recover'])
      expect(await codeOf(await post(mute, path, { email: ann }), 422)).toBe(
        'email_provider_disabled',
      )
    expect(await codeOf(await post(mute, '/otp', { phone: '+4917012345678' }), 422)).toBe(
      'phone_provider_disabled',
    )
  })
})

describe('messages', () => {
  it('are limited alike for known and unknown addresses', async () => {
    const limited = mountAuth(
      makeAuth({
        mailer: inbox.mailer,
        limits: { messages: { max: 2, seconds: 300 }, inbox: { max: 3, seconds: 3600 } },
      }),
    )
    clock.time = Math.ceil(clock.time / 3_600_000) * 3_600_000
    await member(ask, inbox, ann)
    inbox.clear()
    const from = (network: string, email: string) =>
      post(limited, '/recover', { email }, { headers: { 'cf-connecting-ip': network } })
    for (const email of [ann, 'nobody@example.com']) {
      await expectStatus(await from('192.0.2.1', email), 200)
      await expectStatus(await from('192.0.2.1', email), 200)
      const refused = await from('192.0.2.1', email)
      expect(await codeOf(refused, 429)).toBe('over_request_rate_limit')
      // What one network was refused takes nothing from the others, who together have three.
      await expectStatus(await from('192.0.2.2', email), 200)
      await expectStatus(await from('192.0.2.2', email), 429)
      await expectStatus(await from('192.0.2.3', email), 429)
    }
    expect(inbox.mails).toHaveLength(3)
  })

  it('lead to the site whatever host was asked (case 10)', async () => {
    const headers = {
      host: 'evil.example',
      origin: 'https://evil.example',
      referer: 'https://evil.example/',
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example',
    }
    const evil = mountAuth(users, 'https://evil.example')
    await post(evil, '/signup', { email: ann, password }, { headers })
    await post(evil, '/otp?redirect_to=https://evil.example', { email: ann }, { headers })
    await post(evil, '/recover', { email: ann }, { headers })
    expect(inbox.mails).toHaveLength(3)
    expect(JSON.stringify(inbox.mails)).not.toContain('evil')
    expect(inbox.link(ann).origin).toBe(site)
  })

  it('escape whatever they repeat (case 59)', async () => {
    const odd = "o'ann&co@example.com"
    await register(ask, odd, { data: { name: '<img src=x onerror=alert(1)>' } })
    const mail = inbox.last(odd)
    expect(mail.html).not.toContain('<img')
    expect(mail.html).not.toMatch(/href="[^"]*&(?!#38;)/)
    await member(ask, inbox, ann)
    inbox.clear()
    await post(ask, '/signup', { email: odd, password })
    expect(inbox.mails.every(({ html }) => !html?.includes("o'ann&co"))).toBe(true)
  })

  it('can be replaced, in the user’s language', async () => {
    const own = mountAuth(
      makeAuth({
        mailer: inbox.mailer,
        mails: {
          magiclink: ({ code, locale }) => ({
            subject: locale === 'de-AT' ? 'Dein Code\r\nBcc: x' : 'Your code',
            text: `[${code}]`,
          }),
        },
      }),
    )
    await post(own, '/otp', { email: ann, data: { locale: 'de-AT' } })
    const { subject, text, html } = inbox.last(ann)
    expect(subject).toBe('Dein Code Bcc: x')
    expect(text).toMatch(/^\[\d{6}\]$/)
    expect(html).toBe(`<p>${text}</p>`)
  })

  it('that fail change no answer', async () => {
    const broken = mountAuth(
      makeAuth({ mailer: { send: () => Promise.reject(new Error('no mail today')) } }),
    )
    await expectStatus(await post(broken, '/otp', { email: ann }), 200)
  })
})

it('opens by HEAD without being used, as mail scanners do', async () => {
  await post(ask, '/otp', { email: ann })
  const link = inbox.link(ann)
  const head = await ask(link.pathname + link.search, { method: 'HEAD' })
  expect(head.status).toBe(200)
  const url = locationOf(await open(ask, link))
  expect(fragmentOf(url).access_token).toBeDefined()
})
