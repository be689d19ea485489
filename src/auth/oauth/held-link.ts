import { isUuid } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { type Condition, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { type Challenge, checkFlow, type FlowRow, matching, startFlow, takeFlow } from '../pkce.ts'
import { answerSession, type Caller, type Client, startSession } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { Session, SessionRow } from '../wire.ts'
import {
  type Arriving,
  decide,
  type Found,
  foundIn,
  linkTarget,
  look,
  type Sought,
  soughtOf,
} from './account.ts'
import { mostLooks, tell, unlessTaken } from './arrive.ts'
import { providerOf, storeOf } from './find.ts'
import { type LinkQuestion, questionOf } from './link-page.ts'
import type { Person } from './person.ts'

/*
 * A link that came back to a browser of which we do not know that it is the one that began: nothing is linked yet. Whoever
 * starts a link to his own account and sends the provider's address to someone else gains nothing by it: with PKCE the link
 * is made by the holder of the verifier, who has to have the code as well, and the code is in the other's browser. Without,
 * whoever sits at the browser is asked.
 */

const codeKind = 'link-code'
const formKind = 'link-form'
/** Seconds in which a held link may be made. */
const heldSeconds = 300

interface Kept {
  readonly person: Person
  readonly caller: Caller
  /** The provider's tokens, sealed. */
  readonly tokens: string
}

export interface HoldLink extends Arriving {
  caller: Caller
  tokens: string
  /** Where it leads, checked. */
  target: string
  challenge?: Challenge | undefined
}

/** A version 8 UUID (RFC 9562, 5.8): by it `/token` knows, without a look, that this code links. */
const linkCode = (): string => crypto.randomUUID().replace(/^(.{14})4/, '$18')

const isLinkCode = (code: string): boolean => isUuid(code) && code[14] === '8'

/**
 * Keeps what a provider has proven for whoever may link it. Two trips.
 *
 * @returns The code of `linkHeld`, or the form's token and what to ask.
 * @throws {Fault} what stands against the link already.
 */
export async function holdLink(
  settings: Settings,
  scope: Scope,
  input: HoldLink,
): Promise<{ token: string; question: LinkQuestion }> {
  const { person, caller, tokens, target, challenge, isOpen } = input
  const found = foundIn(
    await settings.keys.batch(scope, look(settings, scope, soughtOf(scope, input))),
  )
  const user = linkTarget(scope, input, found)
  const token = challenge ? linkCode() : randomToken()
  const kept: Kept = { person, caller, tokens }
  const statement = await startFlow(scope, token, {
    kind: challenge ? codeKind : formKind,
    provider: person.provider,
    challenge,
    redirectTo: target,
    data: JSON.stringify(kept),
    userId: caller.userId,
    seconds: heldSeconds,
    ...(isOpen ? { guard: isOpen } : {}),
  })
  await statement.run()
  return { token, question: questionOf(person, user, { token, target }) }
}

/** A held link that was found, with what is known of who it is about. */
export interface HeldLink extends Arriving {
  readonly caller: Caller
  readonly tokens: string
  readonly target: string
  readonly found: Found
  /** Its row, as long as it may be used. */
  readonly flow: Condition
  readonly again: () => Promise<HeldLink>
}

/** By the token of a page's form. One trip. @throws {Fault} `flow_state_not_found`, `flow_state_expired`. */
export const findByForm = (settings: Settings, scope: Scope, token: string): Promise<HeldLink> =>
  find(settings, scope, { kind: formKind, token, matches: condition('1') })

/** Forgets what a page asked about. One trip. @returns Where it led. */
export async function dropLink(scope: Scope, token: string): Promise<string | null> {
  const flow = await (await takeFlow(scope, { [formKind]: token })).first<FlowRow>()
  return flow?.redirect_to ?? null
}

/**
 * By the code in the address bar, of whoever has the verifier. One trip. A wrong verifier leaves the code to the right one.
 *
 * @returns Nothing if it is a code of another kind.
 * @throws {Fault} `flow_state_not_found`, `flow_state_expired`, `bad_code_verifier`.
 */
export const findByCode = (
  settings: Settings,
  scope: Scope,
  { authCode, codeVerifier }: { authCode: string; codeVerifier: string },
): Promise<HeldLink> | undefined =>
  isLinkCode(authCode)
    ? matching(codeVerifier).then((matches) =>
        find(settings, scope, { kind: codeKind, token: authCode, matches }),
      )
    : undefined

interface Shown {
  kind: string
  token: string
  /** Asks of the flow's row. */
  matches: Condition
}

async function find(
  settings: Settings,
  scope: Scope,
  shown: Shown,
  sought?: Sought,
): Promise<HeldLink> {
  const { kind, token, matches } = shown
  const here = condition('id = ? AND kind = ?', await hash(token), kind)
  // The first time, who it is about is known to the flow alone.
  const of = (sql: string) =>
    condition(`(SELECT ${sql} FROM leanto_auth_flows WHERE ${here.sql})`, ...here.values)
  const unknown: Sought = {
    provider: of('provider'),
    subject: of(`data ->> '$.person.subject'`),
    email: of(`CASE WHEN data ->> '$.person.verified' THEN data ->> '$.person.email' END`),
    user: of('user_id'),
    may: condition('1'),
  }
  const row = scope.db
    .prepare(
      `SELECT provider, data, redirect_to, expires_at, (${matches.sql}) AS matches
       FROM leanto_auth_flows WHERE ${here.sql}`,
    )
    .bind(...matches.values, ...here.values)
  const stored = storeOf(settings)?.select(scope, of('provider'))
  const read = [row, ...look(settings, scope, sought ?? unknown), ...(stored ? [stored] : [])]
  const [looked, ...results] = await settings.keys.batch(scope, read)
  const flow = checkFlow(scope, looked?.results[0])
  const kept = JSON.parse(flow.data as string) as Kept
  const provider = await providerOf(settings, scope, flow.provider, results[3]?.results[0])
  const arriving = { ...kept, emailOptional: provider.emailOptional ?? false }
  return {
    ...arriving,
    target: flow.redirect_to as string,
    found: foundIn(results),
    flow: condition(
      `${here.sql} AND expires_at > ? AND (${matches.sql})`,
      ...here.values,
      scope.now(),
      ...matches.values,
    ),
    again: () => find(settings, scope, shown, soughtOf(scope, arriving)),
  }
}

/**
 * Makes a held link and starts a session, in the one batch that uses the link up: whatever stands against it by then, of the
 * identity, the user, the session that asked or the flow, is asked in it. One trip; two more each time that someone was
 * faster.
 *
 * @throws {Fault} What `decide` throws, `flow_state_not_found`, `conflict`.
 */
export async function linkHeld(
  settings: Settings,
  scope: Scope,
  first: HeldLink,
  { client, network }: { client?: Client; network?: string | null },
): Promise<Session> {
  let held = first
  for (let looks = 0; looks < mostLooks; looks++) {
    if (looks > 0) held = await held.again()
    const there = condition(
      `EXISTS (SELECT 1 FROM leanto_auth_flows WHERE ${held.flow.sql})`,
      ...held.flow.values,
    )
    const plan = decide(settings, scope, held, held.found, there)
    const started = await startSession(settings, scope, {
      user: plan.user,
      method: 'oauth',
      client,
    })
    const use = scope.db
      .prepare(
        `DELETE FROM leanto_auth_flows WHERE ${held.flow.sql}
           AND EXISTS (SELECT 1 FROM leanto_auth_sessions WHERE id = ?)`,
      )
      .bind(...held.flow.values, started.id)
    const statements = [...plan.statements, ...started.statements, use]
    const results = await scope.db.batch<SessionRow>(statements).catch(unlessTaken)
    const row = results?.at(-2)?.results[0]
    if (!row) continue
    tell(settings, scope, { person: held.person, network: network ?? null }, plan)
    return answerSession(settings, scope, started, row)
  }
  throw authFaults.conflict()
}
