/*
 * Each preset as its provider's documentation has it: what the authorisation request must be, how the token endpoint is
 * asked, and what the provider answers.
 */

export interface Shape {
  name: string
  /** The call, as TypeScript over `p`. */
  call: string
  authorize: string
  /** Exactly what is asked besides `state`, `client_id`, `redirect_uri`, `response_type`, PKCE and nonce. */
  parameters: Record<string, string>
  pkce: boolean
  nonce?: boolean
  /** What the client adds, as `queryParams`. */
  query?: string
  token: string
  auth: 'post' | 'basic' | 'jwt'
  /** Over a plain token answer. */
  answer?: Record<string, unknown>
  /** Claims of the ID token, if there is one; and where its keys are. */
  claims?: Record<string, unknown>
  keys?: string
  /** What the API answers, by URL. */
  api?: Record<string, unknown>
  /** Headers that the API wants to see. */
  headers?: Record<string, string>
  /** The form's other members, where the answer is a POST. */
  form?: string
  subject: string
  /** `null`: nobody's address is known to be theirs. */
  email: string | null
  data: Record<string, unknown>
  /** The same person with an address that is not verified: over the claims, or the API. */
  unverified?: { claims?: Record<string, unknown>; api?: Record<string, unknown> }
}

const of = (name: string, more = '') =>
  `p.${name}({ clientId: 'the-client', secret: 'the/secret', ${more} })`

const tenant = '11111111-2222-4333-8444-555555555555'
const microsoft = 'https://login.microsoftonline.com'
const facebookUser = {
  id: '10',
  email: 'ann@example.com',
  name: 'Ann',
  picture: { data: { url: 'https://fb.example/p.png' } },
}
export const shapes: Shape[] = [
  {
    name: 'google',
    call: of('google'),
    authorize: 'https://accounts.google.com/o/oauth2/v2/auth',
    parameters: { scope: 'openid email profile', access_type: 'offline' },
    query: '&access_type=offline',
    pkce: true,
    nonce: true,
    token: 'https://oauth2.googleapis.com/token',
    auth: 'post',
    keys: 'https://www.googleapis.com/oauth2/v3/certs',
    claims: {
      iss: 'https://accounts.google.com',
      sub: '110',
      email: 'ann@example.com',
      email_verified: true,
      name: 'Ann',
      picture: 'https://g.example/p.png',
      hd: 'example.com',
    },
    subject: '110',
    email: 'ann@example.com',
    data: {
      iss: 'https://accounts.google.com',
      name: 'Ann',
      full_name: 'Ann',
      avatar_url: 'https://g.example/p.png',
      custom_claims: { hd: 'example.com' },
    },
    unverified: { claims: { email_verified: false } },
  },
  {
    name: 'github',
    call: of('github', `scopes: ['read:org']`),
    authorize: 'https://github.com/login/oauth/authorize',
    parameters: { scope: 'user:email read:org' },
    pkce: true,
    token: 'https://github.com/login/oauth/access_token',
    auth: 'post',
    headers: { 'user-agent': 'leanto', accept: 'application/vnd.github+json' },
    api: {
      'https://api.github.com/user': {
        id: 583231,
        login: 'ann',
        name: 'Ann',
        email: 'evil@example.com',
        avatar_url: 'https://gh.example/p.png',
      },
      'https://api.github.com/user/emails': [
        { email: 'other@example.com', verified: true, primary: false },
        { email: 'ann@example.com', verified: true, primary: true },
      ],
    },
    subject: '583231',
    email: 'ann@example.com',
    data: { user_name: 'ann', preferred_username: 'ann', name: 'Ann' },
    unverified: {
      api: {
        'https://api.github.com/user/emails': [
          { email: 'ann@example.com', verified: false, primary: true },
        ],
      },
    },
  },
  {
    name: 'gitlab',
    call: of('gitlab', `url: 'https://git.example'`),
    authorize: 'https://git.example/oauth/authorize',
    parameters: { scope: 'read_user' },
    pkce: true,
    token: 'https://git.example/oauth/token',
    auth: 'post',
    api: {
      'https://git.example/api/v4/user': {
        id: 7,
        username: 'ann',
        name: 'Ann',
        email: 'ann@example.com',
        confirmed_at: '2020-01-01T00:00:00Z',
      },
    },
    subject: '7',
    email: 'ann@example.com',
    data: { iss: 'https://git.example', user_name: 'ann' },
    unverified: {
      api: {
        'https://git.example/api/v4/user': { id: 7, email: 'ann@example.com', confirmed_at: null },
      },
    },
  },
  {
    name: 'apple',
    call: `p.apple({ clientId: 'the-client', teamId: 'TEAM', keyId: 'KEY', privateKey: process_key })`,
    authorize: 'https://appleid.apple.com/auth/authorize',
    parameters: { scope: 'name email', response_mode: 'form_post' },
    pkce: false,
    nonce: true,
    token: 'https://appleid.apple.com/auth/token',
    auth: 'jwt',
    keys: 'https://appleid.apple.com/auth/keys',
    claims: {
      iss: 'https://appleid.apple.com',
      sub: '001.abc.002',
      email: 'ann@example.com',
      email_verified: 'true',
      is_private_email: 'false',
    },
    form: `&user=${encodeURIComponent('{"name":{"firstName":"Ann","lastName":"Lee"},"email":"evil@example.com"}')}`,
    subject: '001.abc.002',
    email: 'ann@example.com',
    data: { name: 'Ann Lee', custom_claims: { is_private_email: false } },
    unverified: { claims: { email_verified: 'false' } },
  },
  {
    name: 'azure',
    call: of('azure', `tenants: ['${tenant}']`),
    authorize: `${microsoft}/${tenant}/oauth2/v2.0/authorize`,
    parameters: { scope: 'openid email profile' },
    pkce: true,
    nonce: true,
    token: `${microsoft}/${tenant}/oauth2/v2.0/token`,
    auth: 'post',
    keys: `${microsoft}/${tenant}/discovery/v2.0/keys`,
    claims: {
      iss: `${microsoft}/${tenant}/v2.0`,
      tid: tenant,
      sub: 'pairwise',
      oid: 'object',
      email: 'ann@example.com',
      xms_edov: '1',
      name: 'Ann',
      preferred_username: 'ann@corp.example',
    },
    subject: 'pairwise',
    email: 'ann@example.com',
    data: { name: 'Ann', custom_claims: { tid: tenant, oid: 'object' } },
    unverified: { claims: { xms_edov: undefined } },
  },
  {
    name: 'discord',
    call: of('discord'),
    authorize: 'https://discord.com/api/oauth2/authorize',
    parameters: { scope: 'email identify' },
    pkce: true,
    token: 'https://discord.com/api/oauth2/token',
    auth: 'post',
    api: {
      'https://discord.com/api/users/@me': {
        id: '80351110224678912',
        username: 'ann',
        global_name: 'Ann',
        avatar: 'a_hash',
        verified: true,
        email: 'ann@example.com',
      },
    },
    subject: '80351110224678912',
    email: 'ann@example.com',
    data: {
      name: 'Ann',
      picture: 'https://cdn.discordapp.com/avatars/80351110224678912/a_hash.gif',
      custom_claims: { global_name: 'Ann' },
    },
    unverified: {
      api: {
        'https://discord.com/api/users/@me': {
          id: '80',
          email: 'ann@example.com',
          verified: false,
        },
      },
    },
  },
  {
    name: 'facebook',
    call: of('facebook'),
    authorize: 'https://www.facebook.com/dialog/oauth',
    parameters: { scope: 'email public_profile' },
    pkce: true,
    token: 'https://graph.facebook.com/oauth/access_token',
    auth: 'post',
    api: { 'https://graph.facebook.com/me': facebookUser },
    subject: '10',
    email: null,
    data: { name: 'Ann', picture: 'https://fb.example/p.png', email: 'ann@example.com' },
  },
  {
    name: 'twitter',
    call: of('twitter'),
    authorize: 'https://x.com/i/oauth2/authorize',
    parameters: { scope: 'users.read users.email tweet.read' },
    pkce: true,
    token: 'https://api.x.com/2/oauth2/token',
    auth: 'basic',
    api: {
      'https://api.x.com/2/users/me': {
        data: {
          id: '2244994945',
          username: 'ann',
          name: 'Ann',
          confirmed_email: 'ann@example.com',
        },
      },
    },
    subject: '2244994945',
    email: 'ann@example.com',
    data: { user_name: 'ann', name: 'Ann' },
  },
  {
    name: 'linkedin_oidc',
    call: of('linkedinOidc'),
    authorize: 'https://www.linkedin.com/oauth/v2/authorization',
    parameters: { scope: 'openid profile email' },
    pkce: false,
    token: 'https://www.linkedin.com/oauth/v2/accessToken',
    auth: 'post',
    keys: 'https://www.linkedin.com/oauth/openid/jwks',
    claims: {
      iss: 'https://www.linkedin.com',
      sub: '782bbtaQ',
      email: 'ann@example.com',
      email_verified: 'true',
      name: 'Ann',
    },
    subject: '782bbtaQ',
    email: 'ann@example.com',
    data: { name: 'Ann' },
    unverified: { claims: { email_verified: 'false' } },
  },
  {
    name: 'slack_oidc',
    call: of('slackOidc'),
    authorize: 'https://slack.com/openid/connect/authorize',
    parameters: { scope: 'openid profile email' },
    pkce: false,
    nonce: true,
    token: 'https://slack.com/api/openid.connect.token',
    auth: 'post',
    answer: { ok: true },
    keys: 'https://slack.com/openid/connect/keys',
    claims: {
      iss: 'https://slack.com',
      sub: 'U0R7MFMJM',
      email: 'ann@example.com',
      email_verified: true,
      name: 'Ann',
      'https://slack.com/team_id': 'T0R7GR8',
    },
    subject: 'U0R7MFMJM',
    email: 'ann@example.com',
    data: { custom_claims: { 'https://slack.com/team_id': 'T0R7GR8' } },
    unverified: { claims: { email_verified: false } },
  },
  {
    name: 'spotify',
    call: of('spotify'),
    authorize: 'https://accounts.spotify.com/authorize',
    parameters: { scope: 'user-read-email' },
    pkce: true,
    token: 'https://accounts.spotify.com/api/token',
    auth: 'basic',
    api: {
      'https://api.spotify.com/v1/me': {
        id: 'ann-s',
        display_name: 'Ann',
        email: 'ann@example.com',
        images: [{ url: 'https://sp.example/p.png' }],
      },
    },
    subject: 'ann-s',
    email: null,
    data: { name: 'Ann', picture: 'https://sp.example/p.png', email_verified: false },
  },
  {
    name: 'twitch',
    call: of('twitch'),
    authorize: 'https://id.twitch.tv/oauth2/authorize',
    parameters: { scope: 'user:read:email' },
    pkce: false,
    token: 'https://id.twitch.tv/oauth2/token',
    auth: 'post',
    answer: { scope: ['user:read:email'] },
    headers: { 'client-id': 'the-client' },
    api: {
      'https://api.twitch.tv/helix/users': {
        data: [{ id: '141981764', login: 'ann', display_name: 'Ann', email: 'ann@example.com' }],
      },
    },
    subject: '141981764',
    email: 'ann@example.com',
    data: { name: 'Ann', user_name: 'ann' },
  },
  {
    name: 'notion',
    call: of('notion'),
    authorize: 'https://api.notion.com/v1/oauth/authorize',
    parameters: { owner: 'user' },
    pkce: false,
    token: 'https://api.notion.com/v1/oauth/token',
    auth: 'basic',
    headers: { 'notion-version': '2022-06-28' },
    api: {
      'https://api.notion.com/v1/users/me': {
        object: 'user',
        bot: {
          owner: { user: { id: 'n-1', name: 'Ann', person: { email: 'ann@example.com' } } },
        },
      },
    },
    subject: 'n-1',
    email: null,
    data: { name: 'Ann', email: 'ann@example.com' },
  },
  {
    name: 'bitbucket',
    call: of('bitbucket'),
    authorize: 'https://bitbucket.org/site/oauth2/authorize',
    parameters: { scope: 'account email' },
    pkce: false,
    token: 'https://bitbucket.org/site/oauth2/access_token',
    auth: 'basic',
    answer: { scopes: 'account email' },
    api: {
      'https://api.bitbucket.org/2.0/user': {
        uuid: '{9a8b}',
        display_name: 'Ann',
        links: { avatar: { href: 'https://bb.example/p.png' } },
      },
      'https://api.bitbucket.org/2.0/user/emails': {
        values: [{ email: 'ann@example.com', is_primary: true, is_confirmed: true }],
      },
    },
    subject: '{9a8b}',
    email: 'ann@example.com',
    data: { name: 'Ann', picture: 'https://bb.example/p.png' },
    unverified: {
      api: {
        'https://api.bitbucket.org/2.0/user/emails': {
          values: [{ email: 'ann@example.com', is_primary: true, is_confirmed: false }],
        },
      },
    },
  },
  {
    name: 'zoom',
    call: of('zoom'),
    authorize: 'https://zoom.us/oauth/authorize',
    parameters: {},
    pkce: true,
    token: 'https://zoom.us/oauth/token',
    auth: 'basic',
    api: {
      'https://api.zoom.us/v2/users/me': {
        id: 'zo',
        first_name: 'Ann',
        last_name: 'Lee',
        email: 'ann@example.com',
        verified: 1,
        login_types: [1],
      },
    },
    subject: 'zo',
    email: 'ann@example.com',
    data: { name: 'Ann Lee' },
    unverified: {
      api: {
        'https://api.zoom.us/v2/users/me': {
          id: 'zo',
          email: 'ann@example.com',
          verified: 0,
          login_type: 101,
        },
      },
    },
  },
  {
    name: 'figma',
    call: of('figma'),
    authorize: 'https://www.figma.com/oauth',
    parameters: { scope: 'current_user:read' },
    pkce: true,
    token: 'https://api.figma.com/v1/oauth/token',
    auth: 'basic',
    api: {
      'https://api.figma.com/v1/me': { id: 'fi', handle: 'Ann', email: 'ann@example.com' },
    },
    subject: 'fi',
    email: null,
    data: { name: 'Ann' },
  },
  {
    name: 'keycloak',
    call: of('keycloak', `url: 'https://id.example/realms/main/'`),
    authorize: 'https://id.example/realms/main/protocol/openid-connect/auth',
    parameters: { scope: 'openid profile email' },
    pkce: true,
    nonce: true,
    token: 'https://id.example/realms/main/protocol/openid-connect/token',
    auth: 'post',
    keys: 'https://id.example/realms/main/protocol/openid-connect/certs',
    claims: {
      iss: 'https://id.example/realms/main',
      sub: 'kc',
      email: 'ann@example.com',
      email_verified: true,
      preferred_username: 'ann',
    },
    subject: 'kc',
    email: 'ann@example.com',
    data: { preferred_username: 'ann' },
    unverified: { claims: { email_verified: false } },
  },
  {
    name: 'workos',
    call: of('workos'),
    authorize: 'https://api.workos.com/sso/authorize',
    parameters: { provider: 'GoogleOAuth' },
    query: '&workos_provider=GoogleOAuth',
    pkce: false,
    token: 'https://api.workos.com/sso/token',
    auth: 'post',
    answer: {
      token_type: undefined,
      profile: {
        id: 'prof_1',
        email: 'ann@example.com',
        first_name: 'Ann',
        last_name: 'Lee',
        connection_id: 'conn_1',
        organization_id: null,
      },
    },
    subject: 'prof_1',
    email: null,
    data: { name: 'Ann Lee', custom_claims: { connection_id: 'conn_1', organization_id: '' } },
  },
  {
    name: 'kakao',
    call: of('kakao'),
    authorize: 'https://kauth.kakao.com/oauth/authorize',
    parameters: { scope: 'account_email profile_image profile_nickname' },
    pkce: false,
    token: 'https://kauth.kakao.com/oauth/token',
    auth: 'post',
    api: {
      'https://kapi.kakao.com/v2/user/me': {
        id: 123456789,
        kakao_account: {
          profile: { nickname: 'Ann', profile_image_url: 'https://k.example/p.png' },
          is_email_valid: true,
          is_email_verified: true,
          email: 'ann@example.com',
        },
      },
    },
    subject: '123456789',
    email: 'ann@example.com',
    data: { name: 'Ann', picture: 'https://k.example/p.png' },
    unverified: {
      api: {
        'https://kapi.kakao.com/v2/user/me': {
          id: 123456789,
          kakao_account: {
            is_email_valid: false,
            is_email_verified: true,
            email: 'ann@example.com',
          },
        },
      },
    },
  },
  {
    name: 'snapchat',
    call: of('snapchat'),
    authorize: 'https://accounts.snapchat.com/accounts/oauth2/auth',
    parameters: {
      scope:
        'https://auth.snapchat.com/oauth2/api/user.external_id https://auth.snapchat.com/oauth2/api/user.display_name https://auth.snapchat.com/oauth2/api/user.bitmoji.avatar',
    },
    pkce: true,
    token: 'https://accounts.snapchat.com/accounts/oauth2/token',
    auth: 'basic',
    api: {
      'https://kit.snapchat.com/v1/me': {
        data: {
          me: {
            externalId: 'sn',
            displayName: 'Ann',
            bitmoji: { avatar: 'https://s.example/p.png' },
          },
        },
      },
    },
    subject: 'sn',
    email: null,
    data: { name: 'Ann', picture: 'https://s.example/p.png' },
  },
]
