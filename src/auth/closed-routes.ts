import type { Route } from '../core/routes.ts'
import { authFaults } from './faults.ts'

type Line = readonly [Route[0], string]

/*
 * What GoTrue has and this module has not. Its clients know these paths, and read in the answer why nothing is there. GoTrue
 * asks who calls before some of them; here whoever calls is told the same, which `/settings` does not keep secret either.
 */

const passkeys: readonly Line[] = [
  ['POST', '/passkeys/registration/options'],
  ['POST', '/passkeys/registration/verify'],
  ['POST', '/passkeys/authentication/options'],
  ['POST', '/passkeys/authentication/verify'],
  ['GET', '/passkeys'],
  ['PATCH', '/passkeys/:passkey_id'],
  ['DELETE', '/passkeys/:passkey_id'],
  ['GET', '/admin/users/:user_id/passkeys'],
  ['DELETE', '/admin/users/:user_id/passkeys/:passkey_id'],
]

const oauthServer: readonly Line[] = [
  ['GET', '/.well-known/oauth-authorization-server'],
  ['POST', '/oauth/clients/register'],
  ['POST', '/oauth/token'],
  ['GET', '/oauth/userinfo'],
  ['GET', '/oauth/authorize'],
  ['GET', '/oauth/authorizations/:authorization_id'],
  ['POST', '/oauth/authorizations/:authorization_id/consent'],
  ['GET', '/user/oauth/grants'],
  ['DELETE', '/user/oauth/grants'],
  ['GET', '/admin/oauth/clients'],
  ['POST', '/admin/oauth/clients'],
  ['GET', '/admin/oauth/clients/:client_id'],
  ['PUT', '/admin/oauth/clients/:client_id'],
  ['DELETE', '/admin/oauth/clients/:client_id'],
  ['POST', '/admin/oauth/clients/:client_id/regenerate_secret'],
]

const customProviders: readonly Line[] = [
  ['GET', '/admin/custom-providers'],
  ['POST', '/admin/custom-providers'],
  ['GET', '/admin/custom-providers/:identifier'],
  ['PUT', '/admin/custom-providers/:identifier'],
  ['DELETE', '/admin/custom-providers/:identifier'],
]

const saml: readonly Line[] = [
  ['POST', '/sso'],
  ['GET', '/sso/saml/metadata'],
  ['POST', '/sso/saml/acs'],
  ['GET', '/admin/sso/providers'],
  ['POST', '/admin/sso/providers'],
  ['GET', '/admin/sso/providers/:idp_id'],
  ['PUT', '/admin/sso/providers/:idp_id'],
  ['DELETE', '/admin/sso/providers/:idp_id'],
]

const refusing =
  (fault: () => Error) =>
  ([method, path]: Line): Route => [
    method,
    path,
    () => {
      throw fault()
    },
  ]

const { feature_disabled, passkey_disabled, saml_provider_disabled } = authFaults

/** With the codes and words of GoTrue where the feature is off. */
const closedRoutes: readonly Route[] = [
  ...saml.map(refusing(() => saml_provider_disabled())),
  ...passkeys.map(refusing(() => passkey_disabled())),
  ...oauthServer.map(refusing(() => feature_disabled({ message: 'OAuth server is disabled' }))),
  ...customProviders.map(
    refusing(() => feature_disabled({ message: 'Custom OAuth providers are disabled' })),
  ),
]

/** `routes`, and the closed ones of which they have none. */
export const withClosed = (routes: readonly Route[]): Route[] => [
  ...routes,
  ...closedRoutes.filter(
    ([method, path]) => !routes.some((route) => route[0] === method && route[1] === path),
  ),
]
