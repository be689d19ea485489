import type { Principal } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import type { Scripts } from './stored.ts'

/** A document as a client sees it, with `_id` and, if it has them, `_rev`, `_deleted` and `_attachments`. */
export type Doc = { _id: string; _rev?: string; _deleted?: true } & Record<string, unknown>

/** A document that was written, as `after.write` gets it. */
export interface Written {
  database: string
  /** Whose, if the database is one of `owned()`. */
  owner: string
  seq: number
  id: string
  /** The winning revision after the write. */
  rev: string
  deleted: boolean
}

export interface Limits {
  /** One document's JSON, in bytes. @default 1 MiB (a D1 value ends at 2 MB) */
  document?: number
  /** One attachment, in bytes. @default 10 MiB */
  attachment?: number
  /** All of a database's winning documents with their attachments, in bytes. @default no limit */
  database?: number
  /** One request's body, in bytes. @default 32 MiB */
  request?: number
}

/** What a filter function of the host sees of a request. */
export interface FilterRequest {
  query: Readonly<Record<string, string>>
  who: Principal
}

/** A view of the host: what a design document's `map` and `reduce` would be. */
export interface View {
  map: (doc: Doc, emit: (key: unknown, value?: unknown) => void) => void
  /** `_sum`, `_count`, `_stats`, or a function as CouchDB's. */
  reduce?:
    | '_sum'
    | '_count'
    | '_stats'
    | ((keys: [unknown, string][] | null, values: unknown[], rereduce: boolean) => unknown)
}

export interface Rules {
  /** How many revisions back a document's history is kept. @default 200 */
  revsLimit?: number
  /**
   * Keeps the bodies of old revisions until `_compact`, as CouchDB does; a row more is written for every update. Without
   * it they are dropped at once: what is kept is every leaf.
   * @default false
   */
  keepRevisions?: boolean
  /**
   * Looks at each version that is written, by a device as well as by a person. Throws `forbidden(reason)` or
   * `unauthorized(reason)` to refuse it.
   *
   * @param old The winning version before, `null` if there is none.
   */
  validate?: (doc: Doc, old: Doc | null, who: Principal) => void
  /** In which channels a document is. With it, who has none of them does not see the document. */
  channels?: (doc: Doc) => readonly string[]
  /** Which channels a person may read, and write; `'*'` is all of them. Needed with `channels`. */
  member?: (who: Principal) => readonly string[]
  /** By `<design>/<name>`, as `filter=` names them. */
  filters?: Readonly<Record<string, (doc: Doc, request: FilterRequest) => boolean>>
  /** By `<design>/<name>`, as `_design/<design>/_view/<name>` names them. */
  views?: Readonly<Record<string, View>>
  limits?: Limits
  /**
   * After how many days a deletion is forgotten, which takes `upkeep` of `leanto/sync/upkeep` and a cron trigger. A device
   * that has not replicated since then is told to start again (410).
   * @default never
   */
  tombstones?: number
  /**
   * After how many days a device is told no more of a deletion of what it never had: what was made and deleted since its
   * checkpoint, which at its first replication is all that ever was. Sequences are then `<number>-<base>-<until>` until it
   * has caught up. What a device has past its checkpoint, because it was cut off before it wrote that, is safe for as
   * long. Leave it off where devices replicate with one another, too, or another server is to have every deletion.
   * @default never
   */
  skipTombstones?: number
  after?: {
    /** Runs once the write is committed, in `waitUntil`. */
    write?: (scope: Scope, written: readonly Written[]) => void | Promise<void>
  }
}

type May = (who: Principal) => boolean

export interface SharedRules extends Rules {
  /** Who may read it. @default nobody */
  read?: May
  /** Who may write documents. @default nobody */
  write?: May
  /** Who may create and delete it, write design documents, `_security`, `_revs_limit`, purge and compact. @default nobody */
  admin?: May
}

/** How the databases of one name are kept, and who may do what in them. Made by `owned()` or `shared()`. */
export interface Definition {
  readonly kind: 'owned' | 'shared'
  readonly read: May
  readonly write: May
  readonly admin: May
  readonly rules: Rules
  /** Set by `sync` if it has that part. */
  readonly scripts?: Scripts
}

const service = (who: Principal) => who.role === 'service'

/**
 * Every user has a database of their own under this name, made when it is first used: a row, not a file. The address is
 * the same for all of them. Nobody else can reach it over HTTP; the host does by `docs.get(scope, { database, owner, id })`.
 */
export function owned(rules: Rules = {}): Definition {
  checkRules('owned', rules)
  // The service is the host itself here: over HTTP its key has no database of this kind.
  const owner: May = (who) => who.role !== 'anon'
  return Object.freeze({ kind: 'owned', read: owner, write: owner, admin: owner, rules })
}

/**
 * One database for all whom its rules let in. Under a name of its own it is made when it is first used; one that a pattern
 * means is made by `PUT`. The service key may do everything.
 */
export function shared(rules: SharedRules): Definition {
  checkRules('shared', rules)
  const nobody: May = () => false
  const { read = nobody, write = nobody, admin = nobody } = rules
  for (const [name, rule] of Object.entries({ read, write, admin }))
    if (typeof rule !== 'function')
      throw new TypeError(`shared: \`${name}\` must be a function of the principal`)
  return Object.freeze({
    kind: 'shared',
    read: (who: Principal) => service(who) || read(who),
    write: (who: Principal) => service(who) || write(who),
    admin: (who: Principal) => service(who) || admin(who),
    rules,
  })
}

function checkRules(name: string, rules: Rules) {
  const { revsLimit = 200, limits = {}, channels, member } = rules ?? {}
  if (!(Number.isSafeInteger(revsLimit) && revsLimit >= 1))
    throw new TypeError(`${name}: \`revsLimit\` must be a whole number of at least 1`)
  for (const days of ['tombstones', 'skipTombstones'] as const)
    if (!((rules?.[days] ?? 1) > 0))
      throw new TypeError(`${name}: \`${days}\` must be a number of days`)
  for (const [limit, bytes] of Object.entries(limits))
    if (!(Number.isSafeInteger(bytes) && bytes > 0))
      throw new TypeError(`${name}: \`limits.${limit}\` must be a number of bytes`)
  if (limits.document !== undefined && limits.document > largestDocument)
    throw new TypeError(
      `${name}: \`limits.document\` must be at most ${largestDocument}: a D1 value ends at 2 MB`,
    )
  if ((channels === undefined) !== (member === undefined))
    throw new TypeError(
      `${name}: \`channels\` says where a document is, \`member\` who may see it: give both or none`,
    )
}

/** In bytes. */
const largestDocument = 1024 * 1024

export const limitsOf = ({ limits = {} }: Rules): Required<Limits> => ({
  document: largestDocument,
  attachment: 10 * 1024 * 1024,
  database: Number.MAX_SAFE_INTEGER,
  request: 32 * 1024 * 1024,
  ...limits,
})
