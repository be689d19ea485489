import { button, input, part, say } from '../dom.ts'
import { clearSearch, focusEntry, onChoice, onSearch, showList } from '../list.ts'
import type { Owner } from './kept.ts'
import { type Draft, type Kept, type Notebook, openNotebook, pictureOf } from './notebook.ts'
import * as page from './page.ts'
import { smallPicture } from './picture.ts'
import { hideVersions, showVersions } from './versions.ts'

/** How long after the last key what was written is kept, in milliseconds. */
const pause = 400

export interface Desk {
  open(owner: Owner): Notebook
  owner(): Owner | undefined
  /** Puts the notebook away. What was written is in it. */
  close(): Promise<void>
}

/** The list and the page, over the notebook that is on this device. */
export function desk(): Desk {
  let notebook: Notebook | undefined
  let owner: Owner | undefined
  let notes: Kept[] | undefined
  let choosing: string | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let work: Promise<unknown> = Promise.resolve()

  /** One after the other: a save that follows another builds on what it wrote. */
  const next = <Result>(run: (book: Notebook) => Promise<Result>): Promise<Result | undefined> => {
    const book = notebook
    const done = work.then(() => (book && book === notebook ? run(book) : undefined))
    work = done.catch(() => {})
    return done.catch((error) => {
      page.tell(
        error instanceof DOMException && error.name === 'QuotaExceededError'
          ? 'This device has no room left.'
          : 'This could not be kept on this device. Reload the page, and try again.',
      )
      console.warn(error)
      return undefined
    })
  }

  const show = () =>
    showList(
      notes?.map((note) => ({
        id: note._id,
        title: note.title ?? '',
        body: note.body ?? '',
        updated_at: note.edited ?? '',
        pinned: Boolean(note._conflicts),
        mark: note._conflicts ? 'Choose a version' : pictureOf(note) ? 'Picture' : '',
      })),
      page.openId(),
    )

  async function load(book: Notebook) {
    const found = await book.list()
    if (book !== notebook) return
    notes = found
    show()
  }

  async function save(book: Notebook) {
    clearTimeout(timer)
    const id = page.openId()
    if (!id || !page.isDirty() || (page.isEmpty() && !page.baseOf())) return
    const kept = await book.save(id, page.draft(), page.baseOf())
    if (page.openId() !== id) return
    page.keptAs(kept)
    if (kept._conflicts) await display(book, kept)
  }
  const flush = () => next(save)

  /** Puts a note on the page as it is now: to be written on, or with its versions. */
  async function display(book: Notebook, note: Kept) {
    page.showPage(note._id, note)
    page.hideSheet(Boolean(note._conflicts))
    choosing = note._conflicts ? note._id : undefined
    if (!note._conflicts) {
      hideVersions()
      page.showPicture(await book.picture(note))
      return
    }
    const versions = await book.versions(note)
    if (page.openId() !== note._id) return
    await showVersions(book, versions, (stays, text) => void choose(versions, stays, text))
  }

  async function choose(versions: readonly Kept[], stays: Kept, text?: Draft) {
    await next(async (book) => {
      await book.choose(versions, stays, text)
      const note = await book.read(stays._id)
      if (note && page.openId() === stays._id) await display(book, note)
    })
    say('One version is left.')
  }

  async function open(id: string) {
    await flush()
    const note = await next((book) => book.read(id))
    if (!note || !notebook) return
    await display(notebook, note)
    show()
    if (choosing) part('versions').querySelector('h2')?.focus()
    else page.focusBody()
  }

  async function startNew() {
    await flush()
    clearSearch()
    hideVersions()
    choosing = undefined
    page.showPage(`note-${crypto.randomUUID()}`, undefined)
    page.showPicture(undefined)
    show()
    page.focusTitle()
  }

  /** Another device changed a note, or this one did. */
  async function changed(book: Notebook, id: string) {
    if (id !== page.openId()) return
    const note = await book.read(id)
    if (page.openId() !== id) return
    if (!note) {
      // Deleted elsewhere. Who writes on it keeps it.
      if (page.baseOf() && !page.isDirty()) {
        drop(id)
        putAway('This note was deleted on another device.')
      }
      return
    }
    const base = page.baseOf()
    const same = note._rev === base?._rev && String(note._conflicts) === String(base?._conflicts)
    // What is being written becomes a version of its own when it is kept.
    if (!same && !page.isDirty()) await display(book, note)
  }

  /** Out of the list, before it is read anew. */
  function drop(id: string | undefined) {
    notes = notes?.filter(({ _id }) => _id !== id)
  }

  function putAway(words = '') {
    hideVersions()
    choosing = undefined
    page.clearPage()
    show()
    if (words) say(words)
  }

  async function setPicture(file: Blob | null) {
    let picture: Blob | null = null
    try {
      picture = file && (await smallPicture(file))
    } catch {
      page.tell('This is no picture that your browser can show.')
      return
    }
    await next(async (book) => {
      const id = page.openId()
      if (!id) return
      const base =
        page.isDirty() || !page.baseOf()
          ? await book.save(id, page.draft(), page.baseOf())
          : page.baseOf()
      const note = await book.setPicture(base as Kept, picture)
      if (page.openId() === id) await display(book, note)
    })
  }

  async function remove() {
    await next(async (book) => {
      const note = page.baseOf() && (await book.read(page.openId() as string))
      if (note) await book.remove(note)
    })
    drop(page.openId())
    putAway('Deleted.')
    button('new').focus()
  }

  onChoice((id) => void open(id))
  onSearch(show)
  page.onWriting(() => {
    clearTimeout(timer)
    timer = setTimeout(flush, pause)
  })
  button('new').addEventListener('click', () => void startNew())
  button('back').addEventListener('click', async () => {
    await flush()
    const id = page.openId()
    putAway()
    focusEntry(id)
  })
  button('delete').addEventListener('click', () => page.askSure(true))
  button('sure-no').addEventListener('click', () => {
    page.askSure(false)
    button('delete').focus()
  })
  button('sure-yes').addEventListener('click', () => void remove())
  const file = input('picture-file')
  button('picture-add').addEventListener('click', () => file.click())
  file.addEventListener('change', () => {
    const [chosen] = file.files ?? []
    file.value = ''
    if (chosen) void setPicture(chosen)
  })
  button('picture-remove').addEventListener('click', () => void setPicture(null))
  // A phone may end a page that is not seen without another word.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) void flush()
  })
  addEventListener('pagehide', () => void flush())

  return {
    owner: () => owner,
    open(who) {
      const book = openNotebook(who.id)
      notebook = book
      owner = who
      notes = undefined
      let due: ReturnType<typeof setTimeout> | undefined
      book.onChange((id) => {
        void next((one) => changed(one, id))
        // A replication brings many at once.
        clearTimeout(due)
        due = setTimeout(() => void load(book), 50)
      })
      part('who').textContent = who.email
      show()
      void load(book)
      return book
    },
    async close() {
      await flush()
      const book = notebook
      notebook = owner = notes = undefined
      // Nothing of one user is left in the page for the next.
      clearSearch()
      putAway()
      showList([], undefined)
      part('who').textContent = ''
      await book?.close()
    },
  }
}
