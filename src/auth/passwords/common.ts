import type { PasswordCheck } from '../password.ts'
import { commonPasswords } from './common-list.ts'

let known: ReadonlySet<string> | undefined

/**
 * Refuses the 10,000 commonest passwords, in any case, without asking anyone (ASVS 5.0, 6.2.4; NIST SP 800-63B-4, 3.1.1.2).
 *
 * `auth(base, { password: { checks: [common(), breached()] } })`
 */
export function common(): PasswordCheck {
  return {
    reason: 'pwned',
    check(_, password) {
      known ??= new Set(commonPasswords.split(' '))
      return known.has(password.toLowerCase())
        ? 'Password is one of the commonest, choose another one.'
        : undefined
    },
  }
}
