import type { Scope } from './scope.ts'

/** Who asks. Made by an `Identity`, read by policies and by the host's handlers. */
export interface Principal {
  /**
   * The subject: a user's id. For a guest it is `null` at run time, although typed as a string so that a policy can
   * compare it as it is: in SQL `owner_id = NULL` is never true, so what a guest does not own stays closed.
   */
  readonly id: string
  /** `anon` has shown nothing, `authenticated` a valid token, `service` the secret API key. */
  readonly role: 'anon' | 'authenticated' | 'service'
  /** The verified token's claims; empty for `anon` and `service`. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** Says who sent a request. */
export interface Identity {
  /** @throws {Fault} 401 if what the request shows is not valid. A request that shows nothing is a guest. */
  principal(scope: Scope, request: Request): Promise<Principal>
}

/** A mail that is ready to leave. */
export interface Mail {
  to: string
  subject: string
  text: string
  html?: string
}

/** Sends mail. */
export interface Mailer {
  send(scope: Scope, mail: Mail): Promise<void>
}
