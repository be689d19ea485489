/* As much of PouchDB's types as this page uses. An app of your own has all of them: `npm install @types/pouchdb-browser`. */

declare module 'pouchdb-browser' {
  export type Stored<Doc> = Doc & {
    _id: string
    _rev: string
    _deleted?: true
    _conflicts?: string[]
    _attachments?: Record<string, Attached>
  }

  export interface Attached {
    content_type: string
    digest?: string
    data?: Blob
    stub?: true
  }

  export interface Failure {
    status?: number
    name?: string
    reason?: string
    message?: string
  }

  export interface Replication {
    on(event: 'active' | 'change', listener: () => void): this
    /** With a failure if it waits to try again. */
    on(event: 'paused', listener: (failure?: Failure) => void): this
    on(event: 'denied' | 'error', listener: (failure: Failure) => void): this
    cancel(): void
  }

  /** Its own `paused` tells no failure; those of its two sides do. */
  export interface Sync extends Replication {
    push: Replication
    pull: Replication
  }

  export interface Changes {
    on(event: 'change', listener: (change: { id: string }) => void): this
    cancel(): void
  }

  interface SyncOptions {
    live?: boolean
    retry?: boolean
    push?: { checkpoint?: 'source' | 'target' | false }
    pull?: { checkpoint?: 'source' | 'target' | false }
  }

  export default class PouchDB<Doc extends object = Record<string, unknown>> {
    constructor(
      name: string,
      options?: {
        skip_setup?: boolean
        fetch?: (url: string | Request, options?: RequestInit) => Promise<Response>
      },
    )
    static fetch(url: string | Request, options?: RequestInit): Promise<Response>
    allDocs(options: {
      include_docs: true
      conflicts?: boolean
    }): Promise<{ rows: { id: string; doc: Stored<Doc> }[] }>
    bulkDocs(docs: object[], options?: { new_edits?: boolean }): Promise<Failure[]>
    changes(options: { since: 'now'; live: true }): Changes
    close(): Promise<void>
    destroy(): Promise<void>
    get(id: string, options?: { rev?: string; conflicts?: boolean }): Promise<Stored<Doc>>
    getAttachment(id: string, name: string, options?: { rev?: string }): Promise<Blob>
    put(doc: Doc & { _id: string }, options?: { force?: boolean }): Promise<{ rev: string }>
    remove(id: string, rev: string): Promise<{ rev: string }>
    sync(other: PouchDB<Doc>, options?: SyncOptions): Sync
    replicate: {
      from(other: PouchDB<Doc>, options?: { since?: number }): Promise<unknown>
    }
  }
}
