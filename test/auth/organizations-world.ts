import type { Auth, AuthOptions, Session } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { type OrganizationsOptions, organizations } from 'leanto/auth/organizations'
import { expect } from 'vitest'
import { type Ask, clock, type Env, freshDatabase } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import {
  type Asker,
  claimsOf,
  expectStatus,
  type Json,
  makeAuth,
  mountAuth,
  post,
  refresh,
  signUp,
} from './world.ts'

export const inbox = makeInbox()

export interface World {
  users: Auth
  orgs: ReturnType<typeof organizations>
  ask: Asker
  /** Signs someone up, or gives who they are. */
  person: (name: string) => Promise<Person>
}

export interface Person {
  id: string
  email: string
  token: string
  session: Session
}

/** Anyone may sign up and counts as proven, and mails arrive. */
export async function organizationsWorld(
  options: OrganizationsOptions = {},
  more: Partial<AuthOptions<Env>> = {},
  base: Parameters<typeof makeAuth>[1] = {},
): Promise<World> {
  inbox.clear()
  const orgs = organizations(options) as World['orgs']
  const users = makeAuth(
    {
      mailer: inbox.mailer,
      autoconfirm: true,
      anonymous: true,
      limits: { signUps: false, mails: false, messages: false, inbox: false },
      ...more,
      with: [orgs, admin(), ...(more.with ?? [])],
    },
    base,
  )
  await freshDatabase([users])
  const ask = mountAuth(users)
  const people = new Map<string, Promise<Person>>()
  const person = (name: string) => {
    const known = people.get(name) ?? newPerson(ask, name)
    people.set(name, known)
    return known
  }
  return { users, orgs, ask, person }
}

async function newPerson(ask: Asker, name: string): Promise<Person> {
  // Ids sort by time.
  clock.advance(1)
  const email = `${name}@example.com`
  const session = await signUp(ask, email)
  return { id: session.user.id, email, token: session.access_token, session }
}

type Place = Pick<World, 'ask'>

/** As this person; what the answer says. */
export async function call(
  { ask }: Place,
  who: Pick<Person, 'token'> | undefined,
  method: string,
  path: string,
  body?: unknown,
  more: Ask = {},
): Promise<Response> {
  return ask(`/auth/v1${path}`, {
    method,
    ...(body === undefined ? {} : { body }),
    ...(who ? { token: who.token } : {}),
    ...more,
  })
}

export const ok = async (response: Promise<Response>, status = 200): Promise<Json> =>
  expectStatus(await response, status)

export async function expectRefused(response: Response, status: number, code: string) {
  const { error_code } = await response.json<Json>()
  expect([response.status, error_code]).toEqual([status, code])
}

export const newOrganization = (
  world: Place,
  owner: Person,
  attributes: object = {},
): Promise<Json> => {
  clock.advance(1)
  return ok(call(world, owner, 'POST', '/organizations', { name: 'Acme', ...attributes }))
}

/** The token that was mailed with the newest invitation to an address. */
export const mailedToken = (email: string): string =>
  new URLSearchParams(
    new URL(inbox.last(email).text.match(/https:\S+/)?.[0] as string).hash.slice(1),
  ).get('invitation_token') as string

/** Invited by someone, and in. */
export async function join(
  world: Place,
  by: Person,
  whom: Person,
  organizationId: string,
  attributes: object = {},
): Promise<Json> {
  const body = { email: whom.email, ...attributes }
  clock.advance(1)
  const { id } = await ok(
    call(world, by, 'POST', `/organizations/${organizationId}/invitations`, body),
  )
  clock.advance(1)
  return ok(call(world, whom, 'POST', `/invitations/${id}/accept`))
}

/** An organisation with one of each, and a stranger beside it. */
export async function staffed(world: World, attributes: object = {}) {
  const owner = await world.person('owner')
  const admin = await world.person('admin')
  const member = await world.person('member')
  const stranger = await world.person('stranger')
  const organization = await newOrganization(world, owner, attributes)
  await join(world, owner, admin, organization.id, { role: 'admin' })
  await join(world, owner, member, organization.id)
  return { owner, admin, member, stranger, organization, one: `/organizations/${organization.id}` }
}

export type Staffed = Awaited<ReturnType<typeof staffed>>

/** The next token of a session, and what it says. */
export async function refreshed(world: Place, person: Person): Promise<Json> {
  const session = await expectStatus(await refresh(world.ask, person.session.refresh_token), 200)
  Object.assign(person, { session, token: session.access_token })
  return claimsOf(session.access_token)
}

export const activate = (world: Place, person: Person, id: string | null): Promise<Response> =>
  post(world.ask, '/organizations/active', { organization_id: id }, { token: person.token })

export const membersOf = async (world: Place, by: Person, id: string): Promise<string[]> =>
  (await ok(call(world, by, 'GET', `/organizations/${id}/members`))).members.map(
    ({ email, role }: Json) => `${email.split('@')[0]} ${role}`,
  )
