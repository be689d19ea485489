import { auth } from 'leanto/auth'
import { beforeEach, expect, it, vi } from 'vitest'
import { clock, freshDatabase, makeBase, mount, site } from '../kit/world.ts'
import { down, fresh, inScope, makeEmail, outbox, sent, world } from './world.ts'

const base = makeBase()
const mailer = makeEmail({}, base)
const users = auth(base, { site, mailer })
const ask = mount({ '/auth/v1': users, '/email': mailer })

beforeEach(async () => {
  await fresh()
  await freshDatabase([mailer, users])
})

const signUp = () =>
  ask('/auth/v1/signup', { body: { email: 'ann@example.com', password: 'correct horse battery' } })

it('auth’s mails go through it: the link that arrives signs in', async () => {
  expect((await signUp()).status).toBe(200)
  expect(sent).toMatchObject([
    { to: [{ address: 'ann@example.com' }], from: { address: 'hi@notes.example' } },
  ])
  const [link = ''] = sent[0]?.text.match(/https:\/\/\S+/) ?? []
  const answer = await ask(link.slice(site.length))
  expect(answer.headers.get('location')).toContain('access_token=')
})

it('a provider that is down makes no sign-up fail, and the mail comes later, its code in no table', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  world.fails = () => down()
  expect((await signUp()).status).toBe(200)
  const stored = JSON.stringify(await outbox())
  world.fails = undefined
  clock.advance(90)
  await inScope((scope) => mailer.scheduled?.(scope, 0))
  const [, code = ''] = sent[0]?.text.match(/code (\d+)/) ?? []
  expect(code).toMatch(/^\d{6}$/)
  expect(stored).not.toContain(code)
  const body = { type: 'signup', email: 'ann@example.com', token: code }
  expect((await ask('/auth/v1/verify', { body })).status).toBe(200)
})
