import { of, type Shape } from './preset-shape.ts'

const facebookUser = {
  id: '10',
  email: 'ann@example.com',
  name: 'Ann',
  picture: { data: { url: 'https://fb.example/p.png' } },
}
/** Those whose API is asked who someone is. */
export const apiShapes: Shape[] = [
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
    pkce: true,
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
