import { admin } from 'leanto/auth/admin'
import { bcrypt, betterAuth, firebase, pbkdf2, scrypt } from 'leanto/auth/passwords'
import { beforeEach, describe, expect, it } from 'vitest'
import { argon2, isCurrent } from '../../src/auth/password.ts'
import { freshDatabase } from '../kit/world.ts'
import { stockAdmin } from './stock.ts'
import { count, expectStatus, makeAuth, mountAuth, rows, signIn, signUp } from './world.ts'

const formats = [bcrypt, scrypt, betterAuth, firebase, pbkdf2]
const free = { guesses: false, signIns: false } as const
const make = () => makeAuth({ password: { formats }, with: [admin()], limits: free })
let users = make()
let ask = mountAuth(users)
beforeEach(async () => {
  users = make()
  ask = mountAuth(users)
  await freshDatabase([users])
})

const base64 = (hex: string) =>
  btoa(hex.replace(/../g, (pair) => String.fromCharCode(+`0x${pair}`)))
const bare = (hex: string) => base64(hex).replaceAll('=', '')

/** What others have published: implementations, manuals and standards. */
const known: [source: string, password: string, encoded: string][] = [
  [
    'Openwall crypt_blowfish, $2a$',
    'U*U*U',
    '$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a',
  ],
  [
    'Openwall crypt_blowfish, more than the 72 bytes that count',
    '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored',
    '$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui',
  ],
  [
    'pyca/bcrypt, $2b$',
    'Kk4DQuMMfZL9o',
    '$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm',
  ],
  [
    'the PHP manual of password_verify, $2y$',
    'rasmuslerdorf',
    '$2y$10$.vGA1O9wmRjrwAVXD98HNOgsNpDczlqm3Jq7KnEd1rVAGv3Fykk1a',
  ],
  [
    'RFC 7914, 12, as a PHC string',
    'pleaseletmein',
    `$scrypt$ln=14,r=8,p=1$${btoa('SodiumChloride').replaceAll('=', '')}$${bare(
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
    )}`,
  ],
  [
    'github.com/firebase/scrypt',
    'user1password',
    '$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
  ],
  [
    'Django’s own tests',
    'lètmein',
    'pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=',
  ],
  [
    'passlib’s manual of PBKDF2',
    'password',
    '$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M',
  ],
  [
    'the reference implementation of argon2id',
    'password',
    '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  ],
  [
    'the reference implementation of argon2i',
    'password',
    '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA',
  ],
  [
    'the reference implementation’s manual of argon2i, 24 bytes',
    'password',
    '$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG',
  ],
  [
    'the PHP manual of password_hash, argon2i',
    'rasmuslerdorf',
    '$argon2i$v=19$m=1024,t=2,p=2$YzJBSzV4TUhkMzc3d3laeg$zqU/1IN0/AogfP4cmSJI1vc8lpXRW9/S0sYY2i2jHT0',
  ],
]

const email = 'ann@example.com'
const stored = async (): Promise<string> =>
  (await rows('SELECT password FROM leanto_auth_users'))[0].password

/** Wrong ones are wrong and change nothing; the right one is, once, and then one of ours. */
async function provesOnce(password: string, encoded: string) {
  // bcrypt reads 72 bytes: the last one beyond them makes no difference yet.
  const shorter = password.slice(0, Math.min(72, password.length) - 1)
  for (const wrong of [shorter, encoded]) await expectStatus(await signIn(ask, email, wrong), 400)
  expect(await stored()).toBe(encoded)
  await expectStatus(await signIn(ask, email, password), 200)
  const anew = await stored()
  expect(isCurrent(anew)).toBe(true)
  await expectStatus(await signIn(ask, email, password), 200)
  expect(await stored()).toBe(anew)
  await expectStatus(await signIn(ask, email, `x${password}`), 400)
}

describe.each(known)('a hash of %s', (_, password, encoded) => {
  it('written by plain SQL is verified once and made anew', async () => {
    await signUp(ask, email)
    await rows('UPDATE leanto_auth_users SET password = ?', encoded)
    await provesOnce(password, encoded)
  })

  it('given to createUser and updateUserById is verified once and made anew', async () => {
    const api = await stockAdmin(ask)
    const made = await api.createUser({ email, email_confirm: true, password_hash: encoded })
    expect(made.error).toBeNull()
    await provesOnce(password, encoded)
    const id = made.data.user?.id as string
    const changed = await api.updateUserById(id, { password_hash: encoded } as never)
    expect(changed.error).toBeNull()
    expect(await stored()).toBe(encoded)
    await expectStatus(await signIn(ask, email, password), 200)
    expect(isCurrent(await stored())).toBe(true)
  })
})

it('scrypt of 64 MiB, as passlib’s manual has it, is within what a Worker has', async () => {
  const encoded =
    '$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E'
  expect(await scrypt.verify(encoded, 'password')).toBe(true)
}, 60_000)

it('of 50 parallel first sign-ins with a foreign hash every one gets in (case 20)', async () => {
  const [, password, encoded] = known[2] as (typeof known)[number]
  await signUp(ask, email)
  await rows('UPDATE leanto_auth_users SET password = ?', encoded)
  const calls = Array.from({ length: 50 }, () => signIn(ask, email, password))
  const statuses = (await Promise.all(calls)).map(({ status }) => status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(50)
  expect(isCurrent(await stored())).toBe(true)
  expect(await count('sessions')).toBe(51)
})

describe('a hash that is nonsense', () => {
  /** Each known one with a character dropped, doubled or replaced, all over. */
  const broken = known.flatMap(([, , encoded]) =>
    Array.from({ length: encoded.length }, (_, i) => i)
      .filter((i) => i < 40 || i % 7 === 0)
      .flatMap((i) => [
        encoded.slice(0, i) + encoded.slice(i + 1),
        encoded.slice(0, i) + (encoded[i] ?? '') + encoded.slice(i),
        `${encoded.slice(0, i)}_${encoded.slice(i + 1)}`,
        `${encoded.slice(0, i)}0${encoded.slice(i + 1)}`,
      ]),
  )
  const all = [argon2, ...formats]

  it('is of no format, or is verified without a failure of ours', async () => {
    // Those that would take long are not the point here.
    const cheap = (encoded: string) => !/^\$2[aby]\$(?:0[6-9]|1)/.test(encoded)
    const odd = [
      '$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHApl8ArZWb2GRPPc',
      '$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHApl8ArZWb2GRPPc',
      '$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHApl8ArZWb2GRPPc',
      '$argon2d$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHApl8ArZWb2GRPPc',
      '$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHApl8ArZWb2GRPPc',
      'pbkdf2_sha256$0$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=',
      '$pbkdf2-sha256$0$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M',
    ]
    let verified = 0
    for (const encoded of new Set([...broken, ...odd])) {
      const format = all.find(({ matches }) => matches(encoded))
      if (!format || !cheap(encoded) || /ln=1\d|n=1\d|m=\d{5}|\$\d{5,}\$/.test(encoded)) continue
      verified++
      expect(await format.verify(encoded, 'a guess'), encoded).toBe(false)
    }
    expect(verified).toBeGreaterThan(100)
  })

  it('is refused where it is given, and changes nothing', async () => {
    const api = await stockAdmin(ask)
    const { data } = await api.createUser({ email })
    for (const password_hash of ['plain', '$2x$05$', '$argon2d$v=19$m=64,t=1,p=1$AAAA$AAAA']) {
      const again = await api.createUser({ email: 'eve@example.com', password_hash })
      expect([400, 422], password_hash).toContain(again.error?.status)
      const changed = await api.updateUserById(data.user?.id as string, { password_hash } as never)
      expect([400, 422], password_hash).toContain(changed.error?.status)
    }
    expect([await count('users'), await stored()]).toEqual([1, null])
  })
})
