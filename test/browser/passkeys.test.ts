import { build } from 'esbuild'
import type { CDPSession, Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { mfaMigrations } from '../../src/auth/mfa/migrations.ts'
import { passkeyMigrations } from '../../src/auth/passkeys/migrations.ts'
import { apiKeys } from '../../src/core/identity.ts'
import { freePort } from '../kit/running.ts'
import { type App, secret, startApp } from '../node/oauth-app.ts'
import type {} from './passkeys-page.ts'
import { newEmail, password, useBrowser } from './visit.ts'

/* Stock supabase-js in Chromium, with an authenticator that its debugging protocol plugs in (WebAuthn Level 3, 11). */

let app: App

async function pageScript(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: ['test/browser/passkeys-page.ts'],
    bundle: true,
    format: 'esm',
    write: false,
  })
  return outputFiles[0]?.text as string
}

const html = (key: string) => `<!doctype html><html lang="en"><title>App</title>
<link rel="icon" href="data:,">
<label>E-mail <input id="email" autocomplete="username webauthn"></label>
<script>publishableKey = '${key}'</script><script type="module" src="/page.js"></script>`

async function start() {
  const port = await freePort()
  const url = `http://localhost:${port}`
  const page = html((await apiKeys(secret)).publishable)
  app = await startApp('browser-passkeys', {
    site: url,
    port,
    providers: `passkeys({ name: 'Notes' }), mfa()`,
    migrations: [...mfaMigrations, ...passkeyMigrations],
    routes: `import { mfa } from 'leanto/auth/mfa'
import { passkeys } from 'leanto/auth/passkeys'
app.get('/page.js', (c) => c.body(${JSON.stringify(await pageScript())}, 200, { 'content-type': 'text/javascript' }))
app.get('/', (c) => c.html(${JSON.stringify(page)}))`,
  })
  return { url, stop: () => app.stop() }
}

const visit = useBrowser(start)

interface Device {
  cdp: CDPSession
  authenticatorId: string
}

const phone = {
  protocol: 'ctap2',
  ctap2Version: 'ctap2_1',
  transport: 'internal',
  hasResidentKey: true,
  hasUserVerification: true,
  isUserVerified: true,
  automaticPresenceSimulation: true,
} as const
/** Without a PIN, and with no room for passkeys. */
const key = {
  ...phone,
  transport: 'usb',
  hasResidentKey: false,
  hasUserVerification: false,
} as const

async function plugIn(page: Page, options: typeof phone | typeof key = phone): Promise<Device> {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: options as never,
  })
  return { cdp, authenticatorId }
}

const credentialsOf = async ({ cdp, authenticatorId }: Device) =>
  (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials

/** A page of someone who has just signed up. */
async function member(): Promise<{ page: Page; email: string }> {
  const page = await visit()
  await page.locator('body[data-ready]').waitFor()
  const email = newEmail()
  const error = await page.evaluate(
    async ([address, word]) =>
      (await window.supabase.auth.signUp({ email: address as string, password: word as string }))
        .error?.message,
    [email, password],
  )
  expect(error).toBeUndefined()
  return { page, email }
}

const registerPasskey = (page: Page) =>
  page.evaluate(async () => {
    const { data, error } = await window.supabase.auth.registerPasskey()
    return { id: data?.id, error: error && { name: error.name, code: error.code } }
  })

const signIn = (page: Page, mediation?: 'conditional') =>
  page.evaluate(async (mode) => {
    const { auth } = window.supabase
    await auth.signOut()
    const options = mode ? { mediation: mode } : {}
    const { data, error } = await auth.signInWithPasskey({ options })
    return {
      email: data?.user?.email,
      aal: (await auth.mfa.getAuthenticatorAssuranceLevel()).data?.currentLevel,
      error: error && { name: error.name, code: error.code },
    }
  }, mediation)

describe('a passkey in Chromium', () => {
  it('is made, signs in, and is taken away', async () => {
    const { page, email } = await member()
    const device = await plugIn(page)
    const made = await registerPasskey(page)
    expect(made.error).toBeNull()
    const [credential] = await credentialsOf(device)
    expect(credential).toMatchObject({ rpId: 'localhost', isResidentCredential: true })
    const { session } = await page.evaluate(
      async () => (await window.supabase.auth.getSession()).data,
    )
    // What the authenticator knows its user by is no address.
    expect(atob(credential?.userHandle ?? '')).toBe(session?.user.id)

    for (let i = 0; i < 2; i++)
      expect(await signIn(page)).toEqual({ email, aal: 'aal1', error: null })
    const [row] = await app.rows('SELECT * FROM leanto_auth_passkeys')
    expect(row?.counter).toBe((await credentialsOf(device))[0]?.signCount)
    expect(row).toMatchObject({ transports: '["internal"]', backup_eligible: 0, backed_up: 0 })
    expect(row?.last_used_at).not.toBeNull()

    const gone = await page.evaluate(async (passkeyId) => {
      const { passkey } = window.supabase.auth
      const named = await passkey.update({ passkeyId, friendlyName: 'Phone' })
      const listed = await passkey.list()
      const deleted = await passkey.delete({ passkeyId })
      return [named.data?.friendly_name, listed.data?.length, deleted.error]
    }, made.id as string)
    expect(gone).toEqual(['Phone', 1, null])
    expect(await signIn(page)).toMatchObject({ error: { code: 'webauthn_credential_not_found' } })
  })

  it('is offered in the fields of a form, without being asked for', async () => {
    const { page, email } = await member()
    await plugIn(page)
    expect((await registerPasskey(page)).error).toBeNull()
    expect(await signIn(page, 'conditional')).toEqual({ email, aal: 'aal1', error: null })
  })

  it('is not made twice on one device', async () => {
    const { page } = await member()
    const device = await plugIn(page)
    expect((await registerPasskey(page)).error).toBeNull()
    expect((await registerPasskey(page)).error).toMatchObject({
      code: 'ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED',
    })
    expect(await credentialsOf(device)).toHaveLength(1)
  })

  it('signs nobody in whom the device has not verified', async () => {
    const { page } = await member()
    const { cdp, authenticatorId } = await plugIn(page)
    expect((await registerPasskey(page)).error).toBeNull()
    await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
    const { email, error } = await signIn(page)
    expect(email).toBeUndefined()
    expect(error).not.toBeNull()
  })

  it('that is a copy is found out once the other has counted on', async () => {
    const { page, email } = await member()
    const device = await plugIn(page)
    const { cdp, authenticatorId } = device
    expect((await registerPasskey(page)).error).toBeNull()
    const [copy] = await credentialsOf(device)
    if (!copy) throw new Error('no credential')
    for (let i = 0; i < 3; i++) expect((await signIn(page)).email).toBe(email)
    const { credentialId } = copy
    await cdp.send('WebAuthn.removeCredential', { authenticatorId, credentialId })
    await cdp.send('WebAuthn.addCredential', { authenticatorId, credential: copy })
    expect(await signIn(page)).toMatchObject({ error: { code: 'webauthn_verification_failed' } })
  })

  it('that may be copied says whether it is', async () => {
    const { page, email } = await member()
    const { cdp, authenticatorId } = await plugIn(page, {
      ...phone,
      defaultBackupEligibility: true,
      defaultBackupState: false,
    } as never)
    const { id } = await registerPasskey(page)
    const state = async () =>
      (
        await app.rows(
          `SELECT backup_eligible, backed_up FROM leanto_auth_passkeys WHERE id = '${id}'`,
        )
      )[0]
    expect(await state()).toEqual({ backup_eligible: 1, backed_up: 0 })
    const [credential] = await credentialsOf({ cdp, authenticatorId })
    await cdp.send('WebAuthn.setCredentialProperties', {
      authenticatorId,
      credentialId: credential?.credentialId as string,
      backupState: true,
    })
    expect((await signIn(page)).email).toBe(email)
    expect(await state()).toEqual({ backup_eligible: 1, backed_up: 1 })
  })
})

describe('a security key in Chromium', () => {
  it('is a second factor by a touch', async () => {
    const { page, email } = await member()
    await plugIn(page, key)
    const made = await page.evaluate(async () => {
      const { data, error } = await window.supabase.auth.mfa.webauthn.register({
        friendlyName: 'Key',
      })
      return { factors: data?.user.factors, error: error?.message }
    })
    expect(made.error).toBeUndefined()
    expect(made.factors).toMatchObject([{ factor_type: 'webauthn', status: 'verified' }])
    const levels = await page.evaluate(
      async ([address, word, factorId]) => {
        const { auth } = window.supabase
        const level = async () =>
          (await auth.mfa.getAuthenticatorAssuranceLevel()).data?.currentLevel
        const before = await level()
        await auth.signOut()
        await auth.signInWithPassword({ email: address as string, password: word as string })
        const low = await level()
        const { error } = await auth.mfa.webauthn.authenticate({ factorId: factorId as string })
        return [before, low, await level(), error?.message]
      },
      [email, password, made.factors?.[0]?.id],
    )
    expect(levels).toEqual(['aal2', 'aal1', 'aal2', undefined])
  })
})
