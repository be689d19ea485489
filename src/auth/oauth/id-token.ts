import { Fault } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { named } from '../identity-routes.ts'
import type { Caller, Client } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { Session } from '../wire.ts'
import { arrive } from './arrive.ts'
import { oauthFaults } from './faults.ts'
import { type Sought, seek } from './find.ts'
import { personOf } from './person.ts'
import type { OAuthProvider } from './provider.ts'

export interface SignInWithIdToken {
  /** A mounted provider's name. */
  provider?: string
  /** Instead of the name: the issuer of a mounted provider. */
  issuer?: string
  idToken: string
  accessToken?: string
  nonce?: string
  /** Links to this user instead of signing in. */
  caller?: Caller
  client?: Client
  network?: string | null
}

/**
 * Signs in by an ID token that the client got from a provider by itself. Two trips; none for a token that is not good. One
 * more for a stored provider.
 *
 * @throws {Fault} `validation_failed`, and what `arrive` throws.
 */
export async function signInWithIdToken(
  settings: Settings,
  scope: Scope,
  input: SignInWithIdToken,
): Promise<Session> {
  if (!input.idToken) throw refuse('id_token required')
  if (!input.provider && !input.issuer) throw refuse('provider or client_id and issuer required')
  const provider = await find(settings, scope, input)
  const { idToken: token, nonce, accessToken } = input
  const profile = await provider.idToken?.(scope, { token, nonce, accessToken }).catch((cause) => {
    if (cause instanceof Fault) throw cause
    throw refuse('Bad ID token', cause)
  })
  if (!profile) throw refuse('Bad ID token')
  const arrived = await arrive(settings, scope, {
    person: personOf(provider.name, profile),
    emailOptional: provider.emailOptional ?? false,
    isOpen: provider.isOpen,
    caller: input.caller,
    client: input.client,
    network: input.network ?? null,
  })
  if ('code' in arrived) throw oauthFaults.unexpected_failure()
  return arrived.session
}

const refuse = (message: string, cause?: unknown) =>
  authFaults.validation_failed({ message, cause })

async function find(
  settings: Settings,
  scope: Scope,
  { provider, issuer }: SignInWithIdToken,
): Promise<OAuthProvider> {
  const name = provider?.toLowerCase()
  const sought = name ? seek(settings, name) : issuedBy(settings, issuer)
  const found =
    sought && 'store' in sought
      ? await sought.store.read(
          scope,
          sought.name,
          await sought.store.select(scope, condition('?', sought.name)).first(),
        )
      : sought?.provider
  if (found?.idToken) return found
  if (found)
    throw oauthFaults.provider_disabled({ message: `Provider${named(name)} has no ID tokens` })
  throw refuse(`Custom OIDC provider${named(name)} not allowed`)
}

function issuedBy({ parts }: Settings, issuer: string | undefined): Sought | undefined {
  const mounted = parts.flatMap((part) => (part.provider ? [part.provider as OAuthProvider] : []))
  const provider = mounted.find((one) => one.issues?.(issuer ?? ''))
  return provider && { provider }
}
