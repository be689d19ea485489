/** What GoTrue has and this module refuses: the code by which it says so, and the route. */
export const closed = `
saml_provider_disabled POST /sso
saml_provider_disabled GET /sso/saml/metadata
saml_provider_disabled POST /sso/saml/acs
saml_provider_disabled GET /admin/sso/providers
saml_provider_disabled POST /admin/sso/providers
saml_provider_disabled GET /admin/sso/providers/:idp_id
saml_provider_disabled PUT /admin/sso/providers/:idp_id
saml_provider_disabled DELETE /admin/sso/providers/:idp_id
passkey_disabled POST /passkeys/registration/options
passkey_disabled POST /passkeys/registration/verify
passkey_disabled POST /passkeys/authentication/options
passkey_disabled POST /passkeys/authentication/verify
passkey_disabled GET /passkeys
passkey_disabled PATCH /passkeys/:passkey_id
passkey_disabled DELETE /passkeys/:passkey_id
passkey_disabled GET /admin/users/:user_id/passkeys
passkey_disabled DELETE /admin/users/:user_id/passkeys/:passkey_id
feature_disabled GET /.well-known/oauth-authorization-server
feature_disabled POST /oauth/clients/register
feature_disabled POST /oauth/token
feature_disabled GET /oauth/userinfo
feature_disabled GET /oauth/authorize
feature_disabled GET /oauth/authorizations/:authorization_id
feature_disabled POST /oauth/authorizations/:authorization_id/consent
feature_disabled GET /user/oauth/grants
feature_disabled DELETE /user/oauth/grants
feature_disabled GET /admin/oauth/clients
feature_disabled POST /admin/oauth/clients
feature_disabled GET /admin/oauth/clients/:client_id
feature_disabled PUT /admin/oauth/clients/:client_id
feature_disabled DELETE /admin/oauth/clients/:client_id
feature_disabled POST /admin/oauth/clients/:client_id/regenerate_secret
feature_disabled GET /admin/custom-providers
feature_disabled POST /admin/custom-providers
feature_disabled GET /admin/custom-providers/:identifier
feature_disabled PUT /admin/custom-providers/:identifier
feature_disabled DELETE /admin/custom-providers/:identifier
`
  .trim()
  .split('\n')
  .map((line) => {
    const [code = '', method = '', path = ''] = line.split(' ')
    return { code, method, path, asked: path.replace(/:\w+/g, 'some-id') }
  })
