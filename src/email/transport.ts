import type { Migration } from '../core/migrate.ts'
import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import type { Outgoing } from './message.ts'

/** What takes mails onward. Each of `leanto/email/…` makes one; one of your own is a literal of this shape. */
export interface Transport<Env = unknown> {
  /** In lower case: `resend`. */
  readonly name: string
  /**
   * Hands one mail over. Its `id` is the idempotency key: the same mail may come again, when the answer was lost.
   *
   * @throws {Undelivered} if it was not taken. Whatever else is thrown counts as one to try again.
   */
  send(scope: Scope<Env>, mail: Outgoing, about: About): Promise<Receipt>
  /** Routes under the module's mount; `capture` has some. */
  readonly routes?: readonly Route[]
  readonly migrations?: readonly Migration[]
}

export interface About {
  /** Whether it was sent in local development. Not what `scope.local` says: a retry runs in a cron's scope. */
  readonly local: boolean
}

export interface Receipt {
  /** How the provider calls it. */
  readonly id?: string | undefined
  /** What went wrong all the same, such as a recipient of several who was refused. */
  readonly warning?: string | undefined
}

/** That a mail was not taken. */
export class Undelivered extends Error {
  override readonly name = 'Undelivered'
  /** Whether it would be no better later. */
  readonly final: boolean
  /** Seconds to wait at least, if it was said. */
  readonly retryAfter: number | undefined

  constructor(
    message: string,
    { final = false, retryAfter }: { final?: boolean; retryAfter?: number | undefined } = {},
  ) {
    super(message)
    this.final = final
    this.retryAfter = retryAfter
  }
}

/** A value, or a function of the bindings that answers it. */
export type Setting<Env> = string | ((env: Env) => string | undefined)

/**
 * @throws {TypeError} if the option is neither text nor a function.
 */
export function checkSetting(where: string, option: unknown, example: string): void {
  if (typeof option !== 'function' && (typeof option !== 'string' || option === ''))
    throw new TypeError(`${where} must be text or a function of env, such as ${example}`)
}

/** @throws {Undelivered} if the bindings have none: it is tried again, for the host may yet set it. */
export function settingOf<Env>(scope: Scope<Env>, where: string, option: Setting<Env>): string {
  const value = typeof option === 'function' ? option(scope.env) : option
  if (typeof value === 'string' && value !== '') return value
  throw new Undelivered(`${where} is not set`)
}
