import type { Scope } from '../core/scope.ts'
import { emailFaults } from './faults.ts'

/** What a provider reports of a mailbox. */
export interface MailEvent {
  /** `bounce`: there is no such mailbox, or it refuses for good. `complaint`: its owner called it spam. */
  type: 'bounce' | 'complaint'
  address: string
}

export interface Received {
  /** Of this delivery; one that comes again counts no more. */
  id: string
  events: readonly MailEvent[]
}

/** Takes a provider's reports. Each of `leanto/email/…` that has some makes one. */
export interface Webhook<Env = unknown> {
  /** Its route is `/webhooks/<provider>`. */
  readonly provider: string
  /** @throws {Fault} `bad_signature` (401) unless the provider has sent this very body, lately. */
  receive(scope: Scope<Env>, request: Request, body: string): Promise<Received>
}

/** @throws {Fault} `bad_signature` if it is not JSON: it was signed, but not by whom we think. */
export function jsonOf(body: string): Record<string, unknown> {
  try {
    const json = JSON.parse(body)
    if (json !== null && typeof json === 'object') return json
  } catch {}
  throw emailFaults.bad_signature()
}

/** @param seconds How old it may be; it may be 5 minutes early. @throws {Fault} `bad_signature`. */
export function checkFresh(scope: Scope, milliseconds: number, seconds: number): void {
  const age = scope.now() - milliseconds
  if (!(age <= seconds * 1000 && age >= -300_000)) throw emailFaults.bad_signature()
}
