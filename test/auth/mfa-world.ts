import type { Session } from 'leanto/auth'
import { stepAt, totpCode } from '../../src/auth/mfa/totp.ts'
import { clock } from '../kit/world.ts'
import { type Asker, expectStatus, type Json, post } from './world.ts'

/** The authenticator app of a test. @param offset In steps of 30 seconds. */
export const codeOf = (secret: string, offset = 0): Promise<string> =>
  totpCode(secret, stepAt(clock.now()) + offset)

export const enroll = async (ask: Asker, token: string, more: object = {}): Promise<Json> =>
  expectStatus(await post(ask, '/factors', { factor_type: 'totp', ...more }, { token }), 200)

export const challenge = async (ask: Asker, token: string, factorId: string): Promise<Json> =>
  expectStatus(await post(ask, `/factors/${factorId}/challenge`, {}, { token }), 200)

export const verify = (
  ask: Asker,
  token: string,
  { factorId, challengeId, code }: { factorId: string; challengeId: string; code: unknown },
) => post(ask, `/factors/${factorId}/verify`, { challenge_id: challengeId, code }, { token })

/** Challenges and verifies with the right code, after the next step has begun. */
export async function stepUp(
  ask: Asker,
  session: Session,
  factor: { id: string; totp: { secret: string } },
): Promise<Session> {
  clock.advance(30)
  const { id } = await challenge(ask, session.access_token, factor.id)
  const code = await codeOf(factor.totp.secret)
  const shown = { factorId: factor.id, challengeId: id, code }
  return expectStatus(await verify(ask, session.access_token, shown), 200)
}

/** A user's first factor, verified. */
export async function withFactor(ask: Asker, session: Session) {
  const factor = await enroll(ask, session.access_token)
  return { factor, session: await stepUp(ask, session, factor) }
}
