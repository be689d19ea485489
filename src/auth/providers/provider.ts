import {
  type AuthorizationServer,
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  type ClientAuth,
  ClientSecretPost,
  calculatePKCECodeChallenge,
  generateRandomCodeVerifier,
  generateRandomNonce,
  nopkce,
  processAuthorizationCodeResponse,
  validateAuthResponse,
} from 'oauth4webapi'
import { coreFaults } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { oauthPart } from '../oauth/part.ts'
import type { OAuthProvider } from '../oauth/provider.ts'
import { declared, getJson, patience, type Reach, readObject } from '../outbound.ts'
import type { AuthPart } from '../part.ts'
import { type Documents, documents } from './cache.ts'
import { verifyIdToken } from './id-token.ts'
import type { Client, FromEnv, Preset, ProviderOptions, Server } from './preset.ts'

/** What `start` keeps for `finish`. */
interface Kept {
  verifier?: string
  nonce?: string
}

/** What `start` would keep of a provider that is not known yet. */
export const keepAll = (): string =>
  JSON.stringify({ verifier: generateRandomCodeVerifier(), nonce: generateRandomNonce() })

/**
 * Makes a part of what is particular about a provider.
 *
 * @throws {TypeError} if an option is missing.
 */
export function provider<Env>(preset: Preset, options: ProviderOptions<Env>): AuthPart {
  const { name } = preset
  for (const option of ['clientId', 'secret'] as const)
    if (!options?.[option] || !['string', 'function'].includes(typeof options[option]))
      throw new TypeError(`${name}: \`${option}\` must be a string or a function of env`)
  return oauthPart(oauthProvider(preset, options))
}

/**
 * The protocol is oauth4webapi's; ID tokens are verified by jose, by the same rules whether they come with a code or from a
 * client.
 */
export function oauthProvider<Env>(
  preset: Preset,
  options: ProviderOptions<Env>,
  reach: Reach = declared,
  cache: Documents = documents(),
): OAuthProvider {
  const { name, openid } = preset
  const { allow, check } = reach

  const clientOf = (scope: Scope): Client => ({
    id: setting(scope, `${name}: \`clientId\``, options.clientId),
    secret: setting(scope, `${name}: \`secret\``, options.secret),
  })
  const serverOf = async (scope: Scope): Promise<Server> =>
    typeof preset.server === 'function' ? preset.server(scope) : preset.server

  const isIssuer = (server: Server) => openid?.isIssuer ?? ((issuer) => issuer === server.issuer)

  return {
    name,
    ...(preset.formPost ? { formPost: true } : {}),
    emailOptional: options.emailOptional ?? preset.emailOptional ?? false,

    async start(scope, { redirectUri, state, scopes, parameters, keep = '{}' }) {
      const [server, client] = [await serverOf(scope), clientOf(scope)]
      const url = new URL(allow(scope, server.authorize))
      const set = (values: Readonly<Record<string, string>>) => {
        for (const [key, value] of Object.entries(values)) url.searchParams.set(key, value)
      }
      for (const [key, value] of Object.entries(parameters))
        url.searchParams.set(preset.rename?.[key] ?? key, value)
      const asked = [...new Set([...preset.scopes, ...(options.scopes ?? []), ...scopes])]
      const kept = JSON.parse(keep) as Kept
      set({ ...preset.parameters, response_type: 'code', client_id: client.id })
      set({ redirect_uri: redirectUri, state })
      if (asked.length > 0) set({ scope: asked.join(' ') })
      if (preset.pkce ?? true) {
        kept.verifier ??= generateRandomCodeVerifier()
        const challenge = await calculatePKCECodeChallenge(kept.verifier)
        set({ code_challenge: challenge, code_challenge_method: 'S256' })
      }
      if (openid && (openid.nonce ?? true)) {
        kept.nonce ??= generateRandomNonce()
        set({ nonce: kept.nonce })
      }
      return { url: url.href, keep: JSON.stringify(kept) }
    },

    async finish(scope, { redirectUri, state, parameters, keep }) {
      const kept = JSON.parse(keep) as Kept
      const [server, client] = [await serverOf(scope), clientOf(scope)]
      const as: AuthorizationServer = {
        issuer: server.issuer,
        token_endpoint: await check(scope, server.token),
        ...(server.sendsIssuer ? { authorization_response_iss_parameter_supported: true } : {}),
      }
      // Besides `state`, which is checked by then: `iss`, which a mixed-up provider would get wrong (case 27).
      const answer = validateAuthResponse(as, { client_id: client.id }, parameters, state)
      const response = await authorizationCodeGrantRequest(
        as,
        { client_id: client.id },
        await authOf(preset.auth ?? server.auth, scope, client),
        answer,
        redirectUri,
        ((preset.pkce ?? true) && kept.verifier) || nopkce,
        {
          // Where it may be plain, has been checked.
          [allowInsecureRequests]: true,
          headers: { 'user-agent': 'leanto' },
          signal: AbortSignal.timeout(patience),
        },
      )
      const { id_token: idToken, ...tokens } =
        response.status === 200 ? await conformed(preset, response.clone()) : {}
      // Without the ID token, which oauth4webapi would take with a list as `aud`; it is verified below.
      const bare = response.status === 200 ? Response.json(tokens, { status: 200 }) : response
      const checked = await processAuthorizationCodeResponse(as, { client_id: client.id }, bare)
      const accessToken = checked.access_token
      if (openid && (openid.required ?? true) && typeof idToken !== 'string')
        throw new Error(`leanto: ${name} answered no ID token`)
      const claims =
        openid && typeof idToken === 'string'
          ? await verifyIdToken(scope, cache, {
              token: idToken,
              jwksUri: allow(scope, server.jwks as string),
              isIssuer: isIssuer(server),
              audiences: [client.id],
              nonce: (openid.nonce ?? true) ? kept.nonce : undefined,
              accessToken,
              isKeyOf: openid.isKeyOf,
            })
          : undefined
      const get = (url: string, headers?: Readonly<Record<string, string>>) =>
        getJson(scope, url, { authorization: `Bearer ${accessToken}`, ...headers }, reach)
      const source = { client, server, accessToken, tokens, parameters, claims, get }
      const profile = await (preset.profile?.(source) ?? (claims && openid?.profile(claims)))
      if (!profile) throw new Error(`leanto: ${name} answered no profile`)
      return { profile, accessToken, refreshToken: checked.refresh_token }
    },

    ...(openid
      ? {
          async idToken(scope, { token, nonce, accessToken }) {
            const server = await serverOf(scope)
            const claims = await verifyIdToken(scope, cache, {
              token,
              jwksUri: allow(scope, server.jwks as string),
              isIssuer: isIssuer(server),
              audiences: [clientOf(scope).id, ...(options.audiences ?? [])],
              nonce: expectedNonce(options, nonce && (await hex(nonce))),
              accessToken,
              isKeyOf: openid.isKeyOf,
            })
            return openid.profile(claims)
          },
          issues: (issuer) =>
            typeof preset.server === 'object' ? isIssuer(preset.server)(issuer, {}) : false,
        }
      : {}),
  }
}

/** The token answer, as RFC 6749 has it. */
async function conformed(
  { conform }: Preset,
  response: Response,
): Promise<Record<string, unknown>> {
  const answer = await readObject(response)
  // GitHub and Slack answer errors with 200; without an access token it is one all the same.
  return conform ? conform(answer) : answer
}

const authOf = async (
  auth: Preset['auth'] = 'post',
  scope: Scope,
  client: Client,
): Promise<ClientAuth> => {
  if (typeof auth === 'function') return auth(scope, client)
  return auth === 'post' ? ClientSecretPost(client.secret) : basic(client)
}

/** RFC 6749, 2.3.1, but `-`, `.` and `_` as they are: several of these providers do not decode them. */
const basic =
  ({ id, secret }: Client): ClientAuth =>
  (_as, _client, _body, headers) => {
    const credentials = [id, secret].map(encodeURIComponent).join(':')
    headers.set('authorization', `Basic ${btoa(credentials)}`)
  }

const expectedNonce = <Env>(
  { unsafeSkipNonce }: ProviderOptions<Env>,
  hashed: string | undefined | '',
) => hashed || (unsafeSkipNonce ? undefined : null)

/** SHA-256 in hexadecimal: as clients put a nonce into an ID token. */
const hex = async (value: string): Promise<string> =>
  Array.from(
    new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(value))),
    (byte) => byte.toString(16).padStart(2, '0'),
  ).join('')

/** @throws {Fault} `misconfigured` (500) if `env` does not hold it. */
export function setting<Env>(scope: Scope, name: string, value: FromEnv<Env>): string {
  const found = typeof value === 'function' ? value(scope.env as Env) : value
  if (typeof found === 'string' && found !== '') return found
  throw coreFaults.misconfigured({ message: `${name} is empty` })
}
