import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startNotes } from '../kit/running.ts'
import { button, field, saved, signUp, useBrowser, useNotes, writeNote } from './visit.ts'

const translation = async (page: Page) =>
  (await page.locator('.translated p').allTextContents()).join('\n')
const problem = (page: Page) => page.locator('#extra-problem:not(:empty)').textContent()
const into = (page: Page, language: string) => page.getByLabel('into').selectOption(language)
const shown = (page: Page) => button(page, 'Close translation').waitFor()
const left = async (page: Page) =>
  Number((await page.locator('#quota').textContent())?.match(/^([\d,]+) of/)?.[1]?.replace(',', ''))

/** What the page could ask for, as whoever is signed in there. */
const ask = (page: Page, path: string, body: object, authorised = true) =>
  page.evaluate(
    async ([path, body, authorised]) => {
      const [session] = Object.values<string>(localStorage).map((value) => JSON.parse(value))
      const response = await fetch(path, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(authorised ? { authorization: `Bearer ${session.access_token}` } : {}),
        },
        body: JSON.stringify(body),
      })
      return [response.status, ((await response.json()) as { code: string }).code]
    },
    [path, body, authorised] as const,
  )

const at = (page: Page, path: string) => new URL(path, page.url()).href

interface Kept {
  id: string
  recipients: string
  subject: string
}

const inbox = async (page: Page, email: string): Promise<Kept[]> => {
  const headers = { accept: 'application/json' }
  const response = await page.request.get(at(page, '/email/v1/inbox'), { headers })
  const { mails } = (await response.json()) as { mails: Kept[] }
  return mails.filter(({ recipients }) => recipients === email)
}

describe('as npm start has it', () => {
  const visit = useNotes()

  it('translates a note by what stands in for a translator, and says what is left', async () => {
    const page = await visit('/', { locale: 'fr-CH' })
    await signUp(page)
    await writeNote(page, 'Soup', 'Leeks. Potatoes, {count}!\n\n<b>Salt</b>')
    expect(await page.getByLabel('into').inputValue()).toBe('fr')
    await into(page, 'de')
    await button(page, 'Translate').focus()
    await page.keyboard.press('Enter')
    await shown(page)
    const is = (text: string) => `[not really de] ${text}`
    expect((await translation(page)).replace(/\n+/g, '\n')).toBe(
      `${is('Soup')}\n${is('Leeks.')} ${is('Potatoes, {count}!')}\n${is('<b>Salt</b>')}`,
    )
    expect(await page.locator('#translation').getAttribute('aria-labelledby')).toBe(
      'translation-name',
    )
    expect(await page.locator('#translation-name').textContent()).toBe('In German')
    expect(await page.locator('#translated-body').getAttribute('lang')).toBe('de')
    const after = await left(page)
    expect(after).toBeLessThan(25_000)

    // Read on, where one is; then back to where one was.
    await page.waitForFunction(() => document.activeElement?.id === 'translation')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.waitForFunction(() => document.activeElement?.id === 'translate')
    expect(await page.locator('#translation').isVisible()).toBe(false)

    await field(page, 'Text').fill('Leeks.')
    await button(page, 'Translate').click()
    await shown(page)
    await field(page, 'Text').fill('Leeks. More leeks.')
    await page.getByText('The note has changed since.').waitFor()
    await button(page, 'Save').click()
    await saved(page)
    await button(page, 'New note').click()
    expect(await page.locator('#translation').isVisible()).toBe(false)
    await button(page, 'Translate').click()
    await page.getByText('There is nothing to').waitFor()
  })

  it('stops at the quota, and says when there is more', async () => {
    const page = await visit()
    await signUp(page)
    const sentences = Array.from({ length: 130 }, (_, i) => `Line ${i} ${'x'.repeat(130)}.`)
    await writeNote(page, 'Long', sentences.join('\n'))
    await into(page, 'de')
    await button(page, 'Translate').click()
    await shown(page)
    await into(page, 'pl')
    await button(page, 'Translate').click()
    expect(await problem(page)).toMatch(
      /^You have translated as much as you may for now\. Try again (shortly|in \d+ (minute|hour)s?)\.$/,
    )
    // What was translated before costs none.
    await into(page, 'de')
    await button(page, 'Translate').click()
    await page.locator('#extra-problem:empty').waitFor({ state: 'attached' })
    await button(page, 'Translate').and(page.locator(':enabled')).waitFor()
    expect(await page.locator('#extra-problem').textContent()).toBe('')
  })

  it('mails a note as it stands, saved first, to its writer and nobody else', async () => {
    const page = await visit()
    const email = await signUp(page)
    await button(page, 'New note').click()
    await field(page, 'Title').fill('Tea & cake')
    await field(page, 'Text').fill('<i>Scones</i>\nJam')
    await button(page, 'Mail me this note').focus()
    await page.keyboard.press('Enter')
    await page.getByText(`On its way to ${email}.`).waitFor()
    await saved(page)
    await expect.poll(() => inbox(page, email)).toHaveLength(1)
    const [mail] = await inbox(page, email)
    expect(mail).toMatchObject({ recipients: email, subject: 'Tea & cake' })
    const whole = await page.request.get(at(page, `/email/v1/inbox/${mail?.id}`), {
      headers: { accept: 'application/json' },
    })
    expect(await whole.json()).toMatchObject({
      text: 'Tea & cake\n\n<i>Scones</i>\nJam',
      html: expect.stringContaining('&#60;i&#62;Scones'),
    })

    const id = Number(await page.locator('.entry').getAttribute('data-id'))
    const send = '/email/v1/send'
    const other = await visit()
    const stranger = await signUp(other)
    const own = { template: 'note', params: { id } }
    expect(await ask(other, send, own)).toEqual([404, 'no_note'])
    expect((await ask(other, send, own, false))[0]).toBe(401)
    expect((await ask(page, send, { ...own, params: { id, to: stranger } }))[0]).toBe(400)
    expect((await ask(page, '/services/translate', { text: 'x', target: 'de' }, false))[0]).toBe(
      401,
    )
    expect(await inbox(page, stranger)).toEqual([])
    expect(await inbox(page, email)).toHaveLength(1)
  })

  it('mails ten notes an hour', async () => {
    const page = await visit()
    const email = await signUp(page)
    await writeNote(page, 'Again')
    for (let sent = 1; sent <= 10; sent++) {
      await button(page, 'Mail me this note').click()
      await page.getByText(`On its way to ${email}.`).waitFor()
    }
    await button(page, 'Mail me this note').click()
    expect(await problem(page)).toMatch(
      /^That was often enough for now\. Try again in \d+ minutes?\.$/,
    )
    expect(await page.locator('#extra-done').textContent()).toBe('')
    await expect.poll(() => inbox(page, email)).toHaveLength(10)
  })

  it('asks again with the same key after an answer that was lost: one mail', async () => {
    const page = await visit()
    const email = await signUp(page)
    await writeNote(page, 'Once')
    await page.route('**/email/v1/send', async (route) => {
      await route.fetch()
      await route.abort()
    })
    await button(page, 'Mail me this note').click()
    expect(await problem(page)).toBe('The server cannot be reached. Try again shortly.')
    await page.unroute('**/email/v1/send')
    await button(page, 'Mail me this note').click()
    await page.getByText(`On its way to ${email}.`).waitFor()
    await button(page, 'Mail me this note').click()
    await page.getByText(`On its way to ${email}.`).waitFor()
    // The first two are one.
    await expect.poll(() => inbox(page, email)).toHaveLength(2)
  })
})

describe('with a translator elsewhere', () => {
  let status = 200
  let hold = Promise.resolve()
  let sentences = 0
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const { q } = JSON.parse(text) as { q: string[] }
    sentences += q.length
    await hold
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify({
        translatedText: q.map(() => '<img src=x onerror=alert(1)>'),
        detectedLanguage: q.map(() => ({ language: 'en', confidence: 90 })),
      }),
    )
  })
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
  afterAll(() => void server.close())
  beforeEach(() => {
    status = 200
    hold = Promise.resolve()
    sentences = 0
  })
  const visit = useBrowser(() =>
    startNotes({
      TRANSLATE_ORIGIN: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    }),
  )

  it('is busy once, shows what comes as text, and buys no sentence twice', async () => {
    const page = await visit()
    await signUp(page)
    await writeNote(page, 'Bench', 'Broken.')
    await into(page, 'de')
    let release = () => {}
    hold = new Promise((resolve) => {
      release = resolve
    })
    await button(page, 'Translate').click()
    const waiting = button(page, 'Translating…')
    await waiting.waitFor()
    expect(await waiting.isDisabled()).toBe(true)
    release()
    await shown(page)
    expect(await page.locator('#translation-name').textContent()).toBe('In German, from English')
    expect(await translation(page)).toContain('<img src=x onerror=alert(1)>')
    expect(await page.locator('#translation img').count()).toBe(0)
    expect([sentences, await left(page)]).toEqual([2, 25_000 - 'BenchBroken.'.length])
    await button(page, 'Close translation').click()
    await button(page, 'Translate').click()
    await shown(page)
    expect([sentences, await left(page)]).toEqual([2, 25_000 - 'BenchBroken.'.length])
  })

  it('does not show the translation of a note under another', async () => {
    const page = await visit()
    await signUp(page)
    await writeNote(page, 'First')
    await writeNote(page, 'Second')
    let release = () => {}
    hold = new Promise((resolve) => {
      release = resolve
    })
    await button(page, 'Translate').click()
    await button(page, 'Translating…').waitFor()
    await page.locator('.entry', { hasText: 'First' }).click()
    release()
    await button(page, 'Translate').and(page.locator(':enabled')).waitFor()
    expect(await page.locator('#translation').isVisible()).toBe(false)
  })

  it('says that the translator fails', async () => {
    const page = await visit()
    await signUp(page)
    await writeNote(page, 'Never translated')
    status = 500
    await button(page, 'Translate').click()
    expect(await problem(page)).toBe('The translator gave no usable answer. Try again shortly.')
    expect(await page.locator('#translation').isVisible()).toBe(false)
    status = 200
    await button(page, 'Translate').click()
    await shown(page)
    expect(await page.locator('#extra-problem').textContent()).toBe('')
  })
})

describe('without a translator', () => {
  const visit = useBrowser(() => startNotes({ TRANSLATE_ORIGIN: 'none' }))

  it('says so, and translates nothing', async () => {
    const page = await visit()
    await signUp(page)
    await writeNote(page, 'Plain')
    await button(page, 'Translate').click()
    expect(await problem(page)).toBe('This server has no translator, so nothing was translated.')
    expect(await page.locator('#translation').isVisible()).toBe(false)
  })
})
