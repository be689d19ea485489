import * as v from 'valibot'
import { isStorable } from '../../core/body.ts'
import { data, refuse, text } from '../body.ts'
import { normaliseEmail } from '../email.ts'
import { flag } from '../request.ts'
import { attributes } from './profile.ts'
import type { Config, ProviderType } from './record.ts'
import { closedNow, type Targets } from './targets.ts'

/** What an admin sends, and whether it may be. */

const isTexts = (value: unknown) =>
  Array.isArray(value) && value.every((entry) => typeof entry === 'string')
const texts = v.nullish(v.custom<string[]>(isTexts, 'must be a list of strings'))

export const configBody = v.object({
  ...{ name: text, client_id: text, client_secret: text, enabled: flag },
  ...{ acceptable_client_ids: texts, scopes: texts, custom_claims_allowlist: texts },
  ...{ pkce_enabled: flag, attribute_mapping: data, authorization_params: data },
  ...{ email_optional: flag, skip_nonce_check: flag, issuer: text, discovery_url: text },
  ...{ authorization_url: text, token_url: text, userinfo_url: text, jwks_uri: text },
  ...{ domains: texts, unsafe_trust_emails: flag },
})

export type ConfigInput = v.InferOutput<typeof configBody>

/** In characters: of a text, of what is in a list, of a URL. Issuers are kept in each identity. */
const most = { name: 100, client_id: 512, entry: 255, url: 2048, issuer: 1000 }
/** Entries of a list or map. */
const mostEntries = 50

/** The protocol's own, and what would change where the answer goes or how. */
const reserved: readonly string[] = [
  ...['client_id', 'client_secret', 'redirect_uri', 'response_type', 'response_mode', 'state'],
  ...['nonce', 'scope', 'code_challenge', 'code_challenge_method', 'code_verifier', 'code'],
  ...['request', 'request_uri', 'registration', 'id_token', 'access_token'],
]

const defaults = {
  acceptable_client_ids: [],
  custom_claims_allowlist: [],
  pkce_enabled: true,
  attribute_mapping: {},
  authorization_params: {},
  email_optional: false,
  skip_nonce_check: false,
  domains: [],
  unsafe_trust_emails: false,
} satisfies Partial<Config>

const lists = ['acceptable_client_ids', 'scopes', 'custom_claims_allowlist', 'domains'] as const
const urls = {
  oidc: ['issuer', 'discovery_url'],
  oauth2: ['authorization_url', 'token_url', 'userinfo_url', 'jwks_uri', 'issuer'],
} as const
const optional = { oidc: ['discovery_url'], oauth2: ['jwks_uri', 'issuer'] }

/**
 * What a provider is with this input over what it was. As in GoTrue, what is missing, `null` or an empty text stays.
 *
 * @throws {Fault} `validation_failed` (400), which names what is wrong.
 */
export async function configWith(
  type: ProviderType,
  before: Config | undefined,
  input: ConfigInput,
  targets: Targets,
): Promise<Config> {
  const own: readonly string[] = urls[type]
  const isOthers = (name: string) => /_ur[li]$/.test(name) && !own.includes(name)
  const given = Object.entries(input).filter(
    ([name, value]) =>
      // `''` too: nothing is unset by it.
      (value || value === false) && !/^(?:client_secret|enabled)$/.test(name) && !isOthers(name),
  )
  const config = { ...defaults, scopes: [], ...before, ...Object.fromEntries(given) } as Config
  checkText('name', config.name, most.name)
  checkText('client_id', config.client_id, most.client_id)
  for (const name of lists) checkList(name, config[name])
  if (config.scopes.some((scope) => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)))
    throw refuse('scopes must be as in RFC 6749, 3.3')
  checkMapping(type, config.attribute_mapping)
  checkParameters(config.authorization_params)
  if (type === 'oidc') config.scopes = openidScopes(config.scopes)
  config.domains = domainsOf(type, config)
  for (const name of urls[type]) {
    const url = config[name]
    // One that stays is checked before each call, and may be out of reach while its provider is disabled.
    if (url && url !== before?.[name]) await checkUrl(name, url, targets)
    if (!url && !optional[type].includes(name)) throw refuse(`${name} is required`)
  }
  return config
}

/** What signing in needs, unless others are wished for. */
const openidScopes = (scopes: readonly string[]): string[] =>
  scopes.length === 0 ? ['openid', 'profile', 'email'] : [...new Set(['openid', ...scopes])]

const isText = (value: unknown, length: number): value is string =>
  typeof value === 'string' &&
  value.trim() !== '' &&
  value.length <= length &&
  isStorable(value) &&
  !/\p{Cc}/u.test(value)

/** @throws {Fault} `validation_failed` (400). */
export function checkText(name: string, value: unknown, length: number): void {
  if (!isText(value, length)) throw refuse(`${name} must be text of at most ${length} characters`)
}

function checkList(name: string, list: readonly string[]): void {
  if (list.length > mostEntries || list.some((entry) => !isText(entry, most.entry)))
    throw refuse(`${name} must be at most ${mostEntries} texts of at most ${most.entry} characters`)
}

function checkMapping(type: ProviderType, mapping: Readonly<Record<string, unknown>>): void {
  for (const [target, source] of Object.entries(mapping)) {
    if (!attributes.includes(target))
      throw refuse(`attribute_mapping may set ${attributes.join(', ')}`)
    // The subject of a verified token is who it is about (OpenID Connect Core 2), and no other claim is.
    if (target === 'sub' && type === 'oidc')
      throw refuse('attribute_mapping cannot set sub of an OIDC provider')
    if (!isText(source, most.entry)) throw refuse(`attribute_mapping: ${target} must name a claim`)
  }
}

function checkParameters(parameters: Readonly<Record<string, unknown>>): void {
  const entries = Object.entries(parameters)
  if (entries.length > mostEntries)
    throw refuse(`authorization_params must be at most ${mostEntries}`)
  for (const [name, value] of entries) {
    if (reserved.includes(name.toLowerCase()))
      throw refuse(`Cannot override reserved OAuth parameter: ${name}`)
    if (!isText(name, 64) || name === '__proto__')
      throw refuse('authorization_params: a name is not allowed')
    if (!isText(value, 1024)) throw refuse('Authorization parameters must be strings')
  }
}

function domainsOf(type: ProviderType, { domains, unsafe_trust_emails }: Config): string[] {
  if (unsafe_trust_emails && domains.length === 0) throw refuse('unsafe_trust_emails needs domains')
  if (domains.length > 0 && type !== 'oidc') throw refuse('domains are for OIDC providers')
  return [
    ...new Set(
      domains.map((written) => {
        const domain = normaliseDomain(written)
        if (!domain) throw refuse('domains must be such as example.com')
        return domain
      }),
    ),
  ]
}

/** A domain in the spelling in which it stands in addresses. */
export function normaliseDomain(domain: string): string | undefined {
  const found = normaliseEmail(`x@${domain.trim()}`)?.slice(2)
  return found?.includes('.') ? found : undefined
}

async function checkUrl(name: string, url: string, targets: Targets): Promise<void> {
  const length = name === 'issuer' ? most.issuer : most.url
  if (!isText(url, length) || /\s/.test(url))
    throw refuse(`${name} must be a URL of at most ${length} characters`)
  const closed = await closedNow(targets, url)
  if (closed) throw refuse(`${name} ${closed}`)
  const { hash, search } = new URL(url)
  // RFC 8414, 2: an issuer has no query.
  if (hash || url.includes('#') || (name === 'issuer' && (search || url.includes('?'))))
    throw refuse(`${name} must be without a ${search ? 'query' : 'fragment'}`)
}
