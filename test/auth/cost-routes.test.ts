import { it } from 'vitest'
import {
  costWorld,
  email,
  expectCost,
  inbox,
  measured,
  type Row,
  type World,
} from './cost-world.ts'
import { begin, comeBack, departed } from './oauth-world.ts'
import { password, post, signIn } from './world.ts'

/* Proofs, providers, identities and sessions; the admin API and second factors are in files of their own. */

const owner = ({ token }: World) => ({ token })
const verifier = 'v'.repeat(43)
const pkce = `&code_challenge=${verifier}&code_challenge_method=plain`
const nobody = 'nobody@example.com'

const mailed = async (world: World, more: object = {}) => {
  await post(world.ask, '/otp', { email, ...more })
  world.made = inbox.token(email)
}
const linkPath = '/user/identities/authorize?provider=google'
const linking =
  (more = '', bound = true) =>
  async (world: World) => {
    const flow = departed(await world.ask(`/auth/v1${linkPath}${more}`, owner(world)))
    world.made = bound ? flow : { ...flow, cookie: '' }
  }
const arriving =
  (more = '') =>
  async (world: World) => {
    world.made = await begin(world.ask, `provider=google${more}`)
  }
const back = ({ made }: World): ReturnType<Row['ask']> => [
  `/callback?code=it&state=${made.state}`,
  { headers: { cookie: made.cookie } },
]
const codeOf = async (world: World) => {
  const url = await comeBack(world.ask, world.made, 'it')
  world.made = url.searchParams.get('code')
}
const exchange = ({ made }: World): ReturnType<Row['ask']> => [
  '/token?grant_type=pkce',
  { body: { auth_code: made, code_verifier: verifier } },
]
const formOf = async (world: World) => {
  const { state } = world.made
  const response = await world.ask(`/auth/v1/callback?code=it&state=${state}`)
  world.made = (await response.text()).match(/name="token" value="([\w-]+)"/)?.[1]
}
const answer =
  (said: string) =>
  ({ made }: World): ReturnType<Row['ask']> => [
    '/callback/link',
    {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'sec-fetch-site': 'same-origin',
      },
      body: `token=${made}&answer=${said}`,
    },
  ]
const idToken = (more: object = {}) => ({ provider: 'google', id_token: 'it', ...more })
const idTokenGrant = '/token?grant_type=id_token'
const twoSessions = async (world: World) => {
  await signIn(world.ask, email)
}

const table: Row[] = [
  // Messages and their proofs.
  { name: 'anonymous sign-up', ask: () => ['/signup', { body: {} }], cost: [2, 6, 9, 12] },
  { name: 'otp', ask: () => ['/otp', { body: { email } }], cost: [2, 10, 22, 14] },
  {
    name: 'otp, of nobody, whom it makes',
    ask: () => ['/otp', { body: { email: nobody } }],
    cost: [2, 10, 20, 20],
  },
  {
    name: 'otp, of nobody',
    ask: () => ['/otp', { body: { email: nobody, create_user: false } }],
    cost: [2, 7, 11, 7],
  },
  { name: 'recover', ask: () => ['/recover', { body: { email } }], cost: [2, 7, 14, 12] },
  {
    name: 'recover, of nobody',
    ask: () => ['/recover', { body: { email: nobody } }],
    cost: [2, 7, 11, 7],
  },
  {
    name: 'resend',
    ask: () => ['/resend', { body: { type: 'signup', email } }],
    cost: [2, 7, 14, 7],
  },
  {
    name: 'verify, a link',
    prepare: mailed,
    ask: ({ made }) => ['/verify', { body: { type: 'magiclink', token_hash: made } }],
    cost: [1, 10, 26, 9],
  },
  {
    name: 'verify, a code',
    prepare: async (world) => {
      await mailed(world)
      world.made = inbox.code(email)
    },
    ask: ({ made }) => ['/verify', { body: { type: 'email', email, token: made } }],
    cost: [1, 14, 42, 15],
  },
  {
    name: 'verify, a wrong code',
    prepare: mailed,
    ask: () => ['/verify', { body: { type: 'email', email, token: '0000000' } }],
    status: 403,
    cost: [1, 14, 36, 5],
  },
  {
    name: 'verify, a link with PKCE',
    prepare: (world) => mailed(world, { code_challenge: verifier, code_challenge_method: 'plain' }),
    ask: ({ made }) => [`/verify?type=magiclink&token=${made}`],
    status: 303,
    cost: [1, 7, 22, 5],
  },
  {
    name: 'reauthenticate',
    ask: (world) => ['/reauthenticate', owner(world)],
    cost: [2, 7, 22, 13],
  },
  {
    name: 'a change of address',
    ask: (world) => [
      '/user',
      { method: 'PUT', body: { email: 'anna@example.com' }, ...owner(world) },
    ],
    cost: [2, 8, 27, 15],
  },
  {
    name: 'a new password',
    prepare: twoSessions,
    ask: (world) => [
      '/user',
      { method: 'PUT', body: { password: 'another good passphrase' }, ...owner(world) },
    ],
    cost: [2, 5, 20, 2],
  },
  // Providers.
  { name: 'authorize', ask: () => ['/authorize?provider=google'], status: 303, cost: [1, 2, 2, 4] },
  {
    name: 'callback, sign-up',
    prepare: arriving(),
    ask: back,
    status: 303,
    cost: [3, 10, 16, 13],
  },
  {
    name: 'callback, sign-in',
    prepare: async (world) => {
      await arriving()(world)
      await comeBack(world.ask, world.made, 'it')
      await arriving()(world)
    },
    ask: back,
    status: 303,
    cost: [3, 10, 26, 9],
  },
  {
    name: 'callback, a code',
    prepare: arriving(pkce),
    ask: back,
    status: 303,
    cost: [3, 7, 10, 9],
  },
  {
    name: 'callback, of nobody',
    ask: () => [`/callback?code=it&state=${'x'.repeat(22)}`],
    status: 303,
    cost: [1, 1, 1, 0],
  },
  {
    name: 'PKCE exchange',
    prepare: async (world) => {
      await arriving(pkce)(world)
      await codeOf(world)
    },
    ask: exchange,
    cost: [1, 7, 14, 8],
  },
  {
    name: 'PKCE exchange, of nobody',
    prepare: async (world) => {
      world.made = crypto.randomUUID()
    },
    ask: exchange,
    status: 404,
    cost: [1, 7, 0, 0],
  },
  {
    name: 'id_token, sign-up',
    ask: () => [idTokenGrant, { body: idToken() }],
    cost: [2, 9, 11, 12],
  },
  {
    name: 'id_token, sign-in',
    prepare: (world) => post(world.ask, idTokenGrant, idToken()),
    ask: () => [idTokenGrant, { body: idToken() }],
    cost: [2, 9, 21, 8],
  },
  {
    name: 'id_token, link',
    ask: (world) => [idTokenGrant, { body: idToken({ link_identity: true }), ...owner(world) }],
    cost: [3, 10, 27, 10],
  },
  // Identities.
  {
    name: 'linkIdentity',
    ask: (world) => [linkPath, owner(world)],
    status: 303,
    cost: [2, 3, 7, 4],
  },
  { name: 'link, callback', prepare: linking(), ask: back, status: 303, cost: [3, 10, 27, 11] },
  {
    name: 'link, callback with PKCE',
    prepare: linking(pkce),
    ask: back,
    status: 303,
    cost: [3, 7, 19, 7],
  },
  {
    name: 'link, callback held for a code',
    prepare: linking(pkce, false),
    ask: back,
    status: 303,
    cost: [3, 5, 7, 3],
  },
  {
    name: 'link, exchange of a held code',
    prepare: async (world) => {
      await linking(pkce, false)(world)
      await codeOf(world)
    },
    ask: exchange,
    cost: [2, 11, 29, 11],
  },
  {
    name: 'link, callback asked about',
    prepare: linking('', false),
    ask: back,
    cost: [3, 5, 7, 3],
  },
  {
    name: 'link, a yes',
    prepare: async (world) => {
      await linking('', false)(world)
      await formOf(world)
    },
    ask: answer('link'),
    status: 303,
    cost: [2, 11, 29, 11],
  },
  {
    name: 'link, a no',
    prepare: async (world) => {
      await linking('', false)(world)
      await formOf(world)
    },
    ask: answer('cancel'),
    status: 303,
    cost: [1, 1, 2, 1],
  },
  {
    name: 'unlink',
    prepare: async (world) => {
      const { user } = await (
        await post(world.ask, idTokenGrant, idToken({ link_identity: true }), owner(world))
      ).json<{ user: { identities: { identity_id: string; provider: string }[] } }>()
      world.made = user.identities.find(({ provider }) => provider === 'google')?.identity_id
    },
    ask: (world) => [`/user/identities/${world.made}`, { method: 'DELETE', ...owner(world) }],
    cost: [2, 3, 38, 4],
  },
  // Sessions.
  ...(
    [
      ['local', 3, 1],
      ['global', 7, 2],
      ['others', 6, 1],
    ] as const
  ).map(
    ([scope, read, written]): Row => ({
      name: `logout, ${scope}`,
      prepare: twoSessions,
      ask: (world) => [`/logout?scope=${scope}`, { method: 'POST', ...owner(world) }],
      status: 204,
      cost: [1, 2, read, written],
    }),
  ),
  {
    name: 'sessions',
    prepare: twoSessions,
    ask: (world) => ['/sessions', owner(world)],
    cost: [1, 2, 3, 0],
  },
  {
    name: 'refresh',
    ask: ({ session }) => [
      '/token?grant_type=refresh_token',
      { body: { refresh_token: session.refresh_token } },
    ],
    cost: [1, 5, 16, 5],
  },
  { name: 'the user', ask: (world) => ['/user', owner(world)], cost: [1, 1, 5, 0] },
  {
    name: 'sign-in',
    ask: () => ['/token?grant_type=password', { body: { email, password } }],
    cost: [2, 11, 21, 15],
  },
]

it.each(table.map((row) => [row.name, row] as const))('%s', async (_, row) => {
  const world = await costWorld()
  await row.prepare?.(world)
  expectCost(await measured(world, row), row.cost)
})
