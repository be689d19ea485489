import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type EmailServer, startEmail } from '../kit/email-server.ts'
import { chromiumFlags, chromiumPath, removeFolder, temporaryFolder } from '../kit/running.ts'

const persist = temporaryFolder()
let server: EmailServer
let browser: Browser
let url = ''

beforeAll(async () => {
  server = await startEmail('capture', persist)
  // By name, as people do.
  url = server.url.replace('127.0.0.1', 'localhost')
  browser = await chromium.launch({ executablePath: chromiumPath(), args: chromiumFlags })
})
afterAll(async () => {
  await browser?.close()
  await server?.kill()
  removeFolder(persist)
})

/** What the browser has refused the pages. */
const blocked: string[] = []
const visit = async (path: string): Promise<Page> => {
  const page = await browser.newPage({ viewport: { width: 1100, height: 800 } })
  page.setDefaultTimeout(10_000)
  page.on('pageerror', (error) => blocked.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') blocked.push(message.text())
  })
  await page.goto(url + path)
  return page
}

const send = (path: string, body?: object) =>
  fetch(url + path, { method: 'POST', ...(body ? { body: JSON.stringify(body) } : {}) })
const picture = async (page: Page, name: string) => {
  if (process.env.PICTURES)
    await page.screenshot({ path: `${process.env.PICTURES}/${name}.png`, fullPage: true })
}

it('lists mails and shows one: its HTML without its scripts, text, headers, files; and is emptied', async () => {
  await send('/rich')
  await send('/mail', {
    subject: 'Sign in (notes.example)',
    text: 'Follow this link:\n\nhttps://notes.example/verify?token=abc&type=magiclink\n\nOr enter 123456.',
  })
  const page = await visit('/email/inbox')
  await page.getByRole('link', { name: 'Your note was shared' }).waitFor()
  await picture(page, 'inbox')
  await page.getByRole('link', { name: 'Sign in (notes.example)' }).click()
  await expect
    .poll(() => page.getByRole('link', { name: /verify/ }).getAttribute('href'))
    .toBe('https://notes.example/verify?token=abc&type=magiclink')
  await picture(page, 'text')
  await page.getByRole('link', { name: 'All mail' }).click()
  await page.getByRole('link', { name: 'Your note was shared' }).click()
  const frame = page.frameLocator('iframe')
  await frame.getByRole('heading', { name: 'Your note was shared' }).waitFor()
  await picture(page, 'html')
  expect(await frame.getByRole('link').textContent()).toBe('Milk & <b>honey</b>')
  // The image that is in the mail is shown; the one that would run a script is not there, and ran none.
  const widths = await frame
    .locator('img')
    .evaluateAll((images) => images.map((image) => (image as HTMLImageElement).naturalWidth))
  expect(widths).toEqual([8, 0])
  expect(await page.title()).toBe('Your note was shared')
  for (const text of [
    'zoe@example.com',
    'bob@example.com',
    'help@notes.example',
    'X-Note',
    'shared',
  ])
    await page.getByText(text).first().waitFor()
  // Its form is sent nowhere.
  await frame.getByRole('button').click()
  const download = page.waitForEvent('download')
  // By the keyboard: right after a click in the frame, one beside it does not always arrive.
  await page.getByRole('link', { name: 'note.txt' }).press('Enter')
  expect((await download).suggestedFilename()).toBe('note.txt')
  // Links lead out of the frame, to a page of their own that knows nothing of this one.
  const popup = page.waitForEvent('popup')
  await frame.getByRole('link').click()
  expect(await (await popup).evaluate(() => window.opener === null)).toBe(true)
  // Nothing of our own pages was refused: only what the mail tried.
  expect(blocked.length).toBeGreaterThan(0)
  expect(blocked.filter((text) => !/sandboxed|never\.png|Failed to load/.test(text))).toEqual([])
  await page.getByRole('link', { name: 'All mail' }).click()
  await page.getByRole('button', { name: 'Empty' }).click()
  await page.getByText('No mail yet').waitFor()
})
