import { beforeEach, describe, expect, it } from 'vitest'
import { normaliseEmail } from '../../src/auth/email.ts'
import { freshDatabase } from '../kit/world.ts'
import {
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  signUp,
  snapshot,
} from './world.ts'

const users = makeAuth({ limits: { signUps: false, signIns: false, guesses: false } })
const ask = mountAuth(users)
beforeEach(() => freshDatabase([users]))

/** Every route with a body, and what is asked of it by a user whose token goes along. */
const targets = [
  ['POST', '/signup'],
  ['POST', '/token?grant_type=password'],
  ['POST', '/token?grant_type=refresh_token'],
  ['POST', '/token?grant_type=pkce'],
  ['POST', '/otp'],
  ['POST', '/magiclink'],
  ['POST', '/recover'],
  ['POST', '/resend'],
  ['POST', '/verify'],
  ['PUT', '/user'],
] as const

describe.each(targets)('%s %s', (method, path) => {
  const refusals: [what: string, body: string, status: number, headers?: Record<string, string>][] =
    [
      ['broken JSON', '{"email": "a@b.example"', 400],
      ['an empty body', '', 400],
      ['text', 'email=a@b.example', 400],
      ['null', 'null', 400],
      ['a number', '42', 400],
      ['a string', '"email"', 400],
      ['an array', '[{"email":"a@b.example"}]', 400],
      [
        'a form',
        'email=a@b.example&password=x',
        415,
        { 'content-type': 'application/x-www-form-urlencoded' },
      ],
      ['plain text', '{}', 415, { 'content-type': 'text/plain' }],
      ['multipart', '--x', 415, { 'content-type': 'multipart/form-data; boundary=x' }],
      ['a giant', JSON.stringify({ data: 'x'.repeat(1024 * 1024) }), 413],
    ]
  it.each(refusals)('refuses %s and changes nothing', async (_, body, status, headers) => {
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    const before = await snapshot()
    const answer = await expectStatus(
      await ask(`/auth/v1${path}`, { method, body, token, headers }),
      status,
    )
    expect(answer).toEqual({
      code: status,
      error_code: expect.any(String),
      msg: expect.any(String),
    })
    expect(await snapshot()).toBe(before)
  })

  it('refuses a giant that says nothing or a lie of its length (case 67)', async () => {
    const { access_token } = await signUp(ask, 'ann@example.com')
    const before = await snapshot()
    const chunk = new TextEncoder().encode(' '.repeat(64 * 1024))
    for (const length of [undefined, '2']) {
      let sent = 0
      const body = new ReadableStream({
        pull(controller) {
          sent += chunk.length
          if (sent > 4 * 1024 * 1024) controller.close()
          else controller.enqueue(chunk)
        },
      })
      const headers = {
        'content-type': 'application/json',
        authorization: `Bearer ${access_token}`,
        ...(length ? { 'content-length': length } : {}),
      }
      const init = { method, headers, body, duplex: 'half' } as RequestInit
      const request = new Request(`https://app.example${path}`, init)
      const { env } = await import('cloudflare:workers')
      const response = await users.routes.fetch(request, env as Json)
      expect((await expectStatus(response, 413)).error_code).toBe('validation_failed')
      expect(sent).toBeLessThan(2 * 1024 * 1024)
    }
    expect(await snapshot()).toBe(before)
  })

  it('refuses bytes that are no text', async () => {
    const { access_token } = await signUp(ask, 'ann@example.com')
    const before = await snapshot()
    const request = new Request(`https://app.example${path}`, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${access_token}` },
      body: new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]),
    })
    const { env } = await import('cloudflare:workers')
    const answer = await expectStatus(await users.routes.fetch(request, env as Json), 400)
    expect(answer.error_code).toBe('bad_json')
    expect(await snapshot()).toBe(before)
  })

  const fieldsOf: Record<string, string[]> = {
    '/token?grant_type=refresh_token': ['refresh_token'],
    '/token?grant_type=pkce': ['auth_code', 'code_verifier'],
    '/otp': ['email', 'phone', 'code_challenge', 'code_challenge_method', 'channel'],
    '/magiclink': ['email', 'code_challenge', 'code_challenge_method'],
    '/recover': ['email', 'code_challenge', 'code_challenge_method'],
    '/resend': ['type', 'email', 'phone'],
    '/verify': ['type', 'token', 'token_hash', 'email', 'phone', 'redirect_to'],
    '/user': ['email', 'password', 'phone', 'nonce', 'code_challenge'],
  }
  const wrongTypes: unknown[] = [{ $gt: '' }, ['a@b.example'], 42, true, { toString: 'x' }, [[]]]
  it.each(wrongTypes)('refuses %j where a string is expected (case 22)', async (value) => {
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    const before = await snapshot()
    for (const field of fieldsOf[path] ?? ['email', 'password', 'phone']) {
      const body = { email: 'eve@example.com', password, refresh_token: 'x', [field]: value }
      const answer = await expectStatus(await ask(`/auth/v1${path}`, { method, body, token }), 400)
      expect(answer.error_code).toBe('validation_failed')
    }
    expect(await snapshot()).toBe(before)
  })
})

describe('user metadata', () => {
  it.each([
    ['[1]', 400],
    ['"text"', 400],
    ['7', 400],
    ['{"__proto__":{"admin":true}}', 400],
    ['{"a":{"b":[{"__proto__":1}]}}', 400],
    ['{"a\\u0000b":1}', 400],
    ['{"a":"\\u0000"}', 400],
    ['{"a":["\\ud800"]}', 400],
    [`{"a":${'['.repeat(40)}${']'.repeat(40)}}`, 400],
    [`{"a":"${'x'.repeat(8300)}"}`, 400],
    ['{"constructor":"x","toString":1,"prototype":{}}', 200],
    ['null', 200],
    ['{}', 200],
  ])('%s: %i (cases 22 and 46)', async (data, status) => {
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    const before = await snapshot()
    const body = `{"email":"eve@example.com","password":"${password}","data":${data}}`
    const put = await ask('/auth/v1/user', { method: 'PUT', token, body: `{"data":${data}}` })
    await expectStatus(put, status)
    if (status === 400) expect(await snapshot()).toBe(before)
    const answer = await expectStatus(await post(ask, '/signup', body), status)
    if (status === 400) {
      expect(answer.error_code).toBe('validation_failed')
      expect(await snapshot()).toBe(before)
    } else {
      expect(answer.user.user_metadata).toEqual(JSON.parse(data) ?? {})
      expect(await getUser(ask, answer.access_token)).toMatchObject({ status: 200 })
    }
    expect(({} as Json).admin).toBeUndefined()
  })

  it('cannot grow past what a header holds, bit by bit', async () => {
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    const put = (data: object) => ask('/auth/v1/user', { method: 'PUT', token, body: { data } })
    await expectStatus(await put({ a: 'x'.repeat(5000) }), 200)
    await expectStatus(await put({ b: 'x'.repeat(5000) }), 400)
    await expectStatus(await put({ a: null, b: 'x'.repeat(5000) }), 200)
  })
})

describe('an e-mail address (case 8)', () => {
  it.each([
    ['ann@example.com', 'ann@example.com'],
    ['Ann.B+notes@EXAMPLE.com', 'ann.b+notes@example.com'],
    ['ａｎｎ@example.com', 'ann@example.com'],
    ['ann@bücher.example', 'ann@xn--bcher-kva.example'],
    ['ann@BÜCHER.example', 'ann@xn--bcher-kva.example'],
    ['ann@bu\u0308cher.example', 'ann@xn--bcher-kva.example'],
    ['ann@ｅxample。com', 'ann@example.com'],
    ['\u212Aim@example.com', 'kim@example.com'],
    ["o'ann_%x@sub.example.co.uk", "o'ann_%x@sub.example.co.uk"],
    ['root@localhost', 'root@localhost'],
  ])('%j is %j', (email, normalised) => expect(normaliseEmail(email)).toBe(normalised))

  it.each([
    '',
    'ann',
    '@example.com',
    'ann@',
    'ann@@example.com',
    'ann@x@example.com',
    'ann\uFF20example.com',
    'ann\uFE6Bexample.com',
    'ann@evil.example\uFF20example.com',
    'ann\uFF20evil.example@example.com',
    'аnn@example.com', // a Cyrillic а
    'ann @example.com',
    ' ann@example.com',
    'ann@example.com\n',
    'ann@exa mple.com',
    'ann\0@example.com',
    'ann@example.com\0',
    'ann@exa\ud800mple.com',
    '"ann"@example.com',
    'ann.@example.com',
    '.ann@example.com',
    'a..b@example.com',
    'ann@example..com',
    'ann@-example.com',
    'ann@example.com.',
    'ann@127.0.0.1',
    'ann@127.1',
    'ann@[::1]',
    'ann@example.com:25',
    'ann@example.com/x',
    'ann@example.com?x',
    'ann@example.com#x',
    'ann@example%2ecom',
    'ann@exam\u00adple.com',
    'ann@exam\u200bple.com',
    '\tann@example.com',
    'İnn@example.com',
    'ann@example.com,eve@example.com',
    'ann@example.com\r\nBcc: eve@example.com',
    `${'a'.repeat(65)}@example.com`,
    `ann@${'a'.repeat(64)}.com`,
    `ann@${'a.'.repeat(130)}com`,
  ])('%j is none', async (email) => {
    expect(normaliseEmail(email)).toBeNull()
    const answer = await post(ask, '/signup', { email, password })
    const code = email === '' ? 'anonymous_provider_disabled' : 'validation_failed'
    expect((await expectStatus(answer, email === '' ? 422 : 400)).error_code).toBe(code)
    expect(JSON.parse(await snapshot()).flat()).toEqual([])
  })

  it('and a phone number are not the same', async () => {
    const code = async (body: object, status: number) =>
      (await expectStatus(await post(ask, '/signup', body), status)).error_code
    expect(await code({ password }, 422)).toBe('anonymous_provider_disabled')
    expect(await code({ phone: '+49123', password }, 422)).toBe('phone_provider_disabled')
    expect(await code({ phone: '+49123', email: 'a@b.example', password }, 400)).toBe(
      'validation_failed',
    )
  })
})

it('answers of a person are never cached (case 66)', async () => {
  const session = await signUp(ask, 'ann@example.com')
  const { access_token: token, refresh_token } = session
  const answers = [
    await getUser(ask, token),
    await getUser(ask),
    await getUser(ask, 'a.b.c'),
    await ask('/auth/v1/user', { method: 'PUT', token, body: { data: {} } }),
    await post(ask, '/token?grant_type=password', { email: 'ann@example.com', password }),
    await post(ask, '/token?grant_type=password', {
      email: 'ann@example.com',
      password: 'wrong guess',
    }),
    await post(ask, '/token?grant_type=refresh_token', { refresh_token }),
    await post(ask, '/logout', {}, { token }),
  ]
  for (const { headers } of answers) expect(headers.get('cache-control')).toBe('no-store')
})
