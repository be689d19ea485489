import { demand } from '../permission.ts'
import { flag, optionsOf } from '../query.ts'
import type { Part } from '../routes.ts'
import { snapshot as stream } from './stream.ts'

/**
 * A whole database in one answer, for a fast first load: `GET /{db}/_snapshot`, with `attachments=true` their bytes, too.
 * `sync(base, { identity, databases, parts: [snapshot] })`.
 */
export const snapshot: Part = Object.freeze<Part>({
  routes: (inDb) => [
    inDb('GET', '/:db/_snapshot', ({ scope, place, query }) => {
      demand(place, 'read')
      return stream(scope, place, { attachments: flag(optionsOf(query), 'attachments') })
    }),
  ],
})
