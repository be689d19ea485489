import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import {
  button,
  field,
  newEmail,
  password,
  saved,
  signIn,
  signUp,
  useNotes,
  writeNote,
} from './visit.ts'

const visit = useNotes()

const entries = (page: Page) => page.locator('.entry b').allTextContents()
const problem = (page: Page) => page.locator('.problem:not(:empty):visible').textContent()

it('goes from sign-up to sign-out', async () => {
  const page = await visit()
  const email = await signUp(page)
  expect(await page.locator('#who').textContent()).toBe(email)

  await writeNote(page, 'Soup', 'Leeks, potatoes.')
  await writeNote(page, 'Letter', 'To the council.')
  expect(await entries(page)).toEqual(['Letter', 'Soup'])

  await page.locator('.entry', { hasText: 'Soup' }).click()
  await field(page, 'Text').fill('Leeks, potatoes, bay leaf.')
  await page.keyboard.press('Control+s')
  await saved(page)
  expect(await entries(page)).toEqual(['Soup', 'Letter'])

  await page.locator('.entry', { hasText: 'Letter' }).click()
  await button(page, 'Pin').click()
  await button(page, 'Unpin').waitFor()
  expect(await entries(page)).toEqual(['Letter', 'Soup'])

  await page.reload()
  await page.locator('.entry').first().waitFor()
  expect(await entries(page)).toEqual(['Letter', 'Soup'])
  await page.locator('.entry', { hasText: 'Soup' }).click()
  expect(await field(page, 'Text').inputValue()).toBe('Leeks, potatoes, bay leaf.')

  await page.getByRole('searchbox').fill('COUNCIL')
  expect(await entries(page)).toEqual(['Letter'])
  await page.getByRole('searchbox').fill('nothing like it')
  await page.getByText('No note has these words.').waitFor()
  await page.getByRole('searchbox').fill('')

  await page.locator('.entry', { hasText: 'Soup' }).click()
  await button(page, 'Delete').click()
  await button(page, 'Keep').click()
  expect(await entries(page)).toHaveLength(2)
  await button(page, 'Delete').click()
  await button(page, 'Delete').click()
  await page.getByText('Deleted.').waitFor()
  expect(await entries(page)).toEqual(['Letter'])

  await button(page, 'Sign out').click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  expect(await page.content()).not.toContain('Letter')
  expect(await page.evaluate(() => localStorage.length)).toBe(0)
  await signIn(page, email)
  await page.locator('.entry').waitFor()
  expect(await entries(page)).toEqual(['Letter'])
})

it('shows two users, side by side, their own notes only', async () => {
  const [ada, bob] = await Promise.all([visit(), visit()])
  await signUp(ada)
  await signUp(bob)
  await writeNote(ada, "Ada's secret")
  await writeNote(bob, "Bob's plan")
  await Promise.all([ada, bob].map((page) => page.reload()))
  await Promise.all([ada, bob].map((page) => page.locator('.entry').waitFor()))
  expect([await entries(ada), await entries(bob)]).toEqual([["Ada's secret"], ["Bob's plan"]])
  expect(await bob.content()).not.toContain('secret')
})

it('shows what someone wrote as text, never as HTML', async () => {
  const page = await visit()
  await signUp(page)
  const nasty = '<img src=x onerror="document.title=1"><script>1</script>'
  await writeNote(page, nasty, nasty)
  expect(await entries(page)).toEqual([nasty])
  expect(await page.locator('.list img, .list script').count()).toBe(0)
})

describe('says in plain words', () => {
  it('that e-mail and password do not match, and that an address is taken', async () => {
    const page = await visit()
    const email = await signUp(page)
    await button(page, 'Sign out').click()
    await signIn(page, email, 'not the password')
    await page.getByText('E-mail and password do not match.').waitFor()
    expect(await field(page, 'Password').getAttribute('aria-invalid')).toBe('true')
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('password')

    await button(page, 'Create an account').click()
    expect(await page.locator('#entry-problem').textContent()).toBe('')
    await button(page, 'Create account').click()
    await page.getByText('There is an account with this e-mail already.').waitFor()
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('email')
  })

  it('what is missing, before anything is sent', async () => {
    const page = await visit()
    await button(page, 'Sign in').click()
    expect(await problem(page)).toContain('Enter your e-mail address')
    await signIn(page, 'not an address')
    expect(await problem(page)).toContain('Enter your e-mail address')
    await button(page, 'Create an account').click()
    await field(page, 'E-mail').fill(newEmail())
    await field(page, 'Password').fill('short')
    await button(page, 'Create account').click()
    expect(await problem(page)).toContain('too short')
  })

  it('that a note is empty or too long', async () => {
    const page = await visit()
    await signUp(page)
    await button(page, 'New note').click()
    await button(page, 'Save').click()
    expect(await problem(page)).toContain('nothing to save yet')
    await field(page, 'Title').fill('x'.repeat(201))
    expect(await page.locator('#note-problem').textContent()).toBe('')
    await button(page, 'Save').click()
    expect(await problem(page)).toBe('The title is too long: 201 characters, and 200 fit.')
    // 200 characters of two UTF-16 units each do fit, there and in the database.
    await field(page, 'Title').fill('𝄞'.repeat(200))
    await button(page, 'Save').click()
    await saved(page)
  })

  it('that it is offline, and keeps what was written', async () => {
    const page = await visit()
    await signUp(page)
    await writeNote(page, 'Before')
    await page.context().setOffline(true)
    await page.getByText('You are offline.').waitFor()
    await field(page, 'Text').fill('Written in the train')
    await button(page, 'Save').click()
    await page.locator('#note-problem', { hasText: 'You are offline' }).waitFor()
    expect(await field(page, 'Text').inputValue()).toBe('Written in the train')
    await page.context().setOffline(false)
    await page.locator('#offline').waitFor({ state: 'hidden' })
    await button(page, 'Save').click()
    await saved(page)
  })

  it('that the session has ended, and gives back what was not saved', async () => {
    const page = await visit()
    const email = await signUp(page)
    await writeNote(page, 'Kept')
    await field(page, 'Text').fill('Half a sentence')
    // A token that the server does not take any more, as when its keys have been changed.
    await page.evaluate(() => {
      for (const [key, value] of Object.entries(localStorage))
        localStorage.setItem(key, value.replace(/("access_token":"[^"]+)[\w-]{9}"/, '$1AAAAAAAAA"'))
    })
    await button(page, 'Save').click()
    await page.getByText('Your session has ended. Sign in again.').waitFor()
    expect(await page.locator('#list').textContent()).toBe('')
    await signIn(page, email)
    await page.locator('.entry').waitFor()
    expect(await field(page, 'Text').inputValue()).toBe('Half a sentence')
    await button(page, 'Save').click()
    await saved(page)
  })

  it('that the server cannot be reached, and tries again when asked', async () => {
    const page = await visit()
    await page.route('**/config.json', (route) => route.abort())
    await page.reload()
    await page.getByText('The server cannot be reached.').waitFor()
    await page.unroute('**/config.json')
    await button(page, 'Try again').click()
    await field(page, 'E-mail').waitFor()
  })
})

it('changes the password, sends notice, and ends the other sessions', async () => {
  const [page, other] = await Promise.all([visit(), visit()])
  const email = await signUp(page)
  await signIn(other, email)
  await other.getByText('Nothing here yet').waitFor()

  await button(page, 'Account').click()
  await field(page, 'New password').fill(password)
  await button(page, 'Change password').click()
  await page.getByText('This is the password that you have already.').waitFor()
  await field(page, 'New password').fill('another horse battery')
  await button(page, 'Change password').click()
  await page.getByText('Password changed.').waitFor()
  expect(await field(page, 'New password').count()).toBe(0)

  const mail = await visit('/mail')
  // It is kept once the answer is out.
  await expect
    .poll(async () => (await mail.reload()) && mail.locator('tr', { hasText: email }).count())
    .toBe(1)
  await mail.locator('tr', { hasText: email }).getByRole('link').click()
  await mail.getByRole('heading', { level: 1 }).waitFor()
  const sandbox = await mail.locator('iframe').getAttribute('sandbox')
  expect(sandbox).not.toMatch(/scripts|forms|same-origin/)

  await button(page, 'Account').click()
  await button(page, 'Sign out everywhere').click()
  await field(page, 'Password').waitFor()
  await signIn(page, email)
  await page.getByText('E-mail and password do not match.').waitFor()
})
