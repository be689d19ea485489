import type { Context } from 'hono'
import * as v from 'valibot'
import { isUuid } from '../../core/id.ts'
import { networkOf } from '../../core/limit.ts'
import type { Route } from '../../core/routes.ts'
import { adminOnly } from '../admin/access.ts'
import { body, clientOf, ok, refuse, text } from '../body.ts'
import type { Doors } from '../part.ts'
import { idParam } from '../request.ts'
import {
  deletePasskey,
  deletePasskeyOf,
  listPasskeys,
  listPasskeysOf,
  renamePasskey,
} from './manage.ts'
import { startRegistration, verifyRegistration } from './register.ts'
import type { PasskeySettings } from './relying-party.ts'
import { startSignIn, verifySignIn } from './sign-in.ts'

type Handler = Route[2]

/** Every route, as GoTrue has it. Those of the server are there where the part `admin` is. */
export function passkeyRoutes(doors: Doors, passkeys: PasskeySettings): Route[] {
  const theirs = '/admin/users/:user_id/passkeys'
  return [
    ['POST', '/passkeys/registration/options', registrationOptions(doors, passkeys)],
    ['POST', '/passkeys/registration/verify', registrationVerify(doors, passkeys)],
    ['POST', '/passkeys/authentication/options', signInOptions(doors, passkeys)],
    ['POST', '/passkeys/authentication/verify', signInVerify(doors, passkeys)],
    ['GET', '/passkeys', list(doors)],
    ['PATCH', '/passkeys/:passkey_id', rename(doors)],
    ['DELETE', '/passkeys/:passkey_id', remove(doors)],
    ...(doors.settings.parts.some(({ name }) => name === 'admin')
      ? [
          ['GET', theirs, only(doors, listOf)] as const,
          ['DELETE', `${theirs}/:passkey_id`, only(doors, removeOf(doors))] as const,
        ]
      : []),
  ]
}

const shownBody = v.object({ challenge_id: text, credential: v.optional(v.unknown()) })
const nameBody = v.object({ friendly_name: text })

async function readShown(c: Context) {
  const { challenge_id: challengeId, credential } = await body(c, shownBody)
  if (!challengeId) throw refuse('challenge_id is required')
  if (credential === undefined || credential === null) throw refuse('credential is required')
  if (!isUuid(challengeId)) throw refuse('challenge_id must be a valid UUID')
  return { challengeId: challengeId.toLowerCase(), credential, network: networkOf(c.req.raw) }
}

const registrationOptions =
  ({ settings, callerOf }: Doors, passkeys: PasskeySettings): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const network = networkOf(c.req.raw)
    return ok(await startRegistration(settings, passkeys)(scope, { ...caller, network }))
  }

const registrationVerify =
  ({ settings, callerOf }: Doors, passkeys: PasskeySettings): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const input = { ...caller, ...(await readShown(c)) }
    return ok(await verifyRegistration(settings, passkeys)(scope, input))
  }

const signInOptions =
  ({ settings }: Doors, passkeys: PasskeySettings): Handler =>
  async (scope, c) =>
    ok(await startSignIn(settings, passkeys)(scope, { network: networkOf(c.req.raw) }))

const signInVerify =
  ({ settings, reply }: Doors, passkeys: PasskeySettings): Handler =>
  async (scope, c) => {
    const input = { ...(await readShown(c)), client: clientOf(c.req.raw) }
    return reply(scope, c.req.raw, await verifySignIn(settings, passkeys)(scope, input))
  }

const list =
  ({ settings, callerOf }: Doors): Handler =>
  async (scope, c) =>
    ok(await listPasskeys(settings)(scope, await callerOf(scope, c.req.raw, { acted: true })))

const rename =
  ({ settings, callerOf }: Doors): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const passkeyId = idParam(c, 'passkey_id')
    const { friendly_name: name } = await body(c, nameBody)
    if (!name) throw refuse('friendly_name is required')
    if (name.length > 120 || /\p{Cc}/u.test(name) || !name.isWellFormed())
      throw refuse('friendly_name must be at most 120 characters of text')
    return ok(await renamePasskey(settings)(scope, { ...caller, passkeyId, name }))
  }

const remove =
  ({ settings, callerOf }: Doors): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    await deletePasskey(settings)(scope, { ...caller, passkeyId: idParam(c, 'passkey_id') })
    return new Response(null, { status: 204 })
  }

/** No handler of the server's is reached but through this. */
function only({ settings }: Doors, handler: Handler): Handler {
  const allow = adminOnly(settings)
  return async (scope, c) => {
    await allow(scope, c.req.raw)
    return handler(scope, c)
  }
}

const listOf: Handler = async (scope, c) =>
  ok(await listPasskeysOf(scope, { userId: idParam(c, 'user_id') }))

const removeOf =
  ({ settings }: Doors): Handler =>
  async (scope, c) => {
    const userId = idParam(c, 'user_id')
    await deletePasskeyOf(settings)(scope, { userId, passkeyId: idParam(c, 'passkey_id') })
    return new Response(null, { status: 204 })
  }
