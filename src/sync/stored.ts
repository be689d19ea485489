import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import type { DatabaseRow, Place } from './database.ts'
import type { Doc, View } from './definition.ts'
import type { Asked } from './request.ts'

/** What a view of a design document has beside what one of the host has. */
export interface Stored {
  /** What its rows follow from. @default the source of `map` */
  readonly version?: string
  /** Has to be waited for before `map` runs. */
  readonly ready?: () => Promise<void>
  /** Whether `map` sees design documents. @default false */
  readonly designs?: boolean
  /** Whether `reduce` has to have all rows at once: what it makes of some says nothing about more. @default false */
  readonly atOnce?: boolean
}

/** Looks at a version that is written. Rejects to refuse it. */
export type Validator = (doc: Doc, old: Doc | null) => Promise<void>

/**
 * Runs what a database's own design documents have, as the twins that a host declares: `scripts` of `leanto/sync/scripts`.
 * Whatever their functions do, it ends, and what is thrown is a Fault of the request (4xx).
 */
export interface Scripts {
  /**
   * The filter `<design>/<name>`, `undefined` if the design document has none of that name.
   *
   * @throws {Fault} `not_found` (404) if there is no such design document.
   */
  filter(asked: Asked, name: string): Promise<((doc: Doc) => boolean) | undefined>
  /** The view `<design>/<name>`, likewise. */
  view(scope: Scope, place: Place, name: string): Promise<(View & Stored) | undefined>
  /** Reads what `validator` needs, in a trip that a write makes anyway. */
  designs(scope: Scope, place: Place): Statement
  /** Asks `validate_doc_update` of all design documents, and whether a design document that is written compiles. */
  validator(place: Place, database: DatabaseRow, designs: readonly unknown[]): Validator
}
