import type { Browser, Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { deviceMigrations } from '../../src/auth/oauth-server/device/migrations.ts'
import { oauthServerMigrations } from '../../src/auth/oauth-server/migrations.ts'
import { apiKeys } from '../../src/core/identity.ts'
import { freePort } from '../kit/running.ts'
import { type App, secret, startApp } from '../node/oauth-app.ts'
import { button, field, newEmail, password, useBrowser } from './visit.ts'

/* The page for devices' codes in Chromium, without a script: a form is all that it needs. */

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
let app: App
let url = ''
let clientId = ''

async function start() {
  const port = await freePort()
  url = `http://localhost:${port}`
  app = await startApp('browser-device', {
    site: url,
    port,
    providers: `oauthServer({ scopes: { notes: 'Read and change your notes' }, with: [devices()] }), cookies()`,
    migrations: [...oauthServerMigrations, ...deviceMigrations],
    routes: `import { oauthServer } from 'leanto/auth/oauth-server'
import { devices } from 'leanto/auth/oauth-server/device'
import { cookies } from 'leanto/auth/parts'
app.get('/', (c) => c.html('<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,">'))`,
  })
  const made = await post('/admin/oauth/clients', {
    client_name: 'Big Screen',
    client_uri: 'https://screen.example',
    grant_types: [deviceGrant],
    token_endpoint_auth_method: 'none',
  })
  clientId = made.client_id
  return { url, stop: () => app.stop() }
}

// biome-ignore lint/suspicious/noExplicitAny: what came is looked at.
async function post(path: string, body: object): Promise<any> {
  const response = await app.fetch(`${url}/auth/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', apikey: (await apiKeys(secret)).secret },
    body: JSON.stringify(body),
  })
  return response.json()
}

// biome-ignore lint/suspicious/noExplicitAny: what came is looked at.
async function form(path: string, fields: Record<string, string>): Promise<any> {
  const response = await app.fetch(`${url}/auth/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: String(new URLSearchParams({ client_id: clientId, ...fields })),
  })
  return response.json()
}

const begin = () => form('/oauth/device_authorization', { scope: 'openid email notes' })
const poll = (device_code: string) => form('/oauth/token', { grant_type: deviceGrant, device_code })

const visit = useBrowser(start)
type Options = Parameters<Browser['newContext']>[0]

/** A page of someone who has just signed up, by cookies. */
async function member(options: Options = {}): Promise<{ page: Page; email: string }> {
  const email = newEmail()
  const page = await visit('/', { javaScriptEnabled: false, ...options })
  const response = await app.fetch(`${url}/auth/v1/signup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'session=cookie', origin: url },
    body: JSON.stringify({ email, password }),
  })
  expect(response.status).toBe(200)
  const cookies = response.headers.getSetCookie().map((cookie) => {
    const [name = '', value = ''] = (cookie.split(';')[0] ?? '').split('=')
    return {
      ...{ name, value, httpOnly: true, sameSite: 'Lax' as const },
      // A secure cookie is not set from elsewhere, but it is sent to this very machine.
      url: url.replace('http:', 'https:'),
      secure: true,
    }
  })
  await page.context().addCookies(cookies)
  return { page, email }
}

const picture = async (page: Page, name: string) => {
  if (process.env.PICTURES)
    await page.screenshot({ path: `${process.env.PICTURES}/device-${name}.png`, fullPage: true })
}

describe('whoever has a device in front of them', () => {
  it('enters its code, sees what it asks for, and allows it', async () => {
    const { page, email } = await member()
    const { device_code, user_code, verification_uri } = await begin()
    await page.goto(verification_uri)
    await picture(page, 'enter')
    const typed = field(page, 'Code on the device')
    expect(await typed.evaluate((input) => input === document.activeElement)).toBe(true)
    await typed.fill('BCDF-GHJK')
    await button(page, 'Continue').click()
    await page.getByRole('alert').waitFor()
    expect(await typed.inputValue()).toBe('BCDF-GHJK')
    await picture(page, 'wrong')

    await typed.fill(user_code.toLowerCase())
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Let Big Screen use your account?' }).waitFor()
    for (const said of [user_code, email, 'Read and change your notes', 'screen.example'])
      expect(await page.getByText(said).count(), said).toBe(1)
    await picture(page, 'confirm')
    expect((await poll(device_code)).error).toBe('authorization_pending')
    await button(page, 'Allow').click()
    await page.getByRole('heading', { name: 'Big Screen is connected' }).waitFor()
    await picture(page, 'done')
    expect((await poll(device_code)).access_token).toBeTypeOf('string')
  })

  it('refuses it, from the address that the device shows as a picture', async () => {
    const { page } = await member()
    const { device_code, user_code, verification_uri_complete } = await begin()
    await page.goto(verification_uri_complete)
    expect(await field(page, 'Code on the device').inputValue()).toBe(user_code)
    await button(page, 'Continue').click()
    await button(page, 'Refuse').click()
    await page.getByRole('heading', { name: 'Nothing was connected' }).waitFor()
    expect((await poll(device_code)).error).toBe('access_denied')
  })

  it('is asked to sign in first', async () => {
    const page = await visit('/auth/v1/oauth/device', { javaScriptEnabled: false })
    await page.getByRole('heading', { name: /^Sign in to localhost/ }).waitFor()
    await picture(page, 'sign-in')
  })
})

it.each([
  ['phone', { viewport: { width: 360, height: 740 }, colorScheme: 'light' }],
  ['phone-dark', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' }],
  ['narrow', { viewport: { width: 280, height: 600 }, colorScheme: 'light' }],
  ['desktop', { viewport: { width: 1280, height: 800 }, colorScheme: 'light' }],
  ['desktop-dark', { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' }],
] as [string, Options][])('fits a %s', async (name, options) => {
  const { page } = await member(options)
  const { user_code, verification_uri } = await begin()
  const expectToFit = async () => {
    await page.waitForLoadState()
    // Evaluated by the debugging protocol, which runs where the page's own scripts may not.
    const [wide, screen] = await page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.documentElement.clientWidth,
    ])
    expect(wide).toBeLessThanOrEqual(screen as number)
    for (const one of await page.getByRole('button').all())
      expect((await one.boundingBox())?.height).toBeGreaterThanOrEqual(44)
  }
  await page.goto(verification_uri)
  await expectToFit()
  await picture(page, `${name}-enter`)
  await field(page, 'Code on the device').fill('BCDF-GHJK')
  await button(page, 'Continue').click()
  await picture(page, `${name}-wrong`)
  await field(page, 'Code on the device').fill(user_code)
  await button(page, 'Continue').click()
  await button(page, 'Allow').waitFor()
  await expectToFit()
  await picture(page, `${name}-confirm`)
  await button(page, 'Allow').click()
  await button(page, 'Allow').waitFor({ state: 'detached' })
  await expectToFit()
  await picture(page, `${name}-done`)
})
