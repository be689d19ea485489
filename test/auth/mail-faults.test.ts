import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { d1Error, faulty } from '../kit/faulty.ts'
import { freshDatabase } from '../kit/world.ts'
import { makeInbox, member, open, register, verify } from './inbox.ts'
import {
  type Asker,
  count,
  expectStatus,
  makeAuth,
  mountAuth,
  password,
  post,
  rows,
  signIn,
  snapshot,
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
const options = { mailer, sms, anonymous: true, limits: free }
let users = makeAuth(options)
let whole = mountAuth(users)
const ann = 'ann@example.com'
const verifier = 'v'.repeat(43)
const pkce = { code_challenge: verifier, code_challenge_method: 'plain' }

let logged: string[] = []
beforeEach(async () => {
  // Anew, because a key that an isolate knows would not be in the emptied database.
  users = makeAuth(options)
  whole = mountAuth(users)
  await freshDatabase([users])
  inbox.clear()
  logged = []
  for (const level of ['log', 'info', 'warn', 'error'] as const)
    vi.spyOn(console, level).mockImplementation((...values: unknown[]) => {
      logged.push(values.map((value) => (value instanceof Error ? value.stack : value)).join(' '))
    })
})
afterEach(() => vi.restoreAllMocks())

/** An app whose database fails at the n-th trip of what is asked once it is armed. */
function failing(at: number, how: true | 'after') {
  const state = { armed: false, trip: 0 }
  const db = faulty(env.DB as never, () => {
    if (!state.armed) return false
    state.trip += 1
    return state.trip === at && how
  })
  const ask = mountAuth(makeAuth(options, { db: () => db }))
  return {
    ask,
    async once(work: (of: Asker) => Promise<Response>) {
      state.armed = true
      state.trip = 0
      const response = await work(ask)
      state.armed = false
      return response
    },
  }
}

type Flow = [name: string, prepare: () => Promise<(of: Asker) => Promise<Response>>]

const flows: Flow[] = [
  ['sign-up', async () => (of) => post(of, '/signup', { email: ann, password })],
  ['anonymous sign-in', async () => (of) => post(of, '/signup', {})],
  ['link', async () => (of) => post(of, '/otp', { email: ann })],
  [
    'recovery',
    async () => {
      await member(whole, inbox, ann)
      return (of) => post(of, '/recover', { email: ann })
    },
  ],
  [
    'resend',
    async () => {
      await register(whole, ann)
      return (of) => post(of, '/resend', { type: 'signup', email: ann })
    },
  ],
  [
    'verify',
    async () => {
      await register(whole, ann)
      const token_hash = inbox.token(ann)
      return (of) => verify(of, { type: 'signup', token_hash })
    },
  ],
  [
    'verify by code',
    async () => {
      await post(whole, '/otp', { email: ann })
      const token = inbox.code(ann)
      return (of) => verify(of, { type: 'email', email: ann, token })
    },
  ],
  [
    'click',
    async () => {
      await post(whole, '/otp', { email: ann, ...pkce })
      const link = inbox.link(ann)
      return (of) => open(of, link)
    },
  ],
  [
    'exchange',
    async () => {
      await post(whole, '/otp', { email: ann, ...pkce })
      const url = new URL((await open(whole, inbox.link(ann))).headers.get('location') as string)
      const auth_code = url.searchParams.get('code')
      return (of) => post(of, '/token?grant_type=pkce', { auth_code, code_verifier: verifier })
    },
  ],
  [
    'change of address',
    async () => {
      const { access_token: token } = await member(whole, inbox, ann)
      const body = { email: 'anna@example.com' }
      return (of) => of('/auth/v1/user', { method: 'PUT', token, body })
    },
  ],
  [
    'reauthentication',
    async () => {
      const { access_token: token } = await member(whole, inbox, ann)
      return (of) => of('/auth/v1/reauthenticate', { token })
    },
  ],
]

const trips = [1, 2, 3]

describe.each(flows)('a failing database: %s', (name, prepare) => {
  it.each(trips)('at trip %i does nothing, says nothing, and the retry succeeds', async (at) => {
    const run = await prepare()
    const { ask, once } = failing(at, true)
    // Warm: the keys are this isolate's by now.
    await ask('/auth/v1/.well-known/jwks.json')
    const before = await snapshot()
    const mails = inbox.mails.length
    const response = await once(run)
    if (response.status < 400) return expect(at).toBeGreaterThan(1)
    const text = await response.text()
    expect(response.status, text).toBe(500)
    expect(text).not.toMatch(/D1|SQL|leanto_/)
    expect(await snapshot()).toBe(before)
    expect(inbox.mails).toHaveLength(mails)
    expect(logged.join('\n')).toContain(d1Error)
    expect((await run(ask)).status).toBeLessThan(400)
  })

  it.each(trips)('with the answer of trip %i lost leaves nothing half done', async (at) => {
    const run = await prepare()
    const { ask, once } = failing(at, 'after')
    await ask('/auth/v1/.well-known/jwks.json')
    const response = await once(run)
    if (response.status < 400) return expect(at).toBeGreaterThan(1)
    expect(response.status).toBe(500)
    const orphans = await rows(
      `SELECT id FROM leanto_auth_sessions s WHERE NOT EXISTS (SELECT 1 FROM leanto_auth_users u WHERE u.id = s.user_id)
       UNION ALL SELECT hash FROM leanto_auth_refresh_tokens t WHERE NOT EXISTS (SELECT 1 FROM leanto_auth_sessions s WHERE s.id = t.session_id)
       UNION ALL SELECT id FROM leanto_auth_users u WHERE is_anonymous = 0 AND NOT EXISTS (SELECT 1 FROM leanto_auth_identities i WHERE i.user_id = u.id)`,
    )
    expect(orphans).toEqual([])
    // The way in is open again: what was used up is sent anew.
    inbox.clear()
    if (!['anonymous sign-in', 'sign-up', 'resend'].includes(name)) {
      await expectStatus(await post(ask, '/otp', { email: ann }), 200)
      const token_hash = inbox.token(ann)
      await expectStatus(await verify(ask, { type: 'magiclink', token_hash }), 200)
    } else expect((await run(ask)).status).toBe(200)
  })
})

it('a lost answer spends no attempt at a code (case 20)', async () => {
  await post(whole, '/otp', { email: ann })
  const token = inbox.code(ann)
  const wrong = token === '000000' ? '000001' : '000000'
  for (let i = 0; i < 20; i++) {
    const { ask, once } = failing(1, true)
    await ask('/auth/v1/.well-known/jwks.json')
    await expectStatus(
      await once((of) => verify(of, { type: 'email', email: ann, token: wrong })),
      500,
    )
  }
  expect((await rows('SELECT attempts FROM leanto_auth_tokens'))[0].attempts).toBe(0)
  await expectStatus(await verify(whole, { type: 'email', email: ann, token }), 200)
})

it('logs no password, link, code or token (case 74)', async () => {
  const failingMailer = { send: () => Promise.reject(new Error('no mail today')) }
  const seen: string[] = []
  const keep = {
    send: (_: unknown, mail: { text: string }) => {
      seen.push(...(mail.text.match(/pkce_[\w-]+|token=[\w-]+|\b\d{6}\b/g) ?? []))
      return failingMailer.send()
    },
  }
  const broken = mountAuth(makeAuth({ ...options, mailer: keep }))
  await register(broken, ann)
  await post(broken, '/otp', { email: ann, ...pkce })
  await verify(broken, { type: 'email', email: ann, token: '123456' })
  await signIn(broken, ann, 'wrong guess')
  expect(seen.length).toBeGreaterThan(2)
  const text = logged.join('\n')
  for (const secret of [...seen, password, 'wrong guess', verifier])
    expect(text).not.toContain(secret)
  expect(await count('sessions')).toBe(0)
})
