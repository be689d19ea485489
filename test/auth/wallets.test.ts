import fc from 'fast-check'
import { auth } from 'leanto/auth'
import { turnstile } from 'leanto/auth/parts'
import { type WalletOptions, wallets } from 'leanto/auth/wallets'
import { beforeEach, describe, expect, it } from 'vitest'
import { signerOf } from '../../src/auth/wallets/ethereum.ts'
import { keyOf } from '../../src/auth/wallets/solana.ts'
import { measurer } from '../kit/measure.ts'
import { clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import { expectRefused } from './passkey-world.ts'
import { at, base58, ethereum, type Fields, solana } from './wallets-world.ts'
import {
  type Asker,
  claimsOf,
  count,
  expectStatus,
  getUser,
  makeAuth,
  mountAuth,
  post,
  rows,
} from './world.ts'

let ask: Asker
async function mounted(options: WalletOptions = {}, more: object = {}) {
  const users = makeAuth({ with: [wallets(options)], ...more })
  await freshDatabase([users])
  ask = mountAuth(users)
  return users
}
beforeEach(async () => {
  await mounted()
})

const grant = (body: unknown) => post(ask, '/token?grant_type=web3', body)

describe.each(['ethereum', 'solana'] as const)('a wallet of %s', (chain) => {
  const wallet = async () => (chain === 'ethereum' ? ethereum() : solana())

  it('makes an account the first time, and signs in to it from then on', async () => {
    const mine = await wallet()
    const statement = 'I accept: everything.'
    const first = await expectStatus(await grant(await mine.show({ statement })), 200)
    const subject = `web3:${chain}:${mine.address}`
    expect(first.user).toMatchObject({
      email: '',
      app_metadata: { provider: 'web3', providers: ['web3'] },
      identities: [{ provider: 'web3', id: subject }],
    })
    expect(first.user.identities[0].identity_data.custom_claims).toMatchObject({
      address: mine.address,
      chain,
      domain: 'app.example',
      statement,
    })
    expect(claimsOf(first.access_token)).toMatchObject({ aal: 'aal1', amr: [{ method: 'web3' }] })
    clock.advance(5)
    const second = await expectStatus(await grant(await mine.show()), 200)
    expect(second.user.id).toBe(first.user.id)
    expect((await getUser(ask, second.access_token)).status).toBe(200)
    const other = await expectStatus(await grant(await (await wallet()).show()), 200)
    expect(other.user.id).not.toBe(first.user.id)
  })

  it.each([
    ['of another domain', { domain: 'evil.example' }],
    ['of another site', { domain: 'evil.example', uri: 'https://evil.example/' }],
    ['of another port', { domain: 'app.example:8443', uri: 'https://app.example:8443/' }],
    ['without TLS', { uri: 'http://app.example/' }],
    ['of a look-alike', { uri: 'https://app.example@evil.example/' }],
    ['of an hour ago', { issuedAt: 'PAST' }],
    ['of in an hour', { issuedAt: 'FUTURE' }],
    ['that has expired', { more: ['Expiration Time: NOW'] }],
    ['that is not yet valid', { more: ['Not Before: FUTURE'] }],
  ] as [string, Fields][])('is refused for a message %s', async (_, fields) => {
    const times = { NOW: at(), PAST: at(-3_600_000), FUTURE: at(3_600_000) }
    const timed = JSON.parse(
      JSON.stringify(fields).replace(/NOW|PAST|FUTURE/g, (one) => times[one as 'NOW']),
    )
    await expectRefused(await grant(await (await wallet()).show(timed)), 400, 'invalid_credentials')
    expect(await count('users')).toBe(0)
    expect(await count('flows')).toBe(0)
  })

  it.each([
    ['another version', { version: '2' }],
    ['a short nonce', { nonce: 'short' }],
    ['a nonce of other signs', { nonce: 'a nonce that is none' }],
    ['a line that nobody knows', { more: ['Grants: everything'] }],
    ['a line twice', { more: ['Version: 1'] }],
    ['a line without a name', { more: ['everything'] }],
    ['no time', { issuedAt: 'yesterday' }],
    ['a time that is none', { issuedAt: '2026-13-45T99:00:00Z' }],
    ['two statements', { statement: 'one\ntwo' }],
    ['signs that are not shown', { statement: 'a\u0007b' }],
  ] as [string, Fields][])('is refused for a message with %s', async (_, fields) => {
    await expectRefused(await grant(await (await wallet()).show(fields)), 400, 'validation_failed')
    expect(await count('users')).toBe(0)
  })

  it('is refused for a signature that is another’s, or of another message', async () => {
    const [mine, other] = [await wallet(), await wallet()]
    const shown = await mine.show()
    const { signature } = await other.show()
    await expectRefused(await grant({ ...shown, signature }), 400, 'invalid_credentials')
    const later = await mine.show({ nonce: 'abcdefgh' })
    const mixed = { ...shown, signature: later.signature }
    await expectRefused(await grant(mixed), 400, 'invalid_credentials')
    const swapped = { ...shown, chain: chain === 'solana' ? 'ethereum' : 'solana' }
    await expectRefused(await grant(swapped), 400, 'validation_failed')
    expect(await count('users')).toBe(0)
  })

  it('shows a message once, of 50 calls at once (case 19)', async () => {
    const mine = await wallet()
    const shown = await mine.show()
    const responses = await Promise.all(Array.from({ length: 50 }, () => grant(shown)))
    expect(responses.filter(({ ok }) => ok)).toHaveLength(1)
    expect([await count('users'), await count('sessions')]).toEqual([1, 1])
    for (const response of responses.filter(({ ok }) => !ok))
      await expectRefused(response, 400, 'invalid_credentials')
    clock.advance(599)
    await expectRefused(await grant(shown), 400, 'invalid_credentials')
  })

  it('makes one account, of many first sign-ins at once (case 21)', async () => {
    const mine = await wallet()
    const shown = await Promise.all(
      Array.from({ length: 20 }, (_, i) => mine.show({ nonce: `nonce${1000 + i}` })),
    )
    const responses = await Promise.all(shown.map(grant))
    expect(responses.map(({ status }) => status)).toEqual(shown.map(() => 200))
    expect(await count('users')).toBe(1)
  })

  it('is refused whatever comes in its place (case 22), and never by a 5xx', async () => {
    const mine = await wallet()
    const right = await mine.show()
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('chain', 'message', 'signature'),
        fc.oneof(fc.jsonValue(), fc.string({ maxLength: 200 }), fc.base64String()),
        async (field, value) => {
          const { status } = await grant({ ...right, [field]: value })
          expect(status).toBeGreaterThanOrEqual(400)
          expect(status).toBeLessThan(500)
        },
      ),
      { numRuns: 80 },
    )
  })

  it('is refused where it is not taken', async () => {
    await mounted({ chains: [chain === 'solana' ? 'ethereum' : 'solana'] })
    await expectRefused(await grant(await (await wallet()).show()), 422, 'web3_provider_disabled')
  })

  it('takes other places and networks as they are listed', async () => {
    await mounted({ origins: ['https://shop.example'], chainIds: ['1', 'mainnet'] })
    const shop = { domain: 'shop.example', uri: 'https://shop.example/in?x=1' }
    const mine = await wallet()
    await expectStatus(await grant(await mine.show({ ...shop, chainId: 'mainnet' })), 200)
    for (const chainId of ['5', null])
      await expectRefused(await grant(await mine.show({ chainId })), 400, 'invalid_credentials')
  })

  it('is refused where nobody may sign up, or its user is banned', async () => {
    await mounted({}, { signUp: false })
    const mine = await wallet()
    await expectRefused(await grant(await mine.show()), 422, 'signup_disabled')
    await mounted()
    const { user } = await expectStatus(await grant(await mine.show({ nonce: 'firsttime' })), 200)
    await rows('UPDATE leanto_auth_users SET banned_until = 9e15 WHERE id = ?', user.id)
    await expectRefused(await grant(await mine.show({ nonce: 'nexttime1' })), 403, 'user_banned')
  })

  it('costs three trips, and none for a wrong signature', async () => {
    const base = makeBase()
    const users = makeAuth({ with: [wallets()] })
    await freshDatabase([users])
    const mine = await wallet()
    await expectStatus(
      await post(mountAuth(users), '/token?grant_type=web3', await mine.show()),
      200,
    )
    clock.advance(1)
    const measured = measurer(base, makeAuthOver(base))
    const path = '/token?grant_type=web3'
    await measured(path, { body: await mine.show({ nonce: 'warmed00' }) })
    const { response, cost } = await measured(path, {
      body: await mine.show({ nonce: 'measured' }),
    })
    expect(response.status).toBe(200)
    expect([cost.trips, cost.statements]).toEqual([3, 11])
    const wrong = { ...(await mine.show()), signature: `0x${'1'.repeat(130)}` }
    expect((await measured(path, { body: wrong })).cost.trips).toBe(0)
  })
})

const makeAuthOver = (base: ReturnType<typeof makeBase>) => auth(base, { site, with: [wallets()] })

it('knows a signature that others have made (EIP-191, of web3.js’s documentation)', () => {
  const signature =
    '0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c'
  const signer = '0x2c7536e3605d9c16a7a3d7b1898e529396a65c23'
  expect(signerOf('Some data', signature)).toBe(signer)
  expect(signerOf('Some data.', signature)).not.toBe(signer)
  expect(signerOf('Some data', `${signature.slice(0, -2)}1b`)).not.toBe(signer)
  for (const v of ['1d', '02', 'ff', ''])
    expect(signerOf('x', signature.slice(0, -2) + v)).toBeNull()
  for (const r of ['0'.repeat(64), 'f'.repeat(64)])
    expect(signerOf('x', `0x${r}${'1'.repeat(64)}1b`)).toBeNull()
})

it('reads an address in its one spelling (base58)', () => {
  expect(keyOf('1'.repeat(32))).toEqual(new Uint8Array(32))
  for (let i = 0; i < 200; i++) {
    const bytes = crypto.getRandomValues(new Uint8Array(32))
    bytes.fill(0, 0, i % 4)
    expect(keyOf(base58(bytes))).toEqual(bytes)
    expect(keyOf(`1${base58(bytes)}`)).toBeNull()
  }
  for (const wrong of ['', '0'.repeat(32), 'z'.repeat(44), 'I'.repeat(40), `${'1'.repeat(33)}`])
    expect(keyOf(wrong)).toBeNull()
})

it('wants a solved Turnstile where that is mounted', async () => {
  const widget = turnstile({ secret: 'shh', fetch: async () => Response.json({ success: true }) })
  await mounted({}, { with: [wallets(), widget] })
  const shown = ethereum().show()
  await expectRefused(await grant(shown), 400, 'captcha_failed')
  const gotrue_meta_security = { captcha_token: 'solved' }
  await expectStatus(await grant({ ...shown, gotrue_meta_security }), 200)
})

it.each([
  [{ chains: [] }, /chains/],
  [{ chains: ['bitcoin'] }, /chains/],
  [{ origins: ['app.example'] }, /origins/],
  [{ chainIds: [1] }, /chainIds/],
])('throws for %j when it is made', (options, message) => {
  expect(() => wallets(options as never)).toThrow(message)
})
