import { createHash, createHmac } from 'node:crypto'
import { type CryptoKey, exportJWK, exportPKCS8, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type App, arrive, depart, fragment, startApp } from './oauth-app.ts'
import type { Shape } from './preset-shape.ts'
import { apiShapes } from './presets-api.ts'
import { openidShapes } from './presets-openid.ts'

const shapes = [...openidShapes, ...apiShapes]

const site = 'https://app.example'
const callback = `${site}/auth/v1/callback`

/** What the whole internet is to the Worker: one provider, told which. */
let shape: Shape
let over: { claims?: Record<string, unknown>; api?: Record<string, unknown> } = {}
let departure: URL
let log: { url: string; headers: Headers; form: URLSearchParams }[] = []
let signing: CryptoKey
let keys: object
let appleKey: CryptoKey
let app: App
/** The same providers with other options. */
let trusting: App

const tenant = '11111111-2222-4333-8444-555555555555'
const otherTenant = '99999999-2222-4333-8444-555555555555'
const microsoft = 'https://login.microsoftonline.com'

const idToken = (claims: Record<string, unknown>) =>
  new SignJWT({
    aud: 'the-client',
    ...(shape.nonce ? { nonce: departure.searchParams.get('nonce') } : {}),
    ...claims,
  })
    .setProtectedHeader({ alg: 'RS256', kid: 'k' })
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(signing)

async function internet(request: Request): Promise<Response> {
  const { origin, pathname } = new URL(request.url)
  const place = origin + pathname
  const form = new URLSearchParams(request.method === 'POST' ? await request.text() : '')
  log.push({ url: request.url, headers: new Headers([...request.headers]), form })
  if (place === shape.keys) return Response.json(keys)
  if (place === shape.token && request.method === 'POST') {
    const claims = { ...shape.claims, ...over.claims }
    return Response.json({
      access_token: 'upstream-at',
      token_type: 'Bearer',
      expires_in: 3600,
      ...(shape.claims ? { id_token: await idToken(claims) } : {}),
      ...shape.answer,
    })
  }
  const answer = { ...shape.api, ...over.api }[place]
  if (answer === undefined) return new Response('nothing here', { status: 404 })
  expect(request.headers.get('authorization')).toBe('Bearer upstream-at')
  return Response.json(answer)
}

beforeAll(async () => {
  const pair = await generateKeyPair('RS256', { extractable: true })
  signing = pair.privateKey
  keys = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k', alg: 'RS256', use: 'sig' }] }
  const apple = await generateKeyPair('ES256', { extractable: true })
  appleKey = apple.publicKey
  const pem = JSON.stringify(await exportPKCS8(apple.privateKey))
  const calls = shapes.map(({ call }) => call.replace('process_key', pem)).join(',\n')
  app = await startApp('providers-test', { site, providers: calls, outbound: internet as never })
  const trust = ['facebook', 'notion', 'figma', 'workos'].map(
    (name) =>
      `p.${name}({ clientId: 'the-client', secret: 'the/secret', unsafeTrustEmails: true })`,
  )
  const tenants = JSON.stringify([tenant, otherTenant])
  trust.push(`p.azure({ clientId: 'the-client', secret: 'the/secret', tenants: ${tenants} })`)
  trusting = await startApp('providers-trust-test', {
    site,
    providers: trust.join(', '),
    outbound: internet as never,
  })
})

afterAll(async () => {
  await app?.stop()
  await trusting?.stop()
})

beforeEach(async () => {
  over = {}
  log = []
  await app.empty()
  await trusting.empty()
})

async function signIn(of: Shape, on = app) {
  shape = of
  const flow = await depart(on, `provider=${of.name}${of.query ?? ''}`, site)
  departure = flow.url
  const url = await arrive(on, flow, { site, more: of.form ?? '', post: of.form !== undefined })
  return fragment(url)
}

const stored = async (on = app) => {
  const [identity] = await on.rows('SELECT * FROM leanto_auth_identities')
  const [user] = await on.rows('SELECT * FROM leanto_auth_users')
  return { identity, user }
}

describe.each(shapes.map((one) => [one.name, one] as const))('%s', (_name, one) => {
  it('asks as its documentation says', async () => {
    await signIn(one)
    const asked = Object.fromEntries(departure.searchParams)
    expect(departure.origin + departure.pathname).toBe(one.authorize)
    const { state, code_challenge, code_challenge_method, nonce, ...rest } = asked
    expect(state).toMatch(/^[\w-]{22}$/)
    expect(code_challenge_method).toBe(one.pkce ? 'S256' : undefined)
    expect(Boolean(nonce)).toBe(one.nonce ?? false)
    expect(rest).toEqual({
      response_type: 'code',
      client_id: 'the-client',
      redirect_uri: callback,
      ...one.parameters,
    })
    const exchange = log.find(({ url }) => url === one.token)
    const { form, headers } = exchange as NonNullable<typeof exchange>
    expect(form.get('grant_type')).toBe('authorization_code')
    expect(form.get('code')).toBe('the-code')
    expect(form.get('redirect_uri')).toBe(callback)
    const verifier = form.get('code_verifier')
    expect(verifier && createHash('sha256').update(verifier).digest('base64url')).toBe(
      one.pkce ? code_challenge : null,
    )
    const basic = `Basic ${btoa('the-client:the%2Fsecret')}`
    expect(headers.get('authorization')).toBe(one.auth === 'basic' ? basic : null)
    expect(form.get('client_secret')).toEqual(
      { basic: null, post: 'the/secret', jwt: expect.any(String) }[one.auth],
    )
    const calls = log.filter(({ url }) => (url.split('?')[0] ?? '') in (one.api ?? {}))
    expect(calls).toHaveLength(Object.keys(one.api ?? {}).length)
    for (const { headers } of calls)
      expect(Object.fromEntries(headers)).toMatchObject(one.headers ?? {})
  })

  it('makes an account of what it answers', async () => {
    const session = await signIn(one)
    expect(session.error_description).toBe(undefined)
    const { identity, user } = await stored()
    expect(identity).toMatchObject({ provider: one.name, subject: one.subject })
    expect(user?.email).toBe(one.email)
    const data = JSON.parse(String(identity?.data))
    expect(data).toMatchObject({
      sub: one.subject,
      provider_id: one.subject,
      email_verified: one.email !== null,
      ...one.data,
    })
    expect(JSON.parse(String(user?.user_metadata))).toMatchObject(one.data)
  })

  it('makes no account of an empty answer', async () => {
    over = {
      claims: Object.fromEntries(Object.keys(one.claims ?? {}).map((name) => [name, undefined])),
      api: Object.fromEntries(Object.keys(one.api ?? {}).map((url) => [url, {}])),
    }
    const bare = one.answer?.profile ? { ...one, answer: { ...one.answer, profile: {} } } : one
    expect((await signIn(bare)).error).toBe('server_error')
    expect(await app.rows('SELECT * FROM leanto_auth_users')).toEqual([])
  })

  if (one.unverified)
    it('does not take an address for theirs that is not verified', async () => {
      over = one.unverified ?? {}
      expect((await signIn(one)).error_code).toBe('provider_email_needs_verification')
      expect(await app.rows('SELECT * FROM leanto_auth_users')).toEqual([])
    })
})

const shapeOf = (name: string) => shapes.find((one) => one.name === name) as Shape

it.each(['facebook', 'notion', 'figma', 'workos'])(
  '%s: its addresses count only where the host has said so',
  async (name) => {
    await signIn(shapeOf(name), trusting)
    expect((await stored(trusting)).user?.email).toBe('ann@example.com')
  },
)

it('apple: shows a client secret that its own key signed, for five minutes', async () => {
  await signIn(shapeOf('apple'))
  const secret = log.find(({ url }) => url === shape.token)?.form.get('client_secret') ?? ''
  const { payload, protectedHeader } = await jwtVerify(secret, appleKey)
  expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'KEY' })
  expect(payload).toEqual({
    iss: 'TEAM',
    sub: 'the-client',
    aud: 'https://appleid.apple.com',
    iat: expect.any(Number),
    exp: (payload.iat ?? 0) + 300,
  })
})

it('facebook: proves that it has the app’s secret', async () => {
  await signIn(shapeOf('facebook'))
  const asked = new URL(log.find(({ url }) => url.includes('/me?'))?.url ?? '')
  expect(asked.searchParams.get('appsecret_proof')).toBe(
    createHmac('sha256', 'the/secret').update('upstream-at').digest('hex'),
  )
})

it('case 4: azure takes tokens of its own tenant alone', async () => {
  for (const claims of [
    { iss: `${microsoft}/${otherTenant}/v2.0`, tid: otherTenant },
    { iss: `${microsoft}/${otherTenant}/v2.0` },
    { tid: otherTenant },
    { iss: `${microsoft}/common/v2.0` },
    { iss: 'https://login.microsoftonline.com.evil.example/v2.0' },
    { iss: shapeOf('google').claims?.iss },
  ]) {
    over = { claims }
    expect((await signIn(shapeOf('azure'))).error).toBe('server_error')
  }
  expect(await app.rows('SELECT * FROM leanto_auth_users')).toEqual([])
})

it('case 6: azure with several tenants keeps their subjects apart, and their keys', async () => {
  const common = { ...shapeOf('azure'), keys: `${microsoft}/common/discovery/v2.0/keys` }
  const shared = { ...common, token: `${microsoft}/common/oauth2/v2.0/token` }
  const of = (tid: string) => ({
    claims: { iss: `${microsoft}/${tid}/v2.0`, tid, xms_edov: false },
  })
  const [key] = (keys as { keys: object[] }).keys
  const emailed = async (tid: string, issuer: string) => {
    keys = { keys: [{ ...key, issuer }] }
    over = of(tid)
    over.claims = { ...over.claims, xms_edov: true, email: `${tid.slice(0, 4)}@example.com` }
    return signIn(shared, trusting)
  }
  // The first look at the keys is kept: it says that they are anyone's.
  const any = `${microsoft}/{tenantid}/v2.0`
  expect((await emailed(tenant, any)).access_token).toBeDefined()
  expect((await emailed(otherTenant, any)).access_token).toBeDefined()
  const identities = await trusting.rows('SELECT subject FROM leanto_auth_identities')
  expect(identities.map(({ subject }) => subject).sort()).toEqual([
    `${tenant}:pairwise`,
    `${otherTenant}:pairwise`,
  ])
  keys = { keys: [key] }
})

it('takes an ID token of a phone’s own sign-in, by name and by issuer', async () => {
  shape = shapeOf('google')
  departure = new URL('https://none.example')
  const grant = async (body: object) => {
    const response = await app.fetch(`${site}/auth/v1/token?grant_type=id_token`, {
      method: 'POST',
      body: JSON.stringify({
        id_token: await idToken({ ...shape.claims, nonce: undefined }),
        ...body,
      }),
      headers: { 'content-type': 'application/json' },
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const first = await grant({ provider: 'google' })
  expect(first.status).toBe(200)
  expect((await grant({ issuer: 'https://accounts.google.com', client_id: 'x' })).status).toBe(200)
  expect((await grant({ provider: 'apple' })).body.msg).toBe('Bad ID token')
  expect((await grant({ provider: 'github' })).body.error_code).toBe('provider_disabled')
  expect(await app.rows('SELECT id FROM leanto_auth_users')).toHaveLength(1)
})
