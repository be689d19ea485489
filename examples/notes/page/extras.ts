import type { Api } from './api.ts'
import { ask } from './ask.ts'
import { busy, button, byId, complain, part } from './dom.ts'
import * as sheet from './sheet.ts'

const [translation, problem] = [part('translation'), part('extra-problem')]
const [done, title, body] = [part('extra-done'), part('translated-title'), part('translated-body')]
const language = byId('language', HTMLSelectElement)

/** The reader's own language, if it is offered. As the default, so that a reset of the form leads back to it. */
function preferOwn() {
  const own = navigator.languages.map((tag) => tag.split('-')[0])
  const option = own
    .map((tag) => [...language.options].find(({ value }) => value === tag))
    .find((found) => found !== undefined)
  if (option) option.defaultSelected = true
}

export interface Extras {
  /** Takes back what was said of the note that was open. */
  clear(): void
}

interface Translated {
  texts: string[]
  source: string | null
  target: string
}

interface Needs {
  /** Saves what is not saved. @returns Whether nothing unsaved is left. */
  save(): Promise<boolean>
  wrong(error: unknown, tell: (words: string) => void): void
}

/** What one can have done with the open note: a translation, a mail. */
export function extras(api: Api, { save, wrong }: Needs): Extras {
  /** Counts up when another note is opened: an answer for the one before is not shown. */
  let turn = 0
  /** The same wish keeps its key until it is fulfilled: asked twice, it is one mail. */
  let wish: { about: string; key: string } | undefined

  function clear() {
    turn += 1
    translation.hidden = true
    title.textContent = body.textContent = ''
    complain(problem, '')
    done.textContent = ''
  }

  /** Runs it for the open note, and tells what goes wrong beneath its text. */
  async function attempt(
    control: HTMLButtonElement,
    words: string,
    work: () => Promise<() => void>,
  ) {
    if (control.disabled) return
    const mine = turn
    complain(problem, '')
    done.textContent = ''
    try {
      const show = await busy(control, words, work)
      if (mine === turn) show()
    } catch (error) {
      if (mine === turn) wrong(error, (told) => complain(problem, told))
    }
  }

  function translate() {
    const written = sheet.draft()
    if (!sheet.isSound()) return
    return attempt(button('translate'), 'Translating…', async () => {
      const { data, headers } = await ask<Translated>(api, '/services/translate', {
        texts: [written.title, written.body],
        target: language.value,
      })
      return () => {
        const name = (tag: string) =>
          new Intl.DisplayNames('en', { type: 'language' }).of(tag) ?? tag
        part('translation-name').textContent = data.source
          ? `In ${name(data.target)}, from ${name(data.source)}`
          : `In ${name(data.target)}`
        const [translatedTitle = '', translatedBody = ''] = data.texts
        // As text, never as markup: it is whatever someone wrote, by way of a stranger.
        title.textContent = translatedTitle
        body.textContent = translatedBody
        for (const element of [title, body]) element.lang = data.target
        const [left, limit] = ['x-ratelimit-remaining', 'x-ratelimit-limit'].map((header) =>
          Number(headers.get(header)).toLocaleString('en'),
        )
        part('quota').textContent =
          `${left} of ${limit} characters are left for today. What was translated before costs none.`
        translation.hidden = false
        translation.focus({ preventScroll: true })
        translation.scrollIntoView({ block: 'nearest' })
      }
    })
  }

  async function mail() {
    // The server mails what it has.
    if ((sheet.isDirty() || !sheet.openNote()) && !(await save())) return
    const note = sheet.openNote()
    if (!note) return
    const about = `${note.id} ${note.updated_at}`
    if (wish?.about !== about) wish = { about, key: crypto.randomUUID() }
    const { key } = wish
    return attempt(button('mail'), 'Mailing…', async () => {
      const params = { id: note.id }
      const headers = { 'idempotency-key': key }
      await ask(api, '/email/v1/send', { template: 'note', params }, headers)
      wish = undefined
      return () => {
        done.textContent = `On its way to ${part('who').textContent}.`
      }
    })
  }

  preferOwn()
  button('translate').addEventListener('click', () => void translate())
  button('mail').addEventListener('click', () => void mail())
  button('translation-close').addEventListener('click', () => {
    clear()
    button('translate').focus()
  })
  byId('note', HTMLFormElement).addEventListener('input', ({ target }) => {
    if (target === language) return
    complain(problem, '')
    done.textContent = ''
    if (!translation.hidden)
      part('quota').textContent = 'The note has changed since. Translate it again to see it whole.'
  })

  return { clear }
}
