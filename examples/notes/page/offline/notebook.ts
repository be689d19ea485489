import PouchDB, { type Attached, type Stored } from 'pouchdb-browser'
import { databaseOf } from './kept.ts'

/** A note, as its document has it. A picture is its attachment. */
export interface Note {
  title: string
  body: string
  /** When it was last written, on the clock of the device. */
  edited: string
}

export type Kept = Stored<Note>
export type Draft = Pick<Note, 'title' | 'body'>

/** The notebook on this device. Whatever is done here is done without the network. */
export interface Notebook {
  readonly db: PouchDB<Note>
  /** All notes; those with `_conflicts` have several versions. */
  list(): Promise<Kept[]>
  /** @returns `undefined` if it is not there any more. */
  read(id: string): Promise<Kept | undefined>
  /** The versions of a note between which somebody has to choose, the one that counts for now first. */
  versions(note: Kept): Promise<Kept[]>
  /** @param base The version that was edited. If there is another by now, both are kept. */
  save(id: string, draft: Draft, base: Kept | undefined): Promise<Kept>
  /** Gives a note a picture, or takes it away. */
  setPicture(base: Kept, picture: Blob | null): Promise<Kept>
  picture(note: Kept): Promise<Blob | undefined>
  /** Ends a conflict: one version stays, with another text if one is given. */
  choose(versions: readonly Kept[], stays: Kept, text?: Draft): Promise<void>
  remove(note: Kept): Promise<void>
  onChange(tell: (id: string) => void): void
  close(): Promise<void>
  destroy(): Promise<void>
}

/** No two pictures have the same name: PouchDB mistakes one for the other in a conflict if they do. */
const pictureName = () => `picture-${crypto.randomUUID().slice(0, 8)}`

export const pictureOf = ({ _attachments = {} }: Kept): string | undefined =>
  Object.keys(_attachments)[0]

const isStatus = (error: unknown, status: number) =>
  (error as { status?: number } | undefined)?.status === status

export function openNotebook(owner: string): Notebook {
  const db = new PouchDB<Note>(databaseOf(owner))
  const changes = db.changes({ since: 'now', live: true })

  const read = async (id: string) => {
    try {
      return await db.get(id, { conflicts: true })
    } catch (error) {
      if (isStatus(error, 404)) return undefined
      throw error
    }
  }

  /** Writes on what was edited, even if that is not the newest: then the note has two versions. */
  async function write(doc: Note & { _id: string }): Promise<Kept> {
    try {
      await db.put(doc)
    } catch (error) {
      if (!isStatus(error, 409)) throw error
      await db.put(doc, { force: true })
    }
    return (await read(doc._id)) as Kept
  }

  const withoutNotes = ({ _conflicts, ...doc }: Kept) => doc
  const now = () => new Date().toISOString()

  return {
    db,
    read,
    async list() {
      const { rows } = await db.allDocs({ include_docs: true, conflicts: true })
      return rows.map(({ doc }) => doc).filter(({ _id }) => !_id.startsWith('_design/'))
    },
    versions: (note) =>
      Promise.all([note._rev, ...(note._conflicts ?? [])].map((rev) => db.get(note._id, { rev }))),
    save: (id, draft, base) =>
      write({ ...(base ? withoutNotes(base) : {}), ...draft, edited: now(), _id: id }),
    setPicture: (base, picture) => {
      const attachments: Record<string, Attached> = picture
        ? { [pictureName()]: { content_type: picture.type, data: picture } }
        : {}
      const doc = { ...withoutNotes(base), edited: now(), _attachments: attachments }
      return write(doc)
    },
    async picture(note) {
      const name = pictureOf(note)
      if (name === undefined) return undefined
      return db.getAttachment(note._id, name, { rev: note._rev })
    },
    async choose(versions, stays, text) {
      const others = versions.filter(({ _rev }) => _rev !== stays._rev)
      await db.bulkDocs([
        ...(text ? [{ ...stays, ...text, edited: now() }] : []),
        ...others.map(({ _id, _rev }) => ({ _id, _rev, _deleted: true })),
      ])
    },
    async remove(note) {
      // All of its versions: else the next one would take its place.
      const revs = [note._rev, ...(note._conflicts ?? [])]
      await db.bulkDocs(revs.map((_rev) => ({ _id: note._id, _rev, _deleted: true })))
    },
    onChange: (tell) => void changes.on('change', ({ id }) => tell(id)),
    async close() {
      changes.cancel()
      await db.close()
    },
    async destroy() {
      changes.cancel()
      await db.destroy()
    },
  }
}
