import { coreFaults } from '../../core/fault.ts'
import type { Limit } from '../../core/limit.ts'
import type { Scope } from '../../core/scope.ts'
import type { Settings } from '../settings.ts'
import type { OAuthClient } from './client.ts'
import type { OAuthExtension } from './extension.ts'

export const partName = 'oauth_server'

type Awaitable<T> = T | Promise<T>

/** Something of the host's that tokens are for (RFC 8707, RFC 9728), such as an MCP server. */
export interface ProtectedResource {
  /** What people call it. */
  name?: string
  /** Which of `scopes` it asks for. @default all of the host's own */
  scopes?: readonly string[]
}

/** Why a client is looked at. */
export type ClientChange = 'registered' | 'created' | 'updated'

export interface OAuthServerOptions {
  /**
   * The path on `site` of the host's own consent page, which gets `?authorization_id=` and answers by
   * `auth.oauth.approveAuthorization`. @default a page of ours, for sessions in cookies
   */
  consentPage?: string
  /**
   * The path on `site` to which our page leads whoever has to sign in first; it gets `?redirect_to=`, the way back.
   * @default our page says that one must sign in
   */
  signInPage?: string
  /**
   * The host's own scopes, with what each lets a client do, as its user reads it: `{ notes: 'Read and change your notes' }`. A
   * client's token reaches other modules and the host's routes only if it was granted one of them.
   * @default {} (none: clients learn who someone is, as far as `openid email phone profile` go, and nothing else)
   */
  scopes?: Readonly<Record<string, string>>
  /**
   * What tokens can be asked for by `resource` (RFC 8707), by a path on `site` or a whole URL. Such a token is good there and
   * nowhere else. @default {}
   */
  resources?: Readonly<Record<string, ProtectedResource>>
  /**
   * Whether anyone may register a client (RFC 7591), as clients of MCP do; `{ max, seconds }` is how many from one network.
   * @default false
   */
  registration?: boolean | Limit
  /** Schemes of native apps' redirect URIs that are not a domain turned round, such as `cursor`. @default [] */
  schemes?: readonly string[]
  /** Whether every request for authorization must be pushed (RFC 9126). @default false */
  requirePushed?: boolean
  before?: {
    /**
     * Runs before a client is stored, on every path there is; throws a `Fault` to refuse it. `client` is as it would be
     * stored.
     */
    client?: (scope: Scope, client: OAuthClient, change: ClientChange) => Awaitable<void>
  }
  /** Further grants and kinds of tokens. */
  with?: readonly OAuthExtension[]
}

/** The options, checked and filled in, with what they stand on. */
export interface Server {
  readonly settings: Settings
  readonly consentPage: string | undefined
  readonly signInPage: string | undefined
  readonly scopes: Readonly<Record<string, string>>
  readonly resources: Readonly<Record<string, ProtectedResource>>
  readonly registration: Limit | false
  readonly schemes: readonly string[]
  readonly requirePushed: boolean
  readonly beforeClient: NonNullable<NonNullable<OAuthServerOptions['before']>['client']>
  readonly extensions: readonly OAuthExtension[]
}

const wrong = (option: string, fix: string) => new TypeError(`oauthServer: \`${option}\` ${fix}`)

/** Scopes of OpenID Connect (Core, 5.4), with what the consent page says of each. */
export const openidScopes: Readonly<Record<string, string>> = Object.freeze({
  openid: 'Know that it is you',
  profile: 'See your name and picture',
  email: 'See your email address',
  phone: 'See your phone number',
})

const isPath = (path: unknown): path is string =>
  typeof path === 'string' && /^\/(?![/\\])[\w./~%-]*$/.test(path)

const isWhole = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 1

/** Dangerous ones are no app's: their addresses run or show what is in them. */
const unsafeSchemes = [
  'javascript',
  'data',
  'vbscript',
  'file',
  'blob',
  'about',
  'http',
  'https',
  'ws',
  'wss',
  'ftp',
  'mailto',
  'tel',
  'intent',
  'view-source',
  'filesystem',
]

/** @throws {TypeError} that names the option and the fix. */
export function checkOptions(options: OAuthServerOptions): Omit<Server, 'settings'> {
  const { consentPage, signInPage, scopes = {}, resources = {}, schemes = [] } = options
  for (const [name, path] of Object.entries({ consentPage, signInPage }))
    if (path !== undefined && !isPath(path))
      throw wrong(name, 'must be a path on `site`, such as /oauth/consent')
  for (const [name, says] of Object.entries(scopes)) {
    // RFC 6749, 3.3: printable ASCII but for space, quotes and backslash.
    if (!/^[!#-[\]-~]{1,64}$/.test(name) || Object.hasOwn(openidScopes, name))
      throw wrong(
        'scopes',
        `holds ${JSON.stringify(name)}, which is no name for a scope of your own`,
      )
    if (typeof says !== 'string' || says === '')
      throw wrong('scopes', `must say what ${name} lets a client do`)
  }
  for (const [at, { scopes: wanted = [] }] of Object.entries(resources)) {
    if (!isPath(at) && !(URL.canParse(at) && /^https?:\/\/[^#?]+$/.test(at)))
      throw wrong(
        'resources',
        `holds ${JSON.stringify(at)}; write it as /mcp or https://api.example/mcp`,
      )
    const unknown = wanted.find((name) => !Object.hasOwn(scopes, name))
    if (unknown !== undefined)
      throw wrong('resources', `asks for ${unknown}, which \`scopes\` has not`)
  }
  for (const scheme of schemes)
    if (!/^[a-z][a-z0-9+.-]*$/.test(scheme) || unsafeSchemes.includes(scheme))
      throw wrong('schemes', `holds ${JSON.stringify(scheme)}, which is no app’s own`)
  const { registration = false, requirePushed = false } = options
  if (
    typeof registration !== 'boolean' &&
    !(isWhole(registration?.max) && isWhole(registration.seconds))
  )
    throw wrong('registration', 'must be true, false or { max, seconds }')
  const extensions = options.with ?? []
  if (extensions.some((one) => typeof one?.name !== 'string'))
    throw wrong('with', 'must list extensions')
  return {
    consentPage,
    signInPage,
    scopes,
    resources,
    registration: registration === true ? { max: 20, seconds: 3600 } : registration,
    schemes,
    requirePushed,
    beforeClient: options.before?.client ?? (() => undefined),
    extensions,
  }
}

/** What may be asked for at all: those of OpenID, and the host's own. */
export const allScopes = ({ scopes }: Pick<Server, 'scopes'>): string[] => [
  ...Object.keys(openidScopes),
  ...Object.keys(scopes),
]

/** The declared resources, by their whole URLs. */
export const resourcesOf = (
  { settings, resources }: Server,
  scope: Scope,
): Map<string, ProtectedResource> =>
  new Map(
    Object.entries(resources).map(([at, resource]) => [
      new URL(at, settings.site(scope)).href,
      resource,
    ]),
  )

export const notMounted = () =>
  coreFaults.misconfigured({ message: 'oauthServer: must be listed in the `with` of auth first' })
