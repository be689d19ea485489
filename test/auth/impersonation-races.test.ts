import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { clock, makeBase } from '../kit/world.ts'
import {
  audited,
  freshPeople,
  impersonate,
  impersonated,
  makeUsers,
  type People,
  running,
  setRole,
} from './impersonation-world.ts'
import { type Asker, post, refresh, rows } from './world.ts'

/** Does this before the second trip of a start: after the look at who they are, and before the write. */
let meddle: (() => Promise<unknown>) | undefined

let ask: Asker
let who: People
beforeEach(async () => {
  meddle = undefined
  const base = makeBase({
    db: (bound) =>
      faulty(bound.DB as never, async (sql) => {
        if (meddle && sql.some((text) => /INSERT INTO leanto_auth_impersonations/.test(text))) {
          const once = meddle
          meddle = undefined
          await once()
        }
        return false
      }),
  })
  const made = makeUsers({ limit: { max: 1000, seconds: 3600 } }, {}, base)
  ask = made.ask
  who = await freshPeople(made)
})

const run = (sql: string, ...values: unknown[]) =>
  env.DB.prepare(sql)
    .bind(...values)
    .run()

describe('between the look and the write (case 18)', () => {
  it.each([
    ['the user becomes an admin', () => setRole(ask, who.ann.user.id, 'admin')],
    ['the admin is none any more', () => setRole(ask, who.ada.user.id, 'user')],
    ['the admin signs out', () => post(ask, '/logout', {}, { token: who.ada.access_token })],
    [
      'the admin is banned',
      () => run('UPDATE leanto_auth_users SET banned_until = 9e15 WHERE id = ?', who.ada.user.id),
    ],
    [
      'the admin is deleted',
      () => run('UPDATE leanto_auth_users SET deleted_at = 1 WHERE id = ?', who.ada.user.id),
    ],
    [
      'the user is banned',
      () => run('UPDATE leanto_auth_users SET banned_until = 9e15 WHERE id = ?', who.ann.user.id),
    ],
    [
      'the user is deleted',
      () => run('DELETE FROM leanto_auth_users WHERE id = ?', who.ann.user.id),
    ],
  ])('nothing begins when %s', async (_, happens) => {
    meddle = happens
    const response = await impersonate(ask, who.ada, who.ann)
    expect(meddle).toBeUndefined()
    expect(response.status).toBe(409)
    expect(response.headers.get('x-sb-error-code')).toBe('conflict')
    expect(await running()).toEqual([])
    expect(await rows('SELECT * FROM leanto_auth_impersonations')).toEqual([])
    expect((await audited()).map(({ action }) => action)).not.toContain('impersonation_started')
  })

  it('and what is no matter of it does not stop it', async () => {
    meddle = () => setRole(ask, who.eve.user.id, 'admin')
    expect((await impersonate(ask, who.ada, who.ann)).status).toBe(200)
  })
})

describe('at once', () => {
  it('nobody acts for whoever has become an admin meanwhile', async () => {
    const started: Promise<Response>[] = []
    for (let i = 0; i < 50; i++) {
      started.push(impersonate(ask, i % 2 ? who.ada : who.abe, who.ann))
      if (i === 25) started.push(setRole(ask, who.ann.user.id, 'admin'))
    }
    const statuses = (await Promise.all(started)).map(({ status }) => status)
    for (const status of statuses) expect([200, 403, 409]).toContain(status)
    expect(await running()).toEqual([])
    expect(await rows('SELECT id FROM leanto_auth_impersonations WHERE ended_at IS NULL')).toEqual(
      [],
    )
  })

  it('nothing outlives the session that it was asked for by', async () => {
    const started = Array.from({ length: 50 }, () => impersonate(ask, who.ada, who.ann))
    const out = post(ask, '/logout', {}, { token: who.ada.access_token })
    await Promise.all([...started, out])
    expect((await out).status).toBe(204)
    expect(await running()).toEqual([])
  })

  it('a refresh and the end of it leave no session behind (case 15)', async () => {
    const session = await impersonated(ask, who.ada, who.ann)
    const refreshes = Array.from({ length: 25 }, () => refresh(ask, session.refresh_token))
    const stops = Array.from({ length: 25 }, () =>
      post(ask, '/impersonation/stop', {}, { token: session.access_token }),
    )
    const ended = (await Promise.all(stops)).filter(({ ok }) => ok)
    await Promise.all(refreshes)
    expect(ended).toHaveLength(1)
    expect(await running()).toEqual([])
    expect((await refresh(ask, session.refresh_token)).status).toBe(400)
  })

  it('never more than the budget (case 20)', async () => {
    const few = makeUsers({ limit: { max: 5, seconds: 3600 } })
    clock.advance(1)
    const statuses = (
      await Promise.all(Array.from({ length: 50 }, () => impersonate(few.ask, who.ada, who.ann)))
    ).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(5)
    expect(await running()).toHaveLength(5)
  })
})
