import type { Part } from '../routes.ts'
import { filterOf } from './filter.ts'
import { designsStatement, validatorOf } from './validate.ts'
import { viewOf } from './view.ts'

/**
 * The JavaScript of design documents, by QuickJS in WebAssembly: `views` (with `find`, or as a filter), `filters` and
 * `validate_doc_update`. `sync(base, { identity, databases, parts: [find, scripts] })`.
 *
 * @see https://docs.couchdb.org/en/stable/ddocs/ddocs.html
 */
export const scripts: Part = Object.freeze<Part>({
  routes: () => [],
  scripts: Object.freeze({
    filter: filterOf,
    view: viewOf,
    designs: designsStatement,
    validator: validatorOf,
  }),
})

export { scriptsFaults } from './faults.ts'
