import type { Scope } from '../../core/scope.ts'
import { refuseProvider } from '../identity-routes.ts'
import type { Settings } from '../settings.ts'
import type { OAuthProvider, ProviderStore } from './provider.ts'

/** A mounted provider; or where one may be stored, under its name. */
export type Sought =
  | { readonly provider: OAuthProvider }
  | { readonly store: ProviderStore; readonly name: string }

/** The one part that stores providers, if it is mounted. */
export const storeOf = ({ parts }: Settings): ProviderStore | undefined =>
  parts.find(({ providers }) => providers)?.providers

/** Looks for a provider, by its name in lower case, without a trip. @returns Nothing if there is none by this name, mounted or stored. */
export function seek(settings: Settings, name: string | null | undefined): Sought | undefined {
  if (!name) return undefined
  const found = settings.parts.find((part) => part.provider?.name === name)?.provider
  if (found) return { provider: found as OAuthProvider }
  const store = storeOf(settings)
  return store?.has(name) ? { store, name } : undefined
}

/**
 * The provider of a flow.
 *
 * @param row Of the store's `select`, if there is a store.
 * @throws {Fault} `validation_failed` (400), as GoTrue has it; `provider_disabled` (400).
 */
export async function providerOf(
  settings: Settings,
  scope: Scope,
  name: string | null,
  row: unknown,
): Promise<OAuthProvider> {
  const sought = seek(settings, name) ?? refuseProvider(name)
  return 'provider' in sought ? sought.provider : sought.store.read(scope, sought.name, row)
}
