import { env } from 'cloudflare:workers'
import { getTableColumns, getTableName } from 'drizzle-orm'
import { Fault, migrate } from 'leanto'
import {
  type AuthOptions,
  auth,
  authFlows,
  authIdentities,
  authKeys,
  authRefreshTokens,
  authSessions,
  authTokens,
  authUsers,
  type User,
} from 'leanto/auth'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, type Env, freshDatabase, makeBase, site } from '../kit/world.ts'
import {
  claimsOf,
  count,
  expectStatus,
  getUser,
  makeAuth,
  mountAuth,
  password,
  post,
  rows,
  signIn,
} from './world.ts'

const users = makeAuth()
const ask = mountAuth(users)
const scope = () => makeBase().scope({ env })
beforeEach(() => freshDatabase([users]))

describe('the module', () => {
  it('is a frozen plain object with its own tables', () => {
    expect(Object.isFrozen(users)).toBe(true)
    expect(users.name).toBe('auth')
    for (const { sql } of users.migrations)
      for (const statement of sql)
        expect(statement).toMatch(
          /^CREATE (?:TABLE|(?:UNIQUE )?INDEX) IF NOT EXISTS leanto_auth_\w+/,
        )
  })

  it('migrates twice without harm, and its drizzle tables are those of the database', async () => {
    expect(await migrate(env.DB as never, [users])).toEqual([])
    for (const statement of users.migrations.flatMap(({ sql }) => sql))
      await env.DB.exec(statement.replace(/\s+/g, ' '))
    for (const table of [
      authUsers,
      authIdentities,
      authSessions,
      authRefreshTokens,
      authTokens,
      authFlows,
      authKeys,
    ]) {
      const real = await rows(
        `SELECT name, type, "notnull", pk FROM pragma_table_info(?)`,
        getTableName(table),
      )
      const drawn = Object.values(getTableColumns(table)).map((column) => ({
        name: column.name === column.keyAsName ? snake(column.name) : column.name,
        type: column.getSQLType().toUpperCase(),
        notnull: Number(column.notNull),
        pk: Number(column.primary),
      }))
      const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
      expect(drawn.sort(byName)).toEqual(real.sort(byName))
    }
  })

  const snake = (name: string) => name.replace(/[A-Z]/g, (char) => `_${char.toLowerCase()}`)

  it.each<[string, unknown]>([
    ['site', { site: undefined }],
    ['site', { site: 'notes.dev' }],
    ['site', { site: 'https://notes.dev/' }],
    ['site', { site: 'https://notes.dev/app' }],
    ['site', { site: 'ftp://notes.dev' }],
    ['path', { site, path: 'auth/v1' }],
    ['path', { site, path: '/auth/v1/' }],
    ['path', { site, path: '' }],
    ['mailer', { site, mailer: {} }],
    ['signUp', { site, signUp: 'no' }],
    ['password.minLength', { site, password: { minLength: 7 } }],
    ['password.minLength', { site, password: { minLength: 8.5 } }],
    ['accessToken.lifetime', { site, accessToken: { lifetime: 0 } }],
    ['refreshToken.grace', { site, refreshToken: { grace: -1 } }],
    ['refreshToken.idle', { site, refreshToken: { idle: 60 } }],
    ['refreshToken.absolute', { site, refreshToken: { absolute: 60 } }],
    ['limits.guesses.max', { site, limits: { guesses: { max: 0, seconds: 60 } } }],
    ['limits.signUps.seconds', { site, limits: { signUps: { max: 1 } } }],
    ['autoconfirm', { site, autoconfirm: false }],
    ['autoconfirm', { site, autoconfirm: 'no' }],
    ['anonymous', { site, anonymous: 1 }],
    ['reauthentication', { site, reauthentication: true }],
    ['sms', { site, sms: {} }],
    ['codes.length', { site, codes: { length: 5 } }],
    ['codes.seconds', { site, codes: { seconds: 0 } }],
    ['redirects', { site, redirects: ['/welcome'] }],
    ['redirects', { site, redirects: ['javascript://x'] }],
    ['redirects', { site, redirects: ['https://**.app.example/'] }],
    ['redirects', { site, redirects: ['https://*/'] }],
    ['with', { site, with: [{}] }],
    ['with', { site, with: [{ name: 'a' }, { name: 'a' }] }],
    ['site', undefined],
  ])('throws a TypeError that names %s when it is built with %j', (name, options) => {
    expect(() => auth(makeBase(), options as AuthOptions<Env>)).toThrow(TypeError)
    expect(() => auth(makeBase(), options as AuthOptions<Env>)).toThrow(`auth: \`${name}\``)
  })

  it('takes its site from the environment, and refuses one that is none', async () => {
    const good = mountAuth(makeAuth({ site: () => 'https://elsewhere.example', path: '/a' }))
    const config = await expectStatus(await good('/auth/v1/.well-known/openid-configuration'), 200)
    expect(config.issuer).toBe('https://elsewhere.example/a')
    const bad = mountAuth(makeAuth({ site: () => 'elsewhere' }))
    expect((await bad('/auth/v1/.well-known/openid-configuration')).status).toBe(500)
  })

  it('lives as long as its options say', async () => {
    const brief = mountAuth(makeAuth({ accessToken: { lifetime: 60 } }))
    const session = await expectStatus(
      await post(brief, '/signup', { email: 'a@b.example', password }),
      200,
    )
    expect(session).toMatchObject({ expires_in: 60, expires_at: clock.now() / 1000 + 60 })
    clock.advance(60)
    expect((await getUser(brief, session.access_token)).status).toBe(403)
  })
})

describe('the host’s own code', () => {
  it('makes users that nobody signed up for', async () => {
    const closed = makeAuth({ signUp: false })
    const user = await closed.createUser(scope(), {
      email: 'Ann@example.com',
      password,
      userMetadata: { name: 'Ann' },
      appMetadata: { plan: 'gold', provider: 'forged' },
    })
    expect(user).toMatchObject({
      email: 'ann@example.com',
      user_metadata: { name: 'Ann' },
      app_metadata: { plan: 'gold', provider: 'email', providers: ['email'] },
    })
    expect(user.last_sign_in_at).toBeUndefined()
    expect(await count('sessions')).toBe(0)
    const again = closed.createUser(scope(), { email: 'ANN@example.com', password })
    await expect(again).rejects.toMatchObject({ code: 'email_exists', status: 422 })
    expect((await signIn(ask, 'ann@example.com')).status).toBe(200)
    await closed.createUser(scope(), { email: 'bob@example.com' })
    expect((await signIn(ask, 'bob@example.com', '')).status).toBe(400)
    await expect(closed.createUser(scope(), { email: 'eve', password })).rejects.toBeInstanceOf(
      Fault,
    )
  })

  it('adds claims to access tokens, and replaces none', async () => {
    const claiming = mountAuth(
      makeAuth({
        before: {
          accessToken: (_, user) => ({
            plan: 'gold',
            sub: 'forged',
            aal: 'aal9',
            mail: user.email,
          }),
        },
      }),
    )
    const up = { email: 'ann@example.com', password }
    const session = await expectStatus(await post(claiming, '/signup', up), 200)
    const claims = claimsOf(session.access_token)
    expect(claims).toMatchObject({ plan: 'gold', mail: 'ann@example.com', aal: 'aal1' })
    expect(claims.sub).toBe(session.user.id)
  })

  it('finds anonymous users gone once their sessions are', async () => {
    const guests = makeAuth({ anonymous: true })
    const guest = await expectStatus(await post(mountAuth(guests), '/signup', {}), 200)
    await expectStatus(
      await post(mountAuth(guests), '/signup', { email: 'a@b.example', password }),
      200,
    )
    await guests.scheduled(scope())
    expect(await count('users')).toBe(2)
    await guests.signOut(scope(), {
      userId: guest.user.id,
      sessionId: claimsOf(guest.access_token).session_id,
      which: 'local',
    })
    await guests.scheduled(scope())
    expect(await rows('SELECT is_anonymous FROM leanto_auth_users')).toEqual([{ is_anonymous: 0 }])
  })

  it('may refuse a sign-up, and hears of one that is stored', async () => {
    const heard: User[] = []
    const hooked = mountAuth(
      makeAuth({
        before: {
          signUp(_, { email, data }) {
            if (!email.endsWith('@example.com'))
              throw new Fault('not_invited', { status: 403, message: 'By invitation only' })
            if (data.bug) throw new Error('a bug of the host’s')
          },
        },
        after: {
          async signUp(_, user) {
            heard.push(user)
            if (user.user_metadata.fail) throw new Error('too late to refuse')
          },
        },
      }),
    )
    const up = (email: string, data = {}) => post(hooked, '/signup', { email, password, data })
    expect(await expectStatus(await up('ann@elsewhere.example'), 403)).toEqual({
      code: 403,
      error_code: 'not_invited',
      msg: 'By invitation only',
    })
    await expectStatus(await up('ann@example.com', { bug: true }), 500)
    expect([await count('users'), heard]).toEqual([0, []])
    const { user } = await expectStatus(await up('Ann@example.com'), 200)
    expect(heard).toEqual([user])
    await expectStatus(await up('ann@example.com'), 422)
    expect(heard).toHaveLength(1)
    await expectStatus(await up('bob@example.com', { fail: true }), 200)
  })
})
