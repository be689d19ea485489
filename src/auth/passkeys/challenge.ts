import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import type { Condition } from '../condition.ts'
import { startFlow } from '../pkce.ts'
import { passkeyFaults } from './faults.ts'

/** Seconds in which a challenge may be answered; what an authenticator's own dialog is given too. */
export const challengeSeconds = 300

export interface NewChallenge {
  kind: 'passkey' | 'new-passkey'
  /** Whose answer alone counts; nobody's in particular for a sign-in. */
  userId?: string
  sessionId?: string
  /** Without it nothing is stored. */
  guard: Condition
}

/** What is kept of a challenge. */
interface Kept {
  /** Hashed. */
  challenge: string
  session: string | null
}

/** @returns What the client is given, and the statement that stores it. */
export async function newChallenge(scope: Scope, input: NewChallenge) {
  const id = crypto.randomUUID()
  const challenge = randomToken()
  const kept: Kept = { challenge: await hash(challenge), session: input.sessionId ?? null }
  const insert = await startFlow(scope, id, {
    kind: input.kind,
    ...(input.userId ? { userId: input.userId } : {}),
    data: JSON.stringify(kept),
    guard: input.guard,
    seconds: challengeSeconds,
  })
  const expiresAt = Math.floor(scope.now() / 1000) + challengeSeconds
  return { id, challenge, expiresAt, insert }
}

/** Uses a challenge up, whatever comes of the answer: of many at once, one statement gets it (case 19). */
export const takeChallenge = async (
  scope: Scope,
  { id, kind, userId }: { id: string } & Pick<NewChallenge, 'kind' | 'userId'>,
): Promise<Statement> =>
  scope.db
    .prepare(
      `DELETE FROM leanto_auth_flows WHERE id = ? AND kind = ? AND user_id IS ?
       RETURNING data, expires_at`,
    )
    .bind(await hash(id), kind, userId ?? null)

/**
 * @param read What `takeChallenge` answered.
 * @returns The challenge, hashed.
 * @throws {Fault} `webauthn_challenge_not_found`, `webauthn_challenge_expired`.
 */
export function checkChallenge(scope: Scope, read: unknown, sessionId: string | null): string {
  const row = read as { data: string; expires_at: number } | undefined
  if (!row) throw passkeyFaults.webauthn_challenge_not_found()
  const { challenge, session } = JSON.parse(row.data) as Kept
  if (session !== sessionId) throw passkeyFaults.webauthn_challenge_not_found()
  if (row.expires_at <= scope.now()) throw passkeyFaults.webauthn_challenge_expired()
  return challenge
}
