import * as v from 'valibot'
import { isUuid } from '../../core/id.ts'
import { networkOf } from '../../core/limit.ts'
import type { Route } from '../../core/routes.ts'
import { body, ok, text } from '../body.ts'
import { authFaults } from '../faults.ts'
import type { Doors } from '../part.ts'
import { idParam, maybeBody } from '../request.ts'
import { challenge } from './challenge.ts'
import { enroll } from './enroll.ts'
import { mfaFaults } from './faults.ts'
import type { MfaSettings } from './index.ts'
import {
  generateRecoveryCodes,
  recoveryCodesStatus,
  regenerateRecoveryCodes,
  removeRecoveryCodes,
  verifyRecoveryCode,
} from './recovery-codes.ts'
import { securityKeysOf } from './security-keys.ts'
import { unenroll } from './unenroll.ts'
import { verify } from './verify.ts'

type Handler = Route[2]

/** Every route, as GoTrue has it. The recovery codes come first: `:id` would take their name for its own. */
export const mfaRoutes = (doors: Doors, mfa: MfaSettings): Route[] => [
  ['GET', '/factors/recovery-codes', codesStatus(doors)],
  ['POST', '/factors/recovery-codes', generateCodes(doors, mfa)],
  ['DELETE', '/factors/recovery-codes', removeCodes(doors)],
  ['POST', '/factors/recovery-codes/verify', verifyCode(doors, mfa)],
  ['POST', '/factors/recovery-codes/regenerate', regenerateCodes(doors)],
  ['POST', '/factors', enrollFactor(doors, mfa)],
  ['DELETE', '/factors/:factor_id', unenrollFactor(doors)],
  ['POST', '/factors/:factor_id/challenge', challengeFactor(doors, mfa)],
  ['POST', '/factors/:factor_id/verify', verifyFactor(doors, mfa)],
]

const enrollBody = v.object({ factor_type: text, friendly_name: text, issuer: text, phone: text })
const namedBody = v.object({ friendly_name: text })
const verifyBody = v.object({ challenge_id: text, code: text, webauthn: v.optional(v.unknown()) })
const codeBody = v.object({ code: text })

/** As short as a title; it is shown in lists, and in no mail's header. */
function label(name: string, value: string | null | undefined): string | undefined {
  if (value && (value.length > 100 || /\p{Cc}/u.test(value) || !value.isWellFormed()))
    throw authFaults.validation_failed({
      message: `${name} must be at most 100 characters of text`,
    })
  return value ?? undefined
}

const enrollFactor =
  ({ settings, callerOf }: Doors, mfa: MfaSettings): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const input = await body(c, enrollBody)
    const name = label('friendly_name', input.friendly_name)
    const add = enroll(settings, mfa)
    if (input.factor_type === 'totp') {
      const issuer = label('issuer', input.issuer)
      return ok(await add(scope, { ...caller, type: 'totp', name, issuer }))
    }
    if (input.factor_type === 'phone') {
      if (!mfa.phone || !settings.sms) throw mfaFaults.mfa_phone_enroll_not_enabled()
      if (!input.phone)
        throw authFaults.validation_failed({
          message: 'Phone number required to enroll Phone factor',
        })
      return ok(await add(scope, { ...caller, type: 'phone', name, phone: input.phone }))
    }
    if (input.factor_type === 'webauthn') {
      if (!securityKeysOf(settings)) throw mfaFaults.mfa_webauthn_enroll_not_enabled()
      return ok(await add(scope, { ...caller, type: 'webauthn', name }))
    }
    throw authFaults.validation_failed({
      message: 'factor_type needs to be totp, phone, or webauthn',
    })
  }

const unenrollFactor =
  ({ settings, callerOf }: Doors): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    return ok(await unenroll(settings)(scope, { ...caller, factorId: idParam(c, 'factor_id') }))
  }

const challengeFactor =
  ({ settings, callerOf }: Doors, mfa: MfaSettings): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const factorId = idParam(c, 'factor_id')
    const network = networkOf(c.req.raw)
    return ok(await challenge(settings, mfa)(scope, { ...caller, factorId, network }))
  }

const verifyFactor =
  ({ settings, callerOf, reply }: Doors, mfa: MfaSettings): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const factorId = idParam(c, 'factor_id')
    const { challenge_id: challengeId, code, webauthn } = await body(c, verifyBody)
    if (webauthn && !securityKeysOf(settings)) throw mfaFaults.mfa_webauthn_verify_not_enabled()
    if (!code && !webauthn)
      throw authFaults.validation_failed({ message: 'Code needs to be non-empty' })
    if (!isUuid(challengeId))
      throw authFaults.validation_failed({ message: 'challenge_id must be an UUID' })
    const network = networkOf(c.req.raw)
    const shown = { code: code ?? undefined, webauthn, network }
    const input = { ...caller, factorId, challengeId: challengeId.toLowerCase(), ...shown }
    return reply(scope, c.req.raw, await verify(settings, mfa)(scope, input))
  }

const codesStatus =
  ({ callerOf }: Doors): Handler =>
  async (scope, c) =>
    ok(await recoveryCodesStatus(scope, await callerOf(scope, c.req.raw, { acted: true })))

const generateCodes =
  ({ settings, callerOf }: Doors, mfa: MfaSettings): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const name = label('friendly_name', (await maybeBody(c, namedBody)).friendly_name)
    return ok(await generateRecoveryCodes(settings, mfa)(scope, { ...caller, name }))
  }

const regenerateCodes =
  ({ settings, callerOf }: Doors): Handler =>
  async (scope, c) =>
    ok(await regenerateRecoveryCodes(settings)(scope, await callerOf(scope, c.req.raw)))

const removeCodes =
  ({ settings, callerOf }: Doors): Handler =>
  async (scope, c) =>
    ok(await removeRecoveryCodes(settings)(scope, await callerOf(scope, c.req.raw)))

const verifyCode =
  ({ settings, callerOf, reply }: Doors, mfa: MfaSettings): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const { code } = await body(c, codeBody)
    const network = networkOf(c.req.raw)
    const input = { ...caller, code: code ?? '', network }
    return reply(scope, c.req.raw, await verifyRecoveryCode(settings, mfa)(scope, input))
  }
