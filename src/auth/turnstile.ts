import { readText } from '../core/body.ts'
import { Fault, faults } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { adminOnly } from './admin/access.ts'
import { grantOf } from './body.ts'
import type { AuthPart } from './part.ts'

export interface TurnstileOptions<Env = unknown> {
  /** The widget's secret key. */
  secret: string | ((env: Env) => string)
  /** Which host names' pages may have solved it. @default whatever the widget allows */
  hostnames?: readonly string[]
  /** @default the global `fetch` */
  fetch?: (url: string, init: RequestInit) => Promise<Response>
}

const captchaFaults = faults({
  captcha_failed: [400, 'captcha protection: request disallowed'],
})

const siteverify = 'https://challenges.cloudflare.com/turnstile/v0/siteverify'

/** Where people come in who are not known yet, as GoTrue has it. */
const guarded = [
  ...['/signup', '/recover', '/resend', '/otp', '/magiclink'],
  '/passkeys/authentication/options',
  '/sso',
]

const grants: readonly (string | null)[] = ['password', 'web3']

interface Verdict {
  success?: unknown
  hostname?: unknown
  'error-codes'?: unknown
}

/**
 * Demands a solved Cloudflare Turnstile of whoever signs up, signs in by password, passkey, wallet or SSO, or wants a mail or a message: as
 * GoTrue's clients send it, `options: { captchaToken }`. What cannot be verified is refused, and logged. The server itself,
 * by what the admin routes take for it, solves nothing, as in GoTrue.
 *
 * @throws {TypeError} if the secret is missing.
 */
export function turnstile<Env>(options: TurnstileOptions<Env>): AuthPart {
  const {
    secret,
    hostnames,
    fetch: send = (url: string, init: RequestInit) => fetch(url, init),
  } = options ?? {}
  if (typeof secret !== 'function' && (typeof secret !== 'string' || secret === ''))
    throw new TypeError('turnstile: `secret` must be the secret key, or a function of env')

  const ask = async (scope: Scope, request: Request, token: string): Promise<Verdict> => {
    const response = await send(siteverify, {
      method: 'POST',
      redirect: 'manual',
      signal: AbortSignal.timeout(5000),
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        secret: typeof secret === 'function' ? secret(scope.env as Env) : secret,
        response: token,
        remoteip: request.headers.get('cf-connecting-ip') ?? undefined,
      }),
    })
    return response.json()
  }

  let isServer: ((scope: Scope, request: Request) => Promise<boolean>) | undefined

  return {
    name: 'turnstile',
    faults: captchaFaults,
    routes({ settings }) {
      const allow = adminOnly(settings)
      isServer = async (scope, request) => {
        try {
          await allow(scope, request)
          return true
        } catch (error) {
          if (error instanceof Fault && error.status < 500) return false
          throw error
        }
      }
      return []
    },
    async guard(scope, request, { method, path }) {
      const granting = path === '/token' && grants.includes(grantOf(request))
      if (method !== 'POST' || !(granting || guarded.includes(path))) return
      const token = await tokenOf(request)
      // Asked only then: a key that was issued costs a look at the database.
      if (!token && (await isServer?.(scope, request))) return
      if (!token)
        throw captchaFaults.captcha_failed({
          message: 'captcha protection: request disallowed (no captcha_token found)',
        })
      let verdict: Verdict
      try {
        verdict = await ask(scope, request, token)
      } catch (cause) {
        console.error('leanto: Turnstile could not be asked', cause)
        throw captchaFaults.captcha_failed({ cause })
      }
      const { success, hostname } = verdict
      const elsewhere = hostnames !== undefined && !hostnames.includes(String(hostname))
      if (success === true && !elsewhere) return
      // A wrong secret refuses everyone: the host must see why.
      const codes = Array.isArray(verdict['error-codes']) ? verdict['error-codes'] : []
      if (codes.some((code) => /secret/.test(String(code))))
        console.error('leanto: Turnstile does not take the secret', codes)
      throw captchaFaults.captcha_failed()
    },
  }
}

/** Of a copy: the route reads the body again. What is no JSON, the route refuses. */
async function tokenOf(request: Request): Promise<string | null> {
  try {
    const body = JSON.parse(await readText(request.clone() as Request))
    const token = body?.gotrue_meta_security?.captcha_token
    // Turnstile's tokens are at most 2048 characters.
    return typeof token === 'string' && token.length <= 2048 ? token : null
  } catch {
    return null
  }
}
