import { bcrypt, password, totpSecret } from './vendor-dumps.ts'

/** The Dashboard's CSV. */
export const clerkRows = () => [
  {
    id: 'user_2gRua7G8WRYBglzXE5sxRbIRkfJ',
    first_name: 'Ann',
    last_name: 'Lee',
    username: 'ann',
    primary_email_address: 'ann@example.com',
    primary_phone_number: '',
    verified_email_addresses: 'ann@example.com,ann@work.example',
    unverified_email_addresses: '',
    verified_phone_numbers: '',
    unverified_phone_numbers: '',
    totp_secret: totpSecret,
    password_digest: bcrypt(password),
    password_hasher: 'bcrypt',
  },
  {
    id: 'user_bob',
    primary_email_address: 'bob@example.com',
    unverified_email_addresses: 'bob@example.com',
    password_digest: bcrypt(password),
    password_hasher: 'bcrypt',
  },
  {
    id: 'user_zoe',
    primary_email_address: 'zoe@example.com',
    verified_email_addresses: 'zoe@example.com',
    // The reference implementation of argon2, of the password `password`.
    password_digest:
      '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    password_hasher: 'argon2id',
  },
  {
    id: 'user_moe',
    primary_email_address: 'moe@example.com',
    verified_email_addresses: 'moe@example.com',
    password_digest: '5f4dcc3b5aa765d61d8327deb882cf99',
    password_hasher: 'md5',
  },
]

/** The same as the Backend API has them, without hashes. */
export const clerkUsers = () => [
  {
    object: 'user',
    id: 'user_2gRua7G8WRYBglzXE5sxRbIRkfJ',
    first_name: 'Ann',
    last_name: 'Lee',
    username: 'ann',
    image_url: 'https://img.clerk.com/x',
    primary_email_address_id: 'idn_1',
    email_addresses: [
      {
        id: 'idn_2',
        email_address: 'ann@work.example',
        verification: { status: 'verified', strategy: 'email_code' },
      },
      {
        id: 'idn_1',
        email_address: 'ann@example.com',
        verification: { status: 'verified', strategy: 'from_oauth_google' },
      },
    ],
    phone_numbers: [],
    external_accounts: [
      {
        object: 'external_account',
        id: 'eac_1',
        provider: 'oauth_google',
        provider_user_id: '110169484474386276334',
        email_address: 'ann@example.com',
        verification: { status: 'verified' },
      },
    ],
    public_metadata: { plan: 'gold' },
    private_metadata: { stripe: 'cus_1' },
    unsafe_metadata: { colour: 'blue' },
    totp_enabled: true,
    backup_code_enabled: true,
    banned: false,
    created_at: 1704164645678,
    updated_at: 1717236000000,
    last_sign_in_at: 1717236000000,
  },
]
