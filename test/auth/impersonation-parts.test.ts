import type { Session } from 'leanto/auth'
import { customProviders } from 'leanto/auth/custom-providers'
import { moving } from 'leanto/auth/moving'
import { oauthServer } from 'leanto/auth/oauth-server'
import { devices } from 'leanto/auth/oauth-server/device'
import { dpop } from 'leanto/auth/oauth-server/dpop'
import { organizations } from 'leanto/auth/organizations'
import { scim } from 'leanto/auth/scim'
import { beforeAll, expect, it } from 'vitest'
import { freshDatabase } from '../kit/world.ts'
import { impersonated, makeUsers, setRole } from './impersonation-world.ts'
import { expectStatus, rows, signIn, signUp } from './world.ts'

/*
 * Case 18, over the parts by which an account reaches further: organisations, other apps, providers and moves. Whoever acts
 * for a user is refused at every route that asks who calls, whatever is asked of it; what asks for other proof is listed.
 */

const make = () =>
  makeUsers(
    {},
    {
      autoconfirm: true,
      with: [
        organizations(),
        scim(),
        oauthServer({ with: [devices(), dpop()] }),
        moving(),
        customProviders(),
      ],
    },
  )

/** Asks for no session: a client's secret, a directory's token, a code or nothing. With what each answers without that. */
const elsewise: Record<string, number> = {
  'GET /oauth/authorize': 400,
  'POST /oauth/authorize': 400,
  'POST /oauth/par': 401,
  // The page, which asks for a session in cookies.
  'GET /oauth/consent': 401,
  'POST /oauth/consent': 403,
  'POST /oauth/device_authorization': 401,
  'GET /oauth/device': 401,
  'POST /oauth/device': 403,
  'POST /oauth/token': 400,
  'POST /oauth/revoke': 401,
  'POST /oauth/introspect': 401,
  'POST /oauth/clients/register': 403,
  // In OAuth's words.
  'GET /oauth/userinfo': 403,
  'POST /oauth/userinfo': 403,
  'GET /.well-known/oauth-authorization-server': 200,
  'POST /sso': 400,
  // Of a flow that began in this browser: there is none.
  'GET /callback': 303,
  'POST /callback': 415,
  'POST /callback/link': 403,
  'GET /scim/v2/ServiceProviderConfig': 200,
  'GET /scim/v2/ResourceTypes': 200,
  'GET /scim/v2/ResourceTypes/:id': 404,
  'GET /scim/v2/Schemas': 200,
  'GET /scim/v2/Schemas/:id': 404,
}

const isSaml = (route: string) => /\/sso\/(saml|providers)/.test(route)
const isDirectory = (route: string) => /\/scim\/v2\/(Users|Groups)/.test(route)

const keyOf = ({ method, path }: { method: string; path: string }) => `${method} ${path}`
const known = new Set(makeUsers({}, { autoconfirm: true, with: [] }).users.table.map(keyOf))
const closed = /\/(oauth|admin\/custom-providers|sso)|\.well-known\/oauth/
const routes = make().users.table.filter(
  (route) => !known.has(keyOf(route)) || closed.test(route.path),
)

let ask: ReturnType<typeof make>['ask']
let own: Session
let acted: Session
beforeAll(async () => {
  const made = make()
  ask = made.ask
  await freshDatabase([made.users])
  own = await signUp(ask, 'ann@example.com')
  const { user } = await signUp(ask, 'ada@example.com')
  await setRole(ask, user.id, 'admin')
  acted = await impersonated(
    ask,
    await expectStatus(await signIn(ask, 'ada@example.com'), 200),
    own,
  )
})

const stored = async () =>
  JSON.stringify(
    await Promise.all(
      ['users', 'sessions', 'organizations', 'oauth_clients', 'custom_providers'].map((table) =>
        rows(`SELECT * FROM leanto_auth_${table} ORDER BY 1`),
      ),
    ),
  )

it('there are such routes, and every exception is one of them', () => {
  expect(routes.length).toBeGreaterThan(80)
  const all = routes.map(keyOf)
  expect(Object.keys(elsewise).filter((route) => !all.includes(route))).toEqual([])
})

it.each(routes.map(keyOf))('whoever acts for a user gets nowhere by %s', async (route) => {
  const [method = '', pattern = ''] = route.split(' ')
  const path = `/auth/v1${pattern.replace(/:\w+/g, crypto.randomUUID())}`
  const asked = { method, ...(method === 'GET' ? {} : { body: {} }) }
  const before = await stored()
  const response = await ask(path, { ...asked, token: acted.access_token })
  const code = response.headers.get('x-sb-error-code')
  expect(await stored()).toBe(before)
  if (isSaml(route)) return expect(code).toBe('saml_provider_disabled')
  if (isDirectory(route)) return expect(response.status).toBe(401)
  if (route in elsewise) return expect(response.status).toBe(elsewise[route])
  expect(response.status).toBe(403)
  if (pattern.startsWith('/admin/')) return expect(code).toBe('not_admin')
  expect(code).toBe('no_authorization')
  expect(await response.json()).toMatchObject({ msg: expect.stringMatching(/acts for/) })
  // It is not closed to the user.
  const mine = await ask(path, { ...asked, token: own.access_token })
  expect(mine.headers.get('x-sb-error-code')).not.toBe('no_authorization')
})
