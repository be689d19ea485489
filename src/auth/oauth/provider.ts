import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import type { Condition } from '../condition.ts'
import type { Metadata } from '../wire.ts'

/** An address as a provider knows it. */
export interface ProviderEmail {
  readonly email: string
  /** Whether the provider vouches that the mailbox is this person's. `false` where it does not say. */
  readonly verified: boolean
  readonly primary?: boolean
}

/** Whom a provider has signed in. */
export interface Profile {
  /** The provider's own id of the account, which it never gives to anyone else. */
  readonly subject: string
  readonly emails: readonly ProviderEmail[]
  /** Becomes `identity_data` and part of `user_metadata`; names as GoTrue has them. Nothing is granted by it. */
  readonly data: Metadata
}

/** What a provider has answered to a code. */
export interface Arrival {
  readonly profile: Profile
  /** For the client, which may call the provider with it; it is not kept. */
  readonly accessToken: string
  readonly refreshToken?: string | undefined
}

/** What a sign-in sets out with. */
interface Departure {
  /** This module's callback. */
  readonly redirectUri: string
  readonly state: string
  /** What the client asks for besides the provider's own scopes. */
  readonly scopes: readonly string[]
  /** Parameters that the client hands through, such as `prompt`. Those of the protocol itself are not among them. */
  readonly parameters: Readonly<Record<string, string>>
  /** What `finish` will need, if that had to be made before the provider was known. */
  readonly keep?: string
}

/**
 * The port of an OAuth provider, by shape: `src/auth/providers` has those that speak the protocol, and a test may bring a
 * literal. Whatever a provider cannot be sure of, it throws (case 30).
 */
export interface OAuthProvider {
  readonly name: string
  /** Whether the answer comes as a POST from the provider's page, which carries no `SameSite=Lax` cookie. */
  readonly formPost?: boolean
  /** Whether someone without a verified address may sign up; their user then has no address at all. */
  readonly emailOptional?: boolean
  /** Of a stored one: that it is as it was read, and people may sign in by it. Asked by whatever lets someone in. */
  readonly isOpen?: Condition
  /** @returns Where to lead the browser, and what `finish` needs again: a secret, stored sealed. */
  start(scope: Scope, departure: Departure): Promise<{ url: string; keep: string }>
  /**
   * Exchanges the code of an answer.
   *
   * @param parameters Of the callback; `state` is checked already.
   * @throws {Fault} that the client may see. Anything else it throws denies as well.
   */
  finish(
    scope: Scope,
    answer: { redirectUri: string; state: string; parameters: URLSearchParams; keep: string },
  ): Promise<Arrival>
  /**
   * Verifies an ID token that a client got by itself (One Tap, a phone's own sign-in).
   *
   * @param nonce What the client hashed (SHA-256, hex) into the token's `nonce`.
   * @throws {Fault}
   */
  readonly idToken?: (
    scope: Scope,
    shown: { token: string; nonce?: string | undefined; accessToken?: string | undefined },
  ) => Promise<Profile>
  /** Whether an ID token of this issuer is the provider's. */
  readonly issues?: (issuer: string) => boolean
}

/** Providers that are stored in the database: which there are, a look tells. */
export interface ProviderStore {
  /** Whether this may be the name of one. */
  has(name: string): boolean
  /** Selects a provider by its name, or SQL that answers it. For a batch that is made anyway. */
  select(scope: Scope, name: Condition): Statement
  /** That there is such a provider, and that people may sign in by it. */
  isOpen(name: string): Condition
  /** What `finish` will need, made before the provider was read. */
  keep(): string
  /**
   * Makes the provider of what `select` has read.
   *
   * @throws {Fault} if there is none, or nobody may sign in by it.
   */
  read(scope: Scope, name: string, row: unknown): Promise<OAuthProvider>
}
