import { SignJWT } from 'jose'
import type { AuthOptions } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { sessions, type Trust, type TrustedIssuer, trust } from 'leanto/auth/parts'
import { clock, type Env, freshDatabase } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import { type Answers, fake, profile } from './oauth-world.ts'
import { type Asker, expectStatus, type Json, makeAuth, mountAuth, post } from './world.ts'

/** A project that is moved here. */
export const oldIssuer = 'https://old.supabase.co/auth/v1'
export const oldSecret = 'the-jwt-secret-of-the-project-that-is-left'

export const ann = '5b1c2b1e-9d0a-4c55-8f0e-2f3f1d6f7a10'
export const bob = '6b1c2b1e-9d0a-4c55-8f0e-2f3f1d6f7a11'
export const device = (n: number) => `7b1c2b1e-9d0a-4c55-8f0e-2f3f1d6f7a${10 + n}`

export const seconds = () => Math.floor(clock.now() / 1000)

/** A token as that project signs it. @param more.since When its user signed in, in seconds; `null` for no word of it. */
export function signOld(
  more: {
    sub?: string
    session?: string
    aal?: string
    since?: number | null
    claims?: object
    secret?: string
  } = {},
): Promise<string> {
  const { sub = ann, session = device(0), aal = 'aal1', since = seconds() - 60 } = more
  return new SignJWT({
    iss: oldIssuer,
    aud: 'authenticated',
    exp: seconds() + 3600,
    iat: seconds(),
    sub,
    role: 'authenticated',
    aal,
    ...(since === null ? {} : { amr: [{ method: 'password', timestamp: since }] }),
    session_id: session,
    is_anonymous: false,
    ...more.claims,
  })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(more.secret ?? oldSecret))
}

const answers: Answers = { it: profile('g', 'other@example.com') }
export const inbox = makeInbox()

export interface Moved {
  ask: Asker
  users: ReturnType<typeof makeAuth>
  old: Trust
}

/** An auth that trusts that project, with two of its users here already. */
export async function setUpMove(
  options: Partial<AuthOptions<Env>> = {},
  issuer: Partial<TrustedIssuer> = {},
  base: Parameters<typeof makeAuth>[1] = {},
): Promise<Moved> {
  inbox.clear()
  const old = trust([{ issuer: oldIssuer, secret: oldSecret, ...issuer }])
  const users = makeAuth(
    {
      mailer: inbox.mailer,
      sms: inbox.sms,
      with: [
        mfa({ enforce: true, phone: true }),
        sessions(),
        admin(),
        fake('google', answers),
        old,
      ],
      ...options,
    },
    base,
  )
  await freshDatabase([users])
  const ask = mountAuth(users)
  for (const [id, email] of [
    [ann, 'ann@example.com'],
    [bob, 'bob@example.com'],
  ])
    await expectStatus(
      await post(
        ask,
        '/admin/users',
        { id, email, password: 'correct horse battery staple', email_confirm: true },
        { key: 'secret' },
      ),
      200,
    )
  return { ask, users, old }
}

export const errorOf = async (response: Response, status: number): Promise<string> =>
  ((await expectStatus(response, status)) as Json)?.error_code
