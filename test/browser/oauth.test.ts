import { build } from 'esbuild'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { apiKeys } from '../../src/core/identity.ts'
import { freePort } from '../kit/running.ts'
import { secret, startApp } from '../node/oauth-app.ts'
import type {} from './oauth-page.ts'
import { client, startProvider } from './provider.ts'
import { button, field, newEmail, useBrowser } from './visit.ts'

let url: string

/** The stock client, as an app's own build would have it. */
async function pageScript(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: ['test/browser/oauth-page.ts'],
    bundle: true,
    format: 'esm',
    write: false,
  })
  return outputFiles[0]?.text as string
}

const html = (key: string) => `<!doctype html><html lang="en"><title>App</title>
<link rel="icon" href="data:,">
<output id="who"></output> <output id="done"></output> <p id="problem" role="alert"></p>
<button id="sign-in">Sign in</button> <button id="link">Link</button>
<label>E-mail <input id="email"></label> <button id="send">Send a link</button>
<script>publishableKey = '${key}'</script><script type="module" src="/page.js"></script>`

/** The app by its name, the provider by its address: two sites, as in life. */
async function start() {
  const port = await freePort()
  url = `http://localhost:${port}`
  const provider = await startProvider(`${url}/auth/v1/callback`)
  const page = html((await apiKeys(secret)).publishable)
  const app = await startApp('browser-oauth', {
    site: url,
    port,
    providers: `p.oidc({ name: 'real', issuer: '${provider.issuer}', clientId: '${client.id}', secret: '${client.secret}' })`,
    options: 'mailer: { send: async (_, mail) => void mails.push(mail) }',
    routes: `const mails: unknown[] = []
app.get('/mails', (c) => c.json(mails))
app.get('/page.js', (c) => c.body(${JSON.stringify(await pageScript())}, 200, { 'content-type': 'text/javascript' }))
for (const path of ['/pkce', '/implicit']) app.get(path, (c) => c.html(${JSON.stringify(page)}))`,
  })
  return {
    url,
    async stop() {
      await app.stop()
      provider.stop()
    },
  }
}

const visit = useBrowser(start)

const who = (page: Page, name: string) => page.locator('#who', { hasText: name }).waitFor()
const problem = (page: Page, text: string) =>
  page.getByRole('alert').filter({ hasText: text }).waitFor()

/** Through the provider's pages, as its user. */
async function atProvider(page: Page, user: string, answer: 'Allow' | 'Refuse' = 'Allow') {
  await field(page, 'User').fill(user)
  expect(new URL(page.url()).hostname).toBe('127.0.0.1')
  await button(page, 'Sign in').click()
  await button(page, answer).click()
}

const session = (page: Page) =>
  page.evaluate(async () => (await window.supabase.auth.getSession()).data.session)

/** Signed in, nothing of it left in the address, and signed in after the next load. */
async function expectSignedIn(page: Page, email: string, path: string) {
  await who(page, email)
  await expect.poll(() => page.url().replace(/#$/, '')).toBe(url + path)
  expect(await page.evaluate(() => window.events)).toContain('SIGNED_IN')
  expect((await session(page))?.user.email).toBe(email)
  await page.reload()
  await who(page, email)
}

interface Kept {
  to: string
  text: string
}

/** The newest mail's link. */
async function linkTo(email: string): Promise<string> {
  const find = async () => {
    const mails = (await (await fetch(`${url}/mails`)).json()) as Kept[]
    return mails.findLast(({ to }) => to === email)?.text.match(/http\S+verify\S+/)?.[0]
  }
  await expect.poll(find).toBeTruthy()
  return (await find()) as string
}

async function askLink(page: Page, email: string): Promise<string> {
  await field(page, 'E-mail').fill(email)
  await button(page, 'Send a link').click()
  await page.locator('#done', { hasText: 'send' }).waitFor()
  return linkTo(email)
}

/** Where a redirect would lead the browser next; it is stopped there. Playwright's own routes see no redirects. */
async function stopBefore(page: Page, urlPattern: string) {
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('Fetch.enable', { patterns: [{ urlPattern }] })
  const caught = Promise.withResolvers<string>()
  devtools.on('Fetch.requestPaused', async ({ request, requestId }) => {
    await devtools.send('Fetch.failRequest', { requestId, errorReason: 'Aborted' })
    await devtools.send('Fetch.disable')
    caught.resolve(request.url)
  })
  return caught
}

let people = 0
const newUser = () => `person${++people}`

describe.each(['pkce', 'implicit'] as const)('the %s flow in a browser', (flow) => {
  const path = `/${flow}`

  it('signs in by a provider, and again as the same user', async () => {
    const user = newUser()
    const ids: (string | undefined)[] = []
    for (let i = 0; i < 2; i++) {
      const page = await visit(path)
      await who(page, 'nobody')
      await button(page, 'Sign in').click()
      await atProvider(page, user)
      await who(page, `${user}@provider.example`)
      const found = await session(page)
      expect(found?.provider_token).toBeTruthy()
      expect(found?.user.identities?.map(({ provider }) => provider)).toEqual(['real'])
      await expectSignedIn(page, `${user}@provider.example`, path)
      ids.push(found?.user.id)
      // Nothing of the flow stays behind; what the app wants of the browser is its session alone.
      const cookies = await page.context().cookies(url)
      expect(cookies.filter(({ name }) => name.includes('oauth'))).toEqual([])
    }
    expect(ids[0]).toBe(ids[1])
  })

  it('shows that consent was refused', async () => {
    const page = await visit(path)
    await who(page, 'nobody')
    await button(page, 'Sign in').click()
    await atProvider(page, newUser(), 'Refuse')
    await problem(page, 'The user said no')
    await who(page, 'nobody')
    expect(await session(page)).toBe(null)
    expect(new URL(page.url()).pathname).toBe(path)
    // And the way is open still.
    await page.goto(url + path)
    await button(page, 'Sign in').click()
    await button(page, 'Allow').click()
    await who(page, '@provider.example')
  })

  it('signs in by a link, once', async () => {
    const email = newEmail()
    const page = await visit(path)
    const link = await askLink(page, email)
    await page.goto(link)
    await expectSignedIn(page, email, path)

    const other = await visit(path)
    await other.goto(link)
    await problem(other, 'Email link is invalid or has expired')
    await who(other, 'nobody')
  })

  it('links a provider to whoever is signed in', async () => {
    const email = newEmail()
    const user = newUser()
    const page = await visit(path)
    await page.goto(await askLink(page, email))
    await expectSignedIn(page, email, path)
    const before = (await session(page))?.user.id
    await button(page, 'Link').click()
    await atProvider(page, user)
    await who(page, email)
    expect((await session(page))?.user.id).toBe(before)
    const providers = () =>
      page.evaluate(async () => {
        const { data } = await window.supabase.auth.getUserIdentities()
        return data?.identities.map(({ provider }) => provider)
      })
    expect(await providers()).toEqual(['email', 'real'])

    // From now on the provider signs in to this account, and to no other.
    const device = await visit(path)
    await button(device, 'Sign in').click()
    await atProvider(device, user)
    await who(device, email)
    expect((await session(device))?.user.id).toBe(before)

    // Somebody else cannot have it.
    const stranger = await visit(path)
    await stranger.goto(await askLink(stranger, newEmail()))
    await who(stranger, '@example.org')
    await button(stranger, 'Link').click()
    await atProvider(stranger, user)
    await problem(stranger, 'already linked to another user')
  })

  it('case 27: an answer of the provider’s is of use only to the browser that asked', async () => {
    const page = await visit(path)
    await who(page, 'nobody')
    const callback = await stopBefore(page, '*/auth/v1/callback?*')
    await button(page, 'Sign in').click()
    await atProvider(page, newUser())
    const other = await visit(path)
    await other.goto(await callback.promise)
    await expect
      .poll(() => other.evaluate(() => location.search + location.hash))
      .toContain('bad_oauth_state')
    expect(await other.evaluate(() => Object.keys(localStorage))).toEqual([])
  })
})

describe('a code in the address', () => {
  it('is of no use without the verifier: a link opened in another browser signs nobody in', async () => {
    const page = await visit('/pkce')
    const link = await askLink(page, newEmail())
    const other = await visit('/pkce')
    await other.goto(link)
    await other.waitForURL(/code=/)
    await who(other, 'nobody')
    expect(await session(other)).toBe(null)
    // The code that it has seen is the first browser's: whoever asked may use it, once.
    await page.goto(other.url())
    await who(page, '@example.org')
  })

  it('of a provider is of no use to who reads it on the way', async () => {
    const user = newUser()
    const page = await visit('/pkce')
    await who(page, 'nobody')
    const answer = await stopBefore(page, '*/pkce?code=*')
    await button(page, 'Sign in').click()
    await atProvider(page, user)
    const read = await answer.promise
    const thief = await visit('/pkce')
    await thief.goto(read)
    await who(thief, 'nobody')
    expect(await session(thief)).toBe(null)
    await page.goto(read)
    await expectSignedIn(page, `${user}@provider.example`, '/pkce')
  })
})
