import type { Scope } from '../core/scope.ts'
import { type SignInAnonymously, signInAnonymously } from './anonymous.ts'
import { type Resend, recover, resend, type SendCode, type SendOtp, sendOtp } from './otp.ts'
import { type ExchangeCode, exchangeAuthCode } from './pkce.ts'
import { type Reauthenticate, reauthenticate } from './reauthenticate.ts'
import { type Refresh, refresh } from './refresh.ts'
import type { Caller } from './session.ts'
import type { Settings } from './settings.ts'
import { type SignIn, signIn } from './sign-in.ts'
import { type SignOut, signOut } from './sign-out.ts'
import { type CreateUser, createUser, type Origin, type SignUp, signUp } from './sign-up.ts'
import { getUser, type UpdateUser, updateUser } from './user.ts'
import { type Verify, verify, verifyForCode } from './verify.ts'
import type { Session, User } from './wire.ts'

/** What can be done, from HTTP or from the host's own code: scope first, one object second. */
export interface Verbs {
  /** @returns A user who is still to be confirmed, unless `autoconfirm` signs them in at once. */
  signUp(scope: Scope, input: SignUp): Promise<Session | User>
  signIn(scope: Scope, input: SignIn): Promise<Session>
  signInAnonymously(scope: Scope, input: SignInAnonymously): Promise<Session>
  sendOtp(scope: Scope, input: SendOtp): Promise<void>
  recover(scope: Scope, input: SendCode): Promise<void>
  resend(scope: Scope, input: Resend): Promise<void>
  /** @returns `null` if a change of address still waits for the other mailbox. */
  verify(scope: Scope, input: Verify): Promise<Session | null>
  /** @returns A code for `exchangeCode`, or `null` as `verify`. */
  verifyForCode(scope: Scope, input: Verify & { tokenHash: string }): Promise<string | null>
  exchangeCode(scope: Scope, input: ExchangeCode): Promise<Session>
  /** @param input.network Only for tokens of elsewhere, whose budget is spent. */
  refresh(scope: Scope, input: Refresh & Origin): Promise<Session>
  signOut(scope: Scope, input: SignOut): Promise<void>
  getUser(scope: Scope, caller: Caller): Promise<User>
  updateUser(scope: Scope, input: UpdateUser): Promise<User>
  reauthenticate(scope: Scope, input: Reauthenticate): Promise<void>
  /** For the server: makes a user without a session, past budgets and `signUp: false`. */
  createUser(scope: Scope, input: CreateUser): Promise<User>
  /**
   * Makes a new signing key. Tokens of the old one stay valid until they expire, and it stays in the JWKS until then.
   *
   * @returns The new `kid`.
   */
  rotateKeys(scope: Scope): Promise<string>
}

/** By the part that knows what to make of a token that is none of ours. */
function movedBy(
  settings: Settings,
  scope: Scope,
  input: Refresh & Origin,
): Promise<Session> | undefined {
  for (const part of settings.parts) {
    const session = part.refresh?.(settings, scope, input)
    if (session) return session
  }
  return undefined
}

export const verbsOf = (settings: Settings): Verbs => ({
  signUp: signUp(settings),
  signIn: signIn(settings),
  signInAnonymously: signInAnonymously(settings),
  sendOtp: sendOtp(settings),
  recover: recover(settings),
  resend: resend(settings),
  verify: verify(settings),
  verifyForCode: verifyForCode(settings),
  exchangeCode: exchangeAuthCode(settings),
  refresh: (scope, input) => movedBy(settings, scope, input) ?? refresh(settings)(scope, input),
  signOut: signOut(settings),
  getUser: getUser(settings),
  updateUser: updateUser(settings),
  reauthenticate: reauthenticate(settings),
  createUser: createUser(settings),
  rotateKeys: (scope) => settings.keys.rotate(scope),
})
