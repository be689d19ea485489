import type { Scope } from '../core/scope.ts'
import { type Refresh, refresh } from './refresh.ts'
import type { Caller } from './session.ts'
import type { Settings } from './settings.ts'
import { type SignIn, signIn } from './sign-in.ts'
import { type SignOut, signOut } from './sign-out.ts'
import { type CreateUser, createUser, type SignUp, signUp } from './sign-up.ts'
import { getUser, type UpdateUser, updateUser } from './user.ts'
import type { Session, User } from './wire.ts'

/** What can be done, from HTTP or from the host's own code: scope first, one object second. */
export interface Verbs {
  signUp(scope: Scope, input: SignUp): Promise<Session>
  signIn(scope: Scope, input: SignIn): Promise<Session>
  refresh(scope: Scope, input: Refresh): Promise<Session>
  signOut(scope: Scope, input: SignOut): Promise<void>
  getUser(scope: Scope, caller: Caller): Promise<User>
  updateUser(scope: Scope, input: UpdateUser): Promise<User>
  /** For the server: makes a user without a session, past budgets and `signUp: false`. */
  createUser(scope: Scope, input: CreateUser): Promise<User>
  /**
   * Makes a new signing key. Tokens of the old one stay valid until they expire, and it stays in the JWKS until then.
   *
   * @returns The new `kid`.
   */
  rotateKeys(scope: Scope): Promise<string>
}

export const verbsOf = (settings: Settings): Verbs => ({
  signUp: signUp(settings),
  signIn: signIn(settings),
  refresh: refresh(settings),
  signOut,
  getUser,
  updateUser: updateUser(settings),
  createUser: createUser(settings),
  rotateKeys: (scope) => settings.keys.rotate(scope),
})
