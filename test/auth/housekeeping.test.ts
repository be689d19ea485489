import { env } from 'cloudflare:workers'
import { handlers, uuidv7 } from 'leanto'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { issuedKeys } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'
import { withFactor } from './mfa-world.ts'
import {
  type Asker,
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  refresh,
  rows,
  signUp,
} from './world.ts'

const make = () => makeAuth({ anonymous: true, with: [mfa(), admin(), issuedKeys()] })
let users = make()
let ask: Asker
beforeEach(async () => {
  users = make()
  ask = mountAuth(users)
  await freshDatabase([users])
})

const upkeep = () => users.scheduled(makeBase().scope({ env }))
const day = 86_400_000

/** Fills a table with as many rows as it says; `i` counts them. */
const fill = (count: number, insert: string, select: string) =>
  rows(
    `INSERT INTO ${insert} WITH RECURSIVE n (i) AS (
       SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT ${select} FROM n`,
  )

/** How many rows of a kind end at a time, and what a run removes of them at most. */
interface Kind {
  most: number
  fill: (count: number, at: number, name: string) => Promise<unknown>
  left: (name: string) => Promise<number>
}

const counted = async (table: string, where: string): Promise<number> =>
  (await rows(`SELECT count(*) AS n FROM ${table} WHERE ${where}`))[0].n

const kinds: Record<string, Kind> = {
  tokens: {
    most: 1000,
    fill: (count, at, name) =>
      fill(
        count,
        `leanto_auth_tokens (hash, kind, user_id, target, code_expires_at, data, created_at, expires_at)`,
        `'${name}' || i, 'magiclink', '${name}' || i, 'x', ${at}, '{}', 1, ${at}`,
      ),
    left: (name) => counted('leanto_auth_tokens', `hash LIKE '${name}%'`),
  },
  flows: {
    most: 1000,
    fill: (count, at, name) =>
      fill(
        count,
        'leanto_auth_flows (id, kind, created_at, expires_at)',
        `'${name}' || i, 'oauth', 1, ${at}`,
      ),
    left: (name) => counted('leanto_auth_flows', `id LIKE '${name}%'`),
  },
  challenges: {
    most: 1000,
    fill: (count, at, name) =>
      fill(
        count,
        'leanto_auth_challenges (id, factor_id, session_id, created_at, expires_at)',
        `'${name}' || i, 'f', 's', 1, ${at}`,
      ),
    left: (name) => counted('leanto_auth_challenges', `id LIKE '${name}%'`),
  },
  sessions: {
    most: 1000,
    async fill(count, at, name) {
      await fill(count, 'leanto_auth_sessions (id, user_id, created_at)', `'${name}' || i, 'u', 1`)
      await fill(
        count,
        'leanto_auth_refresh_tokens (hash, session_id, expires_at)',
        `'${name}' || i, '${name}' || i, ${at}`,
      )
    },
    left: (name) => counted('leanto_auth_sessions', `id LIKE '${name}%'`),
  },
  'refresh tokens that were used': {
    most: 1000,
    async fill(count, at, name) {
      // Of a session that goes on.
      await rows(
        `INSERT INTO leanto_auth_sessions (id, user_id, created_at) VALUES ('of ${name}', 'u', 1)`,
      )
      await rows(
        `INSERT INTO leanto_auth_refresh_tokens (hash, session_id, expires_at) VALUES ('last of ${name}', 'of ${name}', 9e15)`,
      )
      await fill(
        count,
        'leanto_auth_refresh_tokens (hash, session_id, used_at, expires_at)',
        `'used ${name}' || i, 'of ${name}', 1, ${at}`,
      )
    },
    left: (name) => counted('leanto_auth_refresh_tokens', `hash LIKE 'used ${name}%'`),
  },
  budgets: {
    most: 10_000,
    fill: (count, at, name) =>
      fill(
        count,
        'leanto_core_limits (key, period, spent, expires_at)',
        `'${name}' || i, 1, 1, ${Math.floor(at / 1000)}`,
      ),
    left: (name) => counted('leanto_core_limits', `key LIKE '${name}%'`),
  },
  // Kept for a month, so that one sees why a key does not work any more.
  'API keys': {
    most: 1000,
    fill: (count, at, name) =>
      fill(
        count,
        'leanto_auth_api_keys (hash, id, type, name, scopes, hint, created_at, expires_at)',
        `'${name}' || i, '${name}' || i, 'secret', 'x', '[]', 'x', 1, ${at - 30 * day}`,
      ),
    left: (name) => counted('leanto_auth_api_keys', `id LIKE '${name}%'`),
  },
  // By their ids, which begin with the time; 90 days.
  'audit entries': {
    most: 1000,
    fill: (count, at, name) =>
      fill(
        count,
        'leanto_auth_audit (id, action, data, created_at)',
        `'${uuidv7(at - 90 * day - 1).slice(0, 13)}-7' || printf('%09d', i), '${name}', '{}', 1`,
      ),
    left: (name) => counted('leanto_auth_audit', `action = '${name}'`),
  },
}

describe.each(Object.entries(kinds))('%s', (_, kind) => {
  it('that have ended go, a slice at each run, and those that have not stay', async () => {
    const count = kind.most * 2 + 1
    await kind.fill(count, clock.now(), 'over')
    await kind.fill(3, clock.now() + 2 * day, 'alive')
    expect([await kind.left('over'), await kind.left('alive')]).toEqual([count, 3])
    const left: number[] = []
    for (let run = 0; run < 3; run++) {
      await upkeep()
      left.push(await kind.left('over'))
      expect(await kind.left('alive')).toBe(3)
    }
    expect(left).toEqual([kind.most + 1, 1, 0])
  })
})

it('anonymous users without a session go, a slice at each run, and nobody else', async () => {
  await signUp(ask, 'ann@example.com')
  const guest = await expectStatus(await post(ask, '/signup', {}), 200)
  const user = (of: string, anonymous: number) =>
    fill(
      of === 'guest' ? 2001 : 3,
      'leanto_auth_users (id, is_anonymous, app_metadata, user_metadata, created_at, updated_at)',
      `'${of}' || i, ${anonymous}, '{}', '{}', 1, 1`,
    )
  await user('guest', 1)
  // Without a session, an address or anything else, but not anonymous: made by the server.
  await user('made', 0)
  const left: number[] = []
  for (let run = 0; run < 3; run++) {
    await upkeep()
    left.push(await counted('leanto_auth_users', `id LIKE 'guest%'`))
  }
  expect(left).toEqual([1001, 1, 0])
  expect(await counted('leanto_auth_users', '1')).toBe(5)
  expect((await getUser(ask, guest.access_token)).status).toBe(200)
})

it('a guest whose session has ended goes with it, at once', async () => {
  const guest = await expectStatus(await post(ask, '/signup', {}), 200)
  clock.advance(90 * 86_400)
  const ann = await signUp(ask, 'ann@example.com')
  await upkeep()
  expect(await rows('SELECT id FROM leanto_auth_users')).toEqual([{ id: ann.user.id }])
  expect((await refresh(ask, guest.refresh_token)).status).toBe(400)
  expect(await counted('leanto_auth_sessions', '1')).toBe(1)
})

/** Everything that is stored. */
const everything = async (): Promise<string> => {
  const tables = await rows(
    `SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'leanto_%' ORDER BY name`,
  )
  return JSON.stringify(
    await Promise.all(
      tables.map(({ name }: Json) => rows(`SELECT '${name}' AS t, * FROM ${name} ORDER BY 2`)),
    ),
  )
}

/** People in all conditions, none of which has ended, and one second later the runs. */
async function populate() {
  const ann = await signUp(ask, 'ann@example.com')
  const { session } = await withFactor(ask, ann)
  const token = session.access_token
  await post(ask, '/factors/recovery-codes', {}, { token })
  await expectStatus(await post(ask, '/signup', {}), 200)
  const made = { email: 'bob@example.com', password }
  await expectStatus(await post(ask, '/admin/users', made, { key: 'secret' }), 200)
  const invited = { type: 'invite', email: 'cat@example.com' }
  await expectStatus(await post(ask, '/admin/generate_link', invited, { key: 'secret' }), 200)
  await post(ask, '/admin/api-keys', { type: 'secret', name: 'x' }, { key: 'secret' })
  await users.rotateKeys(makeBase().scope({ env }))
  await refresh(ask, session.refresh_token)
  clock.advance(1)
}

it('what has not ended is not touched, however often it runs', async () => {
  await populate()
  const before = await everything()
  await upkeep()
  await Promise.all(Array.from({ length: 5 }, upkeep))
  expect(await everything()).toBe(before)
})

describe('a database that fails', () => {
  const broken = (how: true | 'after') => {
    const db = faulty(env.DB as never, () => how)
    return users.scheduled(makeBase({ db: () => db }).scope({ env }))
  }
  const over = async () => {
    for (const kind of Object.values(kinds)) await kind.fill(10, clock.now(), 'over')
  }
  const left = () => Promise.all(Object.values(kinds).map((kind) => kind.left('over')))
  const none = Object.values(kinds).map(() => 0)

  it('before the upkeep changes nothing, and the next run does all of it', async () => {
    await populate()
    const alive = await everything()
    await over()
    const before = await everything()
    await expect(broken(true)).rejects.toThrow()
    expect(await everything()).toBe(before)
    await upkeep()
    expect(await left()).toEqual(none)
    await rows(`DELETE FROM leanto_auth_sessions WHERE id LIKE 'of %'`)
    await rows(`DELETE FROM leanto_auth_refresh_tokens WHERE hash LIKE 'last of %'`)
    expect(await everything()).toBe(alive)
  })

  it('after the upkeep has done it, and the next run finds nothing', async () => {
    await populate()
    await over()
    await expect(broken('after')).rejects.toThrow()
    expect(await left()).toEqual(none)
    const after = await everything()
    await upkeep()
    expect(await everything()).toBe(after)
  })

  it('is seen by whoever runs the Worker', async () => {
    const base = makeBase({ db: () => faulty(env.DB as never, () => true) })
    const { scheduled } = handlers(base, [users])
    const run = scheduled({ scheduledTime: clock.now() }, env as never, { waitUntil() {} })
    await expect(run).rejects.toThrow(AggregateError)
  })
})

it('has a test for every statement of it', async () => {
  const seen = new Set<string>()
  const db = faulty(env.DB as never, (sql) => {
    for (const text of sql) seen.add(text.match(/DELETE FROM (\w+)/)?.[1] ?? text)
    return false
  })
  await users.scheduled(makeBase({ db: () => db }).scope({ env }))
  expect([...seen].sort()).toEqual([
    'leanto_auth_api_keys',
    'leanto_auth_audit',
    'leanto_auth_challenges',
    'leanto_auth_flows',
    // Of rotated keys: test/auth/token.test.ts.
    'leanto_auth_keys',
    'leanto_auth_refresh_tokens',
    'leanto_auth_sessions',
    'leanto_auth_tokens',
    'leanto_auth_users',
    'leanto_core_limits',
  ])
})
