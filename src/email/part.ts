import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import type { Outgoing } from './message.ts'
import type { Rails, Sending } from './send.ts'

/** What a host adds to the module: each of `leanto/email/templates`, `/unsubscribe`, `/events` and `/jobs` makes one. */
export interface Part {
  /** Under the module's mount. */
  routes?<Env>(sending: Sending<Env>): readonly Route[]
  /** The headers of a mail that belongs to a list. */
  listed?(scope: Scope, mail: Outgoing): Promise<Record<string, string>>
  /** What delivers, in the place of `waitUntil` and cron. */
  rails?<Env>(sending: Sending<Env>): Rails
}
