import { clock } from '../kit/world.ts'
import { aside, email, type Row, token, type World } from './fault-world.ts'
import { challenge, codeOf, enroll, withFactor } from './mfa-world.ts'
import { expectStatus, type Json, post, signIn } from './world.ts'

const prepareFactor = async (world: World) => {
  world.made = await enroll(world.ask, world.session.access_token)
}
const prepareStrong = async (world: World) => {
  const { factor, session } = await withFactor(world.ask, world.session)
  Object.assign(world, { made: factor, session })
}
export const prepareCodes = async (world: World) => {
  await prepareStrong(world)
  const path = '/auth/v1/factors/recovery-codes'
  world.made = await expectStatus(await world.ask(path, { method: 'POST', ...token(world) }), 200)
}
/** Shows a factor anew, as people do after a failure: the next code, for a new challenge. */
const showFactor = async (world: World, offset: number) => {
  const { session, ask, made } = world
  const { id } = await aside(() => challenge(ask, session.access_token, made.id))
  const body = { challenge_id: id, code: await codeOf(made.totp.secret, offset) }
  return post(ask, `/factors/${made.id}/verify`, body, token(world))
}

export const factors: Row[] = [
  {
    name: 'POST /factors',
    call: (world) => post(world.ask, '/factors', { factor_type: 'totp' }, token(world)),
  },
  {
    name: 'POST /factors/:id/challenge',
    prepare: prepareFactor,
    call: (world) => post(world.ask, `/factors/${world.made.id}/challenge`, {}, token(world)),
  },
  {
    name: 'POST /factors/:id/verify, the first time',
    prepare: prepareFactor,
    call: (world) => showFactor(world, 0),
    retry: (world) => showFactor(world, 1),
  },
  {
    name: 'POST /factors/:id/verify',
    prepare: async (world) => {
      await prepareStrong(world)
      clock.advance(60)
      world.session = await expectStatus(await signIn(world.ask, email), 200)
    },
    call: (world) => showFactor(world, 0),
    retry: (world) => showFactor(world, 1),
  },
  {
    name: 'DELETE /factors/:id',
    prepare: prepareStrong,
    call: (world) =>
      world.ask(`/auth/v1/factors/${world.made.id}`, { method: 'DELETE', ...token(world) }),
    answers: [200, 404],
  },
  {
    name: 'GET /factors/recovery-codes',
    prepare: prepareCodes,
    call: (world) => world.ask('/auth/v1/factors/recovery-codes', token(world)),
  },
  {
    name: 'POST /factors/recovery-codes',
    prepare: prepareStrong,
    call: (world) => post(world.ask, '/factors/recovery-codes', {}, token(world)),
    // They are there, and nobody has seen them.
    retry: (world) => post(world.ask, '/factors/recovery-codes/regenerate', {}, token(world)),
    answers: [200, 404],
  },
  {
    name: 'POST /factors/recovery-codes/verify',
    prepare: async (world) => {
      await prepareCodes(world)
      world.session = await expectStatus(await signIn(world.ask, email), 200)
    },
    call: (world) =>
      post(
        world.ask,
        '/factors/recovery-codes/verify',
        { code: world.made.codes[0] },
        token(world),
      ),
    retry: (world) =>
      post(
        world.ask,
        '/factors/recovery-codes/verify',
        { code: world.made.codes[1] },
        token(world),
      ),
  },
  {
    name: 'POST /factors/recovery-codes/regenerate',
    prepare: prepareCodes,
    call: (world) => post(world.ask, '/factors/recovery-codes/regenerate', {}, token(world)),
  },
  {
    name: 'DELETE /factors/recovery-codes',
    prepare: prepareCodes,
    call: (world) =>
      world.ask('/auth/v1/factors/recovery-codes', { method: 'DELETE', ...token(world) }),
    answers: [200, 404],
  },
  { name: 'GET /sessions', call: (world) => world.ask('/auth/v1/sessions', token(world)) },
  {
    name: 'DELETE /sessions/:id',
    prepare: async (world) => {
      await signIn(world.ask, email)
      const list = await expectStatus(await world.ask('/auth/v1/sessions', token(world)), 200)
      world.made = list.find(({ current }: Json) => !current)
    },
    call: (world) =>
      world.ask(`/auth/v1/sessions/${world.made.id}`, { method: 'DELETE', ...token(world) }),
    answers: [204, 404],
  },
]
