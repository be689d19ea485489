import { Fault } from 'leanto'
import { admin } from 'leanto/auth/admin'
import { type MfaOptions, mfa } from 'leanto/auth/mfa'
import { cookies } from 'leanto/auth/parts'
import { expect, type Mock, vi } from 'vitest'
import { freshDatabase } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import { type Answers, fake, profile } from './oauth-world.ts'
import { type Asker, makeAuth, mountAuth, rows } from './world.ts'

/* Every hook of the host, when it refuses by a Fault and when it has a bug: who is told what, and what is stored. */

export const fault = () => new Fault('no_thanks', { status: 403, message: 'Not today' })
export const bug = () => new Error('a secret of the host')
/** What is thrown, and what a client reads of it. */
export const thrown = [
  ['a Fault', fault, 403, 'no_thanks'],
  ['a bug', bug, 500, 'unexpected_failure'],
] as const

export type Options = NonNullable<Parameters<typeof makeAuth>[0]>
let asker: Asker
export const ask: Asker = (path, more) => asker(path, more)
export const inbox = makeInbox()
export const answers: Answers = { it: profile('g', 'new@example.com') }
/** Told to throw, each does. */
let broken: (() => Error) | undefined
export const breakBy = (error: (() => Error) | undefined) => {
  broken = error
}
export const maybe = () => {
  if (broken) throw broken()
}
export const logged: Mock = vi.fn()

export async function setUp(options: Options = {}, second: MfaOptions = {}) {
  broken = undefined
  inbox.clear()
  logged.mockReset()
  vi.spyOn(console, 'error').mockImplementation(logged)
  const users = makeAuth({
    mailer: inbox.mailer,
    sms: inbox.sms,
    anonymous: true,
    with: [mfa(second), admin({ audit: false }), cookies(), fake('google', answers)],
    ...options,
  })
  await freshDatabase([users])
  asker = mountAuth(users)
  return users
}

/** The answer says what it should, and nothing of a bug. */
export async function expectTold(response: Response, status: number, code: string) {
  const text = await response.text()
  expect(response.status, text).toBe(status)
  expect(JSON.parse(text).error_code).toBe(code)
  expect(text).not.toContain('secret of the host')
  if (status === 500)
    expect(JSON.stringify(logged.mock.calls.flat().map(String))).toContain('secret')
}
export const told = (url: URL) =>
  Response.json(
    { error_code: url.searchParams.get('error_code'), href: url.href },
    { status: url.searchParams.get('error_code') === 'no_thanks' ? 403 : 500 },
  )
export const spent = async () =>
  (await rows(`SELECT coalesce(sum(spent), 0) AS n FROM leanto_core_limits`))[0].n

export const email = 'new@example.com'
export const phone = '+15550100200'
