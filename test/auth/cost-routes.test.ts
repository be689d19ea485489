import { describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  costWorld,
  email,
  expectCost,
  inbox,
  measured,
  type Row,
  type World,
} from './cost-world.ts'
import { challenge, codeOf, enroll, stepUp, verify, withFactor } from './mfa-world.ts'
import { begin, comeBack, departed } from './oauth-world.ts'
import { claimsOf, expectStatus, type Json, password, post, rows, signIn } from './world.ts'

const zero: Row['cost'] = [0, 0, 0, 0]
const owner = (world: World) => ({ token: world.token })
const verifier = 'v'.repeat(43)
const pkce = `code_challenge=${verifier}&code_challenge_method=plain`
const exchange = ({ made }: World): ReturnType<Row['ask']> => [
  '/token?grant_type=pkce',
  { body: { auth_code: made, code_verifier: verifier } },
]
const idToken = (more: object = {}) => ({ provider: 'google', id_token: 'it', ...more })
const mailed = async (world: World, more: object = {}) => {
  await post(world.ask, '/otp', { email, ...more })
  world.made = inbox.token(email)
}
const linkStart = (more = '') => `/user/identities/authorize?provider=google${more}`
const linking =
  (more = '', bound = true) =>
  async (world: World) => {
    const flow = departed(await world.ask(`/auth/v1${linkStart(more)}`, owner(world)))
    world.made = bound ? flow : { ...flow, cookie: '' }
  }
const back = ({ made }: World): ReturnType<Row['ask']> => [
  `/callback?code=it&state=${made.state}`,
  { headers: { cookie: made.cookie } },
]
const codeIn = async (world: World) => {
  const url = await comeBack(world.ask, world.made, 'it')
  world.made = url.searchParams.get('code')
}

const table: Row[] = [
  { name: 'anonymous sign-up', ask: () => ['/signup', { body: {} }], cost: zero },
  { name: 'otp', ask: () => ['/otp', { body: { email } }], cost: zero },
  {
    name: 'otp, of nobody',
    ask: () => ['/otp', { body: { email: 'nobody@example.com', create_user: false } }],
    cost: zero,
  },
  { name: 'recover', ask: () => ['/recover', { body: { email } }], cost: zero },
  {
    name: 'recover, of nobody',
    ask: () => ['/recover', { body: { email: 'nobody@example.com' } }],
    cost: zero,
  },
  {
    name: 'verify, a link',
    prepare: mailed,
    ask: ({ made }) => ['/verify', { body: { type: 'magiclink', token_hash: made } }],
    cost: zero,
  },
  {
    name: 'verify, a code',
    prepare: async (world) => {
      await mailed(world)
      world.made = inbox.code(email)
    },
    ask: ({ made }) => ['/verify', { body: { type: 'email', email, token: made } }],
    cost: zero,
  },
  {
    name: 'verify, a wrong code',
    prepare: mailed,
    ask: () => ['/verify', { body: { type: 'email', email, token: '0000000' } }],
    status: 403,
    cost: zero,
  },
]
void [
  zero,
  exchange,
  idToken,
  linking,
  back,
  codeIn,
  begin,
  challenge,
  codeOf,
  enroll,
  stepUp,
  verify,
  withFactor,
  claimsOf,
  expectStatus,
  password,
  rows,
  signIn,
  clock,
  describe,
  expect,
  pkce,
]
void ({} as Json)

it.each(table.map((row) => [row.name, row] as const))('%s', async (name, row) => {
  const seen: number[][] = []
  for (let i = 0; i < 4; i++) {
    const world = await costWorld()
    await row.prepare?.(world)
    const { cost } = await measured(world, row)
    seen.push([cost.trips, cost.statements, cost.rowsRead, cost.rowsWritten])
  }
  console.log(`COST ${name}: ${JSON.stringify(seen)}`)
  void expectCost
})
