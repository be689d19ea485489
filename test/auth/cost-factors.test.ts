import { describe, expect, it } from 'vitest'
import { costWorld, email, expectCost, measured, type Row, type World } from './cost-world.ts'
import { challenge, codeOf, enroll, withFactor } from './mfa-world.ts'
import { expectStatus, post, signIn } from './world.ts'

/* Second factors: each route, and each answer that has a cost of its own. */

const owner = ({ token }: World) => ({ token })
const totp = { factor_type: 'totp' }
const codesPath = '/factors/recovery-codes'

/** The session has shown its factor. */
const raised = async (world: World) => {
  const { factor, session } = await withFactor(world.ask, world.session)
  Object.assign(world, { made: factor, session, token: session.access_token })
}
const covered = async (world: World) => {
  await raised(world)
  const { codes } = await expectStatus(await post(world.ask, codesPath, {}, owner(world)), 200)
  world.made = { factor: world.made, codes }
}
const challenged = async (world: World) => {
  const factor = await enroll(world.ask, world.token)
  const { id } = await challenge(world.ask, world.token, factor.id)
  world.made = { factor, id, code: await codeOf(factor.totp.secret) }
}
const phone = async (world: World) => {
  const body = { factor_type: 'phone', phone: '15550100555' }
  world.made = await expectStatus(await post(world.ask, '/factors', body, owner(world)), 200)
}
const verifying =
  (code?: string) =>
  (world: World): ReturnType<Row['ask']> => [
    `/factors/${world.made.factor.id}/verify`,
    { body: { challenge_id: world.made.id, code: code ?? world.made.code }, ...owner(world) },
  ]

const table: Row[] = [
  {
    name: 'enroll, an app',
    ask: (world) => ['/factors', { body: totp, ...owner(world) }],
    cost: [1, 4, 7, 2],
  },
  {
    name: 'enroll, a phone',
    ask: (world) => [
      '/factors',
      { body: { factor_type: 'phone', phone: '15550100555' }, ...owner(world) },
    ],
    cost: [1, 4, 7, 2],
  },
  {
    name: 'challenge, an app',
    prepare: async (world) => {
      world.made = await enroll(world.ask, world.token)
    },
    ask: (world) => [`/factors/${world.made.id}/challenge`, { body: {}, ...owner(world) }],
    cost: [1, 4, 12, 3],
  },
  {
    name: 'challenge, a phone',
    prepare: phone,
    ask: (world) => [`/factors/${world.made.id}/challenge`, { body: {}, ...owner(world) }],
    cost: [2, 7, 20, 9],
  },
  { name: 'verify', prepare: challenged, ask: verifying(), cost: [2, 17, 48, 16] },
  {
    name: 'verify, a wrong code',
    prepare: challenged,
    ask: verifying('wrong'),
    status: 422,
    cost: [1, 6, 14, 6],
  },
  {
    name: 'unenroll',
    prepare: raised,
    ask: (world) => [`/factors/${world.made.id}`, { method: 'DELETE', ...owner(world) }],
    cost: [1, 4, 14, 2],
  },
  {
    name: 'recovery codes',
    prepare: raised,
    ask: (world) => [codesPath, { body: {}, ...owner(world) }],
    cost: [1, 4, 25, 22],
  },
  {
    name: 'recovery codes, how many',
    prepare: covered,
    ask: (world) => [codesPath, owner(world)],
    cost: [1, 3, 19, 0],
  },
  {
    name: 'recovery codes, anew',
    prepare: covered,
    ask: (world) => [`${codesPath}/regenerate`, { body: {}, ...owner(world) }],
    cost: [1, 5, 51, 31],
  },
  {
    name: 'recovery codes, one shown',
    prepare: covered,
    ask: (world) => [
      `${codesPath}/verify`,
      { body: { code: world.made.codes[0] }, ...owner(world) },
    ],
    cost: [2, 14, 45, 11],
  },
  {
    name: 'recovery codes, a wrong one',
    prepare: covered,
    ask: (world) => [`${codesPath}/verify`, { body: { code: 'wrong' }, ...owner(world) }],
    status: 422,
    cost: [1, 4, 8, 2],
  },
  {
    name: 'recovery codes, removed',
    prepare: covered,
    ask: (world) => [codesPath, { method: 'DELETE', ...owner(world) }],
    cost: [1, 4, 40, 11],
  },
]

it.each(table.map((row) => [row.name, row] as const))('%s', async (_, row) => {
  const world = await costWorld()
  await row.prepare?.(world)
  expectCost(await measured(world, row), row.cost)
})

describe('the table', () => {
  it('has every route of second factors', async () => {
    const world = await costWorld()
    const routes = world.users.table.filter(({ path }) => path.startsWith('/factors'))
    const asked = new Set<string>()
    for (const row of table) {
      await costWorld()
      const fresh = await costWorld()
      await row.prepare?.(fresh)
      const [path, more = {}] = row.ask(fresh)
      const method = more.method ?? (more.body === undefined ? 'GET' : 'POST')
      asked.add(`${method} ${path.replace(/[\da-f]{8}-[\da-f-]{27}/, ':factor_id')}`)
    }
    expect([...asked].sort()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).sort())
    await signIn(world.ask, email)
  })
})
