import { expect } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  againOr,
  ann,
  asGuest,
  expectPeople,
  me,
  other,
  people,
  put,
  service,
  target,
} from './fault-steps.ts'
import { email, type Row, token, type World } from './fault-world.ts'
import { expectStatus, getUser, password, post, refresh, signIn } from './world.ts'

const show = ({ ask, made }: World, which: string) =>
  post(ask, '/verify', { type: 'email_change', token_hash: made[which] })
const click = ({ ask, made }: World, which: string) =>
  ask(`/auth/v1/verify?type=email_change&token=${made[which]}`)
/** A change of address has been asked for; its links are in the two mailboxes. */
export const changing = async (world: World) => {
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

/** Shows what was mailed; if it was used already, signs in by a new link. */
const showMailed =
  (type: string): Row['call'] =>
  ({ ask, made }) =>
    post(ask, '/verify', { type, token_hash: made })
const byNewLink: Row['call'] = async ({ ask, inbox }) => {
  await post(ask, '/otp', { email: other })
  return post(ask, '/verify', { type: 'magiclink', token_hash: inbox.token(other) })
}

export const addresses: Row[] = [
  ...halves,
  {
    name: 'POST /verify, sign-up',
    autoconfirm: false,
    prepare: async (world) => {
      await post(world.ask, '/signup', target)
      world.made = world.inbox.token(other)
    },
    call: showMailed('signup'),
    retry: againOr(showMailed('signup'), signsInAnew),
    end: expectPeople(ann, moved),
  },
  {
    name: 'POST /verify, invitation',
    autoconfirm: false,
    prepare: async (world) => {
      await post(world.ask, '/invite', { email: other }, service)
      world.made = world.inbox.token(other)
    },
    call: showMailed('invite'),
    retry: againOr(showMailed('invite'), byNewLink),
    end: expectPeople(ann, moved),
  },
  {
    name: 'PUT /user, a password by a nonce',
    autoconfirm: false,
    prepare: async (world) => {
      clock.advance(86_400)
      const { refresh_token } = world.session
      world.session = await expectStatus(await refresh(world.ask, refresh_token), 200)
      await expectStatus(await world.ask('/auth/v1/reauthenticate', token(world)), 200)
      world.made = { password: 'a new password', nonce: world.inbox.code(email) }
    },
    call: (world) => put(world, world.made),
    // Done already, and the nonce used; or not.
    retry: againOr(
      (world) => put(world, world.made),
      ({ ask }) => signIn(ask, email, 'a new password'),
    ),
    end: async ({ ask }) => {
      expect((await signIn(ask, email, 'a new password')).status).toBe(200)
      expect((await signIn(ask, email)).status).toBe(400)
    },
  },
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
