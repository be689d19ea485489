import type { Statement } from '../../core/database.ts'
import { Fault } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { and } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { sendMail } from '../mails.ts'
import { happened } from '../part.ts'
import { type Challenge, issueAuthCode } from '../pkce.ts'
import { type AuthMethod, answerSession, type Client, startSession } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { Session, SessionRow, UserRow } from '../wire.ts'
import { type Arriving, decide, foundIn, look, soughtOf } from './account.ts'
import { oauthFaults } from './faults.ts'
import type { Plan } from './plans.ts'

export const mostLooks = 4

export interface Arrive extends Arriving {
  /** With one, the answer is a code for its verifier, not a session. */
  challenge?: Challenge | undefined
  /** Given to whoever exchanges the code, sealed. */
  data?: string
  /** @default 'oauth' */
  method?: AuthMethod
  client?: Client | undefined
  network?: string | null
}

/**
 * Lets a person in whom a provider vouches for: finds, makes or links their account, and starts their session. Two trips;
 * two more each time that someone was faster, as in parallel first sign-ins, of which one makes the account.
 *
 * @throws {Fault} What `decide` throws, `conflict`, and what `before.signUp` throws.
 */
export async function arrive(
  settings: Settings,
  scope: Scope,
  arriving: Arrive,
): Promise<{ session: Session } | { code: string }> {
  let asked = false
  for (let looks = 0; looks < mostLooks; looks++) {
    const read = look(settings, scope, soughtOf(scope, arriving))
    // Why nothing was stored the first time.
    if (looks > 0) read.push(...asksOpen(scope, arriving))
    const results = await settings.keys.batch(scope, read)
    if (results[3]?.results[0]?.open === 0) throw oauthFaults.provider_disabled()
    const found = foundIn(results)
    const plan = decide(settings, scope, arriving, found)
    // At whichever look it comes to that: an account may be gone since the first one.
    if (plan.what === 'signedUp' && !asked) {
      await settings.beforeSignUp(scope, {
        email: (arriving.person.verified && arriving.person.email) || '',
        data: arriving.person.data,
      })
      asked = true
    }
    const admitted = await admit(settings, scope, arriving, plan).catch(unlessTaken)
    if (!admitted) continue
    tell(settings, scope, arriving, plan)
    return admitted
  }
  throw authFaults.conflict()
}

const asksOpen = (scope: Scope, { isOpen }: Arriving): Statement[] =>
  isOpen ? [scope.db.prepare(`SELECT ${isOpen.sql} AS open`).bind(...isOpen.values)] : []

/** @returns `undefined` if the address was taken between the look and the write, which was rolled back. */
export function unlessTaken(error: unknown): undefined {
  if (error instanceof Fault || !/UNIQUE/.test(String(error))) throw error
}

/** @returns `undefined` if nothing was stored, because what the plan was made on has changed. */
async function admit(
  settings: Settings,
  scope: Scope,
  { challenge, data, client, person, isOpen, method = 'oauth' }: Arrive,
  plan: Plan,
): Promise<{ session: Session } | { code: string } | undefined> {
  const { statements } = plan
  const user = isOpen ? and(plan.user, isOpen) : plan.user
  if (challenge) {
    const { code, statement } = await issueAuthCode(scope, {
      challenge,
      user,
      method,
      provider: person.provider,
      ...(data === undefined ? {} : { data }),
    })
    const results = await scope.db.batch([...statements, statement])
    return results.at(-1)?.results.length === 1 ? { code } : undefined
  }
  const started = await startSession(settings, scope, { user, method, client })
  const results = await scope.db.batch<SessionRow>([...statements, ...started.statements])
  const row = results.at(-1)?.results[0]
  return row && { session: await answerSession(settings, scope, started, row) }
}

const actions = { signedUp: 'user_signedup', signedIn: 'login', linked: 'identity_linked' } as const

/** Tells whoever should hear of it. */
export function tell(
  settings: Settings,
  scope: Scope,
  { person, network }: Pick<Arrive, 'person' | 'network'>,
  plan: Plan,
): void {
  const { provider } = person
  const { what, userId } = plan
  happened(settings, scope, { action: actions[what], userId, network, data: { provider } })
  if (plan.notify)
    sendMail(settings, scope, 'identity_linked', { email: plan.notify, subject: provider })
  const { afterSignUp } = settings
  if (what !== 'signedUp' || !afterSignUp) return
  const later = async () => {
    const row = await scope.db
      .prepare(`SELECT ${settings.userColumns} FROM leanto_auth_users u WHERE u.id = ?`)
      .bind(userId)
      .first<UserRow>()
    if (row) await afterSignUp(scope, settings.toUser(row))
  }
  scope.waitUntil(later())
}
