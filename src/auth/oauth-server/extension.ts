import type { Statement } from '../../core/database.ts'
import type { Faults } from '../../core/fault.ts'
import type { Migration } from '../../core/migrate.ts'
import type { Principal } from '../../core/ports.ts'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import type { Doors } from '../part.ts'
import type { Client } from '../session.ts'
import type { ClientRow } from './client.ts'
import type { Server } from './settings.ts'

/** What the token endpoint answers (RFC 6749, 5.1; OpenID Connect Core, 3.1.3.3). */
export interface TokenAnswer {
  access_token: string
  token_type: string
  /** Seconds. */
  expires_in: number
  scope: string
  refresh_token?: string
  id_token?: string
}

/** The key that a token is bound to. */
export interface Binding {
  /** The claim `cnf` (RFC 7800). */
  readonly cnf: Readonly<Record<string, string>>
  /** The key's thumbprint (RFC 7638), by which a grant remembers it. */
  readonly jkt: string
  /** What is answered in the place of `Bearer`. */
  readonly tokenType: string
}

/** A request to the token endpoint, whose client has been authenticated. */
export interface TokenRequest {
  readonly request: Request
  readonly form: URLSearchParams
  readonly client: ClientRow
  readonly binding: Binding | undefined
  readonly network: string | null
  readonly device: Client
}

/** Answers one `grant_type`. One trip, so that the endpoint takes two. @throws {Fault} of `oauthServerFaults`. */
export type Grant = (server: Server, scope: Scope, asked: TokenRequest) => Promise<TokenAnswer>

/** More of the server: a further grant, or another kind of token. */
export interface OAuthExtension {
  readonly name: string
  /** By `grant_type`. A client has one only if its `grant_types` name it. */
  readonly grants?: Readonly<Record<string, Grant>>
  /** Of its grants, those with which anyone may register a client. @default [] */
  readonly registrable?: readonly string[]
  readonly routes?: (doors: Doors, server: Server) => readonly Route[]
  /** Members of the discovery documents. */
  readonly metadata?: (issuer: string) => Readonly<Record<string, unknown>>
  /** Ids that sort after `0020_oauth_server`; tables `leanto_auth_oauth_*`. */
  readonly migrations?: readonly Migration[]
  readonly faults?: Faults<Record<string, readonly [number, string]>>
  /** Joins the upkeep's batch. */
  readonly purge?: (scope: Scope) => readonly Statement[]
  /** Joins the batch that deletes a user. */
  readonly removed?: (scope: Scope, userId: string) => readonly Statement[]
  /** Joins the batch that deletes a client. */
  readonly clientRemoved?: (scope: Scope, clientId: string) => readonly Statement[]
  /**
   * The key that a request shows it holds, at the token endpoint and where requests are pushed; nothing if it shows none.
   * @throws {Fault} if what it shows is not valid.
   */
  readonly binding?: (
    server: Server,
    scope: Scope,
    request: Request,
  ) => Promise<Binding | undefined>
  /**
   * Admits a token that is bound to a key, which else nobody takes, to other modules, the host's routes and UserInfo.
   * @throws {Fault} unless the request shows that it holds the key.
   */
  readonly holds?: (
    server: Server,
    scope: Scope,
    principal: Principal,
    request: Request | undefined,
  ) => void | Promise<void>
}

/** The key that a request holds, by whichever extension knows how. */
export async function bindingOf(
  server: Server,
  scope: Scope,
  request: Request,
): Promise<Binding | undefined> {
  for (const { binding } of server.extensions) {
    const found = await binding?.(server, scope, request)
    if (found) return found
  }
  return undefined
}
