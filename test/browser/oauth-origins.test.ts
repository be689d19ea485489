import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { build } from 'esbuild'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { apiKeys } from '../../src/core/identity.ts'
import { freePort } from '../kit/running.ts'
import { secret, startApp } from '../node/oauth-app.ts'
import type {} from './oauth-page.ts'
import { client, startProvider } from './provider.ts'
import { button, field, newEmail, useBrowser } from './visit.ts'

/*
 * The page of the app is on another origin than its API, even another site: what its `fetch` is answered sets no cookie. By
 * then `linkIdentity` is a link that no browser is bound to.
 */

let api: string
let url: string

async function servePages(key: string) {
  const { outputFiles } = await build({
    entryPoints: ['test/browser/oauth-page.ts'],
    bundle: true,
    format: 'esm',
    write: false,
  })
  const html = `<!doctype html><html lang="en"><title>App</title>
<link rel="icon" href="data:,">
<output id="who"></output> <output id="done"></output> <p id="problem" role="alert"></p>
<button id="sign-in">Sign in</button> <button id="link">Link</button>
<label>E-mail <input id="email"></label> <button id="send">Send a link</button>
<script>publishableKey = '${key}'; api = '${api}'</script><script type="module" src="/page.js"></script>`
  const server = createServer((request, response) => {
    const script = request.url === '/page.js'
    response.writeHead(200, { 'content-type': script ? 'text/javascript' : 'text/html' })
    response.end(script ? outputFiles[0]?.text : html)
  })
  const port = Number(new URL(url).port)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  expect((server.address() as AddressInfo).port).toBe(port)
  return server
}

async function start() {
  api = `http://localhost:${await freePort()}`
  url = `http://127.0.0.1:${await freePort()}`
  const provider = await startProvider(`${api}/auth/v1/callback`)
  const pages = await servePages((await apiKeys(secret)).publishable)
  const app = await startApp('browser-origins', {
    site: api,
    port: Number(new URL(api).port),
    providers: `p.oidc({ name: 'real', issuer: '${provider.issuer}', clientId: '${client.id}', secret: '${client.secret}' })`,
    options: `mailer: { send: async (_, mail) => void mails.push(mail) }, redirects: ['${url}/**']`,
    bindings: `origins: ['${url}']`,
    routes: `const mails: unknown[] = []
app.get('/mails', (c) => c.json(mails))`,
  })
  return {
    url,
    async stop() {
      await app.stop()
      pages.closeAllConnections()
      pages.close()
      provider.stop()
    },
  }
}

const visit = useBrowser(start)

const who = (page: Page, name: string) => page.locator('#who', { hasText: name }).waitFor()
const problem = (page: Page, text: string) =>
  page.getByRole('alert').filter({ hasText: text }).waitFor()
const session = (page: Page) =>
  page.evaluate(async () => (await window.supabase.auth.getSession()).data.session)
const providers = (page: Page) =>
  page.evaluate(async () => {
    const { data } = await window.supabase.auth.getUserIdentities()
    return data?.identities.map(({ provider }) => provider)
  })

async function atProvider(page: Page, user: string) {
  await field(page, 'User').fill(user)
  await button(page, 'Sign in').click()
  await button(page, 'Allow').click()
}

/** Signs in by a mailed link. */
async function signIn(page: Page, email: string) {
  await field(page, 'E-mail').fill(email)
  await button(page, 'Send a link').click()
  await page.locator('#done', { hasText: 'send' }).waitFor()
  const find = async () => {
    const mails = (await (await fetch(`${api}/mails`)).json()) as { to: string; text: string }[]
    return mails.findLast(({ to }) => to === email)?.text.match(/http\S+verify\S+/)?.[0]
  }
  await expect.poll(find).toBeTruthy()
  await page.goto((await find()) as string)
  await who(page, email)
}

/** Where an attacker would lead somebody: the provider's address of a link to his own account. */
async function bait(attacker: Page): Promise<string> {
  const devtools = await attacker.context().newCDPSession(attacker)
  await devtools.send('Fetch.enable', { patterns: [{ urlPattern: '*/auth\\?*' }] })
  const caught = Promise.withResolvers<string>()
  devtools.on('Fetch.requestPaused', async ({ request, requestId }) => {
    await devtools.send('Fetch.failRequest', { requestId, errorReason: 'Aborted' })
    await devtools.send('Fetch.disable')
    caught.resolve(request.url)
  })
  await button(attacker, 'Link').click()
  return caught.promise
}

let people = 0
const newUser = () => `someone${++people}`
const asked = (page: Page) =>
  page.getByRole('heading', { name: 'Link Real to this account?' }).waitFor()

describe('a page on another origin', () => {
  it('links with PKCE: nothing is asked', async () => {
    const email = newEmail()
    const page = await visit('/pkce')
    await signIn(page, email)
    const before = await session(page)
    await button(page, 'Link').click()
    await atProvider(page, newUser())
    await who(page, email)
    expect(page.url().replace(/#$/, '')).toBe(`${url}/pkce`)
    await expect.poll(() => providers(page)).toEqual(['email', 'real'])
    const after = await session(page)
    expect(after?.user.id).toBe(before?.user.id)
    expect(after?.provider_token).toBeTruthy()
    expect(after?.refresh_token).not.toBe(before?.refresh_token)
    // Nothing but the bookmark of D1 was ever set for the API's own site.
    const cookies = await page.context().cookies(api)
    expect(cookies.filter(({ name }) => name.includes('oauth'))).toEqual([])
  })

  it('links without PKCE once its user has said so', async () => {
    const [email, user] = [newEmail(), newUser()]
    const page = await visit('/implicit')
    await signIn(page, email)
    const before = await session(page)
    await button(page, 'Link').click()
    await atProvider(page, user)
    await asked(page)
    expect(new URL(page.url()).origin).toBe(api)
    const text = await page.locator('main').textContent()
    expect(text).toContain(`${user}@provider.example`)
    expect(text).not.toContain(email)
    expect(text).toContain(email.slice(email.indexOf('@')))
    // One click alone is none.
    await button(page, 'Link Real').click()
    expect(new URL(page.url()).origin).toBe(api)
    await page.getByRole('checkbox', { name: 'I began this myself' }).check()
    await button(page, 'Link Real').click()
    await who(page, email)
    expect(page.url().replace(/#$/, '')).toBe(`${url}/implicit`)
    await expect.poll(() => providers(page)).toEqual(['email', 'real'])
    expect((await session(page))?.user.id).toBe(before?.user.id)
    expect((await session(page))?.refresh_token).not.toBe(before?.refresh_token)
  })

  it('is told of a no, and keeps its session', async () => {
    const email = newEmail()
    const page = await visit('/implicit')
    await signIn(page, email)
    const before = await session(page)
    await button(page, 'Link').click()
    await atProvider(page, newUser())
    await asked(page)
    await button(page, 'Cancel').click()
    await problem(page, 'The link was not wanted')
    await who(page, email)
    expect(await providers(page)).toEqual(['email'])
    expect((await session(page))?.refresh_token).toBe(before?.refresh_token)
  })

  it.each(['pkce', 'implicit'])(
    'case 27: who is sent there by an attacker loses nothing (%s)',
    async (flow) => {
      const [mine, theirs, user] = [newEmail(), newEmail(), newUser()]
      const attacker = await visit(`/${flow}`)
      await signIn(attacker, mine)
      const victim = await visit(`/${flow}`)
      await signIn(victim, theirs)
      await victim.goto(await bait(attacker))
      await atProvider(victim, user)
      if (flow === 'implicit') {
        await asked(victim)
        expect(await victim.locator('.mark').textContent()).toContain('If someone sent you here')
        await button(victim, 'Cancel').click()
      } else {
        // The code is there, and the page has no verifier for it.
        await victim.waitForURL(/\/pkce\?code=/)
      }
      await who(victim, theirs)
      expect(await providers(victim)).toEqual(['email'])
      expect((await session(victim))?.user.email).toBe(theirs)
      // What the attacker can do with what he has seen: nothing of the code has come to him.
      await attacker.goto(`${url}/${flow}`)
      await who(attacker, mine)
      expect(await providers(attacker)).toEqual(['email'])
      // And the provider's account is nobody's yet.
      const later = await visit(`/${flow}`)
      await button(later, 'Sign in').click()
      await atProvider(later, user)
      await who(later, `${user}@provider.example`)
    },
  )
})

describe('the page that asks', () => {
  const reach = async (options: object) => {
    const page = await visit('/implicit', options)
    await signIn(page, newEmail())
    await button(page, 'Link').click()
    await atProvider(page, newUser())
    await asked(page)
    return page
  }

  it.each(['light', 'dark'] as const)('can be read in %s: contrast of 4.5 to 1', async (scheme) => {
    const page = await reach({ colorScheme: scheme })
    const faint = await page.evaluate(() => {
      const parse = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number)
      const luminance = (color: string) => {
        const [r = 0, g = 0, b = 0] = parse(color).map((part) => {
          const share = part / 255
          return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
        })
        return 0.2126 * r + 0.7152 * g + 0.0722 * b
      }
      const ground = (element: Element | null): string => {
        if (!element) return 'rgb(255, 255, 255)'
        const color = getComputedStyle(element).backgroundColor
        return parse(color)[3] === 0 ? ground(element.parentElement) : color
      }
      const texts = [...document.querySelectorAll('main *')].filter((element) =>
        [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim()),
      )
      return texts.flatMap((element) => {
        const pair = [luminance(getComputedStyle(element).color), luminance(ground(element))]
        const [dark = 0, light = 0] = pair.sort((a, b) => a - b)
        const ratio = (light + 0.05) / (dark + 0.05)
        return ratio < 4.5 ? [`${element.textContent?.trim()}: ${ratio.toFixed(2)}`] : []
      })
    })
    expect(faint).toEqual([])
    // The style was let through by its hash: the page is not bare.
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    expect(ground).toBe(scheme === 'light' ? 'rgb(244, 243, 240)' : 'rgb(22, 22, 21)')
  })

  it('fits a phone, by finger and by keyboard', async () => {
    const page = await reach({ viewport: { width: 320, height: 568 }, hasTouch: true })
    const [overflow, small] = await page.evaluate(() => [
      document.documentElement.scrollWidth - document.documentElement.clientWidth,
      [...document.querySelectorAll('button, label')]
        .map((element) => element.getBoundingClientRect().height)
        .filter((height) => height < 44),
    ])
    expect([overflow, small]).toEqual([0, []])
    for (const tag of ['INPUT', 'BUTTON', 'BUTTON']) {
      await page.keyboard.press('Tab')
      expect(await page.evaluate(() => document.activeElement?.tagName)).toBe(tag)
    }
    // The harmless answer is the one that comes first: it is what Enter says.
    await page.getByRole('checkbox').focus()
    await page.keyboard.press('Enter')
    await problem(page, 'The link was not wanted')
  })
})
