import { isAuthApiError, isAuthWeakPasswordError } from '@supabase/supabase-js'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase } from '../kit/world.ts'
import { fragmentOf, locationOf, makeInbox, open } from './inbox.ts'
import { stockClient } from './stock.ts'
import { issuer, makeAuth, mountAuth, password } from './world.ts'

// Its own clock decides when a stock client refreshes; so here the server's is the real one too.
const users = makeAuth({}, { now: Date.now })
const ask = mountAuth(users)
beforeEach(() => freshDatabase([users]))

const client = (through = ask, options: { flowType?: 'pkce' } = {}) => stockClient(through, options)

describe('a stock auth-js client', () => {
  it('signs up, signs in, reads, changes, refreshes and signs out', async () => {
    const auth = await client()
    const up = await auth.signUp({
      email: 'ann@example.com',
      password,
      options: { data: { name: 'Ann' } },
    })
    expect(up.error).toBeNull()
    expect(up.data.session?.user.user_metadata).toEqual({ name: 'Ann' })
    const signedIn = await auth.signInWithPassword({ email: 'ann@example.com', password })
    expect(signedIn.error).toBeNull()
    const { data } = await auth.getUser()
    expect(data.user?.email).toBe('ann@example.com')
    const updated = await auth.updateUser({ data: { name: 'Anna' } })
    expect(updated.data.user?.user_metadata).toEqual({ name: 'Anna' })
    const refreshed = await auth.refreshSession()
    expect(refreshed.error).toBeNull()
    expect(refreshed.data.session?.refresh_token).not.toBe(signedIn.data.session?.refresh_token)
    // By the published key, without asking for the user.
    const { data: claims, error } = await auth.getClaims()
    expect(error).toBeNull()
    expect(claims?.claims.email).toBe('ann@example.com')
    expect(claims?.header.alg).toBe('ES256')
    const changed = await auth.updateUser({ password: 'a new password' })
    expect(changed.error).toBeNull()
    expect((await auth.signOut()).error).toBeNull()
    expect((await auth.getSession()).data.session).toBeNull()
    const again = await auth.signInWithPassword({
      email: 'ann@example.com',
      password: 'a new password',
    })
    expect(again.error).toBeNull()
    expect((await auth.getUserIdentities()).data?.identities[0]?.provider).toBe('email')
  })

  it('reads the codes of what is refused', async () => {
    const auth = await client()
    const wrong = await auth.signInWithPassword({
      email: 'ann@example.com',
      password: 'wrong guess',
    })
    expect(
      isAuthApiError(wrong.error) && [wrong.error.code, wrong.error.status, wrong.error.message],
    ).toEqual(['invalid_credentials', 400, 'Invalid login credentials'])
    const weak = await auth.signUp({ email: 'ann@example.com', password: 'short' })
    expect(isAuthWeakPasswordError(weak.error) && weak.error.reasons).toEqual(['length'])
    await auth.signUp({ email: 'ann@example.com', password })
    const twice = await auth.signUp({ email: 'ann@example.com', password })
    expect(twice.error?.code).toBe('user_already_exists')
    expect((await auth.signInAnonymously()).error?.code).toBe('anonymous_provider_disabled')
    expect((await auth.updateUser({ password })).error?.code).toBe('same_password')
    expect((await auth.refreshSession({ refresh_token: 'A'.repeat(43) })).error?.code).toBe(
      'refresh_token_not_found',
    )
  })

  it('notices that its session was ended elsewhere', async () => {
    const [here, there] = [await client(), await client()]
    await here.signUp({ email: 'ann@example.com', password })
    await there.signInWithPassword({ email: 'ann@example.com', password })
    await there.signOut({ scope: 'others' })
    expect((await here.getUser()).error?.name).toBe('AuthSessionMissingError')
    expect((await there.getUser()).error).toBeNull()
    expect(clock.now()).toBeGreaterThan(0)
  })
})

describe('a stock auth-js client, where mailboxes and phones are proven', () => {
  const inbox = makeInbox()
  const free = {
    guesses: false,
    signIns: false,
    signUps: false,
    messages: false,
    inbox: false,
  } as const
  const { mailer, sms } = inbox
  const options = { mailer, sms, anonymous: true, reauthentication: true, limits: free }
  const proving = mountAuth(makeAuth(options, { now: Date.now }))
  const email = 'ann@example.com'
  const phone = '+4917012345678'
  beforeEach(() => inbox.clear())
  const stock = (options: { flowType?: 'pkce' } = {}) => client(proving, options)

  it('signUp, resend, verifyOtp by code and by token hash', async () => {
    const auth = await stock()
    const up = await auth.signUp({ email, password, options: { emailRedirectTo: `${issuer}/x` } })
    expect([up.error, up.data.session, up.data.user?.email]).toEqual([null, null, email])
    const early = await auth.signInWithPassword({ email, password })
    expect(early.error?.code).toBe('email_not_confirmed')
    expect((await auth.resend({ type: 'signup', email })).error).toBeNull()
    const wrong = await auth.verifyOtp({ type: 'email', email, token: '000000x' })
    expect(wrong.error?.code).toBe('otp_expired')
    const { data, error } = await auth.verifyOtp({ type: 'email', email, token: inbox.code(email) })
    expect(error).toBeNull()
    expect(data.session?.user.email_confirmed_at).toBeDefined()
    expect((await auth.getUser()).data.user?.email).toBe(email)
    await auth.resetPasswordForEmail(email)
    const recovery = { type: 'recovery', token_hash: inbox.token(email) } as const
    expect((await auth.verifyOtp(recovery)).error).toBeNull()
    expect((await auth.verifyOtp(recovery)).error?.code).toBe('otp_expired')
    expect((await auth.updateUser({ password: 'a new password' })).error).toBeNull()
    expect((await auth.signInWithPassword({ email, password: 'a new password' })).error).toBeNull()
  })

  it('signInWithOtp and exchangeCodeForSession (PKCE)', async () => {
    const auth = await stock({ flowType: 'pkce' })
    expect(
      (await auth.signInWithOtp({ email, options: { data: { name: 'Ann' } } })).error,
    ).toBeNull()
    const url = locationOf(await open(proving, inbox.link(email)))
    const code = url.searchParams.get('code') as string
    const { data, error } = await auth.exchangeCodeForSession(code)
    expect([error, data.user?.user_metadata]).toEqual([null, { name: 'Ann' }])
    const stranger = await stock({ flowType: 'pkce' })
    expect((await stranger.exchangeCodeForSession(code)).error).not.toBeNull()
  })

  it('signInWithOtp and setSession of the fragment (implicit)', async () => {
    const auth = await stock()
    await auth.signInWithOtp({ email })
    const url = locationOf(await open(proving, inbox.link(email)))
    const { access_token = '', refresh_token = '' } = fragmentOf(url)
    const { data, error } = await auth.setSession({ access_token, refresh_token })
    expect([error, data.user?.email]).toEqual([null, email])
  })

  it('signInWithOtp by phone, and a change of number', async () => {
    const auth = await stock()
    expect((await auth.signInWithOtp({ phone })).error).toBeNull()
    const number = phone.slice(1)
    const first = await auth.verifyOtp({ type: 'sms', phone, token: inbox.code(number) })
    expect([first.error, first.data.user?.phone]).toEqual([null, number])
    expect((await auth.updateUser({ phone: '+4917000000000' })).error).toBeNull()
    expect((await auth.resend({ type: 'phone_change', phone })).error).toBeNull()
    const token = inbox.code('4917000000000')
    const change = await auth.verifyOtp({ type: 'phone_change', phone: '+4917000000000', token })
    expect([change.error, change.data.user?.phone]).toEqual([null, '4917000000000'])
    const up = await auth.signUp({ phone: '+4917111111111', password })
    expect([up.error, up.data.session]).toEqual([null, null])
    expect((await auth.resend({ type: 'sms', phone: '+4917111111111' })).error).toBeNull()
  })

  it('signInAnonymously, updateUser, and both halves of a change of address', async () => {
    const auth = await stock()
    const guest = await auth.signInAnonymously({ options: { data: { theme: 'dark' } } })
    expect([guest.error, guest.data.user?.is_anonymous]).toEqual([null, true])
    expect((await auth.updateUser({ email, password })).data.user?.new_email).toBe(email)
    const token = inbox.code(email)
    const upgraded = await auth.verifyOtp({ type: 'email_change', email, token })
    expect(upgraded.error).toBeNull()
    expect(upgraded.data.user).toMatchObject({
      id: guest.data.user?.id,
      email,
      is_anonymous: false,
    })
    const next = 'anna@example.com'
    await auth.updateUser({ email: next })
    expect((await auth.resend({ type: 'email_change', email })).error).toBeNull()
    const half = await auth.verifyOtp({ type: 'email_change', email, token: inbox.code(email) })
    expect([half.error, half.data.session]).toEqual([null, null])
    const whole = await auth.verifyOtp({
      type: 'email_change',
      email: next,
      token: inbox.code(next),
    })
    expect([whole.error, whole.data.user?.email]).toEqual([null, next])
  })

  it('reauthenticate, and the nonce of updateUser', async () => {
    const auth = await stock()
    await auth.signInWithOtp({ email })
    await auth.verifyOtp({ type: 'magiclink', token_hash: inbox.token(email) })
    inbox.clear()
    expect((await auth.reauthenticate()).error).toBeNull()
    const nonce = inbox.code(email)
    expect((await auth.updateUser({ password: 'a new password', nonce })).error).toBeNull()
  })
})
