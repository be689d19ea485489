import type { Api, Note } from './api.ts'
import { busy, button, byId, complain, part, say } from './dom.ts'
import { extras } from './extras.ts'
import { clearSearch, focusEntry, onChoice, onSearch, showList } from './list.ts'
import * as sheet from './sheet.ts'
import { inWords, isOver } from './words.ts'

const problem = part('list-problem')

export interface Desk {
  open(userId: string, email: string): Promise<void>
  /** @param keep Whether what is written and not saved waits for the same user to come back. */
  close(keep: boolean): void
}

/** The list and the page of whoever is signed in. */
export function desk(api: Api, sessionOver: () => void): Desk {
  let userId: string | undefined
  let notes: Note[] | undefined
  let kept: { userId: string; note: Note | undefined; draft: sheet.Draft } | undefined

  const more = extras(api, { save: () => save(), wrong: (error, tell) => wrong(error, tell) })

  const show = () => showList(notes, sheet.openNote()?.id)

  /** Tells what went wrong where one looks; a session that is over leads to the gate instead. */
  const wrong = (error: unknown, tell: (words: string) => void) =>
    isOver(error) ? sessionOver() : tell(inWords(error))

  async function load() {
    const asker = userId
    complain(problem, '')
    show()
    const { data, error } = await api
      .from('notes')
      .select('*')
      .order('updated_at', { ascending: false })
      .limit(500)
    // An answer that comes when someone else sits here is not for them.
    if (asker !== userId) return
    if (error) return wrong(error, (words) => complain(problem, words))
    notes = data
    show()
  }

  /** @returns Whether nothing unsaved is left. */
  async function save(): Promise<boolean> {
    const go = button('save')
    if (go.disabled || !sheet.isSound()) return false
    const asker = userId
    const before = sheet.openNote()
    const written = { ...sheet.draft(), updated_at: new Date().toISOString() }
    const { data, error } = await busy(go, 'Saving…', () =>
      before
        ? api.from('notes').update(written).eq('id', before.id).select().single()
        : api.from('notes').insert(written).select().single(),
    )
    if (asker !== userId) return false
    if (error) {
      wrong(error, sheet.tell)
      return false
    }
    put(data)
    if (sheet.openNote() === before) sheet.savedAs(data)
    show()
    say('Saved.')
    return true
  }

  const put = (note: Note) => {
    notes = [note, ...(notes ?? []).filter(({ id }) => id !== note.id)]
  }

  /** What is written is saved before another note takes its place. */
  const leave = async (): Promise<boolean> => !sheet.isDirty() || (await save())

  async function choose(id: string) {
    if (!(await leave())) return
    const note = notes?.find((one) => one.id === Number(id))
    if (!note) return
    sheet.showSheet(note)
    more.clear()
    show()
    sheet.focusBody()
  }

  async function startNew() {
    if (!(await leave())) return
    clearSearch()
    sheet.showSheet(undefined)
    more.clear()
    show()
    sheet.focusTitle()
  }

  async function togglePin() {
    const note = sheet.openNote()
    if (!note) return
    const { data, error } = await api
      .from('notes')
      .update({ pinned: !note.pinned })
      .eq('id', note.id)
      .select()
      .single()
    if (error) return wrong(error, sheet.tell)
    put(data)
    if (sheet.openNote()?.id === data.id) sheet.savedAs(data)
    show()
    say(data.pinned ? 'Pinned to the top.' : 'Unpinned.')
  }

  async function remove() {
    const note = sheet.openNote()
    if (!note) return
    const { error } = await busy(button('sure-yes'), 'Deleting…', () =>
      api.from('notes').delete().eq('id', note.id),
    )
    sheet.askSure(false)
    if (error) return wrong(error, sheet.tell)
    notes = notes?.filter(({ id }) => id !== note.id)
    sheet.clearSheet()
    more.clear()
    show()
    say('Deleted.')
    button('new').focus()
  }

  onChoice(choose)
  onSearch(show)
  button('new').addEventListener('click', startNew)
  button('pin').addEventListener('click', togglePin)
  button('delete').addEventListener('click', () => sheet.askSure(true))
  button('sure-no').addEventListener('click', () => {
    sheet.askSure(false)
    button('delete').focus()
  })
  button('sure-yes').addEventListener('click', remove)
  button('back').addEventListener('click', async () => {
    if (!(await leave())) return
    const id = sheet.openNote()?.id
    sheet.clearSheet()
    more.clear()
    show()
    focusEntry(id)
  })
  byId('note', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault()
    void save()
  })
  document.addEventListener('keydown', (event) => {
    if (!userId || !sheet.hasSheet()) return
    if ((event.ctrlKey || event.metaKey) && (event.key === 's' || event.key === 'Enter')) {
      event.preventDefault()
      void save()
    }
  })
  addEventListener('beforeunload', (event) => {
    if (sheet.isDirty()) event.preventDefault()
  })
  addEventListener('online', () => {
    if (userId && !sheet.isDirty()) void load()
  })

  return {
    async open(id, email) {
      userId = id
      notes = undefined
      part('who').textContent = email
      if (kept?.userId === id) sheet.showSheet(kept.note, kept.draft)
      kept = undefined
      await load()
    },
    close(keep) {
      if (keep && userId && sheet.isDirty())
        kept = { userId, note: sheet.openNote(), draft: sheet.draft() }
      userId = undefined
      notes = undefined
      // Nothing of one user is left in the page for the next.
      clearSearch()
      sheet.clearSheet()
      more.clear()
      showList([], undefined)
      complain(problem, '')
      part('who').textContent = ''
    },
  }
}
