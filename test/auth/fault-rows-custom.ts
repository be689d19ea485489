import { expect } from 'vitest'
import { acme, calm, create, created, idToken, outside } from './custom-world.ts'
import { ann, expectPeople, service, setsNoCookie } from './fault-steps.ts'
import { aside, type Row, token, type World } from './fault-world.ts'
import { begin, comeBack } from './oauth-world.ts'
import { count, post, rows } from './world.ts'

/* Providers that are stored, and SSO. */

const bound = { ...acme, domains: ['acme.example'] }
const one = '/auth/v1/admin/custom-providers/custom:acme'
const prepare = async (world: World) => {
  calm()
  world.made = await created(world.ask, bound)
}

const departs = async (world: World) => {
  const flow = await begin(world.ask, 'provider=custom:acme')
  outside.nonce = flow.url.searchParams.get('nonce') ?? undefined
  return flow
}
const departing = async (world: World) => {
  await prepare(world)
  world.made = await departs(world)
}
const back = ({ ask }: World, { state, cookie }: { state: string; cookie: string }) =>
  ask(`/auth/v1/callback?code=c&state=${state}`, { headers: { cookie } })
const startsOver: Row['call'] = async (world) => back(world, await aside(() => departs(world)))
const withIdToken: Row['call'] = async ({ ask }) =>
  post(ask, '/token?grant_type=id_token', { provider: 'custom:acme', id_token: await idToken() })

const newcomer = { email: 'ann@acme.example', phone: null, anonymous: 0, ways: 'custom:acme' }
/** Both tables say the same. */
const expectDomains =
  (...domains: string[]) =>
  async () => {
    const stored = await rows('SELECT domain FROM leanto_auth_sso_domains ORDER BY 1')
    expect(stored.map(({ domain }) => domain)).toEqual(domains)
    const shown = await rows(`SELECT value AS domain FROM leanto_auth_custom_providers p,
      json_each(p.config, '$.domains') ORDER BY 1`)
    expect(shown).toEqual(stored)
  }

export const customRows: Row[] = [
  {
    name: 'GET /admin/custom-providers',
    call: ({ ask }) => ask('/auth/v1/admin/custom-providers', service),
  },
  {
    name: 'POST /admin/custom-providers',
    prepare: async () => calm(),
    call: ({ ask }) => create(ask, bound),
    // There already, or not.
    answers: [201, 400],
    end: expectDomains('acme.example'),
  },
  { name: 'GET /admin/custom-providers/:id', prepare, call: ({ ask }) => ask(one, service) },
  {
    name: 'PUT /admin/custom-providers/:id',
    prepare,
    call: ({ ask }) =>
      ask(one, {
        method: 'PUT',
        body: { domains: ['new.example'], enabled: false, client_secret: 'another' },
        ...service,
      }),
    end: expectDomains('new.example'),
  },
  {
    name: 'DELETE /admin/custom-providers/:id',
    prepare: departing,
    call: ({ ask }) => ask(one, { method: 'DELETE', ...service }),
    answers: [204, 404],
    end: async () => {
      await expectDomains()()
      expect(await count('flows')).toBe(0)
    },
  },
  {
    name: 'POST /sso',
    prepare,
    call: ({ ask }) => post(ask, '/sso', { domain: 'acme.example', skip_http_redirect: true }),
  },
  {
    name: 'GET /authorize, a stored provider',
    prepare,
    call: ({ ask }) => ask('/auth/v1/authorize?provider=custom:acme'),
    failed: setsNoCookie,
    answers: [303],
  },
  {
    name: 'GET /user/identities/authorize, a stored provider',
    prepare,
    call: (world) =>
      world.ask('/auth/v1/user/identities/authorize?provider=custom:acme', token(world)),
    failed: setsNoCookie,
    answers: [303],
  },
  {
    name: 'GET /callback, a stored provider, sign-up',
    prepare: departing,
    call: (world) => back(world, world.made),
    retry: startsOver,
    answers: [303],
    end: expectPeople(newcomer, ann),
  },
  {
    name: 'GET /callback, a stored provider, sign-in',
    prepare: async (world) => {
      await departing(world)
      await comeBack(world.ask, world.made, 'c')
      world.made = await departs(world)
    },
    call: (world) => back(world, world.made),
    retry: startsOver,
    answers: [303],
    end: expectPeople(newcomer, ann),
  },
  {
    name: 'POST /token by ID token, a stored provider',
    prepare,
    call: withIdToken,
    end: expectPeople(newcomer, ann),
  },
]
