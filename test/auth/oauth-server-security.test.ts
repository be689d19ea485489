import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  answer,
  authorizeQuery,
  begin,
  codeFor,
  credentials,
  exchange,
  expectError,
  formed,
  granted,
  look,
  makeClient,
  type Place,
  place,
  publicClient,
  redirectUri,
  refreshed,
  submit,
  verifier,
} from './oauth-server-world.ts'
import { refused as corpus } from './redirect-corpus.ts'
import { count, expectStatus, getUser, type Json, json, rows } from './world.ts'

let at: Place
beforeEach(async () => {
  at = await place()
})

const parallel = 50
const many = <T>(call: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: parallel }, (_, i) => call(i)))
const right = (responses: readonly Response[]) => responses.filter(({ ok }) => ok).length

describe('where the answer goes', () => {
  const near = [
    `${redirectUri}/`,
    `${redirectUri}?a=b`,
    `${redirectUri}#x`,
    `${redirectUri}/../cb`,
    redirectUri.toUpperCase(),
    'https://client.example:443/cb',
    'https://client.example/%63b',
    'http://client.example/cb',
    'https://client.example.evil.example/cb',
    'https://x@client.example/cb',
    '',
  ]

  it.each([...corpus, ...near])(
    'is nowhere for %j, in the error path too (case 24)',
    async (uri) => {
      const client = await makeClient(at.ask)
      for (const more of [{}, { response_type: 'token' }, { prompt: 'none' }]) {
        const query = await authorizeQuery(client, { redirect_uri: uri, ...more })
        const response = await at.ask(`/auth/v1/oauth/authorize?${query}`)
        expect(response.status).toBe(400)
        expect(response.headers.get('location')).toBeNull()
        expect((await json(response)).error_code).toBe('invalid_request')
      }
      expect(await count('oauth_requests')).toBe(0)
    },
  )

  it('is nowhere if it is said twice, or the client is', async () => {
    const client = await makeClient(at.ask)
    const query = await authorizeQuery(client)
    for (const more of [
      `redirect_uri=${encodeURIComponent('https://evil.example')}`,
      'client_id=x',
    ])
      expect((await at.ask(`/auth/v1/oauth/authorize?${query}&${more}`)).status).toBe(400)
    const nobody = await authorizeQuery({ client_id: crypto.randomUUID() })
    expect((await at.ask(`/auth/v1/oauth/authorize?${nobody}`)).status).toBe(400)
    const nonsense = await authorizeQuery({ client_id: "' OR 1=1 --" })
    expect((await at.ask(`/auth/v1/oauth/authorize?${nonsense}`)).status).toBe(400)
  })

  it('is any port of this machine, for an app that got one (RFC 8252, 7.3), and only the port differs', async () => {
    const client = await publicClient(at.ask, { redirect_uris: ['http://127.0.0.1/cb'] })
    const lead = async (uri: string) => {
      const query = await authorizeQuery(client, { redirect_uri: uri })
      return (await at.ask(`/auth/v1/oauth/authorize?${query}`)).status
    }
    for (const uri of ['http://127.0.0.1/cb', 'http://127.0.0.1:51004/cb'])
      expect([uri, await lead(uri)]).toEqual([uri, 303])
    for (const uri of [
      'http://127.0.0.1:51004/other',
      'http://127.0.0.1:51004/cb?x',
      'http://127.0.0.1:99999/cb',
      'http://127.0.0.1:51004@evil.example/cb',
      'http://localhost:51004/cb',
      'http://[::1]:51004/cb',
      'https://127.0.0.1:51004/cb',
      'http://127.0.0.1.evil.example:51004/cb',
    ])
      expect([uri, await lead(uri)]).toEqual([uri, 400])
  })
})

describe('a code', () => {
  let client: Json
  beforeEach(async () => {
    client = await makeClient(at.ask)
  })

  it('is another client’s for no one, and ends (case 26)', async () => {
    const other = await makeClient(at.ask)
    const code = await codeFor(at, client)
    await expectError(await exchange(at.ask, other, code), 400, 'invalid_grant')
    await expectStatus(await exchange(at.ask, client, code), 200)
    const late = await codeFor(at, client)
    clock.advance(300)
    await expectError(await exchange(at.ask, client, late), 400, 'invalid_grant')
    // Of a wrong client and an ended code, either is enough.
    await expectError(await exchange(at.ask, other, late), 400, 'invalid_grant')
    const [session] = await rows('SELECT count(*) AS n FROM leanto_auth_oauth_sessions')
    expect(session.n).toBe(1)
  })

  it('needs its verifier, whatever else is right (case 26)', async () => {
    const code = await codeFor(at, client)
    for (const [code_verifier, error] of [
      [undefined, 'invalid_request'],
      ['', 'invalid_request'],
      ['short', 'invalid_grant'],
      [`${verifier}x`, 'invalid_grant'],
      ['x'.repeat(43), 'invalid_grant'],
    ] as const)
      await expectError(await exchange(at.ask, client, code, { code_verifier }), 400, error)
    const elsewhere = { redirect_uri: 'https://client.example/other' }
    await expectError(await exchange(at.ask, client, code, elsewhere), 400, 'invalid_grant')
    // And none of that has used it up.
    await expectStatus(await exchange(at.ask, client, code, { redirect_uri: undefined }), 200)
  })

  it('is used once by 50 parallel calls (case 19)', async () => {
    const code = await codeFor(at, client)
    const before = await count('sessions')
    const responses = await many(() => exchange(at.ask, client, code))
    expect(right(responses)).toBe(1)
    for (const response of responses.filter(({ ok }) => !ok))
      await expectError(response, 400, 'invalid_grant')
    // Whoever showed it again has ended what it gave.
    const won = await json(responses.find(({ ok }) => ok) as Response)
    expect(await count('sessions')).toBe(before)
    await expectError(await refreshed(at.ask, client, won.refresh_token), 400, 'invalid_grant')
  })

  it('that is shown again ends what it gave, and nothing else (case 19)', async () => {
    const code = await codeFor(at, client)
    const first = await expectStatus(await exchange(at.ask, client, code), 200)
    const second = await granted(at, client)
    // Another client cannot do that.
    await expectError(await exchange(at.ask, await makeClient(at.ask), code), 400, 'invalid_grant')
    expect((await at.ask('/auth/v1/oauth/userinfo', { token: first.access_token })).status).toBe(
      200,
    )
    await expectError(await exchange(at.ask, client, code), 400, 'invalid_grant')
    const info = await at.ask('/auth/v1/oauth/userinfo', { token: first.access_token })
    await expectError(info, 401, 'invalid_token')
    await expectStatus(await refreshed(at.ask, client, second.refresh_token), 200)
    expect((await getUser(at.ask, at.session.access_token)).status).toBe(200)
  })

  it.each([
    ['signed out', (token: string) => at.ask('/auth/v1/logout', { method: 'POST', token })],
    [
      'signed out here',
      (token: string) => at.ask('/auth/v1/logout?scope=local', { method: 'POST', token }),
    ],
    ['banned', () => rows('UPDATE leanto_auth_users SET banned_until = 9e15')],
    ['deleted', () => rows('UPDATE leanto_auth_users SET deleted_at = 1')],
  ])('is worth nothing once its user is %s (case 12)', async (_, end) => {
    const code = await codeFor(at, client)
    await end(at.session.access_token)
    await expectError(await exchange(at.ask, client, code), 400, 'invalid_grant')
  })

  it('and tokens and secrets are stored hashed (case 23)', async () => {
    const id = await begin(at.ask, client)
    const code = await codeFor(at, client)
    const tokens = await granted(at, client)
    const tables = await rows(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'leanto%'",
    )
    const all = JSON.stringify(
      await Promise.all(tables.map(({ name }: Json) => rows(`SELECT * FROM ${name}`))),
    )
    for (const secret of [
      id,
      code,
      tokens.refresh_token,
      tokens.access_token,
      client.client_secret,
    ])
      expect(all).not.toContain(secret)
  })
})

describe('at once', () => {
  it('50 answers to one request make one code', async () => {
    const client = await makeClient(at.ask)
    const id = await begin(at.ask, client)
    await expectStatus(await look(at, id), 200)
    const responses = await many((i) => answer(at, id, i % 2 ? 'approve' : 'deny'))
    expect(right(responses)).toBe(1)
    expect(await count('oauth_codes')).toBeLessThanOrEqual(1)
    expect(await count('oauth_requests')).toBe(0)
  })

  it('one pushed request is begun once by 50', async () => {
    const client = await makeClient(at.ask)
    const query = new URLSearchParams(await authorizeQuery(client))
    const asked = { ...Object.fromEntries(query), ...credentials(client) }
    const { request_uri } = await expectStatus(await submit(at.ask, 'par', asked), 201)
    const url = `/auth/v1/oauth/authorize?${new URLSearchParams({ client_id: client.client_id, request_uri })}`
    const responses = await many(() => at.ask(url))
    expect(responses.filter(({ status }) => status === 303)).toHaveLength(1)
    expect(await count('oauth_requests')).toBe(1)
  })

  it('50 refreshes bear one child (case 15)', async () => {
    const client = await publicClient(at.ask)
    const { refresh_token } = await granted(at, client)
    const answers = await many(() => refreshed(at.ask, client, refresh_token))
    const children = await Promise.all(
      answers.map(async (one) => (await expectStatus(one, 200)).refresh_token),
    )
    expect(new Set(children).size).toBe(1)
  })

  it('50 replays end the grant, and whoever refreshes meanwhile has nothing', async () => {
    const client = await publicClient(at.ask)
    const first = await granted(at, client)
    const next = await expectStatus(await refreshed(at.ask, client, first.refresh_token), 200)
    clock.advance(11)
    const answers = await many((i) =>
      refreshed(at.ask, client, i % 2 ? first.refresh_token : next.refresh_token),
    )
    expect(answers.filter(({ status }) => status === 400).length).toBeGreaterThan(parallel / 2)
    await expectError(await refreshed(at.ask, client, next.refresh_token), 400, 'invalid_grant')
    expect(await count('oauth_sessions')).toBe(1)
    expect(await count('sessions')).toBe(1)
  })

  it('one registration’s budget holds for 50', async () => {
    const open = await place({ registration: { max: 5, seconds: 60 } })
    const body = { redirect_uris: [redirectUri] }
    const headers = { 'cf-connecting-ip': '192.0.2.1' }
    const answers = await many(() => open.ask('/auth/v1/oauth/clients/register', { body, headers }))
    expect(right(answers)).toBe(5)
    expect(await count('oauth_clients')).toBe(5)
    const late = answers.find(({ status }) => status === 429)
    expect(late?.headers.get('retry-after')).toMatch(/^\d+$/)
  })
})

describe('a client', () => {
  it('authenticates in one way, with its own secret', async () => {
    const [client, other] = [await makeClient(at.ask), await makeClient(at.ask)]
    const basic = (id: string, secret: string) => ({
      headers: { authorization: `Basic ${btoa(`${id}:${secret}`)}` },
    })
    const asked = { grant_type: 'authorization_code', code: 'x', code_verifier: verifier }
    const shown = (fields: object, more: object = {}) =>
      submit(at.ask, 'token', { ...asked, ...fields }, more)
    const { client_id: id, client_secret: secret } = client
    await expectError(await shown({ client_id: id, client_secret: secret }), 400, 'invalid_grant')
    await expectError(await shown({}, basic(id, secret)), 400, 'invalid_grant')
    for (const fields of [
      {},
      { client_id: id },
      { client_id: id, client_secret: '' },
      { client_id: id, client_secret: `${secret}x` },
      { client_id: id, client_secret: other.client_secret },
      { client_id: crypto.randomUUID(), client_secret: secret },
      { client_id: '__proto__', client_secret: secret },
    ])
      await expectError(await shown(fields), 401, 'invalid_client')
    for (const more of [
      basic(id, 'wrong'),
      basic(other.client_id, secret),
      { headers: { authorization: 'Basic !' } },
      { headers: { authorization: `Basic ${btoa('no colon')}` } },
      { headers: { authorization: `Basic ${btoa('%:%')}` } },
    ]) {
      const refused = await shown({}, more)
      expect(refused.headers.get('www-authenticate')).toMatch(/^Basic /)
      await expectError(refused, 401, 'invalid_client')
    }
    await expectError(
      await shown({ client_secret: secret }, basic(id, secret)),
      400,
      'invalid_request',
    )
    await expectError(
      await shown({ client_id: other.client_id }, basic(id, secret)),
      400,
      'invalid_request',
    )
    const open = await publicClient(at.ask)
    await expectError(await shown({ client_id: open.client_id }), 400, 'invalid_grant')
    const none = { client_id: open.client_id, client_secret: 'x' }
    await expectError(await shown(none), 401, 'invalid_client')
  })

  it('sends each parameter once, as text, in a form (case 22)', async () => {
    const client = await makeClient(at.ask)
    const ask = (body: string, type = formed['content-type']) =>
      at.ask('/auth/v1/oauth/token', { method: 'POST', body, headers: { 'content-type': type } })
    await expectError(await ask('grant_type=a&grant_type=b'), 400, 'invalid_request')
    await expectError(await ask(''), 400, 'invalid_request')
    await expectError(await ask('grant_type=password'), 400, 'unsupported_grant_type')
    await expectError(await ask('grant_type=__proto__'), 400, 'unsupported_grant_type')
    await expectError(await ask('x', 'text/plain'), 400, 'invalid_request')
    for (const body of ['[]', '{"grant_type":["a"]}', '{"grant_type":1}', 'null', '{'])
      await expectError(await ask(body, 'application/json'), 400, 'invalid_request')
    // GoTrue takes JSON as well.
    const fields = { ...credentials(client), grant_type: 'authorization_code', code: 'x' }
    const body = JSON.stringify({ ...fields, code_verifier: verifier })
    await expectError(await ask(body, 'application/json'), 400, 'invalid_grant')
    await expectError(
      await submit(at.ask, 'token', { ...fields, grant_type: 'client_credentials' }),
      400,
      'unauthorized_client',
    )
  })
})
