import { expect } from 'vitest'
import { againOr } from './fault-steps.ts'
import { aside, type Row, token, type World } from './fault-world.ts'
import {
  answer,
  authorizeQuery,
  begin,
  codeFor,
  credentials,
  exchange,
  form,
  formed,
  granted,
  look,
  makeClient,
  redirectUri,
  refreshed,
  submit,
} from './oauth-server-world.ts'
import { count, type Json, post, refresh, rows } from './world.ts'

const prepare = async (world: World) => {
  world.made = { client: await makeClient(world.ask) }
}
const prepareId = async (world: World) => {
  await prepare(world)
  world.made.id = await begin(world.ask, world.made.client)
}
const prepareCode = async (world: World) => {
  await prepare(world)
  world.made.code = await codeFor(world, world.made.client)
}
const prepareTokens = async (world: World) => {
  await prepare(world)
  world.made.tokens = await granted(world, world.made.client)
}

const authorizing = async (world: World, fields: object = {}, more: object = {}) =>
  world.ask(
    `/auth/v1/oauth/authorize?${await authorizeQuery(world.made.client, fields as never)}`,
    more,
  )
const pushing = async ({ ask, made }: World) => {
  const query = new URLSearchParams(await authorizeQuery(made.client))
  return submit(ask, 'par', { ...Object.fromEntries(query), ...credentials(made.client) })
}
const pushed = async (world: World) => {
  const { request_uri } = (await (await pushing(world)).json()) as Json
  world.made.request_uri = request_uri
}
const byName = ({ ask, made }: World) => {
  const { client_id } = made.client
  return ask(`/auth/v1/oauth/authorize?${form({ client_id, request_uri: made.request_uri })}`)
}
/** A request that is gone is asked for anew, as its app does. */
const anew =
  (call: (world: World) => Promise<Response>, make: (world: World) => Promise<unknown>) =>
  async (world: World) => {
    await aside(() => make(world))
    return call(world)
  }
const beginAgain = async (world: World) => {
  world.made.id = await begin(world.ask, world.made.client)
}
const codeAgain = async (world: World) => {
  world.made.code = await codeFor(world, world.made.client)
}

const consenting = ({ ask, made, session }: World, given: string) =>
  ask('/auth/v1/oauth/consent', {
    method: 'POST',
    body: form({ authorization_id: made.id, answer: given }),
    headers: { ...formed, origin: 'https://app.example' },
    token: session.access_token,
  })
const answering = (action: string) => (world: World) => answer(world, world.made.id, action)
const allow = (world: World) => consenting(world, 'allow')
const exchanging = ({ ask, made }: World) => exchange(ask, made.client, made.code)
const shown = (path: string) => (world: World) =>
  submit(world.ask, path, {
    token: world.made.tokens.refresh_token,
    ...credentials(world.made.client),
  })
const info = (method: string) => (world: World) =>
  world.ask('/auth/v1/oauth/userinfo', { method, token: world.made.tokens.access_token })

const all = '/auth/v1/admin/oauth/clients'
const managing =
  (method: string, rest = '', body?: object) =>
  ({ ask, made }: World) =>
    ask(`${all}/${made.client.client_id}${rest}`, {
      method,
      key: 'secret',
      ...(body ? { body } : {}),
    })
const registered = { redirect_uris: [redirectUri] }

export const oauthServerRows: Row[] = [
  { name: 'GET /oauth/authorize', prepare, call: (world) => authorizing(world), answers: [303] },
  {
    name: 'POST /oauth/authorize',
    prepare,
    call: async ({ ask, made }) =>
      ask('/auth/v1/oauth/authorize', {
        method: 'POST',
        body: await authorizeQuery(made.client),
        headers: formed,
      }),
    answers: [303],
  },
  {
    name: 'GET /oauth/authorize, pushed',
    prepare: async (world) => {
      await prepare(world)
      await pushed(world)
    },
    call: byName,
    retry: againOr(byName, anew(byName, pushed)),
    answers: [303],
  },
  {
    name: 'GET /oauth/authorize, silently',
    prepare: prepareTokens,
    call: (world) => authorizing(world, { prompt: 'none' }, token(world)),
    answers: [303],
  },
  { name: 'POST /oauth/par', prepare, call: pushing, answers: [201] },
  {
    name: 'GET /oauth/consent',
    prepare: prepareId,
    call: (world) =>
      world.ask(`/auth/v1/oauth/consent?authorization_id=${world.made.id}`, token(world)),
  },
  {
    name: 'POST /oauth/consent',
    prepare: prepareId,
    call: allow,
    retry: againOr(allow, anew(allow, beginAgain)),
    answers: [303],
  },
  {
    name: 'GET /oauth/authorizations/:id',
    prepare: prepareId,
    call: (world) => look(world, world.made.id),
  },
  {
    name: 'GET /oauth/authorizations/:id, agreed before',
    prepare: async (world) => {
      await prepareTokens(world)
      await beginAgain(world)
    },
    call: (world) => look(world, world.made.id),
    retry: againOr(
      (world) => look(world, world.made.id),
      anew((world) => look(world, world.made.id), beginAgain),
    ),
  },
  {
    name: 'POST /oauth/authorizations/:id/consent',
    prepare: prepareId,
    call: answering('approve'),
    retry: againOr(answering('approve'), anew(answering('approve'), beginAgain)),
    end: async () => expect(await count('oauth_consents')).toBe(1),
  },
  {
    name: 'POST /oauth/authorizations/:id/consent, denied',
    prepare: prepareId,
    call: answering('deny'),
    answers: [200, 404],
    end: async () => {
      expect(await count('oauth_requests')).toBe(0)
      expect(await count('oauth_codes')).toBe(0)
    },
  },
  {
    name: 'POST /oauth/token, a code',
    prepare: prepareCode,
    call: exchanging,
    retry: againOr(exchanging, anew(exchanging, codeAgain)),
    // What a lost answer gave has ended.
    end: async () =>
      expect(
        await rows(`SELECT count(*) AS n FROM leanto_auth_oauth_sessions
          WHERE session_id IN (SELECT id FROM leanto_auth_sessions)`),
      ).toEqual([{ n: 1 }]),
  },
  {
    name: 'POST /oauth/token, a refresh',
    prepare: prepareTokens,
    call: ({ ask, made }) => refreshed(ask, made.client, made.tokens.refresh_token),
  },
  {
    name: 'POST /oauth/token, a machine',
    prepare: async (world) => {
      const grant = { grant_types: ['client_credentials'], redirect_uris: undefined }
      world.made = { client: await makeClient(world.ask, grant) }
    },
    call: ({ ask, made }) =>
      submit(ask, 'token', { grant_type: 'client_credentials', ...credentials(made.client) }),
  },
  {
    name: 'POST /oauth/revoke',
    prepare: prepareTokens,
    call: shown('revoke'),
    end: async ({ ask, made, session }) => {
      const again = await refreshed(ask, made.client, made.tokens.refresh_token)
      expect(again.status).toBe(400)
      expect((await refresh(ask, session.refresh_token)).status).toBe(200)
    },
  },
  { name: 'POST /oauth/introspect', prepare: prepareTokens, call: shown('introspect') },
  { name: 'GET /oauth/userinfo', prepare: prepareTokens, call: info('GET') },
  { name: 'POST /oauth/userinfo', prepare: prepareTokens, call: info('POST') },
  {
    name: 'GET /user/oauth/grants',
    prepare: prepareTokens,
    call: (world) => world.ask('/auth/v1/user/oauth/grants', token(world)),
  },
  {
    name: 'DELETE /user/oauth/grants',
    prepare: prepareTokens,
    call: (world) =>
      world.ask(`/auth/v1/user/oauth/grants?client_id=${world.made.client.client_id}`, {
        method: 'DELETE',
        ...token(world),
      }),
    answers: [204, 404],
    end: async () => {
      for (const table of ['oauth_consents', 'oauth_sessions']) expect(await count(table)).toBe(0)
      expect(await count('sessions')).toBe(1)
    },
  },
  {
    name: 'POST /oauth/clients/register',
    call: ({ ask }) => post(ask, '/oauth/clients/register', registered),
    answers: [201],
  },
  { name: 'GET /admin/oauth/clients', call: ({ ask }) => ask(all, { key: 'secret' }) },
  {
    name: 'POST /admin/oauth/clients',
    call: ({ ask }) => ask(all, { key: 'secret', body: { client_name: 'x', ...registered } }),
    answers: [201],
  },
  { name: 'GET /admin/oauth/clients/:id', prepare, call: managing('GET') },
  {
    name: 'PUT /admin/oauth/clients/:id',
    prepare,
    call: managing('PUT', '', { client_name: 'y' }),
    end: async () =>
      expect(await rows('SELECT name FROM leanto_auth_oauth_clients')).toEqual([{ name: 'y' }]),
  },
  {
    name: 'DELETE /admin/oauth/clients/:id',
    prepare: prepareTokens,
    call: managing('DELETE'),
    answers: [204, 404],
    end: async () => expect(await count('sessions')).toBe(1),
  },
  {
    name: 'POST /admin/oauth/clients/:id/regenerate_secret',
    prepare,
    call: managing('POST', '/regenerate_secret'),
  },
  {
    name: 'GET /.well-known/oauth-authorization-server',
    idle: true,
    call: ({ ask }) => ask('/auth/v1/.well-known/oauth-authorization-server'),
  },
]
