import { admin } from 'leanto/auth/admin'
import { customProviders } from 'leanto/auth/custom-providers'
import { mfa } from 'leanto/auth/mfa'
import { oauthServer } from 'leanto/auth/oauth-server'
import { passkeys } from 'leanto/auth/passkeys'
import { wallets } from 'leanto/auth/wallets'
import { expect } from 'vitest'
import { stepAt, totpCode } from '../../src/auth/mfa/totp.ts'
import { freshDatabase } from '../kit/world.ts'
import { resolve } from './custom-world.ts'
import { makeInbox } from './inbox.ts'
import { type Answers, comeBack, departed, fake, profile } from './oauth-world.ts'
import { type StockAdmin, type StockClient, stockAdmin, stockClient } from './stock.ts'
import { type Asker, type Json, makeAuth, mountAuth, password } from './world.ts'

/*
 * For the proofs that a method of the stock client works: one server with everything mounted.
 */

const inbox = makeInbox()
const answers: Answers = {
  ann: profile('1', 'ann@example.com'),
  other: profile('2', 'other@example.com'),
}
const free = {
  guesses: false,
  signIns: false,
  signUps: false,
  messages: false,
  inbox: false,
} as const

export interface World {
  ask: Asker
  /** Counts what the server was asked. */
  asked: () => number
  inbox: typeof inbox
  auth: StockClient
  admin: StockAdmin
  /** Another client, as of another browser. */
  another: (options?: Json) => Promise<StockClient>
  /** Of the last answer, as a browser would send it back. */
  cookie: () => string
}

export async function clientWorld(): Promise<World> {
  inbox.clear()
  // Its own clock decides when a stock client refreshes; so here the server's is the real one too.
  const users = makeAuth(
    {
      mailer: inbox.mailer,
      sms: inbox.sms,
      anonymous: true,
      limits: free,
      with: [
        mfa({ phone: true }),
        admin(),
        passkeys(),
        wallets(),
        customProviders({ resolve }),
        oauthServer(),
        fake('google', answers),
        fake('github', answers),
      ],
    },
    { now: Date.now },
  )
  await freshDatabase([users])
  const mounted = mountAuth(users)
  let asked = 0
  const ask: Asker = (path, more) => {
    asked++
    return mounted(path, more)
  }
  let cookie = ''
  const another = (options: Json = {}) =>
    stockClient(ask, options, (response) => {
      cookie = response.headers.get('set-cookie')?.split(';')[0] ?? ''
    })
  return {
    ask,
    asked: () => asked,
    inbox,
    auth: await another(),
    admin: await stockAdmin(ask),
    another,
    cookie: () => cookie,
  }
}

export const email = 'ann@example.com'
export const phone = '+4917012345678'

/** What the method answered, which is no error. */
export function fine<T extends { error: unknown; data?: unknown }>(result: T): Json {
  expect(result.error).toBeNull()
  return result.data
}

/** Someone whose mailbox is proven, signed in. */
export async function signedIn({ auth, inbox }: World, address = email): Promise<Json> {
  fine(await auth.signUp({ email: address, password }))
  const shown = { type: 'signup', token_hash: inbox.token(address) } as const
  const { session } = fine(await auth.verifyOtp(shown))
  inbox.clear()
  return session
}

/** The code that an authenticator app shows now, or in `offset` steps of 30 seconds. */
export const appCode = (secret: string, offset = 0): Promise<string> =>
  totpCode(secret, stepAt(Date.now()) + offset)

/** With a verified factor: `aal2`. */
export async function strong(world: World): Promise<Json> {
  await signedIn(world)
  const { mfa } = world.auth
  const factor = fine(await mfa.enroll({ factorType: 'totp' }))
  const code = await appCode(factor.totp.secret)
  fine(await mfa.challengeAndVerify({ factorId: factor.id, code }))
  return factor
}

/** A browser goes to the provider and comes back; where it is led. */
export async function travel(world: World, url: string, code: string): Promise<URL> {
  const { pathname, search } = new URL(url)
  if (!pathname.startsWith('/auth/v1'))
    return comeBack(world.ask, { state: stateOf(url), cookie: world.cookie() }, code)
  return comeBack(world.ask, departed(await world.ask(pathname + search)), code)
}

const stateOf = (url: string): string => new URL(url).searchParams.get('state') ?? ''
