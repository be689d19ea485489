/* As much of PouchDB's types as the tests use: those on npm declare a `Buffer` of their own, for every file. */

declare namespace PouchDB {
  // biome-ignore lint/suspicious/noExplicitAny: documents of tests, of every shape.
  type Doc = any

  interface Row {
    id: string
    key: string
    value: { rev: string; deleted?: true }
    doc?: Doc
  }

  interface Replicated {
    ok: boolean
    docs_read: number
    docs_written: number
    doc_write_failures: number
  }

  interface Replication extends Promise<Replicated> {
    on(event: 'denied', listener: (one: unknown) => void): Replication
  }

  interface Sync extends Promise<{ push?: Replicated; pull?: Replicated }> {
    push: Promise<Replicated>
    pull: Promise<Replicated>
    cancel(): void
    on(event: 'complete', listener: (one: unknown) => void): Sync
  }

  interface Database {
    name: string
    allDocs(options?: object): Promise<{ total_rows: number; offset: number; rows: Row[] }>
    bulkDocs(docs: readonly object[], options?: object): Promise<Doc[]>
    bulkGet(options: object): Promise<{ results: Doc[] }>
    changes(options?: object): Promise<{ results: Doc[]; last_seq: number | string }>
    createIndex(options: object): Promise<{ result: string }>
    deleteIndex(options: object): Promise<{ ok: boolean }>
    destroy(): Promise<void>
    find(options: object): Promise<{ docs: Doc[]; bookmark?: string }>
    get(id: string, options?: object): Promise<Doc>
    getAttachment(id: string, name: string, options?: object): Promise<Doc>
    getIndexes(): Promise<{ indexes: { ddoc: string | null; name: string }[] }>
    info(): Promise<Doc>
    query(view: string, options?: object): Promise<{ rows: { id: string; key: Doc; value: Doc }[] }>
    put(doc: object): Promise<{ id: string; rev: string }>
    remove(doc: Doc): Promise<{ id: string; rev: string }>
    replicate: {
      to(other: string | Database, options?: object): Replication
      from(other: string | Database, options?: object): Replication
    }
    sync(other: string | Database, options?: object): Sync
  }

  interface Static {
    new (name: string, options?: object): Database
    plugin(plugin: unknown): Static
  }
}

declare module 'pouchdb-core' {
  const PouchDB: PouchDB.Static
  export default PouchDB
}
declare module 'pouchdb-adapter-http'
declare module 'pouchdb-adapter-memory'
declare module 'pouchdb-find'
declare module 'pouchdb-mapreduce'
declare module 'pouchdb-replication'
declare module 'pouchdb-merge' {
  export function merge(tree: never, path: never, depth: number): { tree: unknown[] }
  export function winningRev(metadata: never): string
  export function collectLeaves(tree: never): { rev: string; opts: { deleted?: boolean } }[]
}
