import { type Resolve, resolveOverHttps } from '../../core/address.ts'
import { oauthDoors, oauthPartFaults, sharedRoutes } from '../oauth/part.ts'
import type { AuthPart } from '../part.ts'
import { documents } from '../providers/cache.ts'
import { customProviderFaults } from './faults.ts'
import { customProviderMigrations } from './migrations.ts'
import { customProviderRoutes } from './routes.ts'
import { providerStore } from './store.ts'
import { reachOf, type Targets } from './targets.ts'

export interface CustomProvidersOptions {
  /** How many there may be, 1 to 1000. @default 100 */
  maxProviders?: number
  /** The addresses of a name, asked before each call to a provider. @default Cloudflare's resolver, over HTTPS */
  resolve?: Resolve
  /**
   * Which URLs a provider may have without any check, as with `http:`, on loopback or inside a private network. For
   * development and tests.
   * @default none
   */
  unsafeAllow?: (url: URL) => boolean
}

const wrong = (option: string, fix: string) =>
  new TypeError(`customProviders: \`${option}\` ${fix}`)

/**
 * OAuth 2.0 and OpenID Connect providers that are added while the app runs, by GoTrue's admin API, and single sign-on by the
 * domain of an address (`/sso`) through those that have domains. People sign in by them, link them and show their ID tokens
 * as with a provider that the code names.
 *
 * The admin API is for the secret API key, or a `serviceToken`, and for nobody else. What a provider's URLs lead to must be
 * public; it is looked at when it is set and before each call.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function customProviders(options: CustomProvidersOptions = {}): AuthPart {
  const { maxProviders = 100, resolve = resolveOverHttps, unsafeAllow = () => false } = options
  if (!Number.isSafeInteger(maxProviders) || maxProviders < 1 || maxProviders > 1000)
    throw wrong('maxProviders', 'must be from 1 to 1000')
  for (const [option, value] of Object.entries({ resolve, unsafeAllow }))
    if (typeof value !== 'function') throw wrong(option, 'must be a function')
  const name = 'custom_providers'
  const targets: Targets = Object.freeze({ resolve, unsafeAllow })
  const reach = reachOf(targets)
  const cache = documents(reach)
  return Object.freeze({
    ...oauthDoors,
    name,
    providers: providerStore(reach, cache),
    faults: Object.freeze({ ...oauthPartFaults, ...customProviderFaults }),
    migrations: customProviderMigrations,
    routes: (doors) => [
      ...sharedRoutes(doors, name),
      ...customProviderRoutes({ settings: doors.settings, targets, cache, maxProviders }),
    ],
  } satisfies AuthPart)
}
