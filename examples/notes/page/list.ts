import { byId, input, part } from './dom.ts'

const list = byId('list', HTMLUListElement)
const words = part('list-words')
const search = input('search')

const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })

export const when = (time: string): string => {
  const date = new Date(time)
  const isToday = date.toDateString() === new Date().toDateString()
  return (isToday ? hour : day).format(date)
}

/** What the list shows of a note, whichever page it is of. */
export interface Listed {
  id: string | number
  title: string
  body: string
  updated_at: string
  /** Whether it stands above the others. */
  pinned: boolean
  /** @default 'Pinned', if it is */
  mark?: string
}

const nameOf = (note: Listed): string => note.title.trim() || 'Untitled'

/** What matches the search, pinned first, then the last written first. */
function chosen(notes: readonly Listed[]): Listed[] {
  const wanted = search.value.trim().toLocaleLowerCase()
  return notes
    .filter(({ title, body }) => `${title}\n${body}`.toLocaleLowerCase().includes(wanted))
    .sort((a, b) => Number(b.pinned) - Number(a.pinned) || (a.updated_at < b.updated_at ? 1 : -1))
}

/** @param notes `undefined` while they are being fetched. */
export function showList(
  notes: readonly Listed[] | undefined,
  openId: string | number | undefined,
) {
  const shown = notes && chosen(notes)
  const focused = list.contains(document.activeElement)
    ? (document.activeElement as HTMLElement).dataset.id
    : undefined
  list.replaceChildren(...(shown ?? []).map((note) => entry(note, note.id === openId)))
  // The list is made anew; whoever goes through it by keyboard stays where they were.
  if (focused) list.querySelector<HTMLElement>(`[data-id="${focused}"]`)?.focus()
  words.textContent = !shown
    ? 'Fetching your notes…'
    : notes.length === 0
      ? 'Nothing here yet. Write your first note.'
      : shown.length === 0
        ? 'No note has these words.'
        : ''
}

function entry(note: Listed, isOpen: boolean): HTMLLIElement {
  const make = (tag: string, name: string, text: string) => {
    const element = document.createElement(tag)
    element.className = name
    // Always as text: a note is whatever someone wrote.
    element.textContent = text
    return element
  }
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'entry'
  button.dataset.id = String(note.id)
  if (isOpen) button.setAttribute('aria-current', 'true')
  if (note.pinned) button.dataset.pinned = ''
  const first = note.body.trim().split('\n', 1)[0]?.slice(0, 120) ?? ''
  button.replaceChildren(
    make('b', '', nameOf(note)),
    make('span', 'when', when(note.updated_at)),
    make('span', 'first', first || 'No text'),
    make('span', 'mark', note.mark ?? (note.pinned ? 'Pinned' : '')),
  )
  const item = document.createElement('li')
  item.replaceChildren(button)
  return item
}

export function onChoice(choose: (id: string) => void) {
  list.addEventListener('click', (event) => {
    const { id } = (event.target as Element).closest<HTMLElement>('.entry')?.dataset ?? {}
    if (id) choose(id)
  })
}

export const focusEntry = (id: string | number | undefined) =>
  (list.querySelector<HTMLElement>(`[data-id="${id}"]`) ?? search).focus()

export const onSearch = (again: () => void) => search.addEventListener('input', again)

export const clearSearch = () => {
  search.value = ''
}
