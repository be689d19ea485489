import { mfa } from 'leanto/auth/mfa'
import { beforeEach, expect, it } from 'vitest'
import { freshDatabase } from '../kit/world.ts'
import { makeInbox, member, verify } from './inbox.ts'
import { withFactor } from './mfa-world.ts'
import { type Answers, fake, profile } from './oauth-world.ts'
import { type Asker, expectStatus, makeAuth, mountAuth, post, rows, type signUp } from './world.ts'

/* Whoever changes how an account is signed in to, its owner hears of it: at the proven address, after the answer. */

const ann = 'ann@example.com'
const inbox = makeInbox()
const answers: Answers = { it: profile('g', 'ann@elsewhere.example') }
let ask: Asker
let session: Awaited<ReturnType<typeof signUp>>
let token: string

beforeEach(async () => {
  inbox.clear()
  const users = makeAuth({
    mailer: inbox.mailer,
    sms: inbox.sms,
    with: [mfa(), fake('google', answers)],
  })
  await freshDatabase([users])
  ask = mountAuth(users)
  session = await member(ask, inbox, ann)
  token = session.access_token
  inbox.clear()
})

const put = (body: object) => ask('/auth/v1/user', { method: 'PUT', body, token })
const codes = (method: string, path = '') =>
  ask(`/auth/v1/factors/recovery-codes${path}`, { method, token })
const raise = async () => {
  const raised = await withFactor(ask, session)
  token = raised.session.access_token
  return raised.factor
}
const link = async () => {
  const body = { provider: 'google', id_token: 'it', link_identity: true }
  const linked = await expectStatus(
    await post(ask, '/token?grant_type=id_token', body, { token }),
    200,
  )
  token = linked.access_token
}

/** What happens, done by the last of the steps, and what the owner reads. */
const changes: [string, (() => Promise<unknown>)[], string][] = [
  [
    'a new password',
    [() => put({ password: 'another good passphrase' })],
    'password of your account ann@example.com has just been changed',
  ],
  [
    'a new address',
    [
      async () => {
        await put({ email: 'new@example.com' })
        await verify(ask, { type: 'email_change', token_hash: inbox.token(ann) })
      },
      () => verify(ask, { type: 'email_change', token_hash: inbox.token('new@example.com') }),
    ],
    'from ann@example.com to new@example.com',
  ],
  [
    'a new number',
    [
      () => put({ phone: '+15550100200' }),
      async () =>
        verify(ask, {
          type: 'phone_change',
          phone: '15550100200',
          token: inbox.code('15550100200'),
        }),
    ],
    'phone',
  ],
  ['a linked identity', [link], 'google'],
  [
    'an unlinked identity',
    [
      link,
      async () => {
        const [{ id }] = await rows(
          `SELECT id FROM leanto_auth_identities WHERE provider = 'google'`,
        )
        return ask(`/auth/v1/user/identities/${id}`, { method: 'DELETE', token })
      },
    ],
    'google',
  ],
  ['a new factor', [raise], '(totp) was added'],
  [
    'a removed factor',
    [
      async () => {
        const { id } = await raise()
        removed = id
      },
      () => ask(`/auth/v1/factors/${removed}`, { method: 'DELETE', token }),
    ],
    '(totp) was removed',
  ],
  ['recovery codes', [raise, () => codes('POST')], '(recovery codes) was added'],
  [
    'recovery codes anew',
    [raise, () => codes('POST'), () => codes('POST', '/regenerate')],
    '(recovery codes) was added',
  ],
  [
    'recovery codes removed',
    [raise, () => codes('POST'), () => codes('DELETE')],
    '(recovery codes) was removed',
  ],
]
let removed = ''

it.each(changes)('%s', async (_, steps, says) => {
  for (const step of steps.slice(0, -1)) await step()
  const before = inbox.mails.length
  const answer = await steps.at(-1)?.()
  if (answer instanceof Response) expect(answer.status, await answer.clone().text()).toBe(200)
  const sent = inbox.mails.slice(before)
  expect(sent.map(({ to }) => to)).toEqual([ann])
  expect(sent[0]?.text).toContain(says)
  // Nobody signs in by a notice.
  expect(sent[0]?.text).not.toMatch(/\/verify\?|\b\d{6}\b/)
})

it('is not sent of what was refused', async () => {
  await put({ password: 'short' })
  await codes('POST')
  await ask('/auth/v1/factors/00000000-0000-7000-8000-000000000000', { method: 'DELETE', token })
  expect(inbox.mails).toEqual([])
})
