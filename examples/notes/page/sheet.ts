import type { Note } from './api.ts'
import { button, byId, complain, input, part } from './dom.ts'
import { when } from './list.ts'

const form = byId('note', HTMLFormElement)
const title = input('title')
const body = byId('body', HTMLTextAreaElement)
const problem = part('note-problem')
const pin = button('pin')

const limits = { title: 200, body: 20_000 }

export interface Draft {
  title: string
  body: string
}

/** The note as it was opened, to tell whether anything was written since. `undefined` for a new one. */
let opened: Note | undefined
let isOpen = false

export const openNote = () => opened
export const hasSheet = () => isOpen
export const draft = (): Draft => ({ title: title.value, body: body.value })

export const isDirty = (): boolean =>
  isOpen && (title.value !== (opened?.title ?? '') || body.value !== (opened?.body ?? ''))

/** Puts a note on the page, or an empty sheet; with `kept`, what was written and not saved stays. */
export function showSheet(note: Note | undefined, kept?: Draft) {
  isOpen = true
  opened = note
  title.value = kept?.title ?? note?.title ?? ''
  body.value = kept?.body ?? note?.body ?? ''
  body.scrollTop = 0
  form.hidden = false
  part('blank').hidden = true
  part('desk').dataset.open = ''
  complain(problem, '')
  askSure(false)
  refreshState()
}

/** The server's answer is what the page holds now; what was written meanwhile is kept. */
export function savedAs(note: Note) {
  opened = note
  refreshState()
}

export function clearSheet() {
  isOpen = false
  opened = undefined
  form.reset()
  form.hidden = true
  part('blank').hidden = false
  delete part('desk').dataset.open
}

function refreshState() {
  part('note-state').textContent = isDirty()
    ? 'Not saved yet'
    : opened
      ? `Saved, ${when(opened.updated_at)}`
      : 'A new note'
  pin.textContent = opened?.pinned ? 'Unpin' : 'Pin'
  pin.setAttribute('aria-pressed', String(opened?.pinned ?? false))
  pin.hidden = !opened
  button('delete').hidden = !opened
}

/** Whether the sheet can be saved; says why not. */
export function isSound(): boolean {
  for (const [field, name, limit] of [
    [title, 'title', limits.title],
    [body, 'text', limits.body],
  ] as const) {
    // By characters, as the database counts; `length` counts UTF-16 halves.
    const { length } = [...field.value]
    if (length <= limit) continue
    const count = (n: number) => n.toLocaleString()
    complain(
      problem,
      `The ${name} is too long: ${count(length)} characters, and ${count(limit)} fit.`,
      field,
    )
    return false
  }
  if (title.value.trim() || body.value.trim()) {
    complain(problem, '')
    return true
  }
  complain(problem, 'There is nothing to save yet. Write a title or some text.', title)
  return false
}

export const tell = (words: string) => complain(problem, words)

/** Asks before it deletes, in the place where the button was. */
export function askSure(asking: boolean) {
  part('sure').hidden = !asking
  part('usual').hidden = asking
  if (asking) button('sure-no').focus()
}

export const focusTitle = () => title.focus({ preventScroll: true })
export const focusBody = () => body.focus({ preventScroll: true })

form.addEventListener('input', () => {
  complain(problem, '')
  refreshState()
})
