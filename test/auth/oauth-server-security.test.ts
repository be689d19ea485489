import { faults } from 'leanto'
import type { AuthPart } from 'leanto/auth'
import { mfa } from 'leanto/auth/mfa'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import { withFactor } from './mfa-world.ts'
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
  resource,
  submit,
  verifier,
} from './oauth-server-world.ts'
import { refused as corpus } from './redirect-corpus.ts'
import {
  claimsOf,
  count,
  expectStatus,
  getUser,
  type Json,
  json,
  post,
  rows,
  signIn,
} from './world.ts'

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

describe('what ends a grant', () => {
  const ends = async (end: (client: Json, tokens: Json) => Promise<unknown>) => {
    const client = await makeClient(at.ask)
    const tokens = await granted(at, client)
    await end(client, tokens)
    await expectError(await refreshed(at.ask, client, tokens.refresh_token), 400, 'invalid_grant')
    const info = await at.ask('/auth/v1/oauth/userinfo', { token: tokens.access_token })
    await expectError(info, 401, 'invalid_token')
  }
  const user = (path: string, more: object) =>
    at.ask(`/auth/v1${path}`, { token: at.session.access_token, ...more })

  it('is a new password, which ends all (case 11)', () =>
    ends(async () =>
      expectStatus(
        await user('/user', { method: 'PUT', body: { password: 'another passphrase' } }),
        200,
      ),
    ))
  it('is a global sign-out, and not one of here', async () => {
    const client = await makeClient(at.ask)
    const { refresh_token } = await granted(at, client)
    const { access_token: token } = await json(await signIn(at.ask, 'ann@example.com'))
    await expectStatus(await user('/logout?scope=local', { method: 'POST', token }), 204)
    await expectStatus(await refreshed(at.ask, client, refresh_token), 200)
    await ends(async () => expectStatus(await user('/logout', { method: 'POST' }), 204))
  })
  it('is a ban, or a deletion (case 12)', async () => {
    await ends(() => rows('UPDATE leanto_auth_users SET banned_until = 9e15'))
    await rows('UPDATE leanto_auth_users SET banned_until = NULL')
    await ends(() => rows('UPDATE leanto_auth_users SET deleted_at = 1'))
  })
  it('is the user who takes it back', () =>
    ends(async (client) => {
      const path = `/user/oauth/grants?client_id=${client.client_id}`
      await expectStatus(await user(path, { method: 'DELETE' }), 204)
      expect(await json(await user('/user/oauth/grants', {}))).toEqual([])
      // And is asked again the next time.
      const details = await json(await look(at, await begin(at.ask, client)))
      expect(details).toHaveProperty('client')
    }))
  it('is the client’s own word, by either token (RFC 7009)', async () => {
    for (const which of ['access_token', 'refresh_token'])
      await ends(async (client, tokens) => {
        const asked = { token: tokens[which], ...credentials(client) }
        await expectStatus(await submit(at.ask, 'revoke', asked), 200)
      })
  })
  it('is no other client’s word', async () => {
    const [client, other] = [await makeClient(at.ask), await publicClient(at.ask)]
    const tokens = await granted(at, client)
    for (const token of [
      tokens.access_token,
      tokens.refresh_token,
      'nonsense',
      at.session.access_token,
      at.session.refresh_token,
    ])
      await expectStatus(await submit(at.ask, 'revoke', { token, ...credentials(other) }), 200)
    const bare = { token: tokens.refresh_token, client_id: client.client_id }
    await expectError(await submit(at.ask, 'revoke', bare), 401, 'invalid_client')
    await expectStatus(await refreshed(at.ask, client, tokens.refresh_token), 200)
    expect((await getUser(at.ask, at.session.access_token)).status).toBe(200)
  })
  it('is the end of the client', async () => {
    const client = await makeClient(at.ask)
    const { access_token: token } = await granted(at, client)
    await begin(at.ask, client)
    await codeFor(at, client)
    const path = `/auth/v1/admin/oauth/clients/${client.client_id}`
    await expectStatus(await at.ask(path, { method: 'DELETE', key: 'secret' }), 204)
    await expectError(await at.ask('/auth/v1/oauth/userinfo', { token }), 401, 'invalid_token')
    for (const table of ['clients', 'sessions', 'consents'])
      expect([table, await count(`oauth_${table}`)]).toEqual([table, 0])
    expect(await count('sessions')).toBe(1)
  })
})

describe('what was agreed to', () => {
  const isAsked = async (client: Json, fields: object) =>
    'client' in (await json(await look(at, await begin(at.ask, client, fields))))

  it('for one resource is not for the whole app, nor for another scope there', async () => {
    const client = await makeClient(at.ask)
    await granted(at, client, { scope: 'notes', resource })
    await granted(at, client, { scope: 'email' })
    expect(await isAsked(client, { scope: 'notes', resource })).toBe(false)
    expect(await isAsked(client, { scope: 'email' })).toBe(false)
    expect(await isAsked(client, { scope: 'notes' })).toBe(true)
    expect(await isAsked(client, { scope: 'email', resource })).toBe(true)
    expect(await isAsked(client, { scope: 'email notes' })).toBe(true)
  })

  it('before the address was proven is forgotten with its first proof (case 3)', async () => {
    const inbox = makeInbox()
    at = await place({}, { mailer: inbox.mailer, autoconfirm: true })
    const client = await makeClient(at.ask)
    await granted(at, client)
    await codeFor(at, client)
    await rows('UPDATE leanto_auth_users SET email_confirmed_at = NULL')
    await expectStatus(await post(at.ask, '/otp', { email: 'ann@example.com' }), 200)
    const shown = { type: 'magiclink', token_hash: inbox.token('ann@example.com') }
    const session = await expectStatus(await post(at.ask, '/verify', shown), 200)
    for (const table of ['oauth_consents', 'oauth_codes']) expect(await count(table)).toBe(0)
    at = { ...at, session }
    expect(await isAsked(client, {})).toBe(true)
  })
})

describe('a session that is for less', () => {
  it('lets nobody in while it waits for its second factor (case 17)', async () => {
    at = await place({}, { with: [mfa({ enforce: true })] })
    const client = await makeClient(at.ask)
    const { session } = await withFactor(at.ask, at.session)
    const waiting = await expectStatus(await signIn(at.ask, 'ann@example.com'), 200)
    const first = { ask: at.ask, session: waiting }
    const id = await begin(at.ask, client)
    for (const refused of [await look(first, id), await answer(first, id)])
      expect((await expectStatus(refused, 401)).error_code).toBe('insufficient_aal')
    expect(await count('oauth_codes')).toBe(0)
    const strong = { ask: at.ask, session }
    await expectStatus(await answer(strong, id), 200)
    const tokens = await granted(strong, client)
    expect(claimsOf(tokens.access_token)).toMatchObject({ aal: 'aal2' })
    expect(claimsOf(tokens.id_token).amr).toContain('totp')
    // With its factor gone, so is what stood on it.
    const factors = await rows('SELECT id, user_id FROM leanto_auth_factors')
    const [{ id: factor, user_id }] = factors
    expect(
      await rows(
        'SELECT factor_id FROM leanto_auth_sessions WHERE id = ?',
        claimsOf(tokens.access_token).session_id,
      ),
    ).toEqual([{ factor_id: factor }])
    expect(user_id).toBe(session.user.id)
  })

  it('is what a part says it is (case 18)', async () => {
    const seen: unknown[] = []
    const { not_yours } = faults({ not_yours: [403, 'Not with this session'] })
    const strict: AuthPart = {
      name: 'strict',
      beforeUpdate(_, { grant }) {
        seen.push(grant)
        throw not_yours()
      },
    }
    at = await place({}, { with: [strict] })
    const client = await makeClient(at.ask)
    const refused = await look(at, await begin(at.ask, client))
    expect((await expectStatus(refused, 403)).error_code).toBe('not_yours')
    expect(seen).toEqual([client.client_id])
  })
})

describe('introspection', () => {
  it('tells a client of what it was given, as long as it holds (RFC 7662)', async () => {
    const client = await makeClient(at.ask)
    const tokens = await granted(at, client)
    const look = async (token: string, by = client) =>
      expectStatus(await submit(at.ask, 'introspect', { token, ...credentials(by) }), 200)
    const sub = at.session.user.id
    const shown = { active: true, sub, client_id: client.client_id, scope: 'openid email notes' }
    expect(await look(tokens.access_token)).toMatchObject({ ...shown, token_type: 'Bearer' })
    expect(await look(tokens.refresh_token)).toMatchObject(shown)
    const other = await makeClient(at.ask)
    for (const [token, by] of [
      [tokens.access_token, other],
      [tokens.refresh_token, other],
      [tokens.id_token, client],
      [at.session.access_token, client],
      [at.session.refresh_token, client],
      ['nonsense', client],
    ])
      expect(await look(token, by)).toEqual({ active: false })
    const used = tokens.refresh_token
    await expectStatus(await refreshed(at.ask, client, used), 200)
    expect(await look(used)).toEqual({ active: false })
    await expectStatus(
      await submit(at.ask, 'revoke', { token: tokens.access_token, ...credentials(client) }),
      200,
    )
    expect(await look(tokens.access_token)).toEqual({ active: false })
  })

  it('is for clients that can show who they are', async () => {
    const client = await publicClient(at.ask)
    const asked = { token: 'x', ...credentials(client) }
    await expectError(await submit(at.ask, 'introspect', asked), 400, 'unauthorized_client')
    await expectError(await submit(at.ask, 'introspect', { token: 'x' }), 401, 'invalid_client')
    const other = await makeClient(at.ask)
    await expectError(
      await submit(at.ask, 'introspect', credentials(other)),
      400,
      'invalid_request',
    )
  })
})

describe('a pushed request (RFC 9126)', () => {
  const push = async (client: Json, fields: object = {}) => {
    const query = new URLSearchParams(await authorizeQuery(client, fields as never))
    return submit(at.ask, 'par', { ...Object.fromEntries(query), ...credentials(client) })
  }
  const open = (client: Json, request_uri: string, more: object = {}) =>
    at.ask(
      `/auth/v1/oauth/authorize?${new URLSearchParams({ client_id: client.client_id, request_uri, ...more })}`,
    )

  it('is what counts, whatever stands in the address beside it', async () => {
    const client = await makeClient(at.ask, { require_pushed_authorization_requests: true })
    const pushed = await push(client, { scope: 'email' })
    const { request_uri, expires_in } = await expectStatus(pushed, 201)
    expect(expires_in).toBe(90)
    const response = await open(client, request_uri, {
      scope: 'notes',
      redirect_uri: 'https://evil.example',
    })
    const id = new URL(response.headers.get('location') ?? '').searchParams.get('authorization_id')
    expect(await json(await look(at, id as string))).toMatchObject({
      scope: 'email',
      redirect_uri: redirectUri,
    })
    const { redirect_url } = await expectStatus(await answer(at, id as string), 200)
    const code = new URL(redirect_url).searchParams.get('code') as string
    await expectStatus(await exchange(at.ask, client, code), 200)
    expect((await open(client, request_uri)).status).toBe(400)
  })

  it('is its client’s, and ends', async () => {
    const [client, other] = [await makeClient(at.ask), await makeClient(at.ask)]
    const { request_uri } = await json(await push(client))
    for (const [by, uri] of [
      [other, request_uri],
      [client, `${request_uri}x`],
      [client, 'https://evil.example/request'],
    ])
      expect((await open(by, uri)).status).toBe(400)
    clock.advance(90)
    expect((await open(client, request_uri)).status).toBe(400)
    const late = await json(await open(client, request_uri))
    expect(late.error_code).toBe('invalid_request_uri')
  })

  it('is checked as it comes', async () => {
    const client = await makeClient(at.ask)
    await expectError(
      await push(client, { redirect_uri: 'https://evil.example' }),
      400,
      'invalid_request',
    )
    await expectError(
      await push(client, { code_challenge_method: 'plain' }),
      400,
      'invalid_request',
    )
    await expectError(
      await push(client, { response_type: 'token' }),
      400,
      'unsupported_response_type',
    )
    await expectError(await push(client, { request_uri: 'urn:x' }), 400, 'invalid_request')
    await expectError(await push({ client_id: client.client_id }), 401, 'invalid_client')
  })

  it('may be the only way', async () => {
    const client = await makeClient(at.ask, { require_pushed_authorization_requests: true })
    const response = await at.ask(`/auth/v1/oauth/authorize?${await authorizeQuery(client)}`)
    expect(response.headers.get('location')).toContain('error=invalid_request')
    const everyone = await place({ requirePushed: true })
    const another = await makeClient(everyone.ask)
    const refused = await everyone.ask(`/auth/v1/oauth/authorize?${await authorizeQuery(another)}`)
    expect(refused.headers.get('location')).toContain('error=invalid_request')
  })
})
