import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { button, field, newEmail, password, saved, signUp, useNotes, writeNote } from './visit.ts'

const visit = useNotes()

/** What has no name, no language, or an id that is there twice. */
const unnamedIn = (page: Page) =>
  page.evaluate(() => {
    const controls = document.querySelectorAll<HTMLElement>('input, textarea, button, iframe')
    const labelled = (element: HTMLElement) =>
      element.textContent?.trim() ||
      element.getAttribute('aria-label') ||
      (element as HTMLInputElement).labels?.length ||
      element.getAttribute('aria-hidden')
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
    const references = [...document.querySelectorAll('[aria-describedby], [aria-labelledby]')]
      .flatMap((element) => [
        ...(element.getAttribute('aria-describedby') ?? '').split(' '),
        ...(element.getAttribute('aria-labelledby') ?? '').split(' '),
      ])
      .filter(Boolean)
    return [
      ...[...controls].filter((element) => !labelled(element)).map(({ id }) => `no name: ${id}`),
      ...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `twice: ${id}`),
      ...references.filter((id) => !ids.includes(id)).map((id) => `nothing has: ${id}`),
      ...(document.documentElement.lang ? [] : ['no language']),
    ]
  })

/** Texts whose contrast is below 4.5 to 1. */
const faintIn = (page: Page) =>
  page.evaluate(() => {
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
    const texts = [...document.querySelectorAll('body *')].filter(
      (element) =>
        element.checkVisibility() &&
        [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim()),
    )
    return texts.flatMap((element) => {
      const pair = [luminance(getComputedStyle(element).color), luminance(ground(element))]
      const [dark = 0, light = 0] = pair.sort((a, b) => a - b)
      const ratio = (light + 0.05) / (dark + 0.05)
      return ratio < 4.5 ? [`${element.textContent?.trim()}: ${ratio.toFixed(2)}`] : []
    })
  })

/** How far it reaches to the side of the window, in pixels. */
const overflowOf = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)

/** Buttons that a finger misses. One that is part of a line of text is as high as that. */
const smallIn = (page: Page) =>
  page.evaluate(() =>
    [...document.querySelectorAll('button:not(.link)')]
      .filter((element) => element.checkVisibility())
      .map((element) => [element.textContent, element.getBoundingClientRect().height] as const)
      .filter(([, height]) => height < 44),
  )

it('has a name for each control, a heading, a language, and no id twice', async () => {
  const page = await visit()
  const unnamed = () => unnamedIn(page)
  await field(page, 'E-mail').waitFor()
  expect(await unnamed()).toEqual([])
  expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1)
  await signUp(page)
  await writeNote(page, 'Named')
  expect(await unnamed()).toEqual([])
  expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1)
  expect(await page.getByRole('main').count()).toBe(1)
})

it('works by keyboard alone', async () => {
  const page = await visit()
  await field(page, 'E-mail').waitFor()
  const email = newEmail()
  const { keyboard } = page
  const isOn = (id: string) => page.waitForFunction((on) => document.activeElement?.id === on, id)
  await isOn('email')
  for (const id of ['password', 'entry-go', 'entry-passkey', 'entry-switch']) {
    await keyboard.press('Tab')
    await isOn(id)
  }
  await keyboard.press('Enter')
  await isOn('email')
  await keyboard.type(email)
  await keyboard.press('Tab')
  await keyboard.type(password)
  await keyboard.press('Enter')
  await page.getByText('Nothing here yet').waitFor()
  await button(page, 'New note').focus()
  await keyboard.press('Enter')
  await isOn('title')
  await keyboard.type('By keyboard')
  await keyboard.press('Tab')
  await isOn('body')
  await keyboard.type('No mouse.')
  await keyboard.press('Control+Enter')
  await saved(page)
  await button(page, 'Delete').focus()
  await keyboard.press('Enter')
  // The harmless answer is the one at hand.
  await isOn('sure-no')
  await keyboard.press('Enter')
  await isOn('delete')
  await button(page, 'Account').focus()
  await keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await keyboard.press('Escape')
  await isOn('account-open')
})

it.each(['light', 'dark'] as const)(
  'can be read: contrast of 4.5 to 1 in %s',
  async (colorScheme) => {
    const page = await visit('/', { colorScheme })
    await signUp(page)
    await writeNote(page, 'Contrast', 'Text')
    await button(page, 'Pin').click()
    await button(page, 'Unpin').waitFor()
    await button(page, 'Translate').click()
    await button(page, 'Close translation').waitFor()
    await button(page, 'Mail me this note').click()
    await page.getByText('On its way').waitFor()
    expect(await faintIn(page)).toEqual([])
  },
)

it('fits a phone: the list or the page, and nothing to the side', async () => {
  const page = await visit('/', { viewport: { width: 375, height: 700 }, hasTouch: true })
  const overflow = () => overflowOf(page)
  expect(await overflow()).toBe(0)
  await signUp(page)
  await writeNote(page, 'A long title that does not fit into one line of a phone', 'x'.repeat(300))
  expect(await overflow()).toBe(0)
  await button(page, 'Translate').click()
  await button(page, 'Close translation').waitFor()
  expect(await overflow()).toBe(0)
  expect(await smallIn(page)).toEqual([])
  expect(await page.locator('#list').isVisible()).toBe(false)
  await button(page, 'All notes').click()
  expect(await page.locator('#note').isVisible()).toBe(false)
  expect(await overflow()).toBe(0)
  expect(await smallIn(page)).toEqual([])
})

it.each(['light', 'dark'] as const)(
  'holds for the offline notebook too, on a phone in %s',
  async (colorScheme) => {
    const options = { colorScheme, viewport: { width: 375, height: 700 }, hasTouch: true }
    const page = await visit('/offline', options)
    const right = async () => {
      expect(await unnamedIn(page)).toEqual([])
      expect(await faintIn(page)).toEqual([])
      expect(await overflowOf(page)).toBe(0)
      expect(await smallIn(page)).toEqual([])
      expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1)
    }
    await field(page, 'E-mail').waitFor()
    await right()
    await signUp(page)
    await right()
    await page.context().setOffline(true)
    await button(page, 'New note').click()
    await field(page, 'Title').fill('A long title that does not fit into one line of a phone')
    await field(page, 'Text').fill('x'.repeat(300))
    await page.getByText(/^Kept on this device, /).waitFor()
    await right()
    await page.locator('#delete').click()
    await right()
    await button(page, 'Keep').click()
    await button(page, 'All notes').click()
    await right()
    await button(page, 'Sign out').click()
    await page.getByRole('dialog').waitFor()
    expect(await faintIn(page)).toEqual([])
  },
)
