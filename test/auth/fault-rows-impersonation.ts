import { expect } from 'vitest'
import { service } from './fault-steps.ts'
import type { Row, World } from './fault-world.ts'
import { reason, running, setRole } from './impersonation-world.ts'
import { claimsOf, expectStatus, getUser, type Json, post, refresh, rows, signUp } from './world.ts'

/** Eve is an admin, and acts for Ann. */
const prepare = async (world: World) => {
  const eve = await signUp(world.ask, 'eve@example.com')
  await expectStatus(await setRole(world.ask, eve.user.id, 'admin'), 200)
  world.made = { eve }
}
const by = ({ made }: World) => ({ token: made.eve.access_token as string })
const start = (world: World, more: object = {}, as: object = by(world)) =>
  post(world.ask, `/admin/users/${world.session.user.id}/impersonate`, { reason, ...more }, as)
const begun = async (world: World) => {
  await prepare(world)
  world.made.acted = await expectStatus(await start(world), 200)
}
const acted = ({ made }: World) => made.acted as Json
const id = (world: World) => claimsOf(acted(world).access_token).session_id
const one = (world: World, as: object) =>
  world.ask(`/auth/v1/admin/impersonations/${id(world)}`, { method: 'DELETE', ...as })
/** Whatever was lost on the way, it is over, and Ann goes on. */
const over = async (world: World) => {
  expect(await running()).toEqual([])
  expect((await getUser(world.ask, acted(world).access_token)).status).toBe(403)
  expect((await getUser(world.ask, world.session.access_token)).status).toBe(200)
}
const unseen = async ({ session }: World) => {
  const [row] = await rows('SELECT * FROM leanto_auth_users WHERE id = ?', session.user.id)
  expect(row.last_sign_in_at).toBe(row.created_at)
}

export const impersonationRows: Row[] = [
  {
    name: 'POST /admin/users/:id/impersonate',
    prepare,
    call: (world) => start(world),
    end: unseen,
  },
  {
    name: 'POST /admin/users/:id/impersonate, by the server',
    call: (world) => start(world, { actor: 'bot' }, service),
    end: unseen,
  },
  {
    name: 'POST /token, of an impersonation',
    prepare: begun,
    call: (world) => refresh(world.ask, acted(world).refresh_token),
    end: unseen,
  },
  {
    name: 'GET /admin/impersonations',
    prepare: begun,
    call: (world) => world.ask('/auth/v1/admin/impersonations', by(world)),
  },
  {
    name: 'DELETE /admin/impersonations/:id',
    prepare: begun,
    call: (world) => one(world, by(world)),
    answers: [204, 404],
    end: over,
  },
  {
    name: 'POST /impersonation/stop',
    prepare: begun,
    call: (world) =>
      post(world.ask, '/impersonation/stop', {}, { token: acted(world).access_token }),
    answers: [204, 404],
    end: over,
  },
]
