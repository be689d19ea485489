import { compare } from 'bcryptjs'
import type { PasswordFormat } from '../password.ts'

const shape = /^\$2[aby]\$(?:0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$/

/**
 * bcrypt (`$2a$10$…`), as Supabase, Auth0, Laravel and Rails store passwords. It reads 72 bytes at most: what such a user
 * typed beyond counts from the first sign-in on, when the password is hashed anew.
 */
export const bcrypt: PasswordFormat = {
  matches: (encoded) => shape.test(encoded),
  // Not $2x$: that marks hashes of an old bug with non-ASCII text, and is another algorithm.
  verify: (encoded, password) => compare(password, encoded),
}
