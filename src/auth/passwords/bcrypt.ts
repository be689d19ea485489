import { compare } from 'bcryptjs'
import type { PasswordFormat } from '../password.ts'

const shape = /^\$2[abxy]\$(?:0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$/

/**
 * bcrypt (`$2a$10$…`), as Supabase, Auth0, Laravel and Rails store passwords. It reads 72 bytes at most: what such a user
 * typed beyond counts from the first sign-in on, when the password is hashed anew.
 */
export const bcrypt: PasswordFormat = {
  matches: (encoded) => shape.test(encoded),
  // PHP's and OpenBSD's prefixes say the same algorithm; bcryptjs knows $2a$, $2b$ and $2y$.
  verify: (encoded, password) => compare(password, encoded.replace(/^\$2x\$/, '$2y$')),
}
