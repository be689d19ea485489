import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { plugIn } from './authenticator.ts'
import { button, field, newEmail, password, signIn, signUp, useNotes, writeNote } from './visit.ts'

/* Passkeys from the notes page itself, with an authenticator that Chromium's debugging protocol plugs in. */

const visit = useNotes()

const account = async (page: Page) => {
  await button(page, 'Account').click()
  await page.getByRole('heading', { name: 'Passkeys' }).waitFor()
}
const close = (page: Page) => button(page, 'Close').click()
const names = (page: Page) =>
  page
    .getByRole('textbox', { name: 'Name of this passkey' })
    .evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value))
const gate = (page: Page) => page.getByRole('heading', { name: 'Sign in' }).waitFor()

/** Counts in the page how many passkeys are being asked for. */
function count() {
  const get = navigator.credentials.get.bind(navigator.credentials)
  const state = Object.assign(window, { asking: 0 })
  const add = (by: number) => {
    state.asking += by
  }
  navigator.credentials.get = (options) => {
    add(1)
    return get(options).finally(() => add(-1))
  }
}
/** A device looks whether it is touched when it is asked: what is offered has to be there before it is told to answer. */
const asking = (page: Page, times: number) =>
  page.waitForFunction((wanted) => Reflect.get(window, 'asking') === wanted, times)

/** Someone with a note and a passkey, whose device does not answer until it is told to. */
async function keeper() {
  const page = await visit()
  await page.addInitScript(count)
  await page.evaluate(count)
  const device = await plugIn(page)
  const email = await signUp(page)
  await writeNote(page, 'Soup')
  await account(page)
  await button(page, 'Add a passkey').click()
  await page.getByText('Passkey added.').waitFor()
  await device.answers(false)
  return { page, device, email }
}

it('is added, signs in by a button, is named and deleted', async () => {
  const { page, device, email } = await keeper()
  expect(await device.held()).toBe(1)
  expect(await names(page)).toEqual([''])
  expect(await page.locator('.passkeys').textContent()).toMatch(/Added .+\. Not used yet\./)
  await field(page, 'Name of this passkey').fill('My phone')
  await page.keyboard.press('Enter')
  await page.getByText('Renamed.').waitFor()
  await close(page)
  await button(page, 'Sign out').click()
  await gate(page)
  expect(await page.content()).not.toContain('My phone')

  await asking(page, 1)
  await device.answers(true)
  await button(page, 'Sign in with a passkey').click()
  await page.locator('.entry', { hasText: 'Soup' }).waitFor()
  expect(await page.locator('#who').textContent()).toBe(email)
  await device.answers(false)

  await page.reload()
  await page.locator('.entry').waitFor()
  await account(page)
  await page.getByText(/Last used /).waitFor()
  expect(await names(page)).toEqual(['My phone'])
  await button(page, 'Delete').last().click()
  // Asked once more, and taken back by going elsewhere.
  await button(page, 'Delete for good').waitFor()
  await field(page, 'New password').focus()
  expect(await button(page, 'Delete for good').count()).toBe(0)
  await page.locator('.passkeys').getByRole('button', { name: 'Delete' }).click()
  await button(page, 'Delete for good').click()
  await page.getByText('Passkey deleted.').waitFor()
  expect(await names(page)).toEqual([])
  await close(page)
  await account(page)
  await page.getByText('With a passkey you sign in by').waitFor()
})

it('is offered in the field for the e-mail, without being asked for', async () => {
  const { page, device, email } = await keeper()
  await close(page)
  await button(page, 'Sign out').click()
  await gate(page)
  expect(await field(page, 'E-mail').getAttribute('autocomplete')).toBe('username webauthn')
  // As by a touch of what the browser shows in the field: no button of the page is clicked.
  await device.answers(true)
  await page.reload()
  await page.locator('.entry', { hasText: 'Soup' }).waitFor()
  expect(await page.locator('#who').textContent()).toBe(email)
})

it('is offered to nobody who has come in another way', async () => {
  const { page, device } = await keeper()
  await close(page)
  await button(page, 'Sign out').click()
  await gate(page)
  await asking(page, 1)
  const other = newEmail()
  await button(page, 'Create an account').click()
  expect(await button(page, 'Sign in with a passkey').count()).toBe(0)
  await field(page, 'E-mail').fill(other)
  await field(page, 'Password').fill(password)
  await button(page, 'Create account').click()
  await page.getByText('Nothing here yet').waitFor()
  await asking(page, 0)
  await device.answers(true)
  expect(await page.locator('#who').textContent()).toBe(other)
})

it('says in plain words what does not work, and the password still does', async () => {
  const { page, device, email } = await keeper()
  await device.answers(true)
  await button(page, 'Add a passkey').click()
  await page.getByText('This device has a passkey for your notes already.').waitFor()
  expect(await names(page)).toHaveLength(1)
  // Deleted here, and still on the device.
  await page.locator('.passkeys').getByRole('button', { name: 'Delete' }).click()
  await button(page, 'Delete for good').click()
  await page.getByText('Passkey deleted.').waitFor()
  await device.answers(false)
  await close(page)
  await button(page, 'Sign out').click()
  await gate(page)
  await device.refuses(true)
  await asking(page, 1)
  await device.answers(true)
  await button(page, 'Sign in with a passkey').click()
  await page.getByText('Your device gave no passkey.').waitFor()
  await device.answers(false)
  await device.refuses(false)
  await device.answers(true)
  await button(page, 'Sign in with a passkey').click()
  await page.getByText('This passkey is not known here any more.').waitFor()
  await device.answers(false)
  await signIn(page, email)
  await page.locator('.entry', { hasText: 'Soup' }).waitFor()
})

it('says so where the browser has none', async () => {
  const page = await visit('/blank')
  await page.addInitScript(() => {
    Reflect.deleteProperty(window, 'PublicKeyCredential')
  })
  await page.goto(new URL('/', page.url()).href)
  await button(page, 'Create an account').waitFor()
  expect(await button(page, 'Sign in with a passkey').count()).toBe(0)
  await signUp(page)
  await account(page)
  await page.getByText('This browser has no passkeys.').waitFor()
  expect(await button(page, 'Add a passkey').count()).toBe(0)
})

it('keeps what it has when the network is gone', async () => {
  const { page } = await keeper()
  await close(page)
  await page.context().setOffline(true)
  await account(page)
  await page.getByText('You are offline. Try again').waitFor()
  await page.context().setOffline(false)
  await close(page)
  await account(page)
  await page.getByText('Not used yet.').waitFor()
})
