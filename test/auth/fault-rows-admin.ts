import { expect } from 'vitest'
import { prepareCodes } from './fault-rows-factors.ts'
import { service, target } from './fault-steps.ts'
import { email, type Row, type World } from './fault-world.ts'
import { expectStatus, post, refresh, rows } from './world.ts'

const issue = async (world: World) => {
  const body = { type: 'secret', name: 'x' }
  world.made = await expectStatus(await post(world.ask, '/admin/api-keys', body, service), 200)
}

export const adminRows: Row[] = [
  {
    name: 'POST /admin/users',
    call: ({ ask }) => post(ask, '/admin/users', { ...target, phone: '+15550001111' }, service),
    answers: [200, 422],
  },
  { name: 'GET /admin/users', call: ({ ask }) => ask('/auth/v1/admin/users', service) },
  {
    name: 'GET /admin/users/:id',
    call: ({ ask, session }) => ask(`/auth/v1/admin/users/${session.user.id}`, service),
  },
  {
    name: 'POST /admin/users/:id/logout',
    call: ({ ask, session }) => post(ask, `/admin/users/${session.user.id}/logout`, {}, service),
    answers: [204],
    end: async ({ ask, session }) => {
      expect((await refresh(ask, session.refresh_token)).status).toBe(400)
    },
  },
  {
    name: 'GET /admin/users/:id/factors',
    prepare: prepareCodes,
    call: ({ ask, session }) => ask(`/auth/v1/admin/users/${session.user.id}/factors`, service),
  },
  { name: 'GET /admin/audit', call: ({ ask }) => ask('/auth/v1/admin/audit', service) },
  {
    name: 'PUT /admin/users/:id',
    call: ({ ask, session }) =>
      ask(`/auth/v1/admin/users/${session.user.id}`, {
        method: 'PUT',
        body: { email: 'anna@example.com', password: 'a new password', ban_duration: '1h' },
        ...service,
      }),
  },
  ...[false, true].map(
    (soft): Row => ({
      name: `DELETE /admin/users/:id, ${soft ? 'softly' : 'for good'}`,
      prepare: prepareCodes,
      call: ({ ask, session }) =>
        ask(`/auth/v1/admin/users/${session.user.id}`, {
          method: 'DELETE',
          body: { should_soft_delete: soft },
          ...service,
        }),
      answers: [200, 404],
    }),
  ),
  {
    name: 'POST /invite',
    call: ({ ask }) => post(ask, '/invite', { email: 'new@example.com' }, service),
  },
  ...(
    [
      'signup',
      'invite',
      'magiclink',
      'recovery',
      'email_change_new',
      'email_change_current',
    ] as const
  ).map(
    (type): Row => ({
      name: `POST /admin/generate_link, ${type}`,
      call: ({ ask }) =>
        post(
          ask,
          '/admin/generate_link',
          type === 'signup' || type === 'invite'
            ? { type, ...target }
            : { type, email, new_email: 'anna@example.com' },
          service,
        ),
    }),
  ),
  {
    name: 'DELETE /admin/users/:id/factors/:id',
    prepare: prepareCodes,
    call: async ({ ask, session }) => {
      const [factor] = await rows(`SELECT id FROM leanto_auth_factors WHERE type = 'totp'`)
      const path = `/auth/v1/admin/users/${session.user.id}/factors/${factor?.id ?? session.user.id}`
      return ask(path, { method: 'DELETE', ...service })
    },
    answers: [200, 404],
  },
  {
    name: 'POST /admin/api-keys',
    call: ({ ask }) => post(ask, '/admin/api-keys', { type: 'secret', name: 'x' }, service),
  },
  {
    name: 'GET /admin/api-keys',
    prepare: issue,
    call: ({ ask }) => ask('/auth/v1/admin/api-keys', service),
  },
  {
    name: 'DELETE /admin/api-keys/:id',
    prepare: issue,
    call: ({ ask, made }) =>
      ask(`/auth/v1/admin/api-keys/${made.id}`, { method: 'DELETE', ...service }),
    // Revoked already, or not; in the end it opens nothing.
    answers: [200, 404],
    end: async ({ ask, made }) => {
      const response = await ask('/auth/v1/admin/users', { headers: { apikey: made.api_key } })
      expect(response.status).toBe(401)
    },
  },
  {
    name: 'GET /admin/users, with an issued key',
    prepare: issue,
    call: ({ ask, made }) => ask('/auth/v1/admin/users', { headers: { apikey: made.api_key } }),
  },
]
