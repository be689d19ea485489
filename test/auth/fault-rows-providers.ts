import { expect } from 'vitest'
import {
  againOr,
  ann,
  asGuest,
  expectPeople,
  me,
  other,
  people,
  service,
  setsNoCookie,
} from './fault-steps.ts'
import { answers, email, type Row, token, type World } from './fault-world.ts'
import { begin, departed, fragment, profile, signInBy } from './oauth-world.ts'
import { expectStatus, getUser, type Json, password, post, signIn } from './world.ts'

const verifier = 'v'.repeat(43)
const pkce = `code_challenge=${verifier}&code_challenge_method=plain`

const google = (world: World, query = '') =>
  begin(world.ask, `provider=google${query && `&${query}`}`)
const back = ({ ask }: World, { state, cookie }: { state: string; cookie: string }, code = 'it') =>
  ask(`/auth/v1/callback?code=${code}&state=${state}`, { headers: { cookie } })
const comesBack: Row['call'] = (world) => back(world, world.made)
const comesByForm: Row['call'] = ({ ask, made: { state, cookie } }) =>
  ask('/auth/v1/callback', {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' },
    body: `code=it&state=${state}`,
  })
const startsOver: Row['call'] = async (world) => back(world, await google(world))

/** Someone whom the provider vouches for, on the way back from there. */
const arriving =
  (address: string, before?: (world: World) => Promise<unknown>): Row['prepare'] =>
  async (world) => {
    answers.it = profile('1', address)
    await before?.(world)
    world.made = await google(world)
  }
const linkStart = (world: World) =>
  world.ask('/auth/v1/user/identities/authorize?provider=google', token(world))
const linking =
  (before?: (world: World) => Promise<unknown>): Row['prepare'] =>
  async (world) => {
    answers.it = profile('1', other)
    await before?.(world)
    world.made = departed(await linkStart(world))
  }
/** Linked already, or not: in the end the provider signs in to this very account. */
const linksAgain: Row['call'] = async (world) => {
  const begun = await linkStart(world)
  // The guest's session has ended with the link; the provider knows whose account it is.
  if (begun.status === 403) expect((await me(world)).status).toBe(403)
  else {
    const again = await back(world, departed(begun))
    const said = new URL(again.headers.get('location') as string)
    if (!said.hash.includes('error')) return again
    expect(fragment(said).error_code).toBe('identity_already_exists')
  }
  const response = await startsOver(world)
  const { access_token } = fragment(new URL(response.headers.get('location') as string))
  const user = await expectStatus(await getUser(world.ask, access_token), 200)
  expect(user.id).toBe(world.session.user.id)
  return response
}

const exchange = ({ ask }: World, code: string | null) =>
  post(ask, '/token?grant_type=pkce', { auth_code: code, code_verifier: verifier })
const codeOf = (response: Response) =>
  new URL(response.headers.get('location') as string).searchParams.get('code')
const exchangesAnew: Row['call'] = async (world) =>
  exchange(world, codeOf(await back(world, await google(world, pkce))))

const withIdToken = (world: World, more: object = {}) =>
  post(world.ask, '/token?grant_type=id_token', { provider: 'google', id_token: 'it', ...more })
const linkToken: Row['call'] = (world) =>
  post(
    world.ask,
    '/token?grant_type=id_token',
    { provider: 'google', id_token: 'it', link_identity: true },
    token(world),
  )
const vouchFor = (address: string) => async () => {
  answers.it = profile('1', address)
}

const linked = { ...ann, ways: 'email,google' }
const newcomer = { email: other, phone: null, anonymous: 0, ways: 'google' }

const signIns: Row[] = [
  {
    name: 'GET /authorize',
    call: ({ ask }) => ask('/auth/v1/authorize?provider=google'),
    failed: setsNoCookie,
    answers: [303],
  },
  {
    name: 'GET /authorize, with PKCE',
    call: ({ ask }) => ask(`/auth/v1/authorize?provider=google&${pkce}`),
    failed: setsNoCookie,
    answers: [303],
  },
  {
    name: 'GET /user/identities/authorize',
    call: linkStart,
    failed: setsNoCookie,
    answers: [303],
  },
  {
    name: 'GET /callback, sign-up',
    prepare: arriving(other),
    call: comesBack,
    retry: startsOver,
    answers: [303],
    end: expectPeople(ann, newcomer),
  },
  {
    name: 'GET /callback, sign-in',
    prepare: arriving(other, ({ ask }) => signInBy(ask, 'google', 'it')),
    call: comesBack,
    retry: startsOver,
    answers: [303],
    end: expectPeople(ann, newcomer),
  },
  {
    name: 'GET /callback, linked by the address that both have proven',
    autoconfirm: false,
    prepare: arriving(email),
    call: comesBack,
    retry: startsOver,
    answers: [303],
    end: expectPeople(linked),
  },
  {
    name: 'GET /callback, the invited',
    autoconfirm: false,
    prepare: arriving(other, ({ ask }) => post(ask, '/invite', { email: other }, service)),
    call: comesBack,
    retry: startsOver,
    answers: [303],
    end: expectPeople(ann, { ...newcomer, ways: 'email,google' }),
  },
  {
    name: 'GET /callback, an address that a stranger had typed',
    autoconfirm: false,
    prepare: arriving(other, ({ ask }) => post(ask, '/signup', { email: other, password })),
    call: comesBack,
    retry: startsOver,
    answers: [303],
    end: expectPeople(ann, newcomer),
  },
  {
    name: 'POST /callback, sign-up',
    prepare: arriving(other),
    call: comesByForm,
    retry: async (world) => {
      world.made = await google(world)
      return comesByForm(world)
    },
    answers: [303],
    end: expectPeople(ann, newcomer),
  },
  {
    name: 'GET /callback, linked by hand',
    prepare: linking(),
    call: comesBack,
    retry: linksAgain,
    answers: [303],
    end: expectPeople(linked),
  },
  {
    name: 'GET /callback, linked to a guest',
    prepare: linking(asGuest),
    call: comesBack,
    retry: linksAgain,
    answers: [303],
    end: expectPeople(ann, newcomer),
  },
  {
    name: 'GET /callback, answering a code',
    prepare: async (world) => {
      answers.it = profile('1', other)
      world.made = await google(world, pkce)
    },
    call: comesBack,
    retry: exchangesAnew,
    end: expectPeople(ann, newcomer),
  },
  {
    name: "POST /token by a provider's code",
    prepare: async (world) => {
      answers.it = profile('1', other)
      world.made = codeOf(await back(world, await google(world, pkce)))
    },
    call: (world) => exchange(world, world.made),
    retry: againOr((world) => exchange(world, world.made), exchangesAnew),
    end: expectPeople(ann, newcomer),
  },
  {
    name: 'POST /token by ID token, sign-up',
    prepare: vouchFor(other),
    call: (world) => withIdToken(world),
    end: expectPeople(ann, newcomer),
  },
  {
    name: 'POST /token by ID token, sign-in',
    prepare: async (world) => {
      await vouchFor(other)()
      await withIdToken(world)
    },
    call: (world) => withIdToken(world),
    end: expectPeople(ann, newcomer),
  },
  {
    name: 'POST /token by ID token, linked by hand',
    prepare: vouchFor(other),
    call: linkToken,
    retry: againOr(linkToken, (world) => withIdToken(world)),
    end: expectPeople(linked),
  },
]

const identityOf = (user: Json, provider: string) =>
  user.identities.find((one: Json) => one.provider === provider).identity_id

const unlinking = (provider: 'google' | 'email', left: object): Row => ({
  name: `DELETE /user/identities/:id, ${provider}`,
  autoconfirm: false,
  prepare: async (world) => {
    answers.it = profile('1', email)
    await signInBy(world.ask, 'google', 'it')
    world.made = identityOf(await expectStatus(await me(world), 200), provider)
  },
  call: (world) =>
    world.ask(`/auth/v1/user/identities/${world.made}`, { method: 'DELETE', ...token(world) }),
  // Gone already, or not.
  answers: [200, 422],
  end: async (world) => {
    expect(await people()).toEqual([left])
    expect((await me(world)).status).toBe(200)
    const status = provider === 'email' ? 400 : 200
    expect((await signIn(world.ask, email)).status).toBe(status)
    // The provider that is left signs in; the one that has gone is linked anew, by the address that both have proven.
    const again = fragment(new URL((await startsOver(world)).headers.get('location') as string))
    const user = await expectStatus(await getUser(world.ask, again.access_token), 200)
    expect(user.id).toBe(world.session.user.id)
  },
})

export const providers: Row[] = [
  ...signIns,
  unlinking('google', ann),
  unlinking('email', { ...ann, ways: 'google' }),
]
