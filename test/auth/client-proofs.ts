import { expect, vi } from 'vitest'
import { email, fine, phone, signedIn, travel, type World } from './client-world.ts'
import { fragmentOf, locationOf, open } from './inbox.ts'
import { claimsOf, count, type Json, password } from './world.ts'

export type Proof = (world: World) => Promise<unknown>

const digits = phone.slice(1)

/** What ways there are to sign in, by the stock client's own methods. */
const signIns: Record<string, Proof> = {
  async signUp({ auth, inbox }) {
    const { user, session } = fine(
      await auth.signUp({ email, password, options: { data: { name: 'Ann' } } }),
    )
    expect([user.email, user.user_metadata, session]).toEqual([email, { name: 'Ann' }, null])
    expect(inbox.last(email).text).toContain('https://app.example/auth/v1/verify')
  },
  async signInAnonymously({ auth }) {
    const { user } = fine(await auth.signInAnonymously({ options: { data: { theme: 'dark' } } }))
    expect([user.is_anonymous, user.user_metadata]).toEqual([true, { theme: 'dark' }])
  },
  async signInWithPassword(world) {
    const { user } = await signedIn(world)
    const other = await world.another()
    const wrong = await other.signInWithPassword({ email, password: 'a wrong one' })
    expect(wrong.error?.code).toBe('invalid_credentials')
    const found = fine(await world.auth.signInWithPassword({ email, password }))
    expect(found.user.id).toBe(user.id)
  },
  async signInWithOAuth(world) {
    const auth = await world.another({ flowType: 'pkce' })
    const { provider, url } = fine(await auth.signInWithOAuth({ provider: 'google' }))
    expect(provider).toBe('google')
    const back = await travel(world, url, 'ann')
    const { user, session } = fine(
      await auth.exchangeCodeForSession(back.searchParams.get('code') ?? ''),
    )
    expect([user.email, session.provider_token]).toEqual([email, 'google-at'])
    // Implicit, in the fragment.
    const plain = fine(await world.auth.signInWithOAuth({ provider: 'google' }))
    const { access_token } = fragmentOf(await travel(world, plain.url, 'ann'))
    expect(claimsOf(access_token as string).sub).toBe(user.id)
  },
  async exchangeCodeForSession(world) {
    const auth = await world.another({ flowType: 'pkce' })
    fine(await auth.signInWithOtp({ email }))
    const url = locationOf(await open(world.ask, world.inbox.link(email)))
    const code = url.searchParams.get('code') ?? ''
    // Another browser has not the verifier.
    const stranger = await world.another({ flowType: 'pkce' })
    expect((await stranger.exchangeCodeForSession(code)).error).not.toBeNull()
    const { user } = fine(await auth.exchangeCodeForSession(code))
    expect(user.email).toBe(email)
    expect((await auth.exchangeCodeForSession(code)).error).not.toBeNull()
  },
  async signInWithIdToken({ auth }) {
    const bad = await auth.signInWithIdToken({ provider: 'google', token: 'forged' })
    expect(bad.error?.code).toBe('validation_failed')
    const { user } = fine(await auth.signInWithIdToken({ provider: 'google', token: 'ann' }))
    expect(user.email).toBe(email)
  },
  async signInWithOtp({ auth, inbox }) {
    fine(await auth.signInWithOtp({ email, options: { shouldCreateUser: false } }))
    expect(await count('users')).toBe(0)
    fine(await auth.signInWithOtp({ email }))
    fine(await auth.verifyOtp({ type: 'email', email, token: inbox.code(email) }))
    inbox.clear()
    fine(await auth.signInWithOtp({ phone }))
    const { user } = fine(await auth.verifyOtp({ type: 'sms', phone, token: inbox.code(digits) }))
    expect(user.phone).toBe(digits)
  },
  async verifyOtp({ auth, inbox }) {
    fine(await auth.signInWithOtp({ email }))
    const wrong = inbox.code(email) === '000000' ? '111111' : '000000'
    const refused = await auth.verifyOtp({ type: 'email', email, token: wrong })
    expect(refused.error).toMatchObject({ status: 403, code: 'otp_expired' })
    const shown = { type: 'magiclink', token_hash: inbox.token(email) } as const
    expect(fine(await auth.verifyOtp(shown)).user.email).toBe(email)
    expect((await auth.verifyOtp(shown)).error?.code).toBe('otp_expired')
  },
  async resend({ auth, inbox }) {
    fine(await auth.signUp({ email, password }))
    const old = inbox.token(email)
    fine(await auth.resend({ type: 'signup', email }))
    expect(inbox.token(email)).not.toBe(old)
    fine(await auth.verifyOtp({ type: 'signup', token_hash: inbox.token(email) }))
    fine(await auth.updateUser({ email: 'anna@example.com' }))
    const mails = inbox.mails.length
    fine(await auth.resend({ type: 'email_change', email }))
    expect(inbox.mails.length).toBe(mails + 2)
    for (const type of ['sms', 'phone_change'] as const) fine(await auth.resend({ type, phone }))
  },
  async resetPasswordForEmail(world) {
    const { user } = await signedIn(world)
    const { auth, inbox } = world
    fine(await auth.resetPasswordForEmail(email, { redirectTo: 'https://app.example/new' }))
    expect(inbox.link(email).searchParams.get('redirect_to')).toBe('https://app.example/new')
    const shown = { type: 'recovery', token_hash: inbox.token(email) } as const
    expect(fine(await auth.verifyOtp(shown)).user.id).toBe(user.id)
  },
}

/** Those about the session that the client has. */
const sessions: Record<string, Proof> = {
  async getSession(world) {
    const session = await signedIn(world)
    expect(fine(await world.auth.getSession()).session).toEqual(session)
  },
  async getUser(world) {
    const { access_token, user } = await signedIn(world)
    expect(fine(await world.auth.getUser()).user).toMatchObject({ id: user.id, email })
    const bare = await world.another()
    expect(fine(await bare.getUser(access_token)).user.id).toBe(user.id)
    expect((await bare.getUser(`${access_token}x`)).error?.code).toBe('bad_jwt')
  },
  async getClaims(world) {
    const { user } = await signedIn(world)
    const { claims, header } = fine(await world.auth.getClaims())
    expect(claims).toMatchObject({ sub: user.id, email, role: 'authenticated', aal: 'aal1' })
    expect(header.alg).toBe('ES256')
  },
  async setSession(world) {
    const { access_token, refresh_token, user } = await signedIn(world)
    const other = await world.another()
    expect(fine(await other.setSession({ access_token, refresh_token })).user.id).toBe(user.id)
    const bad = await other.setSession({ access_token: `${access_token}x`, refresh_token })
    expect(bad.error).not.toBeNull()
  },
  async refreshSession(world) {
    const { refresh_token, user } = await signedIn(world)
    const { session } = fine(await world.auth.refreshSession())
    expect(session.user.id).toBe(user.id)
    expect(session.refresh_token).not.toBe(refresh_token)
    const unknown = await world.auth.refreshSession({ refresh_token: 'A'.repeat(43) })
    expect(unknown.error?.code).toBe('refresh_token_not_found')
  },
  async initialize(world) {
    // A page that opens with an old session in its storage goes on with it.
    const kept = new Map<string, string>()
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
      removeItem: (key: string) => void kept.delete(key),
    }
    const session = await signedIn(world)
    kept.set('kept', JSON.stringify({ ...session, expires_at: 1 }))
    const page = await world.another({ storage, persistSession: true, storageKey: 'kept' })
    expect((await page.initialize()).error).toBeNull()
    const found = fine(await page.getSession()).session
    expect(found.user.id).toBe(session.user.id)
    expect(found.refresh_token).not.toBe(session.refresh_token)
  },
  async onAuthStateChange(world) {
    const heard: string[] = []
    const { data } = world.auth.onAuthStateChange((event) => void heard.push(event))
    await signedIn(world)
    fine(await world.auth.updateUser({ data: { a: 1 } }))
    fine(await world.auth.refreshSession())
    await world.auth.signOut()
    data.subscription.unsubscribe()
    expect(heard).toEqual(
      expect.arrayContaining(['SIGNED_IN', 'USER_UPDATED', 'TOKEN_REFRESHED', 'SIGNED_OUT']),
    )
  },
  async startAutoRefresh(world) {
    const old = await ageing(world)
    await world.auth.startAutoRefresh()
    await vi.waitFor(async () => expect(await held(world)).not.toBe(old), { timeout: 10_000 })
    await world.auth.stopAutoRefresh()
  },
  async stopAutoRefresh(world) {
    const old = await ageing(world)
    await world.auth.startAutoRefresh()
    // Its first look comes a moment later, and then never.
    await world.auth.stopAutoRefresh()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await held(world)).toBe(old)
  },
  async dispose(world) {
    const old = await ageing(world)
    await world.auth.startAutoRefresh()
    await world.auth.dispose()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await held(world)).toBe(old)
  },
  async isThrowOnErrorEnabled({ auth, another }) {
    expect(auth.isThrowOnErrorEnabled()).toBe(false)
    const throwing = await another({ throwOnError: true })
    expect(throwing.isThrowOnErrorEnabled()).toBe(true)
    await expect(throwing.signInWithPassword({ email, password })).rejects.toMatchObject({
      code: 'invalid_credentials',
    })
  },
  async signOut(world) {
    const { refresh_token } = await signedIn(world)
    const there = await world.another()
    fine(await there.signInWithPassword({ email, password }))
    expect((await there.signOut({ scope: 'others' })).error).toBeNull()
    expect((await world.auth.refreshSession({ refresh_token })).error).not.toBeNull()
    expect(fine(await there.getUser()).user.email).toBe(email)
    expect((await there.signOut()).error).toBeNull()
    expect(fine(await there.getSession()).session).toBeNull()
    expect(await count('sessions')).toBe(0)
  },
}

/** Signed in, with a session that the client holds to be almost over. @returns Its refresh token. */
async function ageing(world: World): Promise<string> {
  const session = await signedIn(world)
  const { auth } = world as Json
  await auth._saveSession({ ...session, expires_at: Math.floor(Date.now() / 1000) + 95 })
  return session.refresh_token
}
/** The refresh token that the client goes on with. */
const held = async ({ auth }: World): Promise<string> => {
  const { storage, storageKey } = auth as Json
  return JSON.parse(await storage.getItem(storageKey)).refresh_token
}

/** Those by which people change themselves. */
const selves: Record<string, Proof> = {
  async updateUser(world) {
    const { user } = await signedIn(world)
    const { auth, inbox } = world
    const next = 'anna@example.com'
    const data = { name: 'Ann' }
    expect(fine(await auth.updateUser({ data })).user.user_metadata).toEqual(data)
    expect(fine(await auth.updateUser({ email: next })).user.new_email).toBe(next)
    for (const address of [email, next])
      fine(await auth.verifyOtp({ type: 'email_change', token_hash: inbox.token(address) }))
    fine(await auth.updateUser({ phone }))
    const shown = { type: 'phone_change', phone, token: inbox.code(digits) } as const
    expect(fine(await auth.verifyOtp(shown)).user).toMatchObject({
      id: user.id,
      email: next,
      phone: digits,
    })
    expect((await auth.updateUser({ password })).error?.code).toBe('same_password')
    fine(await auth.updateUser({ password: 'a new password' }))
    fine(await auth.signInWithPassword({ email: next, password: 'a new password' }))
  },
  async reauthenticate(world) {
    await signedIn(world)
    fine(await world.auth.reauthenticate())
    const nonce = world.inbox.code(email)
    expect(nonce).toMatch(/^\d{6}$/)
    fine(await world.auth.updateUser({ password: 'a new password', nonce }))
    const guest = await world.another()
    expect((await guest.reauthenticate()).error?.name).toBe('AuthSessionMissingError')
  },
  async getUserIdentities(world) {
    const { user } = await signedIn(world)
    const { identities } = fine(await world.auth.getUserIdentities())
    expect(identities).toMatchObject([
      { provider: 'email', user_id: user.id, identity_data: { email } },
    ])
  },
  async linkIdentity(world) {
    const { user } = await signedIn(world)
    const linking = { provider: 'github', token: 'other' } as const
    const linked = fine(await world.auth.linkIdentity(linking))
    expect(linked.user.id).toBe(user.id)
    expect(linked.user.identities.map((one: Json) => one.provider)).toEqual(['email', 'github'])
    // In a browser: the URL that leads to the provider.
    const { url } = fine(await world.auth.linkIdentity({ provider: 'google' }))
    expect(new URL(url).origin).toBe('https://google.example')
    expect(world.cookie()).not.toBe('')
    const guest = await world.another()
    expect((await guest.linkIdentity({ provider: 'google' })).error).not.toBeNull()
  },
  async unlinkIdentity(world) {
    await signedIn(world)
    const linking = { provider: 'github', token: 'other' } as const
    const { user } = fine(await world.auth.linkIdentity(linking))
    const [own, github] = user.identities
    fine(await world.auth.unlinkIdentity(github))
    const { identities } = fine(await world.auth.getUserIdentities())
    expect(identities.map((one: Json) => one.provider)).toEqual(['email'])
    const last = await world.auth.unlinkIdentity(own)
    expect(last.error?.code).toBe('single_identity_not_deletable')
  },
}

export const clientProofs: Record<string, Proof> = { ...signIns, ...sessions, ...selves }
