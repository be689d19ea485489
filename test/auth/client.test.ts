import { AuthClient, isAuthApiError, isAuthWeakPasswordError } from '@supabase/supabase-js'
import { apiKeys } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase, testSecret } from '../kit/world.ts'
import { issuer, makeAuth, mountAuth, password } from './world.ts'

// Its own clock decides when a stock client refreshes; so here the server's is the real one too.
const users = makeAuth({}, { now: Date.now })
const ask = mountAuth(users)
beforeEach(() => freshDatabase([users]))

/** The stock client, unmodified, with the app behind its fetch. */
async function client() {
  const { publishable } = await apiKeys(testSecret)
  return new AuthClient({
    url: issuer,
    headers: { apikey: publishable, Authorization: `Bearer ${publishable}` },
    autoRefreshToken: false,
    persistSession: false,
    fetch: async (input, init) => {
      const request = new Request(input as string, init)
      const { pathname, search } = new URL(request.url)
      const body = request.body ? await request.text() : undefined
      return ask(pathname + search, {
        method: request.method,
        headers: Object.fromEntries(request.headers),
        body,
      })
    },
  })
}

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
