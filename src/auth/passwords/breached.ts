import type { PasswordCheck } from '../password.ts'

export interface BreachedOptions {
  /** In how many breaches a password must be to be refused. @default 1 */
  least?: number
  /** Milliseconds that the service has to answer. @default 2000 */
  timeout?: number
  /** The service, should you run your own. @default 'https://api.pwnedpasswords.com' */
  origin?: string
  /** @default fetch */
  fetch?: (request: Request) => Promise<Response>
}

/** Answers are some 40 KB; whatever is longer is not read. */
const mostBytes = 1024 * 1024

/**
 * Refuses passwords that are in known breaches, by the range query of Have I Been Pwned: five hex digits of the SHA-1 leave
 * the server, one in a million of all passwords, and the answer is padded so that its length tells nothing either.
 *
 * If the service does not answer, the password is let through and the failure logged: sign-up does not hang on it.
 *
 * Source: https://haveibeenpwned.com/API/v3#PwnedPasswords
 */
export function breached(options: BreachedOptions = {}): PasswordCheck {
  const { least = 1, timeout = 2000, origin = 'https://api.pwnedpasswords.com' } = options
  if (!Number.isSafeInteger(least) || least < 1)
    throw new TypeError('breached: `least` must be a whole number from 1')
  if (!/^https?:/.test(origin) || URL.parse(origin)?.origin !== origin)
    throw new TypeError('breached: `origin` must be like https://api.pwnedpasswords.com')
  const ask = options.fetch ?? ((request: Request) => fetch(request))
  return {
    reason: 'pwned',
    async check(_, password) {
      const hash = await sha1(password)
      try {
        const request = new Request(`${origin}/range/${hash.slice(0, 5)}`, {
          headers: { 'add-padding': 'true', 'user-agent': 'leanto' },
          redirect: 'manual',
          signal: AbortSignal.timeout(timeout),
        })
        const response = await ask(request)
        if (response.status !== 200) throw new Error(`status ${response.status}`)
        if (Number(response.headers.get('content-length')) > mostBytes) throw new Error('too long')
        const times = countOf(await response.text(), hash.slice(5))
        return times >= least
          ? 'Password is known to be in data breaches, choose another one.'
          : undefined
      } catch (error) {
        console.warn('leanto: passwords could not be checked for breaches', String(error))
        return undefined
      }
    },
  }
}

/** Lines are `SUFFIX:COUNT`; padding has the count 0. */
function countOf(text: string, suffix: string): number {
  for (const line of text.split('\n')) {
    const [found, count] = line.trim().split(':')
    if (found?.toUpperCase() === suffix) return Number(count) || 0
  }
  return 0
}

async function sha1(password: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(password))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase()
}
