import { button, byId, complain, input, part } from '../dom.ts'
import { when } from '../list.ts'
import type { Draft, Kept } from './notebook.ts'
import { showBlob } from './picture.ts'

/* The sheet on which one writes. It saves by itself, so it has no button for it. */

const form = byId('note', HTMLFormElement)
const title = input('title')
const body = byId('body', HTMLTextAreaElement)
const image = byId('picture', HTMLImageElement)

/** The version that is being edited; `undefined` for a new note. */
let base: Kept | undefined
let id: string | undefined

export const openId = () => id
export const baseOf = () => base
export const draft = (): Draft => ({ title: title.value, body: body.value })
export const isDirty = (): boolean =>
  id !== undefined && (title.value !== (base?.title ?? '') || body.value !== (base?.body ?? ''))
export const isEmpty = (): boolean => !title.value.trim() && !body.value.trim()

export function showPage(noteId: string, note: Kept | undefined) {
  id = noteId
  base = note
  // What is the same stays as it is, with the caret in it.
  if (title.value !== (note?.title ?? '')) title.value = note?.title ?? ''
  if (body.value !== (note?.body ?? '')) body.value = note?.body ?? ''
  form.hidden = false
  part('blank').hidden = true
  part('desk').dataset.open = ''
  complain(part('note-problem'), '')
  askSure(false)
  refresh()
}

/** What is written now is kept; what was written meanwhile goes on. */
export function keptAs(note: Kept) {
  base = note
  refresh()
}

export function showPicture(blob: Blob | undefined) {
  showBlob(image, blob)
  part('picture-place').hidden = !blob
  part('picture-add').textContent = blob ? 'Another picture' : 'Add a picture'
}

export function clearPage() {
  id = base = undefined
  form.reset()
  form.hidden = true
  showPicture(undefined)
  part('blank').hidden = false
  delete part('desk').dataset.open
}

/** Hides the sheet while there are versions to choose from. */
export const hideSheet = (hidden: boolean) => {
  form.hidden = hidden
}

function refresh() {
  part('note-state').textContent = isDirty()
    ? 'Writing…'
    : base
      ? `Kept on this device, ${when(base.edited)}`
      : 'A new note'
  button('delete').hidden = !base
}

export const tell = (words: string) => complain(part('note-problem'), words)

export function askSure(asking: boolean) {
  part('sure').hidden = !asking
  part('usual').hidden = asking
  if (asking) button('sure-no').focus()
}

export const focusTitle = () => title.focus({ preventScroll: true })
export const focusBody = () => body.focus({ preventScroll: true })

export function onWriting(run: () => void) {
  form.addEventListener('submit', (event) => event.preventDefault())
  for (const field of [title, body])
    field.addEventListener('input', () => {
      tell('')
      refresh()
      run()
    })
}
