import type { Part } from '../routes.ts'
import * as lists from './doc-lists.ts'
import * as mango from './mango-routes.ts'
import { findMigrations } from './migrations.ts'
import * as views from './view-routes.ts'
import * as kept from './view-upkeep.ts'

/**
 * Finding documents by what is in them: `_find`, `_index` and `_explain` (Mango), and the `views` that the host declares.
 * `sync(base, { identity, databases, parts: [find] })`.
 *
 * @see https://docs.couchdb.org/en/stable/api/database/find.html
 */
export const find: Part = Object.freeze<Part>({
  views: true,
  migrations: findMigrations,
  routes: (inDb, wrote) => [
    inDb('GET', '/:db/_design_docs', lists.readDesignDocs),
    inDb('POST', '/:db/_design_docs', lists.readDesignDocs),
    inDb('GET', '/:db/_local_docs', lists.readLocalDocs),
    inDb('POST', '/:db/_local_docs', lists.readLocalDocs),
    inDb('POST', '/:db/_all_docs/queries', lists.postAllDocsQueries),
    inDb('POST', '/:db/_design_docs/queries', lists.postDesignDocsQueries),
    inDb('POST', '/:db/_local_docs/queries', lists.postLocalDocsQueries),
    inDb('POST', '/:db/_find', mango.postFind),
    inDb('POST', '/:db/_explain', mango.postExplain),
    inDb('GET', '/:db/_index', mango.readIndexes),
    inDb('POST', '/:db/_index', mango.postIndex(wrote)),
    inDb('POST', '/:db/_index/_bulk_delete', mango.bulkDelete(wrote)),
    inDb('DELETE', '/:db/_index/:ddoc/:type/:name', mango.removeIndex(wrote)),
    inDb('DELETE', '/:db/_index/_design/:ddoc/:type/:name', mango.removeIndex(wrote)),
    inDb('GET', '/:db/_design/:ddoc/_view/:view', views.readView),
    inDb('POST', '/:db/_design/:ddoc/_view/:view', views.readView),
    inDb('POST', '/:db/_design/:ddoc/_view/:view/queries', views.postViewQueries),
    inDb('GET', '/:db/_design/:ddoc/_info', kept.readInfo),
    inDb('POST', '/:db/_view_cleanup', kept.postCleanup),
  ],
})

export { findFaults } from './faults.ts'
