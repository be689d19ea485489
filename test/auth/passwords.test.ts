import {
  bcrypt,
  betterAuth,
  breached,
  common,
  firebase,
  pbkdf2,
  scrypt,
} from 'leanto/auth/passwords'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { freshDatabase } from '../kit/world.ts'
import { expectStatus, makeAuth, mountAuth, post, rows, signIn, signUp } from './world.ts'

const formats = [bcrypt, scrypt, betterAuth, firebase, pbkdf2]
const users = makeAuth({ password: { formats } })
const ask = mountAuth(users)
const ann = 'ann@example.com'
beforeEach(() => freshDatabase([users]))

// What other systems have stored; of firebase the example of github.com/firebase/scrypt.
const stored: [name: string, password: string, encoded: string][] = [
  [
    'bcrypt',
    'pässwörd of a stranger',
    '$2b$05$LAwy47Buq3B7ehujA/b/yu5XBYNCMaskVLTCIv4UJwjpVL18u0pT.',
  ],
  [
    'bcrypt of PHP',
    'pässwörd of a stranger',
    '$2y$05$O33JSd.7dod8JVQeotoy3ONQ0yC3YEY2eIHZSQitcm4JE1SuwcCs2',
  ],
  [
    'scrypt',
    'pässwörd of a stranger',
    '$scrypt$ln=12,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$WDkYs42EYKvurh86rg4wYA5olnn1ISThSMTswYWPY2w',
  ],
  [
    'better-auth',
    'pässwörd of a stranger',
    '30313233343536373839616263646566:33b175df49f00b72520b1bf65689f07afcfb086a3a0ae91b8fd1d84c81a85fccb453ca326637a6cbdba1bba107cf500998caea9820a3137b658a414d1c5709d5',
  ],
  [
    'firebase',
    'user1password',
    '$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
  ],
  [
    'PBKDF2 of Django',
    'pässwörd of a stranger',
    'pbkdf2_sha256$1000$s4lt$kaHxJiTBPRq+A8gn28SGSFZXmnw4eVMbKbUVGF7loJk=',
  ],
  [
    'PBKDF2 of Django, above what workerd does',
    'pässwörd of a stranger',
    'pbkdf2_sha256$120000$s4lt$81YKn5X7b7MXM5IMkO+JKYI21mvwHHZkgtPIC2CyuAQ=',
  ],
  [
    'PBKDF2 of passlib',
    'pässwörd of a stranger',
    '$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$dnckkeCHj3p3hQf7UfPH5qvZXnXInWxHz79Z/CCLmwaxdepEbsR.REmGi0ABbYHSnLRXw/4xmVx9V96.IDjABQ',
  ],
]

describe('a password that another system has hashed', () => {
  it.each(stored)('%s: verifies once, and is hashed anew', async (_, password, encoded) => {
    await signUp(ask, ann)
    await rows('UPDATE leanto_auth_users SET password = ?', encoded)
    const now = async () => (await rows('SELECT password FROM leanto_auth_users'))[0].password
    await expectStatus(await signIn(ask, ann, `${password}x`), 400)
    expect(await now()).toBe(encoded)
    await expectStatus(await signIn(ask, ann, password), 200)
    expect(await now()).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    await expectStatus(await signIn(ask, ann, password), 200)
  })

  it('opens nothing unless its format is mounted', async () => {
    const plain = mountAuth(makeAuth({ limits: { guesses: false, signIns: false } }))
    await signUp(plain, ann)
    for (const [, password, encoded] of stored) {
      await rows('UPDATE leanto_auth_users SET password = ?', encoded)
      await expectStatus(await signIn(plain, ann, password), 400)
      await expectStatus(await signIn(plain, ann, encoded), 400)
    }
  })

  it('is of one format only', () => {
    for (const [, , encoded] of stored)
      expect(formats.filter(({ matches }) => matches(encoded))).toHaveLength(1)
    for (const odd of ['', 'x', '$2b$99$', '$scrypt$ln=99', 'password', '$argon2id$v=19$'])
      expect(formats.filter(({ matches }) => matches(odd))).toHaveLength(0)
  })
})

describe('a new password', () => {
  const up = (
    checks: NonNullable<NonNullable<Parameters<typeof makeAuth>[0]>['password']>['checks'],
  ) => {
    const app = mountAuth(makeAuth({ password: { checks: checks ?? [] } }))
    return (password: string) => post(app, '/signup', { email: ann, password })
  }

  it('is not one of the 10,000 commonest, in any case', async () => {
    const attempt = up([common()])
    for (const password of [
      'password',
      'PassWord',
      '12345678',
      'iloveyou',
      'qwertyuiop',
      '1qaz2wsx',
    ]) {
      const body = await expectStatus(await attempt(password), 422)
      expect([body.error_code, body.weak_password]).toEqual([
        'weak_password',
        { reasons: ['pwned'] },
      ])
    }
    await expectStatus(await attempt('correct horse battery staple'), 200)
  })

  it('is not the address itself', async () => {
    const attempt = up([])
    for (const password of [ann, 'ANN@example.com'])
      expect((await expectStatus(await attempt(password), 422)).error_code).toBe('weak_password')
  })

  // SHA-1 of `password1`: E38AD214943DAAD1D64C102FAEC29DE4AFE9DA3D.
  const range =
    '0018A45C4D1DEF81644B54AB7F969B88D65:10\r\n214943DAAD1D64C102FAEC29DE4AFE9DA3D:2413945\r\n'
  const service = (answer: (request: Request) => Response | Promise<Response>) => {
    const asked: Request[] = []
    return {
      asked,
      fetch: async (request: Request) => {
        asked.push(request)
        return answer(request)
      },
    }
  }

  it('is not in a known breach, and no more than five digits of its hash leave', async () => {
    const hibp = service(({ url }) => new Response(url.endsWith('E38AD') ? range : 'FFFF:3'))
    const attempt = up([breached({ fetch: hibp.fetch })])
    const body = await expectStatus(await attempt('password1'), 422)
    expect(body.weak_password).toEqual({ reasons: ['pwned'] })
    const [request] = hibp.asked
    expect(request?.url).toBe('https://api.pwnedpasswords.com/range/E38AD')
    expect(request?.headers.get('add-padding')).toBe('true')
    expect(request?.redirect).toBe('manual')
    await expectStatus(await attempt('correct horse battery staple'), 200)
  })

  it('is let through by padding, by few breaches and by a service that fails, which is logged', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const padded = service(() => new Response(range.replace('2413945', '0')))
    await expectStatus(await up([breached({ fetch: padded.fetch })])('password1'), 200)
    expect(warn).not.toHaveBeenCalled()
    await freshDatabase([users])
    const few = service(() => new Response(range))
    await expectStatus(
      await up([breached({ fetch: few.fetch, least: 9_999_999 })])('password1'),
      200,
    )
    for (const answer of [
      () => new Response('', { status: 503 }),
      () => new Response(null, { status: 302, headers: { location: 'https://evil.example' } }),
      () => Promise.reject(new Error('no network')),
      () =>
        new Promise<Response>((resolve) =>
          setTimeout(() => resolve(new Response('', { status: 504 })), 50),
        ),
    ]) {
      await freshDatabase([users])
      const down = service(answer)
      await expectStatus(await up([breached({ fetch: down.fetch })])('password1'), 200)
    }
    expect(warn).toHaveBeenCalledTimes(4)
    expect(JSON.stringify(warn.mock.calls)).not.toMatch(/password1|214943DAAD/)
    warn.mockRestore()
  })

  it('is checked where it is changed as well', async () => {
    const app = mountAuth(makeAuth({ password: { checks: [common()] } }))
    const { access_token: token } = await signUp(app, ann)
    const body = { password: 'password' }
    await expectStatus(await app('/auth/v1/user', { method: 'PUT', token, body }), 422)
  })

  it.each([{ least: 0 }, { least: 1.5 }, { origin: 'api.pwnedpasswords.com' }])(
    'is not checked with options such as %j',
    (options) => expect(() => breached(options)).toThrow(TypeError),
  )
})

describe('what would take more than a Worker has', () => {
  it.each([
    ['scrypt', scrypt, `$scrypt$ln=16,r=8,p=1$c2FsdHNhbHQ$${'A'.repeat(43)}`, true],
    ['scrypt', scrypt, `$scrypt$ln=17,r=8,p=1$c2FsdHNhbHQ$${'A'.repeat(43)}`, false],
    ['scrypt', scrypt, `$scrypt$ln=99,r=8,p=1$c2FsdHNhbHQ$${'A'.repeat(43)}`, false],
    ['bcrypt', bcrypt, `$2x$10$${'a'.repeat(53)}`, false],
    ['bcrypt', bcrypt, `$2y$10$${'a'.repeat(53)}`, true],
  ])('%s is no known format: %#', (_name, format, encoded, known) => {
    expect(format.matches(encoded)).toBe(known)
  })
})
