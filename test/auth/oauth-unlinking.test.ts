import { env } from 'cloudflare:workers'
import type { Mail } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Answers, fake, profile, signInBy, worldOf } from './oauth-world.ts'
import { type Asker, count, expectStatus, getUser, password, post, signIn } from './world.ts'

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
  }
  ask = (await worldOf({ with: parts(), mailer })).ask
})

const userOf = async (session: Record<string, string>) =>
  expectStatus(await getUser(ask, session.access_token), 200)
const confirmByHand = (email: string) =>
  env.DB.prepare('UPDATE leanto_auth_users SET email_confirmed_at = 1 WHERE email = ?')
    .bind(email)
    .run()

describe('unlinking', () => {
  const unlink = (token: string | undefined, id: string) =>
    ask(`/auth/v1/user/identities/${id}`, { method: 'DELETE', token })
  const both = async () => {
    await signInBy(ask, 'google', 'ann')
    const session = await signInBy(ask, 'github', 'ann')
    const { identities } = await userOf(session)
    const idOf = (name: string) =>
      identities.find(({ provider }: { provider: string }) => provider === name).identity_id
    return { token: session.access_token as string, idOf }
  }

  it('takes one away, but never the last', async () => {
    const { token, idOf } = await both()
    const [google, github] = [idOf('google'), idOf('github')]
    expect(await expectStatus(await unlink(token, google), 200)).toEqual({})
    const user = await expectStatus(await getUser(ask, token), 200)
    expect(user.app_metadata).toEqual({ provider: 'github', providers: ['github'] })
    expect(user.email).toBe('ann@example.com')
    expect(inbox.at(-1)?.subject).toBe('A way to sign in was removed')
    const last = await expectStatus(await unlink(token, github), 422)
    expect(last.error_code).toBe('single_identity_not_deletable')
    expect((await expectStatus(await unlink(token, google), 422)).error_code).toBe(
      'identity_not_found',
    )
  })

  it('never the last, of two in parallel either', async () => {
    const { token, idOf } = await both()
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => unlink(token, idOf(i % 2 ? 'google' : 'github'))),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(await count('identities')).toBe(1)
  })

  it('case 42: another user’s identity is not there', async () => {
    const { idOf } = await both()
    answers.bob = profile('2', 'bob@example.com')
    const bob = await signInBy(ask, 'google', 'bob')
    const refused = await expectStatus(await unlink(bob.access_token, idOf('google')), 422)
    expect(refused.error_code).toBe('identity_not_found')
    await expectStatus(await unlink(bob.access_token, 'nonsense'), 404)
    await expectStatus(await unlink(undefined, idOf('google')), 401)
    expect(await count('identities')).toBe(3)
  })

  it('takes no address that is someone else’s by now', async () => {
    answers.other = profile('7', 'other@example.com')
    await signInBy(ask, 'github', 'other')
    // The same address, at another provider, by hand.
    answers.same = profile('8', 'other@example.com')
    const ann = await signInBy(ask, 'google', 'ann')
    const body = { provider: 'spotify', id_token: 'same', link_identity: true }
    const token = ann.access_token as string
    const { user } = await expectStatus(
      await post(ask, '/token?grant_type=id_token', body, { token }),
      200,
    )
    const google = user.identities.find(
      ({ provider }: { provider: string }) => provider === 'google',
    )
    const refused = await expectStatus(await unlink(token, google.identity_id), 422)
    expect(refused.error_code).toBe('email_conflict_identity_not_deletable')
    expect(await count('identities')).toBe(3)
  })

  it('of the address takes the password along', async () => {
    await post(ask, '/signup', { email: 'ann@example.com', password })
    await confirmByHand('ann@example.com')
    const session = await signInBy(ask, 'google', 'ann')
    const { identities } = await userOf(session)
    const id = identities.find(
      ({ provider }: { provider: string }) => provider === 'email',
    ).identity_id
    await expectStatus(await unlink(session.access_token, id), 200)
    // Google still vouches for it.
    expect((await userOf(session)).email).toBe('ann@example.com')
    expect((await signIn(ask, 'ann@example.com')).status).toBe(400)
  })
})
