import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { migrate } from '../../src/core/migrate.ts'
import { clock, freshDatabase } from '../kit/world.ts'
import { makeAuthenticator } from './authenticator.ts'
import { codeOf, withFactor } from './mfa-world.ts'
import { comeBack, departed, profile, signInBy } from './oauth-world.ts'
import { newPasskey, trySignIn } from './passkey-world.ts'
import { type StockClient, stockClient } from './stock.ts'
import { answers, bring, makeMoving, otherSecret, take } from './users-world.ts'
import {
  type Asker,
  claimsOf,
  expectStatus,
  getUser,
  type Json,
  mountAuth,
  password,
  post,
  signUp,
} from './world.ts'

/* Someone with all there is moves from one leanto to another, and signs in there by each of it, by the stock client. */

let ask: Asker
let askThere: Asker

const email = 'ann@example.com'
const google = 'ann'
let device: ReturnType<typeof makeAuthenticator>
let factor: Json
let codes: string[]
let id: string
let client: StockClient

beforeEach(async () => {
  const here = makeMoving()
  const there = makeMoving({}, { db: (e) => e.OTHER_DB as never, secret: () => otherSecret })
  ask = mountAuth(here)
  askThere = mountAuth(there)
  await freshDatabase([here])
  await migrate(env.OTHER_DB as never, [there])
  device = makeAuthenticator()
  const session = await signUp(ask, email, { data: { name: 'Ann' } })
  id = session.user.id
  answers[google] = profile('g-1', 'ann@gmail.com')
  const left = await ask(
    '/auth/v1/user/identities/authorize?provider=google&skip_http_redirect=true',
    {
      token: session.access_token,
    },
  )
  await comeBack(ask, departed(left, (await left.json<Json>()).url), google)
  await newPasskey({ ask, token: session.access_token, device })
  const made = await withFactor(ask, session)
  factor = made.factor
  const { access_token: token } = made.session
  codes = (await expectStatus(await post(ask, '/factors/recovery-codes', {}, { token }), 200)).codes
  clock.advance(60)
  const answer = await bring(askThere, await take(ask), '', otherSecret)
  expect(answer.lines).toEqual([{ line: 1, result: 'created', id }])
  client = await stockClient(askThere, { headers: {} })
})

describe('who has moved signs in', () => {
  it('by password and authenticator app, and not twice by one code', async () => {
    expect((await client.signInWithPassword({ email, password: 'wrong' })).error?.code).toBe(
      'invalid_credentials',
    )
    const { data, error } = await client.signInWithPassword({ email, password })
    expect(error).toBeNull()
    expect(data.user).toMatchObject({ id, email, user_metadata: { name: 'Ann' } })
    const { data: factors } = await client.mfa.listFactors()
    expect(factors?.totp.map((one) => one.id)).toEqual([factor.id])
    const code = await codeOf(factor.totp.secret)
    const verified = await client.mfa.challengeAndVerify({ factorId: factor.id, code })
    expect(verified.error).toBeNull()
    expect(claimsOf(verified.data?.access_token ?? '')).toMatchObject({ aal: 'aal2', sub: id })
    expect(
      (await client.mfa.challengeAndVerify({ factorId: factor.id, code })).error,
    ).not.toBeNull()
  })

  it('not by the code that the old place has seen', async () => {
    await client.signInWithPassword({ email, password })
    clock.advance(-60)
    const spent = await codeOf(factor.totp.secret)
    const again = await client.mfa.challengeAndVerify({ factorId: factor.id, code: spent })
    clock.advance(60)
    expect(again.error).not.toBeNull()
  })

  it('by a recovery code, once', async () => {
    const { data } = await client.signInWithPassword({ email, password })
    const token = data.session?.access_token
    const shown = () =>
      post(askThere, '/factors/recovery-codes/verify', { code: codes[0] }, { token })
    const session = await expectStatus(await shown(), 200)
    expect(claimsOf(session.access_token)).toMatchObject({ aal: 'aal2' })
    expect((await shown()).status).toBeGreaterThanOrEqual(400)
  })

  it('by passkey', async () => {
    const session = await expectStatus(await trySignIn({ ask: askThere, device }), 200)
    expect(session.user.id).toBe(id)
  })

  it('by provider', async () => {
    const { access_token } = await signInBy(askThere, 'google', google)
    const { identities, ...user } = await expectStatus(await getUser(askThere, access_token), 200)
    expect(user.id).toBe(id)
    expect(identities.map(({ provider }: Json) => provider).sort()).toEqual(['email', 'google'])
  })
})
