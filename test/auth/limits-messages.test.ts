import { env } from 'cloudflare:workers'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'
import { makeInbox, member } from './inbox.ts'
import { withFactor } from './mfa-world.ts'
import { type Answers, fake, profile } from './oauth-world.ts'
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

/* What one network may have sent in all, and begin at providers. */

const inbox = makeInbox()
const answers: Answers = { it: profile('g', 'g@example.com') }
let ask: Asker
let fails: () => boolean | 'after' = () => false

type Limits = NonNullable<Parameters<typeof makeAuth>[0]>['limits']
async function setUp(limits: Limits = {}, options: object = {}) {
  fails = () => false
  inbox.clear()
  const users = makeAuth(
    {
      mailer: inbox.mailer,
      sms: inbox.sms,
      // Only what a network has in all is looked at here.
      limits: { messages: false, inbox: false, signUps: false, ...limits },
      with: [admin(), mfa({ phone: true }), fake('google', answers)],
      ...options,
    },
    { db: (bound) => faulty(bound.DB as never, () => fails()) },
  )
  await freshDatabase([users])
  ask = mountAuth(users)
  return users
}
beforeEach(() => {
  // Windows are aligned to the clock: start in the middle of none.
  clock.time = Math.ceil(clock.time / 3_600_000) * 3_600_000
})

const from = (network: string) => ({ headers: { 'cf-connecting-ip': network } })
const here = from('192.0.2.1')
const times = <T>(n: number, work: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: n }, (_, i) => work(i)))
const tally = (answers: Response[]) => {
  const sum: Record<number, number> = {}
  for (const { status } of answers) sum[status] = (sum[status] ?? 0) + 1
  return sum
}
const spent = async (kind: string) =>
  (await rows('SELECT spent FROM leanto_core_limits WHERE key = ?', `auth:${kind}:192.0.2.1`))[0]
    ?.spent

/** Every way to have a mail sent to an address. */
const mailing: [string, (email: string) => Promise<Response>][] = [
  ['/recover', (email) => post(ask, '/recover', { email }, here)],
  ['/otp', (email) => post(ask, '/otp', { email }, here)],
  ['/magiclink', (email) => post(ask, '/magiclink', { email }, here)],
  ['/resend', (email) => post(ask, '/resend', { type: 'signup', email }, here)],
  ['/resend of a change', (email) => post(ask, '/resend', { type: 'email_change', email }, here)],
  ['/signup', (email) => post(ask, '/signup', { email, password }, here)],
  ['/invite', (email) => post(ask, '/invite', { email }, { ...here, key: 'secret' })],
]
const texting: [string, (phone: string) => Promise<Response>][] = [
  ['/otp', (phone) => post(ask, '/otp', { phone }, here)],
  ['/resend', (phone) => post(ask, '/resend', { type: 'sms', phone }, here)],
  ['/resend of a change', (phone) => post(ask, '/resend', { type: 'phone_change', phone }, here)],
  ['/signup', (phone) => post(ask, '/signup', { phone, password }, here)],
]

describe('mails that one network asks for', () => {
  it('have one budget, whatever asks for them and to whom', async () => {
    await setUp({ mails: { max: mailing.length, seconds: 3600 } })
    for (const [i, [name, send]] of mailing.entries()) {
      expect((await send(`user${i}@example.com`)).status, name).toBe(200)
      expect(await spent('mails'), name).toBe(i + 1)
    }
    const before = inbox.mails.length
    const users = await count('users')
    for (const [name, send] of mailing) {
      const refused = await send(`late-${name.replace(/\W/g, '')}@example.com`)
      expect(await expectStatus(refused.clone(), 429), name).toMatchObject({
        error_code: 'over_request_rate_limit',
      })
      expect(Number(refused.headers.get('retry-after'))).toBe(3600)
    }
    expect([inbox.mails.length, await count('users')]).toEqual([before, users])
    // Of elsewhere, and of an hour later, nothing is held.
    expect((await post(ask, '/otp', { email: 'x@example.com' }, from('192.0.2.2'))).status).toBe(
      200,
    )
    const six = (last: string) =>
      post(ask, '/otp', { email: 'y@example.com' }, from(`2001:db8:1:2::${last}`))
    expect(tally([await six('1'), await six('2')])).toEqual({ 200: 2 })
    expect(
      await rows(`SELECT spent FROM leanto_core_limits WHERE key = 'auth:mails:2001:db8:1:2::/64'`),
    ).toEqual([{ spent: 2 }])
    clock.advance(3600)
    expect((await mailing[0]?.[1]('late@example.com'))?.status).toBe(200)
  })

  it('are 100 an hour if nothing else is said, by parallel calls too', async () => {
    await setUp()
    const all = await times(120, (i) => post(ask, '/recover', { email: `u${i}@example.com` }, here))
    expect(tally(all)).toEqual({ 200: 100, 429: 20 })
  })

  it('by 50 parallel calls are as many as there may be (case 20)', async () => {
    await setUp({ mails: { max: 10, seconds: 3600 } })
    const all = await times(50, (i) => post(ask, '/otp', { email: `u${i}@example.com` }, here))
    expect(tally(all)).toEqual({ 200: 10, 429: 40 })
    expect([inbox.mails.length, await count('users'), await count('tokens')]).toEqual([10, 10, 10])
  })

  it.each(mailing.filter(([name]) => name !== '/invite'))(
    'are counted the same for known and unknown addresses at %s (case 55)',
    async (_, send) => {
      const sequence = async (email: string) => {
        await setUp({ mails: { max: 3, seconds: 3600 } })
        await member(ask, inbox, 'ann@example.com')
        const seen: unknown[] = []
        for (let i = 0; i < 5; i++) {
          const response = await send(email)
          const body = (await response.json()) as Json
          seen.push([response.status, response.status === 200 ? Object.keys(body) : body])
        }
        return { seen, spent: await spent('mails') }
      }
      expect(await sequence('ann@example.com')).toEqual(await sequence('nobody@example.com'))
    },
  )

  it('cannot be spread over headers or spellings (cases 52 and 53)', async () => {
    await setUp({ mails: { max: 3, seconds: 3600 } })
    const all = await times(12, (i) =>
      post(
        ask,
        '/recover',
        { email: `user${i}@example.com`, network: `10.0.0.${i}` },
        {
          headers: { ...here.headers, 'x-forwarded-for': `10.0.0.${i}`, 'x-real-ip': `1.1.1.${i}` },
        },
      ),
    )
    expect(tally(all)).toEqual({ 200: 3, 429: 9 })
  })

  it('are not counted where a failure of ours has kept them from leaving', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    await setUp({ mails: { max: 3, seconds: 3600 } })
    for (const [name, send] of mailing) {
      // The second trip is the one that stores what is sent.
      let trips = 0
      fails = () => ++trips === 2
      expect((await send('ann@example.com')).status, name).toBe(500)
      fails = () => false
      expect(await spent('mails'), name).toBe(0)
    }
    expect(inbox.mails).toEqual([])
  })

  it('are not counted of an invitation that the server is refused', async () => {
    await setUp({ mails: { max: 3, seconds: 3600 } })
    await member(ask, inbox, 'ann@example.com')
    const invite = mailing.at(-1)?.[1] as (email: string) => Promise<Response>
    for (let i = 0; i < 5; i++) expect((await invite('ann@example.com')).status).toBe(422)
    expect((await invite('bob@example.com')).status).toBe(200)
    expect(await spent('mails')).toBe(1)
  })

  it('can be given another budget or none, and do not hold in development', async () => {
    await setUp({ mails: false })
    expect(
      tally(await times(110, (i) => post(ask, '/recover', { email: `u${i}@x.com` }, here))),
    ).toEqual({ 200: 110 })
    expect(await spent('mails')).toBeUndefined()
    const users = await setUp({ mails: { max: 1, seconds: 3600 } })
    const local = mountAuth(users, 'http://localhost:8787')
    for (let i = 0; i < 3; i++)
      expect((await post(local, '/recover', { email: 'a@example.com' }, here)).status).toBe(200)
    for (const wrong of [{ max: 0, seconds: 1 }, { max: 1 }, true, 5])
      for (const name of ['mails', 'texts', 'flows'])
        expect(() => makeAuth({ limits: { [name]: wrong as never } })).toThrow(`limits.${name}`)
  })
})

describe('the owner of an address', () => {
  const ann = 'ann@example.com'
  const owner = from('203.0.113.5')
  const ways: [string, () => Promise<Response>, () => Promise<Response>][] = [
    [
      'mails',
      () => post(ask, '/recover', { email: ann }, here),
      () => post(ask, '/recover', { email: ann }, owner),
    ],
    [
      'codes to a phone',
      () => post(ask, '/otp', { phone: '+15550100200' }, here),
      () => post(ask, '/otp', { phone: '+15550100200' }, owner),
    ],
    [
      'sign-ups',
      () => post(ask, '/signup', { email: ann, password }, here),
      () => post(ask, '/otp', { email: ann }, owner),
    ],
  ]

  it.each(ways)(
    'is not kept from a message by what one network asks for: %s',
    async (_, theirs, own) => {
      await setUp({ messages: undefined, inbox: undefined, signUps: undefined } as Limits)
      await member(ask, inbox, ann)
      // As often as it likes, for an hour.
      for (let i = 0; i < 12; i++) {
        await times(40, theirs)
        clock.advance(299)
      }
      const before = inbox.mails.length + inbox.texts.length
      expect((await own()).status).toBe(200)
      expect(inbox.mails.length + inbox.texts.length).toBe(before + 1)
    },
  )
})

describe('text messages that one network asks for', () => {
  it('have one budget of their own', async () => {
    await setUp({ texts: { max: texting.length, seconds: 3600 }, mails: { max: 1, seconds: 3600 } })
    for (const [i, [name, send]] of texting.entries())
      expect((await send(`+1555010020${i}`)).status, name).toBe(200)
    for (const [name, send] of texting) expect((await send('+15550100300')).status, name).toBe(429)
    expect(await spent('texts')).toBe(texting.length * 2)
    expect(await spent('mails')).toBeUndefined()
  })

  it('are 30 an hour if nothing else is said', async () => {
    await setUp()
    const all = await times(40, (i) => post(ask, '/otp', { phone: `+155501${1000 + i}` }, here))
    expect(tally(all)).toEqual({ 200: 30, 429: 10 })
    expect(inbox.texts).toHaveLength(30)
  })

  it('are those of second factors, too, unless they do not leave', async () => {
    let works = true
    const sms = async (_: unknown, text: { to: string; text: string }) => {
      if (!works) throw new Error('no signal')
      await inbox.sms(_, text)
    }
    vi.spyOn(console, 'error').mockImplementation(() => {})
    await setUp({ texts: { max: 2, seconds: 3600 } }, { sms })
    const { access_token: token } = await member(ask, inbox, 'ann@example.com')
    const { id } = await expectStatus(
      await post(ask, '/factors', { factor_type: 'phone', phone: '15550100555' }, { token }),
      200,
    )
    const challenge = () => post(ask, `/factors/${id}/challenge`, {}, { token, ...here })
    works = false
    for (let i = 0; i < 3; i++) {
      expect((await challenge()).status).toBe(500)
      clock.advance(60)
    }
    works = true
    expect(await spent('texts')).toBe(0)
    for (const status of [200, 200, 429]) {
      expect((await challenge()).status).toBe(status)
      clock.advance(60)
    }
    expect(inbox.texts).toHaveLength(2)
  })

  it('are counted by the number, whatever factor it is of', async () => {
    await setUp({ messages: { max: 3, seconds: 300 }, inbox: { max: 5, seconds: 3600 } })
    const { access_token: token } = await member(ask, inbox, 'ann@example.com')
    const text = async (more: object) => {
      const body = { factor_type: 'phone', phone: '15550100555' }
      const { id } = await expectStatus(await post(ask, '/factors', body, { token }), 200)
      const response = await post(ask, `/factors/${id}/challenge`, {}, { token, ...more })
      await expectStatus(await ask(`/auth/v1/factors/${id}`, { method: 'DELETE', token }), 200)
      return response.status
    }
    const all: number[] = []
    for (let i = 0; i < 5; i++) all.push(await text(here))
    for (let i = 0; i < 5; i++) all.push(await text(from('192.0.2.2')))
    // Three of each network, and five in all.
    expect(all).toEqual([200, 200, 200, 429, 429, 200, 200, 429, 429, 429])
    expect(inbox.texts).toHaveLength(5)
  })

  it('are not what an authenticator app or a mail costs', async () => {
    await setUp({ texts: { max: 1, seconds: 3600 }, mails: { max: 3, seconds: 3600 } })
    const session = await member(ask, inbox, 'ann@example.com')
    for (let i = 0; i < 2; i++)
      expect(
        (await ask('/auth/v1/reauthenticate', { token: session.access_token, ...here })).status,
      ).toBe(200)
    expect([await spent('mails'), await spent('texts')]).toEqual([2, 0])
    await withFactor(ask, session)
    expect(await spent('texts')).toBe(0)
  })
})

describe('what one network begins at providers', () => {
  const start = (more = here) => ask('/auth/v1/authorize?provider=google', more)

  it('is 100 in five minutes, and no more rows than that', async () => {
    await setUp()
    const all = await times(130, () => start())
    expect(tally(all)).toEqual({ 303: 100, 429: 30 })
    expect(await count('flows')).toBe(100)
    const refused = all.find(({ status }) => status === 429) as Response
    expect(refused.headers.get('set-cookie')).toBe(null)
    expect(refused.headers.get('location')).toBe(null)
    expect(Number(refused.headers.get('retry-after'))).toBe(300)
    expect((await start(from('192.0.2.2'))).status).toBe(303)
    clock.advance(300)
    expect((await start()).status).toBe(303)
  })

  it('counts links as well, and holds for one who has nothing to show', async () => {
    await setUp({ flows: { max: 2, seconds: 300 } })
    const { access_token: token } = await member(ask, inbox, 'ann@example.com')
    const link = () => ask('/auth/v1/user/identities/authorize?provider=google', { token, ...here })
    expect([(await start()).status, (await link()).status]).toEqual([303, 303])
    expect([(await start()).status, (await link()).status]).toEqual([429, 429])
    expect(await count('flows')).toBe(2)
    // What is no provider's costs nothing.
    for (let i = 0; i < 5; i++)
      expect((await ask('/auth/v1/authorize?provider=nobody', here)).status).toBe(400)
  })

  it('is gone when its time is, by the upkeep', async () => {
    const users = await setUp()
    await times(20, () => start())
    clock.advance(601)
    await users.scheduled(makeBase().scope({ env }))
    expect(await count('flows')).toBe(0)
  })
})
