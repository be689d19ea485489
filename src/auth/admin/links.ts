import type { Scope } from '../../core/scope.ts'
import { type Address, requireEmail } from '../address.ts'
import { type Budget, checkSpent, giveBack, networkBudgets, spendAll } from '../budget.ts'
import type { CodeKind } from '../codes.ts'
import { and, byEmail, byId, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { deliver, type PreparedCode, prepareCode } from '../message.ts'
import { checkMetadata, mergeMetadata } from '../metadata.ts'
import { newUser } from '../new-user.ts'
import { happened } from '../part.ts'
import { checkPassword, hashPassword } from '../password.ts'
import { checkRedirect } from '../redirect.ts'
import type { Settings } from '../settings.ts'
import type { Metadata, User, UserRow } from '../wire.ts'
import { notFound, readUser } from './users.ts'

export interface Invite {
  email: string
  /** Becomes `user_metadata`. */
  data?: Metadata | undefined
  redirectTo?: string | undefined
  /** Where the call comes from (`networkOf`); its budget of mails is spent. */
  network?: string | null
}

export type LinkType =
  | 'signup'
  | 'magiclink'
  | 'recovery'
  | 'invite'
  | 'email_change_current'
  | 'email_change_new'

export interface GenerateLink extends Invite {
  type: LinkType
  /** Of a sign-up: what the new user will sign in with. */
  password?: string | undefined
  /** Of a change of address. */
  newEmail?: string | undefined
}

/** The user, and what leads to them: whoever has it is signed in as them. */
export type GeneratedLink = User & {
  action_link: string
  email_otp: string
  hashed_token: string
  verification_type: LinkType
  redirect_to: string
}

const exists = () => authFaults.email_exists()

const selectByEmail = (settings: Settings, scope: Scope, email: string) =>
  readUser(settings, scope, byEmail(email)).first<UserRow>()

/**
 * Makes a user who is still to prove the address, and mails them an invitation; or mails it again. Two trips.
 *
 * @throws {Fault} `email_exists` if the address is somebody's, `email_provider_disabled` without a mailer,
 * `validation_failed`, `rate_limited`, or what `before.signUp` throws.
 */
export const invite =
  (settings: Settings) =>
  async (scope: Scope, input: Invite): Promise<User> => {
    if (!settings.mailer) throw authFaults.email_provider_disabled()
    const { network } = input
    const budgets = networkBudgets(settings, scope, { type: 'email', network })
    const { user, code } = await prepareInvite(settings, scope, input, budgets)
    deliver(settings, scope, code, input.data ?? {})
    return settings.toUser(user)
  }

async function prepareInvite(
  settings: Settings,
  scope: Scope,
  input: Invite,
  budgets: readonly Budget[] = [],
) {
  const email = requireEmail(input.email)
  checkMetadata(input.data ?? {})
  const read = [...spendAll(scope, budgets), readUser(settings, scope, byEmail(email))]
  const results = await scope.db.batch(read)
  checkSpent(scope, budgets, results)
  const known = results.at(-1)?.results[0] as unknown as UserRow | undefined
  try {
    return await storeInvite(settings, scope, { ...input, email }, known)
  } catch (error) {
    // The server is told why nothing was sent, so nothing is counted.
    giveBack(scope, budgets, undefined)
    throw error
  }
}

async function storeInvite(
  settings: Settings,
  scope: Scope,
  { email, redirectTo, data = {} }: Invite,
  known: UserRow | undefined,
) {
  if (known && known.email_confirmed_at !== null) throw exists()
  if (!known) await settings.beforeSignUp(scope, { email, data })
  const now = scope.now()
  const address: Address = { type: 'email', value: email }
  const made = newUser(scope, { address, data, proven: false })
  // Whoever has signed up with the address before, unproven, must not get in by the owner's invitation (cases 3 and 43).
  const pending = and(byEmail(email), condition('u.email_confirmed_at IS NULL'))
  const code = await prepareCode(settings, scope, {
    ...{ kind: 'invite', user: pending, address, redirectTo },
  } as const)
  const mark = scope.db
    .prepare(
      `UPDATE leanto_auth_users AS u SET invited_at = ?, confirmation_sent_at = ?, password = NULL,
         user_metadata = CASE WHEN ? THEN ? ELSE user_metadata END
       WHERE ${pending.sql}`,
    )
    .bind(now, now, known ? 0 : 1, JSON.stringify(data), ...pending.values)
  const results = await scope.db.batch([
    made.insert,
    made.identity,
    mark,
    code.statement,
    readUser(settings, scope, pending),
  ])
  const user = results[4]?.results[0] as unknown as UserRow | undefined
  if (results[3]?.results.length !== 1 || !user) throw exists()
  happened(settings, scope, { action: 'user_invited', userId: user.id })
  return { user, code }
}

/**
 * Makes what a mail would carry, and mails nothing: the server passes it on. Sign-up, invitation and magic link make the
 * user if there is none. Two trips.
 *
 * @throws {Fault} `user_not_found` (404), `email_exists`, `weak_password`, `validation_failed`, or what `before.signUp` throws.
 */
export const generateLink =
  (settings: Settings) =>
  async (scope: Scope, input: GenerateLink): Promise<GeneratedLink> => {
    if (input.type === 'invite') {
      const { user, code } = await prepareInvite(settings, scope, input)
      return answer(settings, scope, input, { user, code, type: 'invite' })
    }
    const email = requireEmail(input.email)
    const known = await selectByEmail(settings, scope, email)
    const type = input.type === 'magiclink' && !known ? 'signup' : input.type
    if (type === 'signup') return signUpLink(settings, scope, { ...input, email, known })
    if (!known) throw notFound()
    if (type === 'email_change_current' || type === 'email_change_new')
      return changeLink(settings, scope, { ...input, type, known })
    const code = await prepareCode(settings, scope, {
      kind: type,
      user: byId(known.id),
      address: { type: 'email', value: email },
      redirectTo: input.redirectTo,
    })
    const sent = scope.db
      .prepare('UPDATE leanto_auth_users SET recovery_sent_at = ? WHERE id = ?')
      .bind(scope.now(), known.id)
    const user = await store(settings, scope, known.id, [sent, code.statement])
    return answer(settings, scope, input, { user, code, type })
  }

async function signUpLink(
  settings: Settings,
  scope: Scope,
  input: GenerateLink & { known: UserRow | null },
): Promise<GeneratedLink> {
  const { email, known, password, data = {}, redirectTo } = input
  if (known && known.email_confirmed_at !== null) throw exists()
  if (input.type === 'signup' && !password)
    throw authFaults.validation_failed({ message: 'Signup requires a valid password' })
  if (password) await checkPassword(settings, scope, password, [email])
  checkMetadata(data)
  if (!known) await settings.beforeSignUp(scope, { email, data })
  const encoded = password ? hashPassword(password) : null
  const address: Address = { type: 'email', value: email }
  const made = newUser(scope, { address, password: encoded, data, proven: false })
  const pending = and(byEmail(email), condition('u.email_confirmed_at IS NULL'))
  const code = await prepareCode(settings, scope, {
    kind: 'signup',
    user: pending,
    address,
    redirectTo,
    keep: encoded !== null,
  })
  const metadata = JSON.stringify(
    known ? mergeMetadata(JSON.parse(known.user_metadata), data) : data,
  )
  const mark = scope.db
    .prepare(
      `UPDATE leanto_auth_users AS u SET password = ?, user_metadata = ?, confirmation_sent_at = ?
       WHERE ${pending.sql}`,
    )
    .bind(encoded, metadata, scope.now(), ...pending.values)
  const statements = [made.insert, made.identity, mark, code.statement]
  const results = await scope.db.batch([...statements, readUser(settings, scope, pending)])
  const user = results[4]?.results[0] as unknown as UserRow | undefined
  if (results[3]?.results.length !== 1 || !user) throw exists()
  return answer(settings, scope, input, { user, code, type: 'signup' })
}

async function changeLink(
  settings: Settings,
  scope: Scope,
  input: GenerateLink & { type: CodeKind; known: UserRow },
): Promise<GeneratedLink> {
  const { known, type, redirectTo } = input
  const to = requireEmail(input.newEmail ?? '')
  const free = condition(
    'u.id = ? AND NOT EXISTS (SELECT 1 FROM leanto_auth_users o WHERE o.email = ? AND o.id <> u.id)',
    known.id,
    to,
  )
  const value = type === 'email_change_new' ? to : (known.email as string)
  const code = await prepareCode(settings, scope, {
    kind: type,
    user: free,
    address: { type: 'email', value },
    redirectTo,
    data: { from: known.email, to },
  })
  const pending = scope.db
    .prepare(
      `UPDATE leanto_auth_users AS u SET email_change = ?, email_change_sent_at = ?,
         email_change_half = CASE WHEN email_change IS ? THEN email_change_half END
       WHERE ${free.sql}`,
    )
    .bind(to, scope.now(), to, ...free.values)
  const user = await store(settings, scope, known.id, [pending, code.statement])
  return answer(settings, scope, input, { user, code, type: input.type as LinkType })
}

/** Runs the statements, of which the last stores the code if its user may have one. */
async function store(
  settings: Settings,
  scope: Scope,
  userId: string,
  statements: Parameters<Scope['db']['batch']>[0],
): Promise<UserRow> {
  const results = await scope.db.batch([...statements, readUser(settings, scope, byId(userId))])
  if (results[statements.length - 1]?.results.length !== 1) throw exists()
  return results.at(-1)?.results[0] as unknown as UserRow
}

function answer(
  settings: Settings,
  scope: Scope,
  { redirectTo }: Invite,
  made: { user: UserRow; code: PreparedCode; type: LinkType },
): GeneratedLink {
  const { user, code, type } = made
  happened(settings, scope, { action: 'link_generated', userId: user.id, data: { type } })
  return {
    ...settings.toUser(user),
    action_link: code.link,
    email_otp: code.code,
    hashed_token: code.tokenHash,
    verification_type: type,
    redirect_to: checkRedirect(settings, scope, redirectTo),
  }
}
