import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase } from '../kit/world.ts'
import { fragmentOf, locationOf, makeInbox, member, open, register, verify } from './inbox.ts'
import {
  claimsOf,
  count,
  expectStatus,
  getUser,
  makeAuth,
  mountAuth,
  password,
  post,
  refresh,
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
const { mailer, sms } = inbox
const users = makeAuth({ mailer, sms, anonymous: true, reauthentication: true, limits: free })
const ask = mountAuth(users)
const [ann, anna] = ['ann@example.com', 'anna@example.com']
const phone = '4917012345678'

beforeEach(async () => {
  await freshDatabase([users])
  inbox.clear()
})

const codeOf = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code
const put = (token: string, body: object) => ask('/auth/v1/user', { method: 'PUT', token, body })
const anonymous = async (data = {}) => expectStatus(await post(ask, '/signup', { data }), 200)
const sendTo = (email: string) => ({ type: 'email_change', token_hash: inbox.token(email) })

describe('a change of address (case 9)', () => {
  it.each([
    [ann, anna],
    [anna, ann],
  ])('is confirmed from both mailboxes, first %s', async (first, second) => {
    const { access_token } = await member(ask, inbox, ann)
    const user = await expectStatus(await put(access_token, { email: anna }), 200)
    expect(user).toMatchObject({ email: ann, new_email: anna })
    const before = await count('sessions')
    const half = await expectStatus(await verify(ask, sendTo(first)), 200)
    expect(half).toEqual({
      msg: 'Confirmation link accepted. Please proceed to confirm link sent to the other email',
      code: '200',
    })
    expect(await count('sessions')).toBe(before)
    expect((await expectStatus(await getUser(ask, access_token), 200)).email).toBe(ann)
    expect(await codeOf(await verify(ask, sendTo(first)), 403)).toBe('otp_expired')
    inbox.mails.splice(inbox.mails.length)
    const session = await expectStatus(await verify(ask, sendTo(second)), 200)
    expect(session.user).toMatchObject({ email: anna })
    expect(session.user.new_email).toBeUndefined()
    expect(session.user.identities[0].identity_data.email).toBe(anna)
    // The old address is told.
    expect(inbox.last(ann).subject).toBe('The address of your account was changed')
    await expectStatus(await signIn(ask, anna), 200)
    await expectStatus(await signIn(ask, ann), 400)
  })

  it('takes codes, and redirects halfway with a message', async () => {
    const { access_token } = await member(ask, inbox, ann)
    await put(access_token, { email: anna })
    const body = { type: 'email_change', email: anna, token: inbox.code(anna) }
    await expectStatus(await verify(ask, body), 200)
    await put(access_token, { email: anna })
    const url = locationOf(await open(ask, inbox.link(anna)))
    expect(fragmentOf(url).message).toContain('Confirmation link accepted')
    const done = locationOf(await open(ask, inbox.link(ann)))
    expect(fragmentOf(done)).toMatchObject({ type: 'email_change' })
  })

  it('starts anew with another address, and its tokens are for both addresses alone', async () => {
    const { access_token } = await member(ask, inbox, ann)
    await put(access_token, { email: 'eve@example.com' })
    const old = sendTo('eve@example.com')
    await expectStatus(await verify(ask, sendTo(ann)), 200)
    await put(access_token, { email: anna })
    await expectStatus(await verify(ask, old), 403)
    // That the old mailbox had agreed to the other address counts for nothing.
    expect((await expectStatus(await verify(ask, sendTo(anna)), 200)).access_token).toBeUndefined()
    await expectStatus(await verify(ask, sendTo(ann)), 200)
    expect((await expectStatus(await getUser(ask, access_token), 200)).email).toBe(anna)
  })

  it('never takes a proven address, and says nothing of it before', async () => {
    await member(ask, inbox, anna)
    const { access_token } = await member(ask, inbox, ann)
    const user = await expectStatus(await put(access_token, { email: anna }), 200)
    expect(user.new_email).toBe(anna)
    await expectStatus(await verify(ask, sendTo(ann)), 403)
    await expectStatus(await verify(ask, sendTo(anna)), 403)
    await expectStatus(await signIn(ask, anna), 200)
  })

  it('takes one that somebody merely signed up with', async () => {
    await register(ask, anna, { password: 'the squatter’s' })
    const { access_token } = await member(ask, inbox, ann)
    await put(access_token, { email: anna })
    await verify(ask, sendTo(ann))
    await expectStatus(await verify(ask, sendTo(anna)), 200)
    await expectStatus(await signIn(ask, anna), 200)
    await expectStatus(await signIn(ask, anna, 'the squatter’s'), 400)
  })

  it('is sent again to whom has not agreed yet', async () => {
    const { access_token } = await member(ask, inbox, ann)
    await put(access_token, { email: anna })
    await verify(ask, sendTo(anna))
    inbox.clear()
    await expectStatus(await post(ask, '/resend', { type: 'email_change', email: ann }), 200)
    expect(inbox.mails.map(({ to }) => to)).toEqual([ann])
    await expectStatus(await verify(ask, sendTo(ann)), 200)
    expect((await expectStatus(await getUser(ask, access_token), 200)).email).toBe(anna)
  })

  it('happens once in 50 parallel calls for each half (case 19)', async () => {
    const { access_token } = await member(ask, inbox, ann)
    await put(access_token, { email: anna })
    const links = [sendTo(ann), sendTo(anna)]
    const calls = Array.from({ length: 100 }, (_, i) => verify(ask, links[i % 2] as object))
    const answers = await Promise.all(calls)
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(2)
    expect(inbox.mails.filter(({ subject }) => subject.includes('was changed'))).toHaveLength(1)
    expect(await rows('SELECT email, email_change FROM leanto_auth_users')).toEqual([
      { email: anna, email_change: null },
    ])
  })
})

describe('a phone', () => {
  it('signs in by code, and makes an account', async () => {
    expect(await expectStatus(await post(ask, '/otp', { phone: `+${phone}` }), 200)).toEqual({})
    expect(inbox.texts[0]?.text).toMatch(/^\d{6} is your code for app\.example$/)
    const body = { type: 'sms', phone: `+${phone}`, token: inbox.code(phone) }
    const session = await expectStatus(await verify(ask, body), 200)
    expect(session.user).toMatchObject({
      phone,
      email: '',
      phone_confirmed_at: new Date(clock.now()).toISOString(),
      app_metadata: { provider: 'phone', providers: ['phone'] },
    })
    expect(session.user.identities[0].provider).toBe('phone')
    expect(claimsOf(session.access_token)).toMatchObject({ phone, email: '' })
    await expectStatus(await verify(ask, body), 403)
  })

  it('signs up with a password, once its code was shown', async () => {
    await expectStatus(await post(ask, '/signup', { phone, password }), 200)
    const enter = () => post(ask, '/token?grant_type=password', { phone, password })
    expect(await codeOf(await enter(), 400)).toBe('phone_not_confirmed')
    await expectStatus(await post(ask, '/resend', { type: 'sms', phone }), 200)
    await expectStatus(await verify(ask, { type: 'sms', phone, token: inbox.code(phone) }), 200)
    await expectStatus(await enter(), 200)
  })

  it('drops a squatter’s password by its first own proof (case 3)', async () => {
    await post(ask, '/signup', { phone, password })
    await post(ask, '/otp', { phone })
    await expectStatus(await verify(ask, { type: 'sms', phone, token: inbox.code(phone) }), 200)
    const body = { phone, password }
    expect(await codeOf(await post(ask, '/token?grant_type=password', body), 400)).toBe(
      'invalid_credentials',
    )
  })

  it('is added and changed by its code', async () => {
    const { access_token } = await member(ask, inbox, ann)
    const user = await expectStatus(await put(access_token, { phone }), 200)
    expect(user).toMatchObject({ phone: '', new_phone: phone })
    const body = { type: 'phone_change', phone, token: inbox.code(phone) }
    const session = await expectStatus(await verify(ask, body), 200)
    expect(session.user).toMatchObject({ phone, email: ann })
    expect(session.user.identities).toHaveLength(2)
    expect(inbox.last(ann).subject).toBe('The phone number of your account was changed')
    await expectStatus(await verify(ask, body), 403)
    await expectStatus(await put(access_token, { phone: '4917000000000' }), 200)
    const next = { phone: '4917000000000', token: inbox.code('4917000000000') }
    await expectStatus(await verify(ask, { type: 'sms', ...next }), 403)
    await expectStatus(await verify(ask, { type: 'phone_change', ...next }), 200)
    expect((await expectStatus(await getUser(ask, access_token), 200)).phone).toBe('4917000000000')
  })

  it('of someone else is never taken', async () => {
    await post(ask, '/otp', { phone })
    await verify(ask, { type: 'sms', phone, token: inbox.code(phone) })
    const { access_token } = await member(ask, inbox, ann)
    await expectStatus(await put(access_token, { phone }), 200)
    const body = { type: 'phone_change', phone, token: inbox.code(phone) }
    expect(await codeOf(await verify(ask, body), 403)).toBe('otp_expired')
  })

  it('is used once by 50 parallel calls (case 19)', async () => {
    await post(ask, '/otp', { phone })
    const body = { type: 'sms', phone, token: inbox.code(phone) }
    const calls = await Promise.all(Array.from({ length: 50 }, () => verify(ask, body)))
    expect(calls.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(await count('sessions')).toBe(1)
  })

  it.each(['0170', '+49', 'abc', '+4917012345678901234', "1'; --", '+49 170x'])(
    'is not %j',
    async (wrong) => {
      expect(await codeOf(await post(ask, '/otp', { phone: wrong }), 400)).toBe('validation_failed')
      expect(await codeOf(await post(ask, '/signup', { phone: wrong, password }), 400)).toBe(
        'validation_failed',
      )
    },
  )
})

describe('an anonymous user', () => {
  it('is signed in without an address, where the host allows it', async () => {
    const session = await anonymous({ theme: 'dark' })
    expect(session.user).toMatchObject({
      email: '',
      is_anonymous: true,
      identities: [],
      app_metadata: {},
      user_metadata: { theme: 'dark' },
    })
    expect(claimsOf(session.access_token)).toMatchObject({
      is_anonymous: true,
      amr: [{ method: 'anonymous' }],
    })
    await expectStatus(await refresh(ask, session.refresh_token), 200)
    const closed = mountAuth(makeAuth())
    expect(await codeOf(await post(closed, '/signup', {}), 422)).toBe('anonymous_provider_disabled')
  })

  it('becomes a full one who keeps the id, and whoever planted the session is out (case 16)', async () => {
    const guest = await anonymous()
    const user = await expectStatus(await put(guest.access_token, { email: ann, password }), 200)
    expect(user).toMatchObject({ is_anonymous: true, new_email: ann })
    await expectStatus(await signIn(ask, ann), 400)
    const session = await expectStatus(await verify(ask, sendTo(ann)), 200)
    expect(session.user).toMatchObject({
      id: guest.user.id,
      email: ann,
      is_anonymous: false,
      app_metadata: { provider: 'email', providers: ['email'] },
    })
    expect(session.user.identities).toHaveLength(1)
    expect(claimsOf(session.access_token).is_anonymous).toBe(false)
    expect((await refresh(ask, guest.refresh_token)).status).toBe(400)
    expect((await getUser(ask, guest.access_token)).status).toBe(403)
    await expectStatus(await signIn(ask, ann), 200)
  })

  it('becomes one at once where addresses need no proof, unless it is taken', async () => {
    const open = mountAuth(makeAuth({ anonymous: true, limits: free }))
    const guest = await expectStatus(await post(open, '/signup', {}), 200)
    const change = (token: string) =>
      open('/auth/v1/user', { method: 'PUT', token, body: { email: ann, password } })
    const user = await expectStatus(await change(guest.access_token), 200)
    expect(user).toMatchObject({ id: guest.user.id, email: ann, is_anonymous: false })
    expect(user.identities).toHaveLength(1)
    await expectStatus(await signIn(open, ann), 200)
    const other = await expectStatus(await post(open, '/signup', {}), 200)
    expect(await codeOf(await change(other.access_token), 422)).toBe('email_exists')
    const calls = Array.from({ length: 50 }, async () => {
      const one = await expectStatus(await post(open, '/signup', {}), 200)
      const body = { email: anna, password: 'another long one' }
      return open('/auth/v1/user', {
        method: 'PUT',
        token: one.access_token,
        body: { email: body.email },
      })
    })
    const statuses = (await Promise.all(calls)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(statuses.filter((status) => status === 422)).toHaveLength(49)
  })

  it('becomes one by phone', async () => {
    const guest = await anonymous()
    await expectStatus(await put(guest.access_token, { phone }), 200)
    const body = { type: 'phone_change', phone, token: inbox.code(phone) }
    const session = await expectStatus(await verify(ask, body), 200)
    expect(session.user).toMatchObject({ id: guest.user.id, phone, is_anonymous: false })
  })

  it('has no password without an address', async () => {
    const guest = await anonymous()
    expect(await codeOf(await put(guest.access_token, { password }), 422)).toBe('validation_failed')
  })
})

describe('a new password in an old session', () => {
  const old = async () => {
    const session = await member(ask, inbox, ann)
    clock.advance(86_400)
    return expectStatus(await refresh(ask, session.refresh_token), 200)
  }
  const body = { password: 'a new password' }
  const nonce = async (token: string) => {
    expect(await expectStatus(await ask('/auth/v1/reauthenticate', { token }), 200)).toEqual({})
    return inbox.code(ann)
  }

  it('needs the code of its mailbox', async () => {
    const { access_token } = await old()
    expect(await codeOf(await put(access_token, body), 400)).toBe('reauthentication_needed')
    const code = await nonce(access_token)
    const wrong = code === '000000' ? '000001' : '000000'
    for (const bad of [wrong, 'abc', '1'])
      expect(await codeOf(await put(access_token, { ...body, nonce: bad }), 422)).toBe(
        'reauthentication_not_valid',
      )
    await expectStatus(await signIn(ask, ann), 200)
    await expectStatus(await put(access_token, { ...body, nonce: code }), 200)
    await expectStatus(await signIn(ask, ann, body.password), 200)
    const again = { password: 'yet another one', nonce: code }
    expect(await codeOf(await put(access_token, again), 422)).toBe('reauthentication_not_valid')
  })

  it('takes a code once in 50 parallel calls (case 19)', async () => {
    const { access_token } = await old()
    const code = await nonce(access_token)
    const calls = Array.from({ length: 50 }, (_, i) =>
      put(access_token, { password: `a new password ${i}`, nonce: code }),
    )
    const statuses = (await Promise.all(calls)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
  })

  it('endures five guesses, and no code of someone else (case 20)', async () => {
    const { access_token } = await old()
    const code = await nonce(access_token)
    const eve = await member(ask, inbox, 'eve@example.com')
    await ask('/auth/v1/reauthenticate', { token: eve.access_token })
    const hers = inbox.code('eve@example.com')
    if (hers !== code) await expectStatus(await put(access_token, { ...body, nonce: hers }), 422)
    for (let i = 1; i <= 5; i++) {
      const wrong = String((Number(code) + i) % 1_000_000).padStart(6, '0')
      await expectStatus(await put(access_token, { ...body, nonce: wrong }), 422)
    }
    await expectStatus(await put(access_token, { ...body, nonce: code }), 422)
    // And it signs nobody in.
    const fresh = await nonce(access_token)
    for (const type of ['email', 'magiclink', 'signup', 'recovery'])
      await expectStatus(await verify(ask, { type, email: ann, token: fresh }), 403)
  })

  it('needs none while the session is young', async () => {
    const { access_token } = await member(ask, inbox, ann)
    await expectStatus(await put(access_token, body), 200)
    expect(inbox.last(ann).subject).toBe('Your password was changed')
  })
})
