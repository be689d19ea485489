import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  answer,
  app,
  ask,
  asked,
  askThrough,
  codeOf,
  exchange,
  identities,
  inbox,
  leadsTo,
  options,
  pkce,
  setUp,
  start,
  subOf,
  verifier,
} from './held-world.ts'
import { member } from './inbox.ts'
import { comeBack, departed, fragment, signInBy } from './oauth-world.ts'
import {
  claimsOf,
  count,
  expectStatus,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  refresh,
  rows,
  snapshot,
} from './world.ts'

let attacker: Json
beforeEach(async () => {
  attacker = await setUp()
})

describe('case 27: with PKCE, an answer that comes back without the cookie', () => {
  it('links nothing; whoever has the verifier links by the code, in two trips', async () => {
    const flow = await start(attacker.access_token, pkce)
    const before = await identities()
    const code = await codeOf(flow)
    expect(await identities()).toEqual(before)
    expect(await count('sessions')).toBe(1)
    // Nothing that opens anything is stored as it is.
    const [held] = await rows('SELECT * FROM leanto_auth_flows')
    expect(JSON.stringify(held)).not.toContain(code)
    expect(JSON.stringify(held)).not.toContain('github-at')
    expect(inbox.mails).toEqual([])

    const session = await expectStatus(await exchange(code), 200)
    expect(session.user.id).toBe(attacker.user.id)
    expect(session.user.identities).toHaveLength(2)
    expect(session).toMatchObject({
      provider_token: 'github-at',
      provider_refresh_token: 'github-rt',
    })
    expect(claimsOf(session.access_token).amr[0].method).toBe('oauth')
    await expectStatus(await refresh(ask, session.refresh_token), 200)
    expect(await count('flows')).toBe(0)
    expect(inbox.mails.map(({ to, subject }) => [to, subject])).toEqual([
      ['attacker@example.com', 'A way to sign in was added'],
    ])
    expect(subOf(await signInBy(ask, 'github', 'victim'))).toBe(attacker.user.id)
  })

  it('is of no use in the victim’s browser, which has another verifier or none', async () => {
    const code = await codeOf(await start(attacker.access_token, pkce))
    const before = await snapshot()
    for (const wrong of ['w'.repeat(43), verifier.slice(1), `${verifier} `])
      expect((await expectStatus(await exchange(code, wrong), 400)).error_code).toBe(
        'bad_code_verifier',
      )
    await expectStatus(await exchange(code, ''), 400)
    expect(await snapshot()).toBe(before)
    // The victim's own account is the victim's own.
    const victim = await signInBy(ask, 'github', 'victim')
    expect(subOf(victim)).not.toBe(attacker.user.id)
    // And the attacker, had he the code as well, comes too late.
    expect((await expectStatus(await exchange(code), 422)).error_code).toBe(
      'identity_already_exists',
    )
  })

  it('is taken once: neither the state nor the code comes twice', async () => {
    const flow = await start(attacker.access_token, pkce)
    const code = await codeOf(flow)
    const again = await comeBack(ask, flow, 'victim')
    expect(again.searchParams.get('error_code')).toBe('bad_oauth_state')
    await expectStatus(await exchange(code), 200)
    expect((await expectStatus(await exchange(code), 404)).error_code).toBe('flow_state_not_found')
  })

  it('by 50 parallel exchanges links once (case 19)', async () => {
    const code = await codeOf(await start(attacker.access_token, pkce))
    const all = await Promise.all(Array.from({ length: 50 }, () => exchange(code)))
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1)
    for (const response of all.filter(({ status }) => status !== 200))
      expect(['flow_state_not_found', 'identity_already_exists']).toContain(
        (await response.json<Json>()).error_code,
      )
    expect([await count('identities'), await count('sessions')]).toEqual([2, 2])
  })

  it('by 50 parallel callbacks is held once', async () => {
    const flow = await start(attacker.access_token, pkce)
    const urls = await Promise.all(Array.from({ length: 50 }, () => comeBack(ask, flow, 'victim')))
    expect(urls.filter((url) => url.searchParams.has('code'))).toHaveLength(1)
    expect(await count('flows')).toBe(1)
  })

  it('of 50 accounts that hold one identity goes to exactly one of them (case 21)', async () => {
    const codes: string[] = []
    for (let i = 0; i < 50; i++) {
      const { access_token } = await expectStatus(await post(ask, '/signup', {}), 200)
      codes.push(await codeOf(await start(access_token, pkce)))
      clock.advance(11)
    }
    clock.advance(-550)
    const all = await Promise.all(codes.map((code) => exchange(code)))
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1)
    expect((await identities()).filter(({ subject }) => subject === 'v')).toHaveLength(1)
  })

  it('ends after five minutes, and so does the flow after ten', async () => {
    const code = await codeOf(await start(attacker.access_token, pkce))
    const late = await start(attacker.access_token, pkce)
    clock.advance(301)
    expect((await expectStatus(await exchange(code), 422)).error_code).toBe('flow_state_expired')
    clock.advance(300)
    expect((await comeBack(ask, late, 'victim')).searchParams.get('error_code')).toBe(
      'bad_oauth_state',
    )
    expect(await count('identities')).toBe(1)
  })
})

describe('what stands against a link is asked when it is made', () => {
  const held = async () => codeOf(await start(attacker.access_token, pkce))
  const refused = async (code: string, status: number, error: string) => {
    const before = (await identities()).length
    expect((await expectStatus(await exchange(code), status)).error_code).toBe(error)
    expect((await identities()).length).toBe(before)
  }

  it('the session that began it has ended', async () => {
    const code = await held()
    await post(ask, '/logout?scope=global', undefined, { token: attacker.access_token })
    await refused(code, 403, 'session_not_found')
  })

  it('as by a new password, which ends whatever a thief has begun (case 11)', async () => {
    const code = await held()
    const other = await expectStatus(
      await post(ask, '/token?grant_type=password', { email: 'attacker@example.com', password }),
      200,
    )
    await expectStatus(
      await ask('/auth/v1/user', {
        method: 'PUT',
        body: { password: 'a new good passphrase' },
        token: other.access_token,
      }),
      200,
    )
    await refused(code, 403, 'session_not_found')
  })

  it.each([
    ['banned_until = 9e15', 403, 'user_banned'],
    ['deleted_at = 1', 403, 'user_not_found'],
  ])('the user has %s', async (set, status, error) => {
    const code = await held()
    await env.DB.prepare(`UPDATE leanto_auth_users SET ${set}`).run()
    await refused(code, status, error)
  })

  it('the user is gone', async () => {
    const code = await held()
    await env.DB.prepare('DELETE FROM leanto_auth_users').run()
    await refused(code, 403, 'user_not_found')
  })

  it('the identity is somebody’s by then, or was at the callback', async () => {
    const code = await held()
    await signInBy(ask, 'github', 'victim')
    await refused(code, 422, 'identity_already_exists')
    const url = await comeBack(ask, await start(attacker.access_token, pkce), 'victim')
    expect(url.origin + url.pathname).toBe(app)
    expect(url.searchParams.get('code')).toBe(null)
    expect(url.searchParams.get('error_code')).toBe('identity_already_exists')
  })

  it('a guest’s new address is somebody’s by then', async () => {
    const guest = await expectStatus(await post(ask, '/signup', {}), 200)
    const code = await codeOf(await start(guest.access_token, pkce))
    await member(ask, inbox, 'victim@example.com')
    await refused(code, 422, 'email_exists')
  })

  it('also where the browser is the one that began', async () => {
    const path = '/auth/v1/user/identities/authorize?provider=github&skip_http_redirect=true'
    const response = await ask(path, { token: attacker.access_token })
    const flow = departed(response, (await expectStatus(response.clone(), 200)).url)
    await post(ask, '/logout', undefined, { token: attacker.access_token })
    const url = await comeBack(ask, flow, 'victim')
    expect(fragment(url)).toMatchObject({
      error: 'access_denied',
      error_code: 'session_not_found',
    })
    expect(await count('identities')).toBe(1)
  })
})

describe('between the look and the write', () => {
  /** What happens just before the batch that makes the link. */
  let meanwhile: (() => Promise<unknown>) | undefined
  const watched = (database: object): never =>
    new Proxy(database, {
      get(target, name) {
        const value = Reflect.get(target, name)
        if (name === 'withSession') return (...of: unknown[]) => watched(value.apply(target, of))
        if (name !== 'batch') return typeof value === 'function' ? value.bind(target) : value
        return async (statements: unknown[]) => {
          // The look has four statements; the write has more.
          const work = statements.length > 5 ? meanwhile : undefined
          if (work) {
            meanwhile = undefined
            await work()
          }
          return value.call(target, statements)
        }
      },
    }) as never
  const sql =
    (text: string, ...values: unknown[]) =>
    async () => {
      await env.DB.prepare(text)
        .bind(...values)
        .run()
    }

  beforeEach(async () => {
    const users = makeAuth(options(), { db: (bound) => watched(bound.DB) })
    askThrough(mountAuth(users))
  })

  const changes = [
    ['the session ends', 'DELETE FROM leanto_auth_sessions', 'session_not_found'],
    ['the user is banned', 'UPDATE leanto_auth_users SET banned_until = 9e15', 'user_banned'],
    ['the user is deleted', 'UPDATE leanto_auth_users SET deleted_at = 1', 'user_not_found'],
    ['it is used', 'DELETE FROM leanto_auth_flows', 'flow_state_not_found'],
    [
      'the identity is linked elsewhere',
      `INSERT INTO leanto_auth_identities (id, provider, subject, user_id, data, created_at, updated_at)
       SELECT 'i', 'github', 'v', id, '{}', 1, 1 FROM leanto_auth_users`,
      'identity_already_exists',
    ],
  ] as const
  const subject = () => rows(`SELECT id FROM leanto_auth_identities WHERE subject = 'v'`)

  it.each(changes)('of a code, %s: nothing is linked', async (_, change, error) => {
    const code = await codeOf(await start(attacker.access_token, pkce))
    meanwhile = sql(change)
    const refused = await exchange(code)
    expect(meanwhile).toBeUndefined()
    expect(refused.status).toBeGreaterThanOrEqual(400)
    expect((await refused.json<Json>()).error_code).toBe(error)
    expect(await subject()).toEqual(error === 'identity_already_exists' ? [{ id: 'i' }] : [])
    expect(await count('sessions')).toBe(error === 'session_not_found' ? 0 : 1)
  })

  it.each(changes)('of an answer, %s: nothing is linked', async (_, change, error) => {
    const { token } = await asked(await start(attacker.access_token))
    meanwhile = sql(change)
    const url = leadsTo(await answer({ token, answer: 'link' }))
    expect(meanwhile).toBeUndefined()
    expect(fragment(url).error_code).toBe(error)
    expect(await subject()).toEqual(error === 'identity_already_exists' ? [{ id: 'i' }] : [])
    expect(await count('sessions')).toBe(error === 'session_not_found' ? 0 : 1)
  })

  it('the user changes: they are looked at again, and linked', async () => {
    const code = await codeOf(await start(attacker.access_token, pkce))
    meanwhile = sql(`UPDATE leanto_auth_users SET user_metadata = '{"since":1}'`)
    const { user } = await expectStatus(await exchange(code), 200)
    expect(user.user_metadata).toMatchObject({ since: 1, name: 'Ann' })
    expect(user.identities).toHaveLength(2)
    expect(await count('sessions')).toBe(2)
  })
})
