import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { d1Error, faulty } from '../kit/faulty.ts'
import { freshDatabase } from '../kit/world.ts'
import { type Answers, begin, comeBack, fake, fragment, profile, signInBy } from './oauth-world.ts'
import { type Asker, count, expectStatus, getUser, makeAuth, mountAuth } from './world.ts'

let fails: (nth: number) => boolean | 'after' = () => false
let nth = 0
let ask: Asker
const answers: Answers = { ann: profile('1', 'ann@example.com') }

beforeEach(async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  fails = () => false
  const database = faulty(env.DB as never, () => fails(++nth))
  const users = makeAuth({ with: [fake('google', answers)] }, { db: () => database })
  await freshDatabase([users])
  ask = mountAuth(users)
})

/** Whoever is stored is whole: a user with an identity, a session that somebody could use or none. */
const whole = async () => {
  expect(await count('users')).toBe(await count('identities'))
}

describe.each([true, 'after'] as const)('a database that fails (%s)', (how) => {
  it.each([1, 2, 3, 4])(
    'at trip %i of a callback: nobody is half there, and starting over works',
    async (at) => {
      const flow = await begin(ask, 'provider=google')
      nth = 0
      fails = (n) => n === at && how
      const url = await comeBack(ask, flow, 'ann')
      fails = () => false
      expect(url.href).not.toContain('D1')
      expect(url.href).not.toContain(encodeURIComponent(d1Error).slice(0, 12))
      await whole()
      // The browser never saw the tokens of a lost answer, so what is stored is nobody's.
      if (!url.hash.includes('access_token'))
        expect(fragment(url)).toMatchObject({
          error: 'server_error',
          error_code: 'unexpected_failure',
        })
      const again = await signInBy(ask, 'google', 'ann')
      const user = await expectStatus(await getUser(ask, again.access_token), 200)
      expect(user.identities).toHaveLength(1)
      expect(await count('users')).toBe(1)
    },
  )

  it('at the way out: an error in JSON, and no cookie', async () => {
    nth = 0
    fails = () => how
    const response = await ask('/auth/v1/authorize?provider=google')
    expect(response.headers.get('set-cookie')).toBe(null)
    expect((await expectStatus(response, 500)).error_code).toBe('unexpected_failure')
  })
})
