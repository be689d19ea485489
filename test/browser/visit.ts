import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { chromiumFlags, chromiumPath, startNotes } from '../kit/running.ts'

export const password = 'correct horse battery'

/** What a browser visits. */
export interface Visited {
  url: string
  stop(): Promise<unknown>
}

/** The running example and a browser, for the tests of one file. */
export const useNotes = () => useBrowser(() => startNotes())

/** An app and a browser, for the tests of one file. */
export function useBrowser(start: () => Promise<Visited>) {
  let app: Visited
  let browser: Browser
  const open: BrowserContext[] = []
  const wrongs: string[] = []

  beforeAll(async () => {
    const executablePath = chromiumPath()
    app = await start()
    browser = await chromium.launch({ executablePath, args: chromiumFlags })
  })
  afterAll(async () => {
    await browser?.close()
    await app?.stop()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((context) => context.close()))
    // Whatever a test did: no script failed, and nothing ran against the content security policy.
    expect(wrongs.splice(0)).toEqual([])
  })

  /** A page on a device of its own. */
  return async (path = '/', options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
    context.setDefaultTimeout(10_000)
    open.push(context)
    const page = await context.newPage()
    page.on('pageerror', (error) => wrongs.push(String(error)))
    page.on('console', (message) => {
      const text = message.text()
      if (message.type() === 'error' && !/Failed to load resource/.test(text)) wrongs.push(text)
    })
    await page.goto(app.url + path)
    return page
  }
}

let people = 0
export const newEmail = () => `reader-${++people}@example.org`

export const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
export const field = (page: Page, name: string) => page.getByRole('textbox', { name, exact: true })

export async function signUp(page: Page): Promise<string> {
  const email = newEmail()
  await button(page, 'Create an account').click()
  await field(page, 'E-mail').fill(email)
  await field(page, 'Password').fill(password)
  await button(page, 'Create account').click()
  await page.getByText('Nothing here yet').waitFor()
  return email
}

export async function signIn(page: Page, email: string, secret = password) {
  await field(page, 'E-mail').fill(email)
  await field(page, 'Password').fill(secret)
  await button(page, 'Sign in').click()
}

export async function writeNote(page: Page, title: string, body = '') {
  await button(page, 'New note').click()
  await field(page, 'Title').fill(title)
  await field(page, 'Text').fill(body)
  await button(page, 'Save').click()
  await saved(page)
}

export const saved = (page: Page) => page.getByText(/^Saved, /).waitFor()
