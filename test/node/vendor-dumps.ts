import { createCipheriv, createHmac, randomBytes, scryptSync } from 'node:crypto'
import { hashSync } from 'bcryptjs'

/*
 * Dumps as each place writes them, with hashes made here by code that leanto does not share: Node's own scrypt and AES, and
 * bcryptjs. Whose password is which is said beside them.
 */

export const password = 'correct horse battery staple'
export const bcrypt = (text: string) => hashSync(text, 5)

/** The parameters of github.com/firebase/scrypt. */
const firebaseConfig = {
  key: 'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==',
  separator: 'Bw==',
  rounds: 8,
  cost: 14,
}

/** As the console shows it. */
export const hashConfig = `hash_config {
  algorithm: SCRYPT,
  base64_signer_key: ${firebaseConfig.key},
  base64_salt_separator: ${firebaseConfig.separator},
  rounds: ${firebaseConfig.rounds},
  mem_cost: ${firebaseConfig.cost},
}
`

function firebaseHash(text: string): { passwordHash: string; salt: string } {
  const salt = randomBytes(10)
  const salted = Buffer.concat([salt, Buffer.from(firebaseConfig.separator, 'base64')])
  const derived = scryptSync(text, salted, 64, {
    N: 2 ** firebaseConfig.cost,
    r: firebaseConfig.rounds,
    p: 1,
    maxmem: 64 * 1024 * 1024,
  })
  const cipher = createCipheriv('aes-256-ctr', derived.subarray(0, 32), Buffer.alloc(16))
  const made = cipher.update(Buffer.from(firebaseConfig.key, 'base64'))
  return { passwordHash: made.toString('base64'), salt: salt.toString('base64') }
}

/** N = 16384, r = 16, p = 1 over the text of the salt, 64 bytes. */
function betterAuthHash(text: string): string {
  const salt = randomBytes(16).toString('hex')
  const options = { N: 16384, r: 16, p: 1, maxmem: 64 * 1024 * 1024 }
  return `${salt}:${scryptSync(text.normalize('NFKC'), salt, 64, options).toString('hex')}`
}

/** The code of now (RFC 6238: SHA-1, 30 seconds, 6 digits). @param key The secret's bytes. */
export function totpOf(key: Buffer, now = Date.now()): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30_000)))
  const mac = createHmac('sha1', key).update(counter).digest()
  const number = mac.readUInt32BE((mac.at(-1) as number) & 15) & 0x7fffffff
  return String(number % 1_000_000).padStart(6, '0')
}

/** "Hello!" and DEADBEEF: the secret of Google's own examples (Key URI format), twice. */
export const totpSecret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
export const totpKey = Buffer.from('48656c6c6f21deadbeef48656c6c6f21deadbeef', 'hex')

const ann = '5b1c2b1e-9d0a-4c55-8f0e-2f3f1d6f7a10'
const bob = '6b1c2b1e-9d0a-4c55-8f0e-2f3f1d6f7a11'
const eve = '7b1c2b1e-9d0a-4c55-8f0e-2f3f1d6f7a12'
export const ids = { ann, bob, eve }

const supabaseUser = (id: string, email: string, more: object = {}) => ({
  instance_id: '00000000-0000-0000-0000-000000000000',
  id,
  aud: 'authenticated',
  role: 'authenticated',
  email,
  encrypted_password: bcrypt(password),
  email_confirmed_at: '2024-01-02T03:04:05.678901+00:00',
  invited_at: null,
  confirmation_token: '',
  recovery_token: '',
  email_change: '',
  last_sign_in_at: '2024-06-01T10:00:00+00:00',
  raw_app_meta_data: { provider: 'email', providers: ['email'] },
  raw_user_meta_data: { name: 'Someone', sub: id, email },
  is_super_admin: null,
  created_at: '2024-01-02T03:04:05.678901+00:00',
  updated_at: '2024-06-01T10:00:00+00:00',
  phone: null,
  phone_confirmed_at: null,
  phone_change: '',
  banned_until: null,
  is_sso_user: false,
  deleted_at: null,
  is_anonymous: false,
  ...more,
})

const supabaseIdentity = (userId: string, provider: string, providerId: string, email: string) => ({
  id: `${userId.slice(0, 35)}${provider.length % 10}`,
  provider_id: providerId,
  user_id: userId,
  identity_data: { sub: providerId, email, email_verified: provider !== 'email', name: 'Someone' },
  provider,
  last_sign_in_at: '2024-06-01T10:00:00+00:00',
  created_at: '2024-01-02T03:04:05.678901+00:00',
  updated_at: '2024-06-01T10:00:00+00:00',
  email,
})

/** Ann has Google and an authenticator app; Bob an address that was never confirmed; Eve is banned. */
export const supabaseRows = () => [
  {
    ...supabaseUser(ann, 'ann@example.com', {
      raw_app_meta_data: { provider: 'email', providers: ['email', 'google'], plan: 'gold' },
    }),
    identities: [
      supabaseIdentity(ann, 'email', ann, 'ann@example.com'),
      supabaseIdentity(ann, 'google', '110169484474386276334', 'ann@example.com'),
    ],
    mfa_factors: [
      {
        id: '1a1c2b1e-9d0a-4c55-8f0e-2f3f1d6f7a10',
        user_id: ann,
        friendly_name: 'Phone',
        factor_type: 'totp',
        status: 'verified',
        created_at: '2024-02-02T03:04:05+00:00',
        updated_at: '2024-02-02T03:04:05+00:00',
        secret: totpSecret,
        phone: null,
        last_challenged_at: null,
        web_authn_credential: null,
        web_authn_aaguid: null,
      },
      {
        id: '2a1c2b1e-9d0a-4c55-8f0e-2f3f1d6f7a10',
        factor_type: 'totp',
        status: 'unverified',
        secret: 'AAAA',
      },
    ],
  },
  {
    ...supabaseUser(bob, 'bob@example.com', { email_confirmed_at: null, last_sign_in_at: null }),
    identities: [supabaseIdentity(bob, 'email', bob, 'bob@example.com')],
    mfa_factors: null,
  },
  {
    ...supabaseUser(eve, 'eve@example.com', { banned_until: '2999-01-01T00:00:00+00:00' }),
    identities: [supabaseIdentity(eve, 'email', eve, 'eve@example.com')],
    mfa_factors: null,
  },
]

/** As the dashboard's table editor exports rows. */
export function csvOf(rows: readonly object[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const field = (value: unknown) => {
    if (value === null || value === undefined) return ''
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  const lines = rows.map((row) => names.map((name) => field((row as never)[name])).join(','))
  return `${[names.join(','), ...lines].join('\n')}\n`
}

/** As `firebase auth:export users.json --format=json` writes it, with what the Admin SDK's answers have besides. */
export const firebaseUsers = () => ({
  users: [
    {
      localId: 'GmWw6RTPXCTwQzKdkpHVSBkfJ2k1',
      email: 'ann@example.com',
      emailVerified: true,
      ...firebaseHash(password),
      displayName: 'Ann',
      photoUrl: 'https://example.com/ann.png',
      lastSignedInAt: '1717236000000',
      createdAt: '1704164645678',
      disabled: false,
      customAttributes: '{"plan":"gold"}',
      providerUserInfo: [
        {
          providerId: 'google.com',
          rawId: '110169484474386276334',
          email: 'ann@example.com',
          displayName: 'Ann',
          photoUrl: 'https://example.com/ann.png',
        },
      ],
    },
    {
      localId: 'bobbobbobbobbobbobbobbobbob1',
      email: 'bob@example.com',
      emailVerified: false,
      ...firebaseHash(password),
      createdAt: '1704164645678',
      providerUserInfo: [],
    },
    {
      localId: 'eveeveeveeveeveeveeveeveeve1',
      email: 'eve@example.com',
      emailVerified: true,
      ...firebaseHash(password),
      createdAt: '1704164645678',
      disabled: true,
      providerUserInfo: [{ providerId: 'password', rawId: 'eve@example.com' }],
    },
    {
      localId: 'phonephonephonephonephoneph1',
      phoneNumber: '+15550001111',
      createdAt: '1704164645678',
      providerUserInfo: [],
      mfaInfo: [
        {
          mfaEnrollmentId: '1',
          phoneInfo: '+15550002222',
          displayName: 'Work',
          enrolledAt: '2024-02-02T03:04:05Z',
        },
        { mfaEnrollmentId: '2', totpInfo: {}, enrolledAt: '2024-02-02T03:04:05Z' },
      ],
    },
  ],
})

/** The bulk export, and what Auth0's support makes of the hashes. */
export const auth0Users = () => [
  {
    user_id: 'auth0|60425dc43519d90068f82973',
    email: 'ann@example.com',
    email_verified: true,
    name: 'Ann',
    picture: 'https://example.com/ann.png',
    created_at: '2024-01-02T03:04:05.678Z',
    updated_at: '2024-06-01T10:00:00.000Z',
    last_login: '2024-06-01T10:00:00.000Z',
    app_metadata: { plan: 'gold' },
    user_metadata: { colour: 'blue' },
    identities: [
      {
        connection: 'Username-Password-Authentication',
        user_id: '60425dc43519d90068f82973',
        provider: 'auth0',
        isSocial: false,
      },
      {
        profileData: { email: 'ann@gmail.com', email_verified: true, name: 'Ann' },
        user_id: '110169484474386276334',
        provider: 'google-oauth2',
        connection: 'google-oauth2',
        isSocial: true,
      },
    ],
  },
  {
    user_id: 'auth0|60425dc43519d90068f82974',
    email: 'bob@example.com',
    email_verified: false,
    created_at: '2024-01-02T03:04:05.678Z',
    identities: [
      {
        connection: 'Username-Password-Authentication',
        user_id: '60425dc43519d90068f82974',
        provider: 'auth0',
        isSocial: false,
      },
    ],
  },
  {
    user_id: 'auth0|60425dc43519d90068f82975',
    email: 'eve@example.com',
    email_verified: true,
    created_at: '2024-01-02T03:04:05.678Z',
    blocked: true,
    multifactor: ['guardian'],
    identities: [
      {
        connection: 'Username-Password-Authentication',
        user_id: '60425dc43519d90068f82975',
        provider: 'auth0',
        isSocial: false,
      },
    ],
  },
  {
    user_id: 'samlp|acme|zoe@example.com',
    email: 'zoe@example.com',
    email_verified: true,
    created_at: '2024-01-02T03:04:05.678Z',
    identities: [
      { connection: 'acme', user_id: 'acme|zoe@example.com', provider: 'samlp', isSocial: false },
    ],
  },
]

export const auth0Passwords = () =>
  ['ann', 'bob', 'eve'].map((name, i) => ({
    _id: { $oid: `60425dc43519d90068f8297${3 + i}` },
    email_verified: name !== 'bob',
    email: `${name}@example.com`,
    passwordHash: bcrypt(password).replace('$2a$', '$2b$'),
    password_set_date: { $date: '2024-03-05T16:40:36.528Z' },
    tenant: 'acme',
    connection: 'Username-Password-Authentication',
    _tmp_is_unique: true,
  }))

export const betterAuthSecret = 'better-auth-secret-123456789'
/** What Ann's app was given: `kW2nD8sQv0bYxZ4tLr6mCfGhJp1uEaXo`, which @noble/ciphers 2.1.1 has encrypted under that secret. */
export const betterAuthTotp = 'kW2nD8sQv0bYxZ4tLr6mCfGhJp1uEaXo'
export const betterAuthSealed =
  '0102030405060708090a0b0c0d0e0f1011121314151617186bb687bc2f9e4145ff4c9343e84fb1947990cc80cc81e2a7b62a6ea1985fad2925e1554bf3636a378f9f57d67a45f69f'

const betterAuthUser = (id: string, email: string, more: object = {}) => ({
  id,
  name: 'Someone',
  email,
  emailVerified: true,
  image: null,
  createdAt: '2024-01-02T03:04:05.678Z',
  updatedAt: '2024-06-01T10:00:00.000Z',
  ...more,
})
const credential = (id: string) => ({
  id: `a-${id}`,
  accountId: id,
  providerId: 'credential',
  userId: id,
  password: betterAuthHash(password),
  createdAt: '2024-01-02T03:04:05.678Z',
  updatedAt: '2024-01-02T03:04:05.678Z',
})

export const betterAuthUsers = () => [
  {
    ...betterAuthUser('kYb1zR0nQ8vTnPqL2mXw7sHc4dFgJ5aE', 'ann@example.com', {
      twoFactorEnabled: true,
      role: 'admin',
    }),
    accounts: [
      credential('kYb1zR0nQ8vTnPqL2mXw7sHc4dFgJ5aE'),
      {
        id: 'a-2',
        accountId: '110169484474386276334',
        providerId: 'google',
        userId: 'x',
        accessToken: 'ya29',
        createdAt: '2024-01-02T03:04:05.678Z',
      },
    ],
    twoFactor: [{ id: 't-1', secret: betterAuthSealed, backupCodes: 'aa', userId: 'x' }],
  },
  {
    ...betterAuthUser('bobbobbobbobbobbobbobbobbobbobbo', 'bob@example.com', {
      emailVerified: false,
    }),
    accounts: [credential('bob')],
  },
  {
    ...betterAuthUser('eveeveeveeveeveeveeveeveeveeveev', 'eve@example.com', {
      banned: true,
      banReason: 'spam',
    }),
    accounts: [credential('eve')],
  },
]
