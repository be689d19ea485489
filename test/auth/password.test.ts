import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { hashPassword, isCurrent, verifyPassword } from '../../src/auth/password.ts'
import { freshDatabase } from '../kit/world.ts'
import { expectStatus, makeAuth, mountAuth, post, rows, signIn, signUp, snapshot } from './world.ts'

const users = makeAuth()
const ask = mountAuth(users)
beforeEach(() => freshDatabase([users]))

// Made by Node's crypto.argon2Sync (OpenSSL) with the salt `0123456789abcdef`.
const salt = 'MDEyMzQ1Njc4OWFiY2RlZg'
const vectors = [
  [
    'correct horse battery staple',
    'm=19456,t=2,p=1',
    'gy5SuVm5Z7Vw7keB9se9p87QGcomaseB/S2U1OhTsM0',
  ],
  ['pässwörd 密码 🔑', 'm=19456,t=2,p=1', 'DqF9xKbTZYGvPpx6nkAsHvhOlEUAyqYoqZcyYvWAbGY'],
  ['weaker parameters', 'm=8192,t=1,p=1', 'pjqsKaPrIfqqAfhqvwJE7PlMVNsdGtHo5TC3d1RA/hM'],
] as const

describe('argon2id', () => {
  it.each(vectors)('agrees with OpenSSL on %j', async (password, cost, hash) => {
    const encoded = `$argon2id$v=19$${cost}$${salt}$${hash}`
    expect(await verifyPassword(encoded, password)).toBe(true)
    expect(await verifyPassword(encoded, `${password} `)).toBe(false)
    expect(await verifyPassword(encoded, password.slice(0, -1))).toBe(false)
  })

  it('salts each hash, and takes none for another', async () => {
    const [a, b] = [hashPassword('the same'), hashPassword('the same')]
    expect(a).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
    expect(a).not.toBe(b)
    expect(await verifyPassword(a, 'the same')).toBe(true)
    expect(await verifyPassword(b, 'the same')).toBe(true)
    for (const wrong of ['', 'nonsense', '$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAA$', `${a}x`])
      expect(await verifyPassword(wrong, 'the same')).toBe(false)
    expect(await verifyPassword(null, 'the same')).toBe(false)
  })

  it('sees the last byte of 1,000 that are not ASCII', async () => {
    const long = 'é'.repeat(499)
    const encoded = hashPassword(`${long}é`)
    expect(await verifyPassword(encoded, `${long}é`)).toBe(true)
    expect(await verifyPassword(encoded, `${long}è`)).toBe(false)
    expect(await verifyPassword(encoded, long)).toBe(false)
  })
})

describe('a new password', () => {
  it('may be 1,024 bytes of anything, and is never cut', async () => {
    const long = '🔑'.repeat(255)
    const body = { email: 'ann@example.com', password: `${long}key!` }
    await expectStatus(await post(ask, '/signup', body), 200)
    await expectStatus(await signIn(ask, 'ann@example.com', `${long}key?`), 400)
    await expectStatus(await signIn(ask, 'ann@example.com', long), 400)
    await expectStatus(await signIn(ask, 'ann@example.com', `${long}key!`), 200)
  })

  it.each([
    ['seven77', 422, 'weak_password'],
    ['😀😀😀😀', 422, 'weak_password'],
    ['x'.repeat(1025), 400, 'validation_failed'],
    ['é'.repeat(513), 400, 'validation_failed'],
    ['with\0a NUL byte', 400, 'validation_failed'],
    ['lone \ud800 surrogate', 400, 'validation_failed'],
    ['', 400, 'validation_failed'],
  ])('is refused if it is %j', async (password, status, code) => {
    const body = await expectStatus(
      await post(ask, '/signup', { email: 'a@b.example', password }),
      status,
    )
    expect(body.error_code).toBe(code)
    expect(JSON.parse(await snapshot()).flat()).toEqual([])
    // And as a guess it is just wrong.
    const guess = await expectStatus(await signIn(ask, 'a@b.example', password), 400)
    expect(guess.error_code).toBe('invalid_credentials')
  })

  it('needs no digits, capitals or signs', async () => {
    await signUp(ask, 'ann@example.com', { password: 'aaaaaaaa' })
    await signUp(ask, 'bob@example.com', { password: '        ' })
  })
})

describe('a stored password', () => {
  const stored = async () => (await rows('SELECT password FROM leanto_auth_users'))[0].password
  const store = (encoded: string | null) =>
    env.DB.prepare('UPDATE leanto_auth_users SET password = ?').bind(encoded).run()

  it('with weaker parameters is hashed anew at sign-in, not at a wrong guess', async () => {
    await signUp(ask, 'ann@example.com')
    const [, cost, hash] = vectors[2]
    const weak = `$argon2id$v=19$${cost}$${salt}$${hash}`
    await store(weak)
    await expectStatus(await signIn(ask, 'ann@example.com', 'wrong guess'), 400)
    expect(await stored()).toBe(weak)
    await expectStatus(await signIn(ask, 'ann@example.com', 'weaker parameters'), 200)
    const anew = await stored()
    expect(isCurrent(anew)).toBe(true)
    await expectStatus(await signIn(ask, 'ann@example.com', 'weaker parameters'), 200)
    expect(await stored()).toBe(anew)
  })

  it('survives 20 parallel sign-ins that would all hash it anew', async () => {
    await signUp(ask, 'ann@example.com')
    const [, cost, hash] = vectors[2]
    await store(`$argon2id$v=19$${cost}$${salt}$${hash}`)
    const relaxed = mountAuth(makeAuth({ limits: { guesses: false, signIns: false } }))
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => signIn(relaxed, 'ann@example.com', 'weaker parameters')),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect(isCurrent(await stored())).toBe(true)
  })

  it('of another format is verified by who knows it, and replaced', async () => {
    const plain = {
      matches: (encoded: string) => encoded.startsWith('$plain$'),
      verify: (encoded: string, password: string) => encoded === `$plain$${password}`,
    }
    await signUp(ask, 'ann@example.com')
    await store('$plain$an imported one')
    // Who does not know the format lets nobody in.
    await expectStatus(await signIn(ask, 'ann@example.com', 'an imported one'), 400)
    const importing = mountAuth(makeAuth({ password: { formats: [plain] } }))
    await expectStatus(await signIn(importing, 'ann@example.com', 'another one'), 400)
    await expectStatus(await signIn(importing, 'ann@example.com', 'an imported one'), 200)
    expect(await stored()).toMatch(/^\$argon2id\$/)
  })

  it('that is missing lets nobody in', async () => {
    await signUp(ask, 'ann@example.com')
    await store(null)
    for (const guess of ['', 'null', 'anything at all'])
      expect((await signIn(ask, 'ann@example.com', guess)).status).toBe(400)
  })
})
