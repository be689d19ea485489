import { Hono } from 'hono'
import { bcrypt } from 'leanto/auth/passwords'
import { beforeEach, describe, expect, it } from 'vitest'
import { freshDatabase } from '../kit/world.ts'
import { makeInbox, member, register } from './inbox.ts'
import { type Asked, expectSame, type Pair, timer } from './timing-world.ts'
import { makeAuth, mountAuth, password, rows } from './world.ts'

/*
 * Case 55: whoever asks for something about an address learns nothing of whether it has an account: not by status, headers,
 * the body's shape or the time until the answer. What is sent leaves after the answer and is not in the time.
 */

const plenty = { max: 1_000_000, seconds: 3600 }
const inbox = makeInbox()
const { mailer, sms } = inbox
// Budgets are spent and never end: without them the statements would be others than in life.
const limits = {
  ...{ guesses: plenty, signIns: plenty, signUps: plenty, messages: plenty, inbox: plenty },
  ...{ account: plenty, mails: plenty, texts: plenty, flows: plenty },
}
const options = { mailer, sms, limits, password: { formats: [bcrypt] } }
let time: ReturnType<typeof timer>
let token = ''
const [ann, pending, moving] = ['ann@example.com', 'pending@example.com', 'moving@example.com']
const phone = '4917012345678'

beforeEach(async () => {
  const users = makeAuth(options)
  await freshDatabase([users])
  inbox.clear()
  time = timer(new Hono().route('/auth/v1', users.routes))
  const ask = mountAuth(users)
  ;({ access_token: token } = await member(ask, inbox, ann))
  await register(ask, pending)
  await ask('/auth/v1/otp', { body: { phone } })
  const { access_token } = await member(ask, inbox, moving)
  const body = { email: 'moved@example.com' }
  await ask('/auth/v1/user', { method: 'PUT', body, token: access_token })
})

const someone = (i: number) => `nobody${i}@example.com`
const number = (i: number) => `+4917${String(10_000_000 + i)}`
const challenge = { code_challenge: 'c'.repeat(43), code_challenge_method: 's256' }

/** What differs is the address. */
const about =
  (path: string, more: object = {}) =>
  (address: object): Asked => ({ path, body: { ...address, ...more } })
const pair = (
  asking: (address: object) => Asked,
  known: object,
  unknown: (i: number) => object,
  more: Partial<Pair> = {},
): Pair => ({
  known: () => asking(known),
  unknown: (i) => asking(unknown(i)),
  status: 200,
  ...more,
})
const byEmail = (asking: (address: object) => Asked, email: string, more: Partial<Pair> = {}) =>
  pair(asking, { email }, (i) => ({ email: someone(i) }), more)
const byPhone = (asking: (address: object) => Asked, more: Partial<Pair> = {}) =>
  pair(asking, { phone }, (i) => ({ phone: number(i) }), more)

const guess = about('/token?grant_type=password', { password: 'a wrong guess' })
// A hash is long enough for the clock.
const refused = { status: 400, rounds: 1 }
const code = (type: string) => about('/verify', { type, token: '000000' })

const cases: [name: string, pair: Pair][] = [
  ['/signup', byEmail(about('/signup', { password }), ann, { rounds: 1 })],
  [
    '/signup, of someone to be confirmed',
    byEmail(about('/signup', { password }), pending, { rounds: 1 }),
  ],
  ['/otp', byEmail(about('/otp'), ann)],
  [
    '/otp that makes nobody, with PKCE',
    byEmail(about('/otp', { create_user: false, ...challenge }), ann),
  ],
  ['/otp by text message', byPhone(about('/otp', { create_user: false }))],
  ['/resend, of someone to be confirmed', byEmail(about('/resend', { type: 'signup' }), pending)],
  ['/resend, of someone who is confirmed', byEmail(about('/resend', { type: 'signup' }), ann)],
  ['/resend, of a change of address', byEmail(about('/resend', { type: 'email_change' }), moving)],
  ['/resend, of a text message', byPhone(about('/resend', { type: 'sms' }))],
  ['/recover', byEmail(about('/recover'), ann)],
  ['a wrong password', byEmail(guess, ann, refused)],
  ['a wrong password, of someone to be confirmed', byEmail(guess, pending, refused)],
  ['a wrong password, of someone who has none', byPhone(guess, refused)],
  ['a wrong code of a text message', byPhone(code('sms'), { status: 403 })],
  ['a wrong code of a mail', byEmail(code('email'), pending, { status: 403 })],
  [
    'PUT /user with an address that someone has',
    {
      known: () => ({ path: '/user', method: 'PUT', token, body: { email: moving } }),
      unknown: (i) => ({ path: '/user', method: 'PUT', token, body: { email: someone(i) } }),
      status: 200,
    },
  ],
]

describe('a known and an unknown account get the same in the same time (case 55)', () => {
  it.each(cases)('at %s', (_name, asked) => expectSame(time, asked), 180_000)

  it('would not, were one of them to cost more', async () => {
    // A hash of bcrypt in the place of argon2id's, as an import leaves it, is what this file can see.
    await rows(
      `UPDATE leanto_auth_users SET password = '$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm'
       WHERE email = ?`,
      ann,
    )
    const few = { ...refused, samples: 40, tries: 1 }
    await expect(expectSame(time, byEmail(guess, ann, few))).rejects.toThrow('medians differ')
  }, 60_000)
})
