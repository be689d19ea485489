import { expect } from 'vitest'
import { email, type Row, token, type World } from './fault-world.ts'
import { expectStatus, getUser, password, post, rows } from './world.ts'

export const service = { key: 'secret' } as const
export const other = 'new@example.com'
export const target = { email: 'new@example.com', password }

export const put = (world: World, body: object) =>
  world.ask('/auth/v1/user', { method: 'PUT', body, ...token(world) })
export const me = (world: World) => getUser(world.ask, world.session.access_token)
export const setsNoCookie = (response: Response) =>
  expect(response.headers.get('set-cookie')).toBe(null)
export const mail = async (world: World, path: string, body: object) => {
  await post(world.ask, path, body)
  world.made = world.mailed()
}

/** Those who are there: who they are, and by what they sign in. */
export const people = () =>
  rows(`SELECT u.email, u.phone, u.is_anonymous AS anonymous,
      (SELECT group_concat(provider) FROM (
        SELECT provider FROM leanto_auth_identities WHERE user_id = u.id ORDER BY provider)) AS ways
    FROM leanto_auth_users u ORDER BY coalesce(u.email, '~')`)
export const ann = { email, phone: null, anonymous: 0, ways: 'email' }
export const expectPeople =
  (...list: object[]) =>
  async () =>
    expect(await people()).toEqual(list)

/** Does the same again; if it was done already, goes the way that people go then. */
export const againOr =
  (call: Row['call'], instead: Row['call']): Row['call'] =>
  async (world) => {
    const response = await call(world)
    return response.status < 400 ? response : instead(world)
  }

export const asGuest = async (world: World) => {
  world.session = await expectStatus(await post(world.ask, '/signup', {}), 200)
}
