import { expect } from 'vitest'
import { closed } from './closed.ts'
import { mail, put, target } from './fault-steps.ts'
import { email, type Row, token, type World } from './fault-world.ts'
import { expectStatus, getUser, type Json, post, refresh, signIn } from './world.ts'

const verifier = 'v'.repeat(43)
const pkce = { code_challenge: verifier, code_challenge_method: 'plain' }
const authCode = async (world: World): Promise<string> => {
  await mail(world, '/otp', { email, ...pkce })
  const response = await world.ask(`/auth/v1/verify?type=magiclink&token=${world.made.token}`)
  return new URL(response.headers.get('location') as string).searchParams.get('code') as string
}
const exchange = ({ ask }: World, auth_code: string) =>
  post(ask, '/token?grant_type=pkce', { auth_code, code_verifier: verifier })

export const account: Row[] = [
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
    name: 'POST /magiclink',
    call: ({ ask }) => post(ask, '/magiclink', { email: 'new@example.com' }),
    retry: async (world) => {
      await expectStatus(await post(world.ask, '/magiclink', { email: 'new@example.com' }), 200)
      const { token: token_hash } = world.mailed()
      return post(world.ask, '/verify', { type: 'magiclink', token_hash })
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
  { name: 'GET /settings', idle: true, call: ({ ask }) => ask('/auth/v1/settings') },
  { name: 'GET /health', idle: true, call: ({ ask }) => ask('/auth/v1/health') },
  {
    name: 'GET /.well-known/openid-configuration',
    idle: true,
    call: ({ ask }) => ask('/auth/v1/.well-known/openid-configuration'),
  },
  {
    name: 'GET /.well-known/jwks.json',
    call: ({ ask }) => ask('/auth/v1/.well-known/jwks.json'),
    // The key that signed is the one that is published, whatever has failed.
    end: async ({ ask, session }) => {
      const { keys } = await expectStatus(await ask('/auth/v1/.well-known/jwks.json'), 200)
      const { kid } = JSON.parse(atob(session.access_token.split('.')[0] ?? ''))
      expect(keys.map((key: Json) => key.kid)).toEqual([kid])
    },
  },
  ...closed
    .filter(({ path }) => !/passkeys|custom-providers|sso$|oauth/.test(path))
    .map(
      ({ code, method, path, asked }): Row => ({
        name: `${method} ${path.replace(/:\w+/g, ':id')}`,
        idle: true,
        refused: code,
        call: ({ ask }) => ask(`/auth/v1${asked}`, { method }),
      }),
    ),
]
