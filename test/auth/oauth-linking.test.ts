import { env } from 'cloudflare:workers'
import { Fault, type Mail } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  type Answers,
  begin,
  comeBack,
  departed,
  fake,
  fragment,
  profile,
  signInBy,
  worldOf,
} from './oauth-world.ts'
import {
  type Asker,
  claimsOf,
  count,
  expectStatus,
  getUser,
  password,
  post,
  rows,
  signIn,
} from './world.ts'

let ask: Asker
let answers: Answers
let inbox: Mail[]
const mailer = {
  send: async (_scope: unknown, mail: Mail) => {
    inbox.push(mail)
  },
}
const parts = () => [
  fake('google', answers),
  fake('github', answers),
  fake('spotify', answers, { emailOptional: true }),
]

beforeEach(async () => {
  inbox = []
  answers = {
    ann: profile('1', 'ann@example.com'),
    claimed: profile('66', 'ann@example.com', false),
  }
  ask = (await worldOf({ with: parts(), mailer })).ask
})

const subOf = (session: Record<string, string>) => claimsOf(session.access_token as string).sub
const userOf = async (session: Record<string, string>) =>
  expectStatus(await getUser(ask, session.access_token), 200)
const confirmByHand = (email: string) =>
  env.DB.prepare('UPDATE leanto_auth_users SET email_confirmed_at = 1 WHERE email = ?')
    .bind(email)
    .run()

describe('linking by itself', () => {
  it('happens where both sides have proven the address, and the owner hears of it', async () => {
    const first = await signInBy(ask, 'google', 'ann')
    const second = await signInBy(ask, 'github', 'ann')
    expect(subOf(second)).toBe(subOf(first))
    const { app_metadata, identities } = await userOf(second)
    expect(app_metadata).toEqual({ provider: 'google', providers: ['google', 'github'] })
    expect(identities).toHaveLength(2)
    expect(inbox.map(({ to, subject }) => [to, subject])).toEqual([
      ['ann@example.com', 'A way to sign in was added'],
    ])
  })

  it('joins an account whose mailbox was confirmed, and leaves its password', async () => {
    await expectStatus(await post(ask, '/signup', { email: 'ann@example.com', password }), 200)
    await confirmByHand('ann@example.com')
    const session = await signInBy(ask, 'google', 'ann')
    expect((await userOf(session)).identities).toHaveLength(2)
    expect((await signIn(ask, 'ann@example.com')).status).toBe(200)
  })

  it('case 1: never joins an account that has not proven the address; the owner gets their own', async () => {
    await post(ask, '/signup', { email: 'ann@example.com', password, data: { evil: true } })
    const [before] = await rows('SELECT id FROM leanto_auth_users')
    const session = await signInBy(ask, 'google', 'ann')
    const user = await userOf(session)
    expect(user.id).not.toBe(before.id)
    expect(user.user_metadata.evil).toBeUndefined()
    expect(user.identities).toHaveLength(1)
    expect((await signIn(ask, 'ann@example.com')).status).toBe(400)
    expect(await count('users')).toBe(1)
    expect(await count('tokens')).toBe(0)
  })

  it('case 2: an address that the provider does not vouch for finds, takes and gives nothing', async () => {
    const owner = await signInBy(ask, 'google', 'ann')
    expect((await signInBy(ask, 'github', 'claimed')).error_code).toBe(
      'provider_email_needs_verification',
    )
    const other = await signInBy(ask, 'spotify', 'claimed')
    expect(subOf(other)).not.toBe(subOf(owner))
    const user = await userOf(other)
    expect(user.email).toBe('')
    expect(user.user_metadata).toMatchObject({ email: 'ann@example.com', email_verified: false })
    expect(claimsOf(other.access_token as string).email).toBe('')
    expect(await count('users')).toBe(2)
  })

  it('case 2: who came first with an unproven address is not there when the owner comes', async () => {
    const squatter = await signInBy(ask, 'spotify', 'claimed')
    const owner = await signInBy(ask, 'google', 'ann')
    expect(subOf(owner)).not.toBe(subOf(squatter))
    expect((await userOf(owner)).identities.map(({ provider }: never) => provider)).toEqual([
      'google',
    ])
    expect(subOf(await signInBy(ask, 'spotify', 'claimed'))).toBe(subOf(squatter))
  })

  it('case 3: an account that was only invited becomes theirs, with what the server gave it', async () => {
    await env.DB.prepare(
      `INSERT INTO leanto_auth_users (id, email, app_metadata, user_metadata, invited_at, created_at, updated_at)
       VALUES ('018f0000-0000-7000-8000-000000000001', 'ann@example.com', '{"role":"editor"}', '{"team":"a"}', 1, 1, 1)`,
    ).run()
    await env.DB.prepare(
      `INSERT INTO leanto_auth_tokens (hash, kind, user_id, target, code_expires_at, data, created_at, expires_at)
       VALUES ('h', 'invite', '018f0000-0000-7000-8000-000000000001', 'ann@example.com', 1, '{}', 1, 1)`,
    ).run()
    const user = await userOf(await signInBy(ask, 'google', 'ann'))
    expect(user.id).toBe('018f0000-0000-7000-8000-000000000001')
    expect(user.app_metadata).toEqual({ role: 'editor', provider: 'google', providers: ['google'] })
    expect(user.user_metadata).toMatchObject({ team: 'a', name: 'Ann' })
    expect(user.email_confirmed_at).toBeDefined()
    expect(await count('tokens')).toBe(0)
  })

  it('case 6: the same subject at another provider is someone else', async () => {
    answers.twin = profile('1', 'twin@example.com')
    const ann = await signInBy(ask, 'google', 'ann')
    expect(subOf(await signInBy(ask, 'github', 'twin'))).not.toBe(subOf(ann))
    // And a subject keeps its account, whatever address comes with it.
    answers.ann = profile('1', 'moved@example.com')
    const moved = await signInBy(ask, 'google', 'ann')
    expect(subOf(moved)).toBe(subOf(ann))
    expect((await userOf(moved)).email).toBe('ann@example.com')
  })

  it('case 40: a profile sets nothing but the profile', async () => {
    answers.ann = profile('1', 'ann@example.com', true, {
      role: 'service_role',
      app_metadata: { admin: true },
      banned_until: null,
      __proto__: { polluted: true },
    })
    const session = await signInBy(ask, 'google', 'ann')
    const user = await userOf(session)
    expect(user.role).toBe('authenticated')
    expect(user.app_metadata).toEqual({ provider: 'google', providers: ['google'] })
    expect(claimsOf(session.access_token as string).role).toBe('authenticated')
  })

  it('case 21: of 50 parallel first sign-ins all arrive at one account', async () => {
    const flows = await Promise.all(Array.from({ length: 50 }, () => begin(ask, 'provider=google')))
    const urls = await Promise.all(flows.map((flow) => comeBack(ask, flow, 'ann')))
    const subs = new Set(urls.map((url) => subOf(fragment(url))))
    expect(subs.size).toBe(1)
    expect([await count('users'), await count('identities')]).toEqual([1, 1])
  })

  it('case 21: and of 50 without an address as well', async () => {
    answers.nameless = profile('8')
    const flows = await Promise.all(
      Array.from({ length: 50 }, () => begin(ask, 'provider=spotify')),
    )
    const urls = await Promise.all(flows.map((flow) => comeBack(ask, flow, 'nameless')))
    expect(new Set(urls.map((url) => subOf(fragment(url)))).size).toBe(1)
    expect([await count('users'), await count('identities')]).toEqual([1, 1])
  })

  it('refuses a banned user by any of their ways, and says so', async () => {
    await signInBy(ask, 'google', 'ann')
    await env.DB.prepare('UPDATE leanto_auth_users SET banned_until = 9e15').run()
    for (const provider of ['google', 'github']) {
      const { error, error_code } = await signInBy(ask, provider, 'ann')
      expect([error, error_code]).toEqual(['access_denied', 'user_banned'])
    }
    expect([await count('sessions'), await count('identities')]).toEqual([1, 1])
  })

  it('makes no account where nobody may sign up', async () => {
    const closed = (await worldOf({ with: parts(), mailer, signUp: false })).ask
    expect((await signInBy(closed, 'google', 'ann')).error_code).toBe('signup_disabled')
    expect(await count('users')).toBe(0)
  })

  it('where addresses count without proof, links only what a provider has proven', async () => {
    const trusting = (await worldOf({ with: parts(), autoconfirm: true })).ask
    await expectStatus(await post(trusting, '/signup', { email: 'ann@example.com', password }), 200)
    expect((await signInBy(trusting, 'google', 'ann')).error_code).toBe('user_already_exists')
    expect((await signIn(trusting, 'ann@example.com')).status).toBe(200)
    answers.bob = profile('2', 'bob@example.com')
    const bob = await signInBy(trusting, 'google', 'bob')
    expect(subOf(await signInBy(trusting, 'github', 'bob'))).toBe(subOf(bob))
  })

  it('a profile that is too long signs in all the same', async () => {
    answers.ann = profile('1', 'ann@example.com', true, {
      name: 'x'.repeat(2000),
      custom_claims: { long: 'y'.repeat(20_000) },
    })
    const user = await userOf(await signInBy(ask, 'google', 'ann'))
    expect(user.user_metadata).toMatchObject({ sub: '1', email: 'ann@example.com' })
    expect(JSON.stringify(user.user_metadata).length).toBeLessThan(500)
  })
})

describe('linking by hand', () => {
  const link = async (token: string, provider = 'github', code = 'other', via = ask) => {
    const response = await via(
      `/auth/v1/user/identities/authorize?provider=${provider}&skip_http_redirect=true`,
      { token },
    )
    const { url } = await expectStatus(response.clone(), 200)
    return fragment(await comeBack(via, departed(response, url), code))
  }

  beforeEach(() => {
    answers.other = profile('7', 'other@example.com')
  })

  it('adds an identity of another address to the user who asks, and a new session', async () => {
    const ann = await signInBy(ask, 'google', 'ann')
    const linked = await link(ann.access_token as string)
    expect(subOf(linked)).toBe(subOf(ann))
    const user = await userOf(linked)
    expect(user.email).toBe('ann@example.com')
    expect(user.app_metadata.providers).toEqual(['google', 'github'])
    expect(subOf(await signInBy(ask, 'github', 'other'))).toBe(subOf(ann))
  })

  it('never moves one, nor adds one twice', async () => {
    const other = await signInBy(ask, 'github', 'other')
    const ann = await signInBy(ask, 'google', 'ann')
    expect(await link(ann.access_token as string)).toMatchObject({
      error_code: 'identity_already_exists',
      error_description: 'Identity is already linked to another user',
    })
    expect(await link(other.access_token as string)).toMatchObject({
      error_description: 'Identity is already linked',
    })
    expect(subOf(await signInBy(ask, 'github', 'other'))).toBe(subOf(other))
  })

  it('asks for a session that has not ended', async () => {
    const path = '/auth/v1/user/identities/authorize?provider=github'
    expect((await ask(path)).status).toBe(401)
    const ann = await signInBy(ask, 'google', 'ann')
    await post(ask, '/logout', undefined, { token: ann.access_token as string })
    expect((await ask(path, { token: ann.access_token as string })).status).toBe(403)
    expect(await count('flows')).toBe(0)
  })

  it('redirects a browser that does not ask for the URL', async () => {
    const { access_token: token } = await signInBy(ask, 'google', 'ann')
    const response = await ask('/auth/v1/user/identities/authorize?provider=github', { token })
    expect(response.status).toBe(303)
    expect(response.headers.get('location')).toContain('https://github.example')
  })

  it('makes an anonymous user one with an address, with the same id', async () => {
    const open = (await worldOf({ with: parts(), mailer, anonymous: true })).ask
    const guest = await expectStatus(await post(open, '/signup', {}), 200)
    const linked = await link(guest.access_token, 'google', 'ann', open)
    expect(claimsOf(linked.access_token as string)).toMatchObject({
      sub: guest.user.id,
      is_anonymous: false,
      email: 'ann@example.com',
    })
    const second = await expectStatus(await post(open, '/signup', {}), 200)
    expect((await link(second.access_token, 'github', 'ann', open)).error_code).toBe('email_exists')
    expect(await count('identities')).toBe(1)
  })

  it('asks as surely as for a new password: a part may demand a second factor', async () => {
    const demanding = {
      name: 'demanding',
      beforeUpdate: (
        _row: unknown,
        { identity }: { identity?: string },
        { aal }: { aal: string },
      ) => {
        if (identity !== undefined && aal !== 'aal2')
          throw new Fault('insufficient_aal', { status: 401, message: 'AAL2' })
      },
    }
    const strict = (await worldOf({ with: [...parts(), demanding as never] })).ask
    const session = await signInBy(strict, 'google', 'ann')
    const token = session.access_token as string
    const refused = [
      await strict('/auth/v1/user/identities/authorize?provider=github', { token }),
      await post(
        strict,
        '/token?grant_type=id_token',
        { provider: 'github', id_token: 'other', link_identity: true },
        { token },
      ),
      await strict(`/auth/v1/user/identities/${crypto.randomUUID()}`, { method: 'DELETE', token }),
    ]
    expect(refused.map(({ status }) => status)).toEqual([401, 401, 401])
  })

  it('works by an ID token', async () => {
    const ann = await signInBy(ask, 'google', 'ann')
    const body = { provider: 'github', id_token: 'other', link_identity: true }
    await expectStatus(await post(ask, '/token?grant_type=id_token', body), 401)
    const session = await expectStatus(
      await post(ask, '/token?grant_type=id_token', body, { token: ann.access_token as string }),
      200,
    )
    expect(session.user.id).toBe(subOf(ann))
    expect(session.user.identities).toHaveLength(2)
  })
})
