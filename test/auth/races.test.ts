import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { cookies } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase } from '../kit/world.ts'
import { locationOf, makeInbox, member, open, verify } from './inbox.ts'
import { withFactor } from './mfa-world.ts'
import { type Answers, begin, comeBack, departed, fake, fragment, profile } from './oauth-world.ts'
import {
  type Asker,
  claimsOf,
  count,
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  refresh,
  rows,
  signIn,
} from './world.ts'

/*
 * Races that the other files do not have (those of links, sign-up codes, factors and refresh tokens are with their subject):
 * 50 calls at once, of which one wins.
 */

const inbox = makeInbox()
const answers: Answers = {}
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
    sms: inbox.sms,
    reauthentication: true,
    limits: free,
    with: [
      mfa({ attempts: { max: 1000, seconds: 300 } }),
      admin(),
      cookies(),
      fake('google', answers),
      fake('github', answers),
    ],
  })
let ask: Asker
beforeEach(async () => {
  const users = make()
  ask = mountAuth(users)
  await freshDatabase([users])
  inbox.clear()
  for (const code of Object.keys(answers)) delete answers[code]
})

const ann = 'ann@example.com'
const phone = '4917012345678'
const service = { key: 'secret' } as const
const many = 50
const race = <T>(call: (i: number) => Promise<T>, times = many): Promise<T[]> =>
  Promise.all(Array.from({ length: times }, (_, i) => call(i)))
const tally = (answers: readonly Response[]) => {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}
const put = (token: string, body: object) => ask('/auth/v1/user', { method: 'PUT', token, body })
const wrongOf = (code: string) => (i: number) =>
  String((Number(code) + 1 + i) % 10 ** code.length).padStart(code.length, '0')

describe('exactly one of 50 parallel calls succeeds (case 19)', () => {
  it('with the code of a change of number', async () => {
    const { access_token } = await member(ask, inbox, ann)
    await expectStatus(await put(access_token, { phone }), 200)
    const shown = { type: 'phone_change', phone, token: inbox.code(phone) }
    const before = await count('sessions')
    expect(tally(await race(() => verify(ask, shown)))).toEqual({ 200: 1, 403: many - 1 })
    expect(await count('sessions')).toBe(before + 1)
    expect(await rows('SELECT phone, phone_change FROM leanto_auth_users')).toEqual([
      { phone, phone_change: null },
    ])
    expect(await count('identities')).toBe(2)
    expect(inbox.mails.filter(({ subject }) => subject.includes('phone number'))).toHaveLength(1)
  })

  it('with codes for one number of 50 people', async () => {
    const people = await race((i) => member(ask, inbox, `user${i}@example.com`))
    const codes: string[] = []
    for (const { access_token } of people) {
      await expectStatus(await put(access_token, { phone }), 200)
      codes.push(inbox.code(phone))
    }
    const shown = await race((i) => verify(ask, { type: 'phone_change', phone, token: codes[i] }))
    expect(shown.filter(({ status }) => status === 200).length).toBe(1)
    expect(await rows('SELECT id FROM leanto_auth_users WHERE phone = ?', phone)).toHaveLength(1)
    expect(
      await rows(`SELECT user_id FROM leanto_auth_identities WHERE provider = 'phone'`),
    ).toHaveLength(1)
  })

  it('with the codes of a change of address', async () => {
    const { access_token } = await member(ask, inbox, ann)
    const next = 'anna@example.com'
    await expectStatus(await put(access_token, { email: next }), 200)
    const shown = [ann, next].map((email) => ({
      type: 'email_change',
      email,
      token: inbox.code(email),
    }))
    const answered = await race((i) => verify(ask, shown[i % 2] as object), 2 * many)
    // One of each mailbox; of the two the later one completes the change and has the session.
    expect(tally(answered)).toEqual({ 200: 2, 403: 2 * many - 2 })
    const bodies = await Promise.all(
      answered.filter(({ status }) => status === 200).map((one) => one.json<Json>()),
    )
    expect(bodies.filter(({ access_token: token }) => token)).toHaveLength(1)
    expect(await rows('SELECT email FROM leanto_auth_users')).toEqual([{ email: next }])
  })

  it('with an invitation, by link and by code', async () => {
    const email = 'cat@example.com'
    await expectStatus(await post(ask, '/invite', { email }, service), 200)
    const link = { type: 'invite', token_hash: inbox.token(email) }
    const code = { type: 'invite', email, token: inbox.code(email) }
    const answered = await race((i) => verify(ask, i % 10 === 0 ? code : link))
    expect(tally(answered)).toEqual({ 200: 1, 403: many - 1 })
    expect([await count('users'), await count('sessions'), await count('tokens')]).toEqual([
      1, 1, 0,
    ])
  })

  it('with a link of generate_link that is opened', async () => {
    await member(ask, inbox, ann)
    const before = await count('sessions')
    const { action_link } = await expectStatus(
      await post(ask, '/admin/generate_link', { type: 'recovery', email: ann }, service),
      200,
    )
    const led = (await race(() => open(ask, new URL(action_link)))).map(locationOf)
    expect(led.filter(({ hash }) => hash.includes('access_token'))).toHaveLength(1)
    expect(led.filter(({ hash }) => hash.includes('otp_expired'))).toHaveLength(many - 1)
    expect(await count('sessions')).toBe(before + 1)
  })

  it('with the code that a provider’s sign-in with PKCE has answered', async () => {
    answers.ann = profile('1', ann)
    const verifier = 'v'.repeat(43)
    const query = `provider=google&code_challenge=${verifier}&code_challenge_method=plain`
    const url = await comeBack(ask, await begin(ask, query), 'ann')
    const body = { auth_code: url.searchParams.get('code'), code_verifier: verifier }
    const answered = await race(() => post(ask, '/token?grant_type=pkce', body))
    expect(tally(answered)).toEqual({ 200: 1, 404: many - 1 })
    expect(await count('sessions')).toBe(1)
  })

  it('that links one identity to one user, by ID token', async () => {
    answers.it = profile('7', 'it@example.com')
    const { access_token: token, user } = await member(ask, inbox, ann)
    const body = { provider: 'google', id_token: 'it', link_identity: true }
    const answered = await race(() => post(ask, '/token?grant_type=id_token', body, { token }))
    expect(answered.filter(({ status }) => status === 200)).toHaveLength(1)
    for (const { status } of answered) expect([200, 409, 422]).toContain(status)
    expect(
      await rows(`SELECT user_id FROM leanto_auth_identities WHERE provider = 'google'`),
    ).toEqual([{ user_id: user.id }])
    const seen = await expectStatus(await getUser(ask, token), 200)
    expect(seen.app_metadata.providers).toEqual(['email', 'google'])
  })

  it('that links one identity to 50 users, by ID token', async () => {
    answers.it = profile('7', 'it@example.com')
    const people = await race((i) => member(ask, inbox, `user${i}@example.com`))
    const body = { provider: 'google', id_token: 'it', link_identity: true }
    const answered = await race((i) =>
      post(ask, '/token?grant_type=id_token', body, { token: people[i]?.access_token as string }),
    )
    const winners = answered.flatMap(({ status }, i) =>
      status === 200 ? [people[i]?.user.id] : [],
    )
    expect(winners).toHaveLength(1)
    expect(
      await rows(`SELECT user_id FROM leanto_auth_identities WHERE provider = 'google'`),
    ).toEqual([{ user_id: winners[0] }])
  })

  it('that links by hand, of one flow and of 50', async () => {
    answers.it = profile('7', 'it@example.com')
    const { access_token: token } = await member(ask, inbox, ann)
    const start = async () =>
      departed(await ask('/auth/v1/user/identities/authorize?provider=google', { token }))
    const flow = await start()
    const back = async (of: Awaited<ReturnType<typeof start>>) =>
      fragment(await comeBack(ask, of, 'it'))
    const one = await race(() => back(flow))
    expect(one.filter(({ access_token }) => access_token)).toHaveLength(1)
    // By name: the clock stands still, so both are of one millisecond and come in any order.
    const { identities } = await expectStatus(await getUser(ask, token), 200)
    const google = identities.find(({ provider }: Json) => provider === 'google')
    const path = `/auth/v1/user/identities/${google.identity_id}`
    await expectStatus(await ask(path, { method: 'DELETE', token }), 200)
    const flows = await race(start)
    const each = await race((i) => back(flows[i] as (typeof flows)[number]))
    expect(each.filter(({ access_token }) => access_token)).toHaveLength(1)
    expect(await count('identities')).toBe(2)
  })

  it('that makes recovery codes', async () => {
    const { session } = await withFactor(ask, await member(ask, inbox, ann))
    const token = session.access_token
    const answered = await race(() => post(ask, '/factors/recovery-codes', {}, { token }))
    expect(tally(answered)).toEqual({ 200: 1, 422: many - 1 })
    expect(await count('recovery_codes')).toBe(10)
  })
})

describe('of 50 parallel calls (case 21)', () => {
  it('to invite one address there is one user', async () => {
    const email = 'cat@example.com'
    const answered = await race(() => post(ask, '/invite', { email }, service))
    for (const { status } of answered) expect([200, 422]).toContain(status)
    expect([await count('users'), await count('identities'), await count('tokens')]).toEqual([
      1, 1, 1,
    ])
    // The newest invitation is the one that works.
    const shown = { type: 'invite', token_hash: inbox.token(email) }
    expect((await verify(ask, shown)).status).toBe(200)
  })

  it('to sign up by one number there is one user', async () => {
    await race(() => post(ask, '/signup', { phone, password }))
    expect([await count('users'), await count('identities'), await count('tokens')]).toEqual([
      1, 1, 1,
    ])
    const shown = { type: 'sms', phone, token: inbox.code(phone) }
    expect((await verify(ask, shown)).status).toBe(200)
  })

  it('to sign in by a code with one new address there is one user', async () => {
    await race(() => post(ask, '/otp', { email: ann }))
    expect([await count('users'), await count('identities'), await count('tokens')]).toEqual([
      1, 1, 1,
    ])
  })
})

describe('50 parallel wrong guesses never exceed five (case 20)', () => {
  const spent = async () =>
    (await rows('SELECT attempts FROM leanto_auth_tokens')).map(({ attempts }) => attempts)

  it('at the code of a text message', async () => {
    await post(ask, '/otp', { phone })
    const code = inbox.code(phone)
    const wrong = wrongOf(code)
    const guesses = await race((i) => verify(ask, { type: 'sms', phone, token: wrong(i) }))
    expect(tally(guesses)).toEqual({ 403: many })
    expect(await spent()).toEqual([5])
    expect((await verify(ask, { type: 'sms', phone, token: code })).status).toBe(403)
    expect(await count('sessions')).toBe(0)
  })

  it('at the code of a change of number', async () => {
    const { access_token } = await member(ask, inbox, ann)
    await put(access_token, { phone })
    const code = inbox.code(phone)
    const wrong = wrongOf(code)
    const guess = (token: string) => verify(ask, { type: 'phone_change', phone, token })
    expect(tally(await race((i) => guess(wrong(i))))).toEqual({ 403: many })
    expect(await spent()).toEqual([5])
    expect((await guess(code)).status).toBe(403)
  })

  it('at the nonce of a new password', async () => {
    const young = await member(ask, inbox, ann)
    clock.advance(86_400)
    const { access_token: token } = await expectStatus(await refresh(ask, young.refresh_token), 200)
    await expectStatus(await ask('/auth/v1/reauthenticate', { token }), 200)
    const code = inbox.code(ann)
    const wrong = wrongOf(code)
    const change = (nonce: string, i = 0) => put(token, { password: `a new password ${i}`, nonce })
    expect(tally(await race((i) => change(wrong(i), i)))).toEqual({ 422: many })
    expect(await spent()).toEqual([5])
    expect((await change(code)).status).toBe(422)
    expect((await signIn(ask, ann)).status).toBe(200)
  })

  it('at an invitation’s code, whose link goes on', async () => {
    const email = 'cat@example.com'
    await post(ask, '/invite', { email }, service)
    const code = inbox.code(email)
    const wrong = wrongOf(code)
    const guesses = await race((i) => verify(ask, { type: 'invite', email, token: wrong(i) }))
    expect(tally(guesses)).toEqual({ 403: many })
    expect(await spent()).toEqual([5])
    expect((await verify(ask, { type: 'invite', email, token: code })).status).toBe(403)
    const link = { type: 'invite', token_hash: inbox.token(email) }
    expect((await verify(ask, link)).status).toBe(200)
  })
})

it('of 50 parallel refreshes by one cookie all have one child (cases 15, 19)', async () => {
  await member(ask, inbox, ann)
  const before = await count('refresh_tokens')
  const own = { 'sec-fetch-site': 'same-origin', prefer: 'session=cookie' }
  const jarOf = (response: Response) =>
    response.headers
      .getSetCookie()
      .map((cookie) => cookie.split(';')[0])
      .filter((cookie) => cookie?.startsWith('__Host-auth'))
      .join('; ')
  const cookie = jarOf(await signIn(ask, ann, password, { headers: own }))
  const renewed = await race(() =>
    ask('/auth/v1/cookie', { method: 'POST', headers: { ...own, cookie } }),
  )
  expect(tally(renewed)).toEqual({ 200: many })
  const children = new Set(
    renewed.map((one) => jarOf(one).match(/__Host-auth-refresh=([\w-]+)/)?.[1]),
  )
  expect(children.size).toBe(1)
  expect(await count('refresh_tokens')).toBe(before + 2)
  const [next] = renewed
  const access = jarOf(next as Response).match(/__Host-auth-access=([\w.-]+)/)?.[1] as string
  expect(claimsOf(access).email).toBe(ann)
})
