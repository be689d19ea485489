/*
 * What `auth` itself has no need of: checks of new passwords against known ones, and the formats in which other systems store
 * them. A stored password of such a format is verified once and then hashed anew.
 */
export { bcrypt } from './bcrypt.ts'
export { type BreachedOptions, breached } from './breached.ts'
export { common } from './common.ts'
export { firebase } from './firebase.ts'
export { pbkdf2 } from './pbkdf2.ts'
export { betterAuth, scrypt } from './scrypt.ts'
