import type { BrowserContext, Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { button, field, newEmail, password, signIn, useNotes } from './visit.ts'

const visit = useNotes()

/** What takes a replication. */
const patient = { timeout: 15_000 }

const entries = (page: Page) => page.locator('.entry b').allTextContents()
const state = (page: Page, words: string) =>
  page.locator('#state', { hasText: words }).waitFor({ timeout: 20_000 })
const synced = (page: Page) => state(page, 'Up to date')
const entry = (page: Page, title: string) => page.locator('.entry', { hasText: title })

/** Opens a note that is there in one version. */
async function open(page: Page, title: string) {
  await entry(page, title).click()
  await expect.poll(() => field(page, 'Title').inputValue()).toBe(title)
}

/** A page of the offline notebook whose files are kept by its service worker. */
async function device(email?: string): Promise<Page> {
  const page = await visit('/offline')
  if (email) await signIn(page, email)
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined))
  return page
}

/** A new user's first device. */
async function firstDevice(from = device): Promise<{ page: Page; email: string }> {
  const page = await from()
  const email = newEmail()
  await button(page, 'Create an account').click()
  await field(page, 'E-mail').fill(email)
  await field(page, 'Password').fill(password)
  await button(page, 'Create account').click()
  await page.getByText('Nothing here yet').waitFor()
  await synced(page)
  return { page, email }
}

async function twoDevices() {
  const { page, email } = await firstDevice()
  const other = await device(email)
  await synced(other)
  return { page, other, email }
}

async function cut(page: Page) {
  await page.context().setOffline(true)
  await state(page, 'Offline, kept here')
}
const reconnect = (page: Page) => page.context().setOffline(false)

const kept = (page: Page) => page.getByText(/^Kept on this device, /).waitFor()

async function write(page: Page, title: string, body = '') {
  await button(page, 'New note').click()
  await field(page, 'Title').fill(title)
  await field(page, 'Text').fill(body)
  await kept(page)
}

/** What of the notebook is in the browser. */
const left = async (context: BrowserContext) => {
  const [page] = context.pages()
  return page?.evaluate(async () => ({
    databases: (await indexedDB.databases()).map(({ name }) => name),
    stored: Object.keys(localStorage).filter((key) => !key.startsWith('_pouch')),
  }))
}

describe('a notebook without the network', () => {
  it('opens again, is written in, and heals when it returns', async () => {
    const { page, other } = await twoDevices()
    await cut(page)
    await write(page, 'On the train', 'No signal in the tunnel.')
    // Whatever the browser says: nothing comes through.
    expect(await page.evaluate(() => fetch('/auth/v1/health').catch(() => 'none'))).toBe('none')

    await page.reload()
    await open(page, 'On the train')
    expect(await field(page, 'Text').inputValue()).toBe('No signal in the tunnel.')
    await state(page, 'Offline, kept here')
    await write(page, 'Still on it')
    expect(await entries(other)).toEqual([])

    await reconnect(page)
    await synced(page)
    await entry(other, 'On the train').waitFor()
    await entry(other, 'Still on it').waitFor()
    await open(other, 'On the train')
    expect(await field(other, 'Text').inputValue()).toBe('No signal in the tunnel.')
    // And back, while both are there, and after a page was opened anew.
    await other.reload()
    await open(other, 'On the train')
    await field(other, 'Text').fill('A signal!')
    await open(page, 'On the train')
    await expect.poll(() => field(page, 'Text').inputValue(), patient).toBe('A signal!')
    await other.locator('#delete').click()
    await other.locator('#sure-yes').click()
    await page.getByText('This note was deleted on another device.').waitFor()
    expect(await entries(page)).toEqual(['Still on it'])
  })

  it('shows both sides of a conflict, and keeps what is chosen, everywhere', async () => {
    const { page, other } = await twoDevices()
    await write(page, 'Soup', 'Leeks.')
    await write(page, 'Pie', 'Apples.')
    await entry(other, 'Soup').waitFor()
    await entry(other, 'Pie').waitFor()
    await cut(page)
    for (const [one, soup, pie] of [
      [page, 'Leeks and potatoes.', 'Pears.'],
      [other, 'Leeks and carrots.', 'Plums.'],
    ] as const) {
      await open(one, 'Soup')
      await field(one, 'Text').fill(soup)
      await kept(one)
      await open(one, 'Pie')
      await field(one, 'Text').fill(pie)
      await kept(one)
    }
    await synced(other)
    await reconnect(page)
    for (const one of [page, other])
      await expect
        .poll(() => one.locator('.entry', { hasText: 'Choose a version' }).count(), patient)
        .toBe(2)

    await entry(other, 'Soup').click()
    const card = (text: string) => other.locator('.version', { hasText: text })
    await card('potatoes').waitFor()
    await card('carrots').waitFor()
    await card('potatoes').getByRole('button').click()
    await field(other, 'Text').waitFor()
    expect(await field(other, 'Text').inputValue()).toBe('Leeks and potatoes.')

    // The other one is open where it is solved elsewhere.
    await entry(page, 'Pie').click()
    await page.locator('.version', { hasText: 'Plums' }).waitFor()
    await entry(other, 'Pie').click()
    await button(other, 'Keep both texts').click()
    await field(page, 'Text').waitFor()
    const both = await field(page, 'Text').inputValue()
    expect(both.split('\n\n* * *\n\n').sort()).toEqual(['Pears.', 'Plums.'])
    await open(page, 'Soup')
    expect(await field(page, 'Text').inputValue()).toBe('Leeks and potatoes.')
    expect(await page.getByText('Choose a version').count()).toBe(0)
  })

  it('keeps what is being written while the same note comes in changed', async () => {
    const { page, other } = await twoDevices()
    await write(page, 'List', 'Milk.')
    await open(other, 'List')
    await cut(page)
    await field(page, 'Text').fill('Milk, bread.')
    await kept(page)
    await field(other, 'Text').fill('Milk, eggs.')
    await kept(other)
    await synced(other)
    await field(page, 'Text').pressSequentially(' And so on', { delay: 20 })
    await reconnect(page)
    await page.locator('.version', { hasText: 'Milk, bread. And so on' }).waitFor()
    await page.locator('.version', { hasText: 'Milk, eggs.' }).waitFor()
  })

  it('takes pictures along, those of two versions too', async () => {
    const { page, other } = await twoDevices()
    const colour = (one: Page, selector: string) =>
      one.locator(selector).evaluate(async (element) => {
        const image = element as HTMLImageElement
        await image.decode()
        const canvas = document.createElement('canvas')
        const context = canvas.getContext('2d') as CanvasRenderingContext2D
        context.drawImage(image, 0, 0)
        const [r = 0, g = 0, b = 0] = context.getImageData(1, 1, 1, 1).data
        return r > 200 && g < 60 ? 'red' : b > 200 && r < 60 ? 'blue' : `${r} ${g} ${b}`
      })
    const add = async (one: Page, fill: string) => {
      const data = await one.evaluate(async (style) => {
        const canvas = document.createElement('canvas')
        canvas.width = canvas.height = 40
        const context = canvas.getContext('2d') as CanvasRenderingContext2D
        context.fillStyle = style
        context.fillRect(0, 0, 40, 40)
        return canvas.toDataURL('image/png').split(',')[1] as string
      }, fill)
      const file = { name: 'a.png', mimeType: 'image/png', buffer: Buffer.from(data, 'base64') }
      await one.locator('#picture-file').setInputFiles(file)
    }
    await write(page, 'Barn')
    await open(other, 'Barn')
    await cut(page)
    await add(page, 'red')
    await page.locator('#picture').waitFor()
    await add(other, 'blue')
    await other.locator('#picture').waitFor()
    await synced(other)
    await reconnect(page)
    for (const one of [page, other]) {
      await expect.poll(() => one.locator('.version-picture:visible').count(), patient).toBe(2)
      const colours = [
        await colour(one, '.version:nth-child(1) img'),
        await colour(one, '.version:nth-child(2) img'),
      ]
      expect(colours.sort()).toEqual(['blue', 'red'])
    }
    await other.getByRole('button', { name: 'Keep version 2' }).click()
    await page.locator('#picture').waitFor()
    await other.locator('#picture').waitFor()
    expect(await colour(page, '#picture')).toBe(await colour(other, '#picture'))

    const text = { name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('no picture') }
    await page.locator('#picture-file').setInputFiles(text)
    await page.getByText('This is no picture that your browser can show.').waitFor()
    await button(page, 'Remove picture').click()
    await other.locator('#picture').waitFor({ state: 'hidden' })
  })
})

describe('signing out', () => {
  it('leaves nothing on the device, and all of it on the server', async () => {
    const { page, email } = await firstDevice()
    await write(page, 'Secret plan')
    await synced(page)
    expect((await left(page.context()))?.databases.join()).toContain('_pouch_notebook-')
    await button(page, 'Sign out').click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await expect.poll(() => left(page.context()), patient).toEqual({ databases: [], stored: [] })
    expect(await page.content()).not.toContain('Secret plan')
    await signIn(page, email)
    await entry(page, 'Secret plan').waitFor()
  })

  it('does so from the other page too', async () => {
    const { page, email } = await firstDevice()
    await write(page, 'Secret plan')
    await synced(page)
    await page.goto(new URL('/', page.url()).href)
    await page.locator('#who', { hasText: email }).waitFor()
    await button(page, 'Sign out').click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await expect.poll(() => left(page.context()), patient).toEqual({ databases: [], stored: [] })
  })

  it('leaves nothing for the next either, if a session ended by itself', async () => {
    const { page } = await firstDevice()
    await write(page, 'Secret plan')
    await synced(page)
    await page.evaluate(() => {
      for (const key of Object.keys(localStorage))
        if (key.endsWith('-auth-token')) localStorage.removeItem(key)
    })
    await page.reload()
    await page.getByText('Your session has ended.').waitFor()
    expect(await page.content()).not.toContain('Secret plan')
    const before = (await left(page.context()))?.databases
    await signIn(page, (await firstDevice()).email)
    await page.getByText('Nothing here yet').waitFor()
    await synced(page)
    const after = (await left(page.context()))?.databases
    expect([before?.length, after?.length]).toEqual([1, 1])
    expect(after).not.toEqual(before)
  })

  it('asks before it deletes what was not sent', async () => {
    const { page } = await firstDevice()
    await cut(page)
    await write(page, 'Never sent')
    await button(page, 'Sign out').click()
    await page.getByText('What was not sent yet is lost.').waitFor()
    await button(page, 'Stay').click()
    expect(await entries(page)).toEqual(['Never sent'])
  })
})

describe('says in plain words', () => {
  it('that the session has ended, and keeps what was written for its writer', async () => {
    const { page, other, email } = await twoDevices()
    await cut(page)
    await write(page, 'Written before')
    // Signed out everywhere, from the other device.
    const bearer = await other.evaluate(() => {
      const key = Object.keys(localStorage).find((one) => one.endsWith('-auth-token')) as string
      return JSON.parse(localStorage.getItem(key) as string).access_token as string
    })
    const ended = await fetch(new URL('/auth/v1/logout?scope=global', other.url()), {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}` },
    })
    expect(ended.status).toBe(204)
    // The token of this device ends too.
    await page.evaluate(() => {
      const key = Object.keys(localStorage).find((one) => one.endsWith('-auth-token')) as string
      const session = JSON.parse(localStorage.getItem(key) as string)
      localStorage.setItem(key, JSON.stringify({ ...session, expires_at: 1 }))
    })
    // Without a network nobody can say so: the notebook stays open.
    await page.reload()
    await entry(page, 'Written before').waitFor()
    await reconnect(page)
    await page.getByText('Your session has ended.').waitFor({ timeout: 45_000 })
    expect(await page.content()).not.toContain('Written before')
    await signIn(page, email)
    await entry(page, 'Written before').waitFor()
    await synced(page)
  }, 90_000)

  it('that the server does not answer, and that it wants to know who one is', async () => {
    const { page } = await firstDevice(() => visit('/offline', { serviceWorkers: 'block' }))
    await page.route('**/sync/**', (route) => route.fulfill({ status: 503, json: {} }))
    await write(page, 'Meanwhile')
    await page.getByText('The server does not answer.').waitFor({ timeout: 30_000 })
    await button(page, 'Try now').click()
    await page.getByText('The server does not answer.').waitFor({ timeout: 30_000 })
    // Then it does, and nobody has to ask.
    await page.unroute('**/sync/**')
    await synced(page)
    expect(await page.locator('#notice').isHidden()).toBe(true)

    const unauthorized = { error: 'unauthorized', reason: 'no' }
    await page.route('**/sync/**', (route) => route.fulfill({ status: 401, json: unauthorized }))
    await write(page, 'Who is it')
    await page.getByText('The server wants to know again who you are.').waitFor()
  })

  it('that this device was away for too long, and fetches anew', async () => {
    // The test answers for the server, which it cannot where a service worker stands in between.
    const { page } = await firstDevice(() => visit('/offline', { serviceWorkers: 'block' }))
    await write(page, 'Old')
    await synced(page)
    const gone = { error: 'checkpoint_expired', reason: 'no' }
    await page.route('**/_changes**', (route) => route.fulfill({ status: 410, json: gone }))
    await page.reload()
    // The client may have to try more than once, each time later.
    await page.getByText('This device was away for so long').waitFor({ timeout: 30_000 })
    // In this order: a server that answers again takes the button away.
    await button(page, 'Fetch anew').click()
    await page.unroute('**/_changes**')
    await synced(page)
    await entry(page, 'Old').waitFor({ timeout: 30_000 })
  }, 90_000)
})
