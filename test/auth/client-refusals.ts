import { vi } from 'vitest'
import { signedIn, type World } from './client-world.ts'
import type { Json } from './world.ts'

/*
 * The methods whose server is still to come (passkeys, being an OAuth server, custom providers, SSO, wallets): each reads in
 * the answer why nothing is there.
 */

interface Refusal {
  code: string
  status: number
  call: (world: World) => Promise<{ error: unknown }>
}

const id = '00000000-0000-7000-8000-000000000000'

/** Browsers, as far as the client looks before it asks. */
const inBrowser = (call: (world: World) => Promise<{ error: unknown }>) => (world: World) => {
  vi.stubGlobal('window', { PublicKeyCredential: {}, location: { href: 'https://app.example/' } })
  vi.stubGlobal('document', {})
  vi.stubGlobal('navigator', { credentials: { create() {}, get() {} } })
  return call(world)
}

const refusal =
  (code: string, status: number) =>
  (call: (world: World) => Promise<{ error: unknown }>): Refusal => ({
    code,
    status,
    call: async (world) => {
      await signedIn(world)
      return call(world)
    },
  })

const noPasskeys = refusal('passkey_disabled', 404)
const noServer = refusal('feature_disabled', 404)
const noWebauthn = refusal('mfa_webauthn_enroll_not_enabled', 422)
const noFactor = refusal('mfa_factor_not_found', 404)

const web3 = (chain: 'ethereum' | 'solana', signature: unknown) => (world: World) =>
  world.auth.signInWithWeb3({ chain, message: 'app.example wants you', signature } as never)

const webauthn = { rpId: 'app.example', rpOrigins: ['https://app.example'] }
const bytes = new ArrayBuffer(8)
const credential = {
  id: 'x',
  rawId: bytes,
  type: 'public-key',
  response: { authenticatorData: bytes, clientDataJSON: bytes, signature: bytes },
  getClientExtensionResults: () => ({}),
} as never

export const clientRefusals: Record<string, Refusal> = {
  signInWithSSO: refusal(
    'saml_provider_disabled',
    404,
  )(({ auth }) => auth.signInWithSSO({ domain: 'example.com' })),
  signInWithWeb3: refusal(
    'web3_provider_disabled',
    422,
  )(async (world) => {
    const first = await web3('ethereum', `0x${'0'.repeat(130)}`)(world)
    return first.error ? web3('solana', new Uint8Array(64))(world) : first
  }),
  signInWithPasskey: noPasskeys(inBrowser(({ auth }) => auth.signInWithPasskey())),
  registerPasskey: noPasskeys(inBrowser(({ auth }) => auth.registerPasskey())),
  'passkey.startRegistration': noPasskeys(({ auth }) => auth.passkey.startRegistration()),
  'passkey.verifyRegistration': noPasskeys(({ auth }) =>
    auth.passkey.verifyRegistration({ challengeId: id, credential }),
  ),
  'passkey.startAuthentication': noPasskeys(({ auth }) => auth.passkey.startAuthentication()),
  'passkey.verifyAuthentication': noPasskeys(({ auth }) =>
    auth.passkey.verifyAuthentication({ challengeId: id, credential }),
  ),
  'passkey.list': noPasskeys(({ auth }) => auth.passkey.list()),
  'passkey.update': noPasskeys(({ auth }) =>
    auth.passkey.update({ passkeyId: id, friendlyName: 'Key' }),
  ),
  'passkey.delete': noPasskeys(({ auth }) => auth.passkey.delete({ passkeyId: id })),
  'mfa.webauthn.enroll': noWebauthn(({ auth }) =>
    auth.mfa.webauthn.enroll({ friendlyName: 'Key' }),
  ),
  'mfa.webauthn.register': noWebauthn(
    inBrowser(({ auth }) => auth.mfa.webauthn.register({ friendlyName: 'Key', webauthn })),
  ),
  'mfa.webauthn.challenge': noFactor(({ auth }) =>
    auth.mfa.webauthn.challenge({ factorId: id, webauthn }),
  ),
  'mfa.webauthn.verify': refusal(
    'mfa_webauthn_verify_not_enabled',
    422,
  )(({ auth }) =>
    auth.mfa.webauthn.verify({
      factorId: id,
      challengeId: id,
      webauthn: { ...webauthn, type: 'request', credential_response: credential },
    } as never),
  ),
  'mfa.webauthn.authenticate': noFactor(
    inBrowser(({ auth }) => auth.mfa.webauthn.authenticate({ factorId: id, webauthn })),
  ),
  'oauth.getAuthorizationDetails': noServer(({ auth }) => auth.oauth.getAuthorizationDetails(id)),
  'oauth.approveAuthorization': noServer(({ auth }) => auth.oauth.approveAuthorization(id)),
  'oauth.denyAuthorization': noServer(({ auth }) => auth.oauth.denyAuthorization(id)),
  'oauth.listGrants': noServer(({ auth }) => auth.oauth.listGrants()),
  'oauth.revokeGrant': noServer(({ auth }) => auth.oauth.revokeGrant({ clientId: id })),
}

const asAny = (value: object): Json => value

export const adminRefusals: Record<string, Refusal> = Object.fromEntries([
  ...[
    ['oauth.listClients'],
    ['oauth.createClient', { client_name: 'x', redirect_uris: ['https://x.example/'] }],
    ['oauth.getClient', id],
    ['oauth.updateClient', id, { client_name: 'y' }],
    ['oauth.deleteClient', id],
    ['oauth.regenerateClientSecret', id],
    ['customProviders.listProviders'],
    ['customProviders.createProvider', { identifier: 'custom:x', provider_type: 'oidc' }],
    ['customProviders.getProvider', 'custom:x'],
    ['customProviders.updateProvider', 'custom:x', { name: 'X' }],
    ['customProviders.deleteProvider', 'custom:x'],
  ].map(([name, ...args]) => [name, noServer(calling(String(name), args))]),
  ...[
    ['passkey.listPasskeys', { userId: id }],
    ['passkey.deletePasskey', { userId: id, passkeyId: id }],
  ].map(([name, ...args]) => [name, noPasskeys(calling(String(name), args))]),
])

function calling(name: string, args: unknown[]) {
  const [space = '', method = ''] = name.split('.')
  return ({ admin }: World) => asAny(admin)[space][method](...args)
}
