import { createServer } from 'node:http'
import * as openid from 'openid-client'
import type { Page } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { oauthServerMigrations } from '../../src/auth/oauth-server/migrations.ts'
import { apiKeys } from '../../src/core/identity.ts'
import { freePort } from '../kit/running.ts'
import { secret, startApp } from '../node/oauth-app.ts'
import { button, newEmail, password, useBrowser } from './visit.ts'

/*
 * The consent page in a browser, without JavaScript, for whoever is signed in by cookies; the client is stock openid-client.
 */

const redirectUri = 'http://127.0.0.1:3999/cb'
let url = ''
let client = ''

async function start() {
  const port = await freePort()
  const clientPort = await freePort()
  url = `http://localhost:${port}`
  client = `http://127.0.0.1:${clientPort}/cb`
  const app = await startApp('browser-consent', {
    site: url,
    port,
    providers: 'provider, cookies()',
    migrations: oauthServerMigrations,
    imports: `import { oauthServer } from 'leanto/auth/oauth-server'
import { cookies } from 'leanto/auth/parts'
const provider = oauthServer({
  scopes: { notes: 'Read and change your notes' },
  resources: { '/mcp': { name: 'Notes for assistants' } },
  registration: true,
  signInPage: '/sign-in',
})`,
    routes: `app.get('/', (c) => c.html('<!doctype html><title>App</title><link rel="icon" href="data:,">'))
app.get('/sign-in', (c) => c.html('<!doctype html><title>Sign in</title><link rel="icon" href="data:,"><h1>Sign in</h1>'))
app.get('/frame', (c) => c.html('<!doctype html><title>Frame</title><link rel="icon" href="data:,"><iframe src="' + c.req.query('of') + '"></iframe>'))`,
  })
  // What the client's own page says, wherever it is led back.
  const pages = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end('<!doctype html><title>Client</title><link rel="icon" href="data:,"><h1>Back</h1>')
  })
  await new Promise<void>((resolve) => pages.listen(clientPort, '127.0.0.1', resolve))
  return {
    url,
    async stop() {
      await app.stop()
      pages.closeAllConnections()
      pages.close()
    },
  }
}

const visit = useBrowser(start)

let config: openid.Configuration
const verifier = openid.randomPKCECodeVerifier()

const register = async (body: object, key?: string) => {
  const path = key ? '/admin/oauth/clients' : '/oauth/clients/register'
  const response = await fetch(`${url}/auth/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key ? { apikey: key } : {}) },
    body: JSON.stringify(body),
  })
  expect(response.status).toBe(201)
  return (await response.json()) as { client_id: string }
}
const discover = (id: string) =>
  openid.discovery(new URL(`${url}/auth/v1`), id, undefined, openid.None(), {
    execute: [openid.allowInsecureRequests],
  })

beforeAll(async () => {
  const { secret: key } = await apiKeys(secret)
  // The port is another one by the time that the app runs (RFC 8252, 7.3).
  const made = await register(
    { client_name: 'Reader', redirect_uris: [redirectUri], token_endpoint_auth_method: 'none' },
    key,
  )
  config = await discover(made.client_id)
})

const ask = async (of = config, more: Record<string, string> = {}) =>
  openid.buildAuthorizationUrl(of, {
    redirect_uri: client,
    scope: 'openid email notes',
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...more,
  }).href

/** Someone whose session is in cookies; the browser they go on with runs no script. */
async function signedIn() {
  const page = await visit('/')
  const email = newEmail()
  const status = await page.evaluate(async (body) => {
    const response = await fetch('/auth/v1/signup', {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'session=cookie' },
      body,
    })
    return response.status
  }, JSON.stringify({ email, password }))
  expect(status).toBe(200)
  return { email, storageState: await page.context().storageState() }
}

const heading = (page: Page) => page.getByRole('heading').textContent()

describe('the consent page', () => {
  it('signs in to a stock client by one click, without a script', async () => {
    const { email, storageState } = await signedIn()
    const page = await visit('/', { storageState, javaScriptEnabled: false })
    await page.goto(await ask())
    expect(await heading(page)).toBe(`Reader asks for your ${new URL(url).host} account`)
    expect(await page.getByRole('listitem').allTextContents()).toEqual([
      'Know that it is you',
      'See your email address',
      'Read and change your notes',
    ])
    await page.getByText(email).waitFor()
    await button(page, 'Allow').click()
    await page.getByRole('heading', { name: 'Back' }).waitFor()
    const tokens = await openid.authorizationCodeGrant(config, new URL(page.url()), {
      pkceCodeVerifier: verifier,
    })
    expect(tokens.claims()).toMatchObject({ email })
  })

  it('takes no for an answer', async () => {
    const { storageState } = await signedIn()
    const page = await visit('/', { storageState, javaScriptEnabled: false })
    await page.goto(await ask())
    await button(page, 'Cancel').click()
    await page.getByRole('heading', { name: 'Back' }).waitFor()
    expect(new URL(page.url()).searchParams.get('error')).toBe('access_denied')
    // Back to a question that was answered.
    await page.goBack()
    expect(await heading(page)).toBe('There is nothing to answer here')
  })

  it('leads whoever is not signed in to where they do that', async () => {
    const page = await visit('/', { javaScriptEnabled: false })
    await page.goto(await ask())
    expect(await heading(page)).toBe('Sign in')
    const back = new URL(page.url()).searchParams.get('redirect_to') ?? ''
    const { storageState } = await signedIn()
    const signed = await visit('/', { storageState, javaScriptEnabled: false })
    await signed.goto(back)
    expect(await heading(signed)).toContain('Reader asks')
  })

  it('is in no frame', async () => {
    const { storageState } = await signedIn()
    const page = await visit('/', { storageState, javaScriptEnabled: false })
    // The browser says so itself.
    page.removeAllListeners('console')
    await page.goto(`${url}/frame?of=${encodeURIComponent(await ask())}`)
    const [, inner] = page.frames()
    await expect.poll(() => inner?.url()).toContain('chrome-error')
  })

  it.each([
    ['phone', 'light'],
    ['phone', 'dark'],
    ['desktop', 'light'],
    ['desktop', 'dark'],
  ] as const)('fits a %s in %s, a name of any length too', async (device, colorScheme) => {
    const long = `An assistant with ${'a-very-long-name-that-goes-on-'.repeat(5)}`
    const made = await register({
      client_name: device === 'phone' ? long : 'An assistant',
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: 'none',
    })
    const { storageState } = await signedIn()
    const viewport = device === 'phone' ? { width: 360, height: 740 } : { width: 1280, height: 800 }
    const page = await visit('/', { storageState, javaScriptEnabled: false, viewport, colorScheme })
    await page.goto(await ask(await discover(made.client_id), { resource: `${url}/mcp` }))
    await page.getByText('This app has entered itself here').waitFor()
    const box = await page.getByRole('main').boundingBox()
    expect(box?.x).toBeGreaterThanOrEqual(0)
    expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(viewport.width)
    // What is tapped is as large as a thumb (WCAG 2.2, 2.5.8 asks for 24).
    for (const name of ['Cancel', 'Allow'])
      expect((await button(page, name).boundingBox())?.height).toBeGreaterThanOrEqual(44)
    // PICTURES=folder leaves them for a person to look at.
    const path = `${process.env.PICTURES}/consent-${device}-${colorScheme}.png`
    if (process.env.PICTURES) await page.screenshot({ path, fullPage: true })
  })
})
