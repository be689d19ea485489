import type { QueryResult, Statement } from '../../core/database.ts'
import type { Faults } from '../../core/fault.ts'
import type { Migration } from '../../core/migrate.ts'
import type { Principal } from '../../core/ports.ts'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import type { AuthPart, Doors } from '../part.ts'
import type { Client } from '../session.ts'
import type { ClientRow } from './client.ts'
import { authenticateClient } from './client-auth.ts'
import { invalidRequest } from './form.ts'
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

/** What a request shows of a key, checked, but for its one use. */
export interface ShownBinding extends Binding {
  /** Joins the trip that reads the client. */
  readonly use?: Statement
  /** @param used What `use` answered. @throws {Fault} if it was used before. */
  readonly check?: (used: QueryResult | undefined) => void
  /** Of the answer. */
  readonly headers?: Readonly<Record<string, string>>
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
  /** Members of the metadata of protected resources (RFC 9728, 2). */
  readonly resourceMetadata?: Readonly<Record<string, unknown>>
  /** Ids that sort after `0020_oauth_server`; tables `leanto_auth_oauth_*`. */
  readonly migrations?: readonly Migration[]
  readonly faults?: Faults<Record<string, readonly [number, string]>>
  /** Joins the upkeep's batch. */
  readonly purge?: (scope: Scope) => readonly Statement[]
  /** As the one of `AuthPart`: what a user's sessions have begun ends with them. */
  readonly ended?: AuthPart['ended']
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
  ) => Promise<ShownBinding | undefined>
  /** As the one of `AuthPart`: of a scheme for tokens that are bound to a key. */
  readonly scheme?: AuthPart['scheme']
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

/**
 * Who asks, and which key they hold, by whichever extension knows how: one trip, in which what they show of the key is used up.
 *
 * @throws {Fault} as `authenticateClient`, and what the extension throws.
 */
export async function authenticateBound(
  server: Server,
  scope: Scope,
  { request, form }: { request: Request; form: URLSearchParams },
): Promise<{ client: ClientRow; binding: ShownBinding | undefined }> {
  const binding = await shownBinding(server, scope, request)
  const more = binding?.use ? [binding.use] : []
  const shown = { request, form, more }
  const { client, results } = await authenticateClient(server.settings, scope, shown)
  binding?.check?.(results[0])
  if (client.dpop_bound === 1 && !binding)
    throw invalidRequest('The tokens of this client must be bound to a key')
  return { client, binding }
}

async function shownBinding(
  server: Server,
  scope: Scope,
  request: Request,
): Promise<ShownBinding | undefined> {
  for (const { binding } of server.extensions) {
    const found = await binding?.(server, scope, request)
    if (found) return found
  }
  return undefined
}
