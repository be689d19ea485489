import { expect, it } from 'vitest'
import {
  answers,
  aside,
  email,
  failing,
  faultRun,
  freshWorld,
  type Row,
  token,
  type World,
} from './fault-world.ts'
import { begin, departed, fragment, profile, signInBy } from './oauth-world.ts'
import { expectStatus, getUser, type Json, password, post, rows, signIn } from './world.ts'

const service = { key: 'secret' } as const
const own = { 'sec-fetch-site': 'same-origin', prefer: 'session=cookie' }
const [other, phone] = ['new@example.com', '4917012345678']
const verifier = 'v'.repeat(43)
const pkce = `code_challenge=${verifier}&code_challenge_method=plain`

const put = (world: World, body: object) =>
  world.ask('/auth/v1/user', { method: 'PUT', body, ...token(world) })
const me = (world: World) => getUser(world.ask, world.session.access_token)
const setCookie = (response: Response) => expect(response.headers.get('set-cookie')).toBe(null)

/** Those who are there: who they are, and by what they sign in. */
const people = () =>
  rows(`SELECT u.email, u.phone, u.is_anonymous AS anonymous,
      (SELECT group_concat(provider) FROM (
        SELECT provider FROM leanto_auth_identities WHERE user_id = u.id ORDER BY provider)) AS ways
    FROM leanto_auth_users u ORDER BY coalesce(u.email, '~')`)
const ann = { email, phone: null, anonymous: 0, ways: 'email' }
const expectPeople =
  (...list: object[]) =>
  async () =>
    expect(await people()).toEqual(list)

/** Does the same again; if it was done already, goes the way that people go then. */
const againOr =
  (call: Row['call'], instead: Row['call']): Row['call'] =>
  async (world) => {
    const response = await call(world)
    return response.status < 400 ? response : instead(world)
  }

const google = (world: World, query = '') =>
  begin(world.ask, `provider=google${query && `&${query}`}`)
const back = ({ ask }: World, { state, cookie }: { state: string; cookie: string }, code = 'it') =>
  ask(`/auth/v1/callback?code=${code}&state=${state}`, { headers: { cookie } })
const comesBack: Row['call'] = (world) => back(world, world.made)
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
  const again = await back(world, departed(await linkStart(world)))
  const said = new URL(again.headers.get('location') as string)
  if (!said.hash.includes('error')) return again
  expect(fragment(said).error_code).toBe('identity_already_exists')
  const response = await startsOver(world)
  const { access_token } = fragment(new URL(response.headers.get('location') as string))
  const user = await expectStatus(await getUser(world.ask, access_token), 200)
  expect(user.id).toBe(world.session.user.id)
  return response
}
const asGuest = async (world: World) => {
  world.session = await expectStatus(await post(world.ask, '/signup', {}), 200)
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

const providers: Row[] = [
  {
    name: 'GET /authorize',
    call: ({ ask }) => ask('/auth/v1/authorize?provider=google'),
    failed: setCookie,
    answers: [303],
  },
  {
    name: 'GET /authorize, with PKCE',
    call: ({ ask }) => ask(`/auth/v1/authorize?provider=google&${pkce}`),
    failed: setCookie,
    answers: [303],
  },
  {
    name: 'GET /user/identities/authorize',
    call: linkStart,
    failed: setCookie,
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

const sendSms: Row['call'] = ({ ask }) => post(ask, '/otp', { phone })
const showSms: Row['call'] = ({ ask, inbox }) =>
  post(ask, '/verify', { type: 'sms', phone, token: inbox.code(phone) })
const showPhone: Row['call'] = (world) =>
  post(world.ask, '/verify', { type: 'phone_change', phone, token: world.inbox.code(phone) })
const caller = { email: null, phone, anonymous: 0, ways: 'phone' }
const reachable = { ...ann, phone, ways: 'email,phone' }

const phones: Row[] = [
  {
    name: 'POST /signup, by phone',
    call: ({ ask }) => post(ask, '/signup', { phone, password }),
    retry: async (world) => {
      await expectStatus(await post(world.ask, '/signup', { phone, password }), 200)
      return showSms(world)
    },
  },
  {
    name: 'POST /otp, a text message',
    call: sendSms,
    retry: async (world) => {
      await expectStatus(await sendSms(world), 200)
      return showSms(world)
    },
  },
  {
    name: 'POST /verify, a text message',
    prepare: sendSms,
    call: showSms,
    retry: againOr(showSms, async (world) => {
      await sendSms(world)
      return showSms(world)
    }),
    end: expectPeople(ann, caller),
  },
  {
    name: 'POST /verify, a wrong code of a text message',
    prepare: sendSms,
    // A failure of ours spends no attempt: five wrong ones would end the code.
    call: async (world) => {
      const code = world.inbox.code(phone)
      const wrong = code === '000000' ? '000001' : '000000'
      const response = await post(world.ask, '/verify', { type: 'sms', phone, token: wrong })
      return response.status === 403 ? aside(() => showSms(world)) : response
    },
    retry: showSms,
  },
  {
    name: 'POST /resend, a text message',
    prepare: ({ ask }) => post(ask, '/signup', { phone, password }),
    call: ({ ask }) => post(ask, '/resend', { type: 'sms', phone }),
    retry: async (world) => {
      await expectStatus(await post(world.ask, '/resend', { type: 'sms', phone }), 200)
      return showSms(world)
    },
  },
  {
    name: 'PUT /user, phone',
    call: (world) => put(world, { phone }),
    retry: async (world) => {
      await expectStatus(await put(world, { phone }), 200)
      return showPhone(world)
    },
  },
  {
    name: 'POST /verify, phone change',
    prepare: (world) => put(world, { phone }),
    call: showPhone,
    // Changed already, or not: who asks sees it.
    retry: againOr(showPhone, me),
    end: expectPeople(reachable),
  },
  {
    name: "POST /verify, a guest's phone",
    prepare: async (world) => {
      await asGuest(world)
      await put(world, { phone })
    },
    call: showPhone,
    // Every session of before has ended: the way in is the phone.
    retry: againOr(showPhone, async (world) => {
      await sendSms(world)
      return showSms(world)
    }),
    end: expectPeople(ann, caller),
  },
  {
    name: 'POST /resend, phone change',
    prepare: async (world) => {
      // Each change has its own number; the message goes to the new one.
      await sendSms(world)
      world.session = await expectStatus(await showSms(world), 200)
      world.inbox.clear()
      await put(world, { phone: '+4917087654321' })
    },
    call: ({ ask }) => post(ask, '/resend', { type: 'phone_change', phone }),
    retry: async (world) => {
      await expectStatus(await post(world.ask, '/resend', { type: 'phone_change', phone }), 200)
      const changed = '4917087654321'
      const shown = { type: 'phone_change', phone: changed, token: world.inbox.code(changed) }
      return post(world.ask, '/verify', shown)
    },
  },
]

const show = ({ ask, made }: World, which: string) =>
  post(ask, '/verify', { type: 'email_change', token_hash: made[which] })
const click = ({ ask, made }: World, which: string) =>
  ask(`/auth/v1/verify?type=email_change&token=${made[which]}`)
/** A change of address has been asked for; its links are in the two mailboxes. */
const changing = async (world: World) => {
  await expectStatus(await put(world, { email: other }), 200)
  world.made = { [email]: world.inbox.token(email), [other]: world.inbox.token(other) }
}
const moved = { ...ann, email: other }
const signsInAnew: Row['call'] = ({ ask }) => signIn(ask, other)

const halves = [
  [email, other],
  [other, email],
].flatMap(([first = '', second = '']): Row[] => [
  {
    name: `POST /verify, change of address, the first: ${first}`,
    autoconfirm: false,
    prepare: changing,
    call: (world) => show(world, first),
    // Agreed already, or not: the other mailbox completes it.
    retry: againOr((world) => show(world, first), me),
    end: async (world) => {
      expect(await people()).toEqual([ann])
      const session = await expectStatus(await show(world, second), 200)
      expect((await getUser(world.ask, session.access_token)).status).toBe(200)
      expect(await people()).toEqual([moved])
    },
  },
  {
    name: `POST /verify, change of address, the second: ${second}`,
    autoconfirm: false,
    prepare: async (world) => {
      await changing(world)
      await expectStatus(await show(world, first), 200)
    },
    call: (world) => show(world, second),
    retry: againOr((world) => show(world, second), signsInAnew),
    end: expectPeople(moved),
  },
  {
    name: `GET /verify, change of address, the second: ${second}`,
    autoconfirm: false,
    prepare: async (world) => {
      await changing(world)
      await click(world, first)
    },
    call: (world) => click(world, second),
    retry: async (world) => {
      await click(world, second)
      return signsInAnew(world)
    },
    end: expectPeople(moved),
  },
])

const addresses: Row[] = [
  ...halves,
  {
    name: 'POST /resend, change of address',
    autoconfirm: false,
    prepare: changing,
    call: ({ ask }) => post(ask, '/resend', { type: 'email_change', email }),
    retry: async (world) => {
      const body = { type: 'email_change', email }
      await expectStatus(await post(world.ask, '/resend', body), 200)
      world.made = { [email]: world.inbox.token(email), [other]: world.inbox.token(other) }
      await expectStatus(await show(world, email), 200)
      return show(world, other)
    },
  },
  {
    name: "PUT /user, a guest's address and password",
    prepare: asGuest,
    call: (world) => put(world, { email: other, password }),
    retry: againOr((world) => put(world, { email: other, password }), signsInAnew),
    end: expectPeople(ann, moved),
  },
  {
    name: "POST /verify, a guest's address",
    autoconfirm: false,
    prepare: async (world) => {
      await asGuest(world)
      await put(world, { email: other })
      world.made = { [other]: world.inbox.token(other) }
    },
    call: (world) => show(world, other),
    retry: againOr(
      (world) => show(world, other),
      async (world) => {
        await post(world.ask, '/otp', { email: other })
        return post(world.ask, '/verify', {
          type: 'magiclink',
          token_hash: world.inbox.token(other),
        })
      },
    ),
    end: expectPeople(ann, moved),
  },
  {
    name: 'POST /signup, a guest',
    call: ({ ask }) => post(ask, '/signup', { data: { name: 'Guest' } }),
  },
]

const issue = async (world: World) => {
  const body = { type: 'secret', name: 'x' }
  world.made = await expectStatus(await post(world.ask, '/admin/api-keys', body, service), 200)
}
const cookieOf = (response: Response) =>
  response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';')[0])
    .join('; ')
const byCookie = async (world: World) => {
  world.made = cookieOf(await signIn(world.ask, email, password, { headers: own }))
}

const keysAndCookies: Row[] = [
  {
    name: 'GET /admin/api-keys',
    prepare: issue,
    call: ({ ask }) => ask('/auth/v1/admin/api-keys', service),
  },
  {
    name: 'DELETE /admin/api-keys/:id',
    prepare: issue,
    call: ({ ask, made }) =>
      ask(`/auth/v1/admin/api-keys/${made.id}`, { method: 'DELETE', ...service }),
    // Revoked already, or not; in the end it opens nothing.
    answers: [200, 404],
    end: async ({ ask, made }) => {
      const response = await ask('/auth/v1/admin/users', { headers: { apikey: made.api_key } })
      expect(response.status).toBe(401)
    },
  },
  {
    name: 'a request with an issued key',
    prepare: issue,
    call: ({ ask, made }) => ask('/auth/v1/admin/users', { headers: { apikey: made.api_key } }),
  },
  {
    name: 'POST /token, for a cookie',
    call: ({ ask }) => signIn(ask, email, password, { headers: own }),
    failed: setCookie,
  },
  {
    name: 'POST /cookie, and the browser keeps what it has',
    prepare: byCookie,
    call: ({ ask, made }) =>
      ask('/auth/v1/cookie', { method: 'POST', headers: { ...own, cookie: made } }),
    failed: setCookie,
    end: async ({ ask, made }) => {
      // The cookie of a lost answer still opens the way to the one that was made.
      const headers = { ...own, cookie: made }
      const again = await ask('/auth/v1/cookie', { method: 'POST', headers })
      expect(again.status).toBe(200)
      const renewed = { ...own, cookie: cookieOf(again) }
      expect((await ask('/auth/v1/user', { headers: renewed })).status).toBe(200)
    },
  },
  {
    name: 'GET /user by a cookie',
    prepare: byCookie,
    call: ({ ask, made }) => ask('/auth/v1/user', { headers: { ...own, cookie: made } }),
    failed: setCookie,
  },
]

faultRun([
  ...providers,
  unlinking('google', ann),
  unlinking('email', { ...ann, ways: 'google' }),
  ...phones,
  ...addresses,
  ...keysAndCookies,
])

it.each([
  ['/otp', { email }],
  ['/recover', { email }],
  ['/resend', { type: 'signup', email: other }],
  ['/resend', { type: 'email_change', email }],
])('a failure of ours at %s %j spends no message', async (path, body) => {
  const world = await freshWorld({
    autoconfirm: false,
    prepare: async (made) => {
      await post(made.ask, '/signup', { email: other, password })
      await changing(made)
    },
  })
  // More often than messages may be asked for; the second trip is the one that stores what is sent.
  for (let i = 0; i < 10; i++)
    expect((await failing(2, () => post(world.ask, path, body))).status).toBe(500)
  expect((await post(world.ask, path, body)).status).toBe(200)
})
