import type { Context } from 'hono'
import type { Statement } from '../core/database.ts'
import type { Faults } from '../core/fault.ts'
import type { Migration } from '../core/migrate.ts'
import type { Principal } from '../core/ports.ts'
import type { Route, RouteEntry } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import type { Condition } from './condition.ts'
import type { SecurityKeys } from './mfa/security-keys.ts'
import type { ProviderStore } from './oauth/provider.ts'
import type { ExchangeCode } from './pkce.ts'
import type { Refresh } from './refresh.ts'
import type { Caller } from './session.ts'
import type { Settings } from './settings.ts'
import type { Origin } from './sign-up.ts'
import type { Verbs } from './verbs.ts'
import type { Session, SessionRow, User, UserRow } from './wire.ts'

/** What routes reach, those of `auth` itself and those of its parts. */
export interface Doors {
  readonly settings: Settings
  readonly verbs: Verbs
  /** The scope of a request to the host's own routes. */
  readonly scopeOf: (c: Context) => Scope
  /**
   * Whose token a request shows. Not of someone who acts for that user, unless a route says that they may: one that only
   * reads, or ends what they do (case 18).
   *
   * @param open Says so. @default { acted: false }
   * @throws {Fault} `no_authorization` (401; 403 for whoever acts for another), `bad_jwt` (403).
   */
  readonly callerOf: (
    scope: Scope,
    request: Request,
    open?: { readonly acted: boolean },
  ) => Promise<Caller>
  /**
   * The same, past the parts that say whom other modules meet: for what is not about the caller's own account.
   *
   * @throws {Fault} What `callerOf` and `admit` throw.
   */
  readonly admittedOf: (scope: Scope, request: Request) => Promise<Caller>
  /**
   * Answers a session as the mounted parts have it (a cookie mode sets its cookies here).
   * @param response @default 200 with the session as JSON
   */
  readonly reply: (
    scope: Scope,
    request: Request,
    session: Session,
    response?: Response,
  ) => Response
}

/** Something that happened and is stored. No secret is in it. */
export interface AuthEvent {
  readonly action: string
  readonly userId?: string | undefined
  readonly network?: string | null | undefined
  readonly data?: Readonly<Record<string, unknown>>
}

/** What a user is about to change about themselves. */
interface UserChanges {
  readonly email?: string | undefined
  readonly phone?: string | undefined
  readonly password?: string | undefined
  /** A provider whose identity they link or unlink. */
  readonly identity?: string | undefined
  /** Whether they add or remove a passkey. */
  readonly passkey?: boolean | undefined
  /** A client of OAuth that they let act for them, by its id. */
  readonly grant?: string | undefined
}

/**
 * An optional part of `auth`, given as `auth(base, { with: [mfa(), google({ … })] })`. Everything that it does not say is
 * not there: a part that is not mounted costs neither bytes nor rows.
 */
export interface AuthPart {
  /** Unique among the mounted parts; of an OAuth provider, the provider's name. */
  readonly name: string
  readonly routes?: (doors: Doors) => readonly Route[]
  /** More of `/token?grant_type=`. */
  readonly grants?: Readonly<Record<string, (doors: Doors) => Route[2]>>
  /** Ids that sort after `0001_accounts`; tables `leanto_auth_*`. */
  readonly migrations?: readonly Migration[]
  readonly faults?: Faults<Record<string, readonly [number, string]>>
  /** Exchanges a code of a kind of its own; nothing for any other. */
  readonly redeem?: (
    settings: Settings,
    scope: Scope,
    input: ExchangeCode,
  ) => Promise<Session> | undefined
  /** Changes the session that a code is exchanged for; `data` is what the code was issued with. */
  readonly exchanged?: (scope: Scope, data: string, session: Session) => Promise<Session>
  /** Set by OAuth providers; what they are is said in `src/auth/providers`. Listed as `external` in `/settings`. */
  readonly provider?: { readonly name: string }
  /** OAuth providers that are stored. One part has them at most. */
  readonly providers?: ProviderStore
  /** SQL expressions over the user `u`, each with `AS name`, read wherever a user is read. */
  readonly columns?: readonly string[]
  /** SQL expressions over the session `s`, each with `AS name`, read wherever a session is: for `claims`. */
  readonly sessionColumns?: readonly string[]
  /** Adds to the user that is shown what was read by `columns`. */
  readonly show?: (row: UserRow & Record<string, unknown>, user: User) => User
  /** Runs before a user changes themselves; throws a Fault to refuse. `session` has the session's `aal`. */
  readonly beforeUpdate?: (
    row: UserRow & Record<string, unknown>,
    changes: UserChanges,
    session: { aal: string },
  ) => void
  /** Joins the batch that starts a session; the session is there unless the batch's guards refused it. */
  readonly started?: (scope: Scope, sessionId: string) => readonly Statement[]
  /** Verifies second factors of the type `webauthn`; without it there are none. */
  readonly securityKeys?: (settings: Settings) => SecurityKeys
  /**
   * Joins the batch in which someone is the first to prove the address of an account: what it could be signed in to by
   * until then may be another's (case 3). `user` selects the one user `u`; nobody, if the address was proven before.
   */
  readonly claimed?: (scope: Scope, user: Condition) => readonly Statement[]
  /** Joins the batch that deletes a user. */
  readonly removed?: (scope: Scope, userId: string) => readonly Statement[]
  /** What of this part goes along with users who move: the `field` of a `Moved` that `moving` must then be given. */
  readonly moves?: string
  /** Joins the batch that ends a user's sessions: those elsewhere, which other issuers' tokens are of, end as well. */
  readonly ended?: (scope: Scope, ending: Ending) => readonly Statement[]
  /** Hears of what is stored, after the answer. */
  readonly happened?: (scope: Scope, event: AuthEvent) => void | Promise<void>
  /** Changes the answer that carries a session. */
  readonly reply?: (
    scope: Scope,
    request: Request,
    session: Session,
    response: Response,
  ) => Response
  /** Runs before a route of `auth` answers; throws a Fault to refuse. May read a copy of the request's body. */
  readonly guard?: (scope: Scope, request: Request, route: RouteEntry) => void | Promise<void>
  /** A token that a request shows elsewhere than in `Authorization`. @throws {Fault} to refuse the request. */
  readonly credential?: (scope: Scope, request: Request) => string | null
  /**
   * Whose a request is whose `Authorization` has a scheme of its own; nothing for any other. `bearer` says whose a token is, also
   * one that is bound to a key, which the scheme must ask a proof of. @throws {Fault} to refuse the request.
   */
  readonly scheme?: (
    settings: Settings,
    scope: Scope,
    request: Request,
    bearer: (token: string) => Promise<Principal>,
  ) => Promise<Principal> | undefined
  /** Whose API key this is, if it is none of the derived ones. */
  readonly keyed?: (scope: Scope, key: string) => Promise<Principal | null>
  /** Verifies a token of another issuer; `null` if it is none of its own. @throws {Fault} `bad_token` (401). */
  readonly trusted?: (scope: Scope, token: string) => Promise<Principal | null>
  /** Who such a token's bearer is to `auth` itself; nothing if it is one of ours. */
  readonly caller?: (scope: Scope, principal: Principal) => Caller | undefined
  /** Exchanges a refresh token that is none of ours; nothing for any other. */
  readonly refresh?: (
    settings: Settings,
    scope: Scope,
    input: Refresh & Origin,
  ) => Promise<Session> | undefined
  /** Claims of an access token, which the host's hook cannot set; `session` has what `columns` and `sessionColumns` read. */
  readonly claims?: (
    user: User,
    session: SessionRow & Record<string, unknown>,
  ) => Record<string, unknown>
  /** Refuses whom other modules and the host's routes must not meet, although their token is good. */
  readonly admit?: (
    settings: Settings,
    scope: Scope,
    principal: Principal,
    /** Nothing where somebody is to be let in elsewhere. */
    request: Request | undefined,
  ) => void | Promise<void>
  /** Says more of whom other modules and the host's routes meet. */
  readonly identified?: (
    settings: Settings,
    scope: Scope,
    principal: Principal,
  ) => Principal | Promise<Principal>
  /** Members of `/.well-known/openid-configuration`, in the place of those of `auth` itself. */
  readonly metadata?: (issuer: string) => Readonly<Record<string, unknown>>
  /** Joins the upkeep's batch. */
  readonly purge?: (scope: Scope) => readonly Statement[]
}

/**
 * What a part keeps of users, as far as it goes along when they move here or away. Apart from the part itself, so that
 * nobody carries it who moves nobody: `moving({ parts: [movedFactors] })`.
 */
export interface Moved {
  /** Its name in a user's line, which has a list there. */
  readonly field: string
  /** SQL over the user `u`: a JSON list of what is kept. */
  readonly column: string
  /** What `column` read, as it leaves: text that is sealed here is of no use elsewhere. */
  readonly exported: (scope: Scope, kept: readonly never[]) => Promise<readonly object[]>
  /**
   * Checks the list of a line.
   *
   * @returns Rows for `store`, and a word for each entry that cannot be kept.
   * @throws {Fault} `validation_failed`: the user is refused.
   */
  readonly imported: (
    scope: Scope,
    userId: string,
    list: readonly unknown[],
  ) => Promise<{ rows: readonly object[]; notes: readonly string[] }>
  /** Joins the batch that stores users. @param replaced JSON list of the ids of those who lose what they had. */
  readonly store: (
    scope: Scope,
    rows: readonly object[],
    replaced: string | null,
  ) => readonly Statement[]
}

/** Tells of a user who was made. */
export function signedUp(
  settings: Settings,
  scope: Scope,
  row: UserRow,
  network: string | null | undefined,
): void {
  happened(settings, scope, { action: 'user_signedup', userId: row.id, network })
  const { afterSignUp } = settings
  if (afterSignUp)
    scope.waitUntil(Promise.resolve().then(() => afterSignUp(scope, settings.toUser(row))))
}

/** Sessions that end. */
export interface Ending {
  /** Selects the one user `u`; nobody, if nothing is to end after all. */
  readonly user: Condition
  /** One session's id, or `aal1` for those that have shown no second factor. @default all */
  readonly which?: string
  /** The id of the one that goes on. */
  readonly spared?: string
}

export const endElsewhere = (
  { parts }: Settings,
  scope: Scope,
  ending: Ending,
): readonly Statement[] => parts.flatMap((part) => part.ended?.(scope, ending) ?? [])

/** Tells the parts and the host, after the answer. */
export function happened({ parts, afterEvent }: Settings, scope: Scope, event: AuthEvent): void {
  for (const tell of [...parts.map((part) => part.happened), afterEvent])
    if (tell) scope.waitUntil(Promise.resolve().then(() => tell(scope, event)))
}
