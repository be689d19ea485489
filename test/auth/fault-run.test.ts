import { clock } from '../kit/world.ts'
import { aside, email, faultRun, type Row, token, type World } from './fault-world.ts'
import { challenge, codeOf, enroll, withFactor } from './mfa-world.ts'
import { expectStatus, getUser, type Json, password, post, refresh, rows, signIn } from './world.ts'

const service = { key: 'secret' } as const
const own = { 'sec-fetch-site': 'same-origin', prefer: 'session=cookie' }

const put = (world: World, body: object) =>
  world.ask('/auth/v1/user', { method: 'PUT', body, ...token(world) })

const prepareFactor = async (world: World) => {
  world.made = await enroll(world.ask, world.session.access_token)
}
const prepareStrong = async (world: World) => {
  const { factor, session } = await withFactor(world.ask, world.session)
  Object.assign(world, { made: factor, session })
}
const prepareCodes = async (world: World) => {
  await prepareStrong(world)
  const path = '/auth/v1/factors/recovery-codes'
  world.made = await expectStatus(await world.ask(path, { method: 'POST', ...token(world) }), 200)
}
/** Shows a factor anew, as people do after a failure: the next code, for a new challenge. */
const showFactor = async (world: World, offset: number) => {
  const { session, ask, made } = world
  const { id } = await aside(() => challenge(ask, session.access_token, made.id))
  const body = { challenge_id: id, code: await codeOf(made.totp.secret, offset) }
  return post(ask, `/factors/${made.id}/verify`, body, token(world))
}
const mail = async (world: World, path: string, body: object) => {
  await post(world.ask, path, body)
  world.made = world.mailed()
}
const verifier = 'v'.repeat(43)
const pkce = { code_challenge: verifier, code_challenge_method: 'plain' }
const authCode = async (world: World): Promise<string> => {
  await mail(world, '/otp', { email, ...pkce })
  const response = await world.ask(`/auth/v1/verify?type=magiclink&token=${world.made.token}`)
  return new URL(response.headers.get('location') as string).searchParams.get('code') as string
}
const exchange = ({ ask }: World, auth_code: string) =>
  post(ask, '/token?grant_type=pkce', { auth_code, code_verifier: verifier })
const target = { email: 'new@example.com', password }

const table: Row[] = [
  {
    name: 'POST /signup',
    call: ({ ask }) => post(ask, '/signup', target),
    // Known by now, or not: the person signs in.
    retry: async ({ ask }) => {
      const again = await post(ask, '/signup', target)
      return again.status === 422 ? signIn(ask, target.email) : again
    },
  },
  {
    name: 'POST /signup, to be confirmed',
    autoconfirm: false,
    call: ({ ask }) => post(ask, '/signup', target),
    retry: async (world) => {
      await expectStatus(await post(world.ask, '/signup', target), 200)
      const { token: token_hash } = world.mailed()
      return post(world.ask, '/verify', { type: 'signup', token_hash })
    },
  },
  { name: 'POST /signup, anonymous', call: ({ ask }) => post(ask, '/signup', {}) },
  { name: 'POST /token by password', call: ({ ask }) => signIn(ask, email) },
  {
    name: 'POST /token by refresh token',
    call: ({ ask, session }) => refresh(ask, session.refresh_token),
  },
  { name: 'GET /user', call: (world) => getUser(world.ask, world.session.access_token) },
  { name: 'PUT /user, data', call: (world) => put(world, { data: { a: 1 } }) },
  {
    name: 'PUT /user, password',
    call: (world) => put(world, { password: 'a new password' }),
    retry: async (world) => {
      await put(world, { password: 'a new password' })
      return signIn(world.ask, email, 'a new password')
    },
  },
  {
    name: 'PUT /user, address',
    autoconfirm: false,
    call: (world) => put(world, { email: 'anna@example.com' }),
  },
  {
    name: 'POST /recover',
    call: ({ ask }) => post(ask, '/recover', { email }),
    retry: async (world) => {
      await expectStatus(await post(world.ask, '/recover', { email }), 200)
      return post(world.ask, '/verify', { type: 'recovery', token_hash: world.mailed().token })
    },
  },
  {
    name: 'POST /otp',
    call: ({ ask }) => post(ask, '/otp', { email: 'new@example.com', create_user: true }),
    retry: async (world) => {
      const body = { email: 'new@example.com', create_user: true }
      await expectStatus(await post(world.ask, '/otp', body), 200)
      const { token: token_hash } = world.mailed()
      return post(world.ask, '/verify', { type: 'email', token_hash })
    },
  },
  {
    name: 'POST /verify by a link',
    prepare: (world) => mail(world, '/recover', { email }),
    call: ({ ask, made }) => post(ask, '/verify', { type: 'recovery', token_hash: made.token }),
    // Used already, or not: the person asks for another one.
    retry: async (world) => {
      const { ask, made } = world
      const again = await post(ask, '/verify', { type: 'recovery', token_hash: made.token })
      if (again.status === 200) return again
      await mail(world, '/recover', { email })
      return post(ask, '/verify', { type: 'recovery', token_hash: world.made.token })
    },
  },
  {
    name: 'POST /verify by a code',
    prepare: (world) => mail(world, '/otp', { email }),
    call: ({ ask, made }) => post(ask, '/verify', { type: 'email', email, token: made.code }),
    retry: async (world) => {
      const { ask, made } = world
      const again = await post(ask, '/verify', { type: 'email', email, token: made.code })
      if (again.status === 200) return again
      await mail(world, '/otp', { email })
      return post(ask, '/verify', { type: 'email', email, token: world.made.code })
    },
  },
  {
    name: 'GET /verify',
    prepare: (world) => mail(world, '/otp', { email }),
    call: ({ ask, made }) => ask(`/auth/v1/verify?type=magiclink&token=${made.token}`),
    retry: async (world) => {
      await mail(world, '/otp', { email })
      return world.ask(`/auth/v1/verify?type=magiclink&token=${world.made.token}`)
    },
    answers: [303],
  },
  {
    name: 'GET /verify, answering a code',
    prepare: (world) => mail(world, '/otp', { email, ...pkce }),
    call: ({ ask, made }) => ask(`/auth/v1/verify?type=magiclink&token=${made.token}`),
    retry: async (world) => exchange(world, await authCode(world)),
  },
  {
    name: 'POST /token by code',
    prepare: async (world) => {
      world.made = await authCode(world)
    },
    call: (world) => exchange(world, world.made),
    // Used already, or not: the person asks for another link.
    retry: async (world) => {
      const again = await exchange(world, world.made)
      return again.status === 200 ? again : exchange(world, await authCode(world))
    },
  },
  {
    name: 'POST /resend',
    autoconfirm: false,
    prepare: (world) => post(world.ask, '/signup', target),
    call: ({ ask }) => post(ask, '/resend', { type: 'signup', email: target.email }),
    retry: async (world) => {
      const body = { type: 'signup', email: target.email }
      await expectStatus(await post(world.ask, '/resend', body), 200)
      return post(world.ask, '/verify', { type: 'signup', token_hash: world.mailed().token })
    },
  },
  {
    name: 'POST /logout',
    call: (world) => world.ask('/auth/v1/logout', { method: 'POST', ...token(world) }),
    answers: [204, 403],
  },
  {
    name: 'GET /reauthenticate',
    call: (world) => world.ask('/auth/v1/reauthenticate', token(world)),
  },
  {
    name: 'POST /factors',
    call: (world) => post(world.ask, '/factors', { factor_type: 'totp' }, token(world)),
  },
  {
    name: 'POST /factors/:id/challenge',
    prepare: prepareFactor,
    call: (world) => post(world.ask, `/factors/${world.made.id}/challenge`, {}, token(world)),
  },
  {
    name: 'POST /factors/:id/verify, the first time',
    prepare: prepareFactor,
    call: (world) => showFactor(world, 0),
    retry: (world) => showFactor(world, 1),
  },
  {
    name: 'POST /factors/:id/verify',
    prepare: async (world) => {
      await prepareStrong(world)
      clock.advance(60)
      world.session = await expectStatus(await signIn(world.ask, email), 200)
    },
    call: (world) => showFactor(world, 0),
    retry: (world) => showFactor(world, 1),
  },
  {
    name: 'DELETE /factors/:id',
    prepare: prepareStrong,
    call: (world) =>
      world.ask(`/auth/v1/factors/${world.made.id}`, { method: 'DELETE', ...token(world) }),
    answers: [200, 404],
  },
  {
    name: 'POST /factors/recovery-codes',
    prepare: prepareStrong,
    call: (world) => post(world.ask, '/factors/recovery-codes', {}, token(world)),
    // They are there, and nobody has seen them.
    retry: (world) => post(world.ask, '/factors/recovery-codes/regenerate', {}, token(world)),
    answers: [200, 404],
  },
  {
    name: 'POST /factors/recovery-codes/verify',
    prepare: async (world) => {
      await prepareCodes(world)
      world.session = await expectStatus(await signIn(world.ask, email), 200)
    },
    call: (world) =>
      post(
        world.ask,
        '/factors/recovery-codes/verify',
        { code: world.made.codes[0] },
        token(world),
      ),
    retry: (world) =>
      post(
        world.ask,
        '/factors/recovery-codes/verify',
        { code: world.made.codes[1] },
        token(world),
      ),
  },
  {
    name: 'POST /factors/recovery-codes/regenerate',
    prepare: prepareCodes,
    call: (world) => post(world.ask, '/factors/recovery-codes/regenerate', {}, token(world)),
  },
  {
    name: 'DELETE /factors/recovery-codes',
    prepare: prepareCodes,
    call: (world) =>
      world.ask('/auth/v1/factors/recovery-codes', { method: 'DELETE', ...token(world) }),
    answers: [200, 404],
  },
  { name: 'GET /sessions', call: (world) => world.ask('/auth/v1/sessions', token(world)) },
  {
    name: 'DELETE /sessions/:id',
    prepare: async (world) => {
      await signIn(world.ask, email)
      const list = await expectStatus(await world.ask('/auth/v1/sessions', token(world)), 200)
      world.made = list.find(({ current }: Json) => !current)
    },
    call: (world) =>
      world.ask(`/auth/v1/sessions/${world.made.id}`, { method: 'DELETE', ...token(world) }),
    answers: [204, 404],
  },
  {
    name: 'POST /cookie',
    prepare: async (world) => {
      const response = await signIn(world.ask, email, password, { headers: own })
      world.made = response.headers
        .getSetCookie()
        .map((cookie) => cookie.split(';')[0])
        .join('; ')
    },
    call: (world) =>
      world.ask('/auth/v1/cookie', { method: 'POST', headers: { ...own, cookie: world.made } }),
  },
  {
    name: 'DELETE /cookie',
    prepare: async (world) => {
      const response = await signIn(world.ask, email, password, { headers: own })
      world.made = response.headers
        .getSetCookie()
        .map((cookie) => cookie.split(';')[0])
        .join('; ')
    },
    call: (world) =>
      world.ask('/auth/v1/cookie', { method: 'DELETE', headers: { ...own, cookie: world.made } }),
    answers: [204],
  },
  {
    name: 'POST /admin/users',
    call: ({ ask }) => post(ask, '/admin/users', { ...target, phone: '+15550001111' }, service),
    answers: [200, 422],
  },
  { name: 'GET /admin/users', call: ({ ask }) => ask('/auth/v1/admin/users', service) },
  {
    name: 'PUT /admin/users/:id',
    call: ({ ask, session }) =>
      ask(`/auth/v1/admin/users/${session.user.id}`, {
        method: 'PUT',
        body: { email: 'anna@example.com', password: 'a new password', ban_duration: '1h' },
        ...service,
      }),
  },
  ...[false, true].map(
    (soft): Row => ({
      name: `DELETE /admin/users/:id, ${soft ? 'softly' : 'for good'}`,
      prepare: prepareCodes,
      call: ({ ask, session }) =>
        ask(`/auth/v1/admin/users/${session.user.id}`, {
          method: 'DELETE',
          body: { should_soft_delete: soft },
          ...service,
        }),
      answers: [200, 404],
    }),
  ),
  {
    name: 'POST /invite',
    call: ({ ask }) => post(ask, '/invite', { email: 'new@example.com' }, service),
  },
  ...(['signup', 'invite', 'magiclink', 'recovery', 'email_change_new'] as const).map(
    (type): Row => ({
      name: `POST /admin/generate_link, ${type}`,
      call: ({ ask }) =>
        post(
          ask,
          '/admin/generate_link',
          type === 'signup' || type === 'invite'
            ? { type, ...target }
            : { type, email, new_email: 'anna@example.com' },
          service,
        ),
    }),
  ),
  {
    name: 'DELETE /admin/users/:id/factors/:id',
    prepare: prepareCodes,
    call: async ({ ask, session }) => {
      const [factor] = await rows(`SELECT id FROM leanto_auth_factors WHERE type = 'totp'`)
      const path = `/auth/v1/admin/users/${session.user.id}/factors/${factor?.id ?? session.user.id}`
      return ask(path, { method: 'DELETE', ...service })
    },
    answers: [200, 404],
  },
  {
    name: 'POST /admin/api-keys',
    call: ({ ask }) => post(ask, '/admin/api-keys', { type: 'secret', name: 'x' }, service),
  },
]

faultRun(table)
