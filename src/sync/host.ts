import { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { changesPage } from './changes.ts'
import { checkName, type Place } from './database.ts'
import type { Doc, Written } from './definition.ts'
import { parseDocument } from './document.ts'
import { writeOne } from './edit.ts'
import { hostItself } from './permission.ts'
import { getDocument } from './read.ts'
import type { Find } from './request.ts'

/** Which database the host means. */
export interface At {
  database: string
  /** The user's id, for one of `owned()`. */
  owner?: string
}

export interface Change {
  seq: number
  id: string
  rev: string
  deleted: boolean
  /** `null` unless `includeDocs`. */
  doc: Doc | null
}

/** What the host does in its databases, past `read` and `write` but not past `validate`. */
export interface HostVerbs {
  /** One document, `null` if there is none. One trip. */
  get(scope: Scope, input: At & { id: string; rev?: string }): Promise<Doc | null>
  /**
   * Writes a document; to change one, `_rev` must be its newest. One trip to make it, two to change it.
   *
   * @returns Its new revision.
   * @throws {Fault} `conflict` (409), what `validate` throws, and those of bad input.
   */
  put(scope: Scope, input: At & { doc: { _id: string } & Record<string, unknown> }): Promise<string>
  /**
   * What changed after `since`, oldest first. One trip.
   *
   * @param input.since @default 0
   * @param input.limit @default 100
   */
  changes(
    scope: Scope,
    input: At & { since?: number; limit?: number; includeDocs?: boolean },
  ): Promise<{ changes: Change[]; lastSeq: number; pending: number }>
}

export function hostVerbs(
  find: Find,
  wrote: (scope: Scope, place: Place, written: readonly Written[]) => void,
): HostVerbs {
  const placeAt = ({ database, owner }: At): Place => {
    checkName(database)
    const found = find(database)
    if (!found) throw new TypeError(`sync: database \`${database}\` is not declared`)
    const { definition } = found
    if ((definition.kind === 'owned') !== (owner !== undefined))
      throw new TypeError(
        definition.kind === 'owned'
          ? `sync: say whose: \`${database}\` is a database of each user's own`
          : `sync: \`${database}\` has no owner`,
      )
    return { name: database, owner: owner ?? '', who: hostItself, definition, lazy: true }
  }
  return {
    async get(scope, { id, rev, ...at }) {
      const place = placeAt(at)
      try {
        const { text } = await getDocument(scope, place, { id, rev, show: {} })
        return JSON.parse(text) as Doc
      } catch (fault) {
        if (fault instanceof Fault && fault.code === 'not_found') return null
        throw fault
      }
    },
    async put(scope, { doc, ...at }) {
      const place = placeAt(at)
      const { rev, written } = await writeOne(scope, place, parseDocument(doc))
      wrote(scope, place, written)
      return rev
    },
    async changes(scope, { since = 0, limit = 100, includeDocs = false, ...at }) {
      const page = await changesPage(scope, placeAt(at), {
        since,
        limit,
        includeDocs,
        descending: false,
        allLeaves: false,
        show: {},
        filter: null,
        seqInterval: 1,
      })
      const changes = page.lines.map(({ text }) => {
        const { seq, id, changes, deleted = false, doc = null } = JSON.parse(text)
        return { seq, id, rev: changes[0].rev, deleted, doc }
      })
      return { changes, lastSeq: page.lastSeq, pending: page.pending }
    },
  }
}
