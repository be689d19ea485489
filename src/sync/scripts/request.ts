import { type DatabaseRow, describe, type Place, securityOf } from '../database.ts'
import { channelsOf } from '../permission.ts'
import type { Asked } from '../request.ts'
import { userOf } from '../server-routes.ts'

/**
 * Who asks, as functions see them: who administers the database is `_admin`, as one of CouchDB's server is.
 *
 * @see https://docs.couchdb.org/en/stable/json-structure.html#user-context-object
 */
export function contextOf({ name: db, who, definition }: Place) {
  const { name, roles } = userOf(who)
  const admin = definition.admin(who) && !roles.includes('_admin')
  return { db, name, roles: admin ? ['_admin', ...roles] : roles }
}

/** Not for functions that others wrote. */
const secret = /^(authorization|proxy-authorization|cookie|apikey|x-.*(token|key).*|cf-.*)$/i

/** The request as a filter sees it: https://docs.couchdb.org/en/stable/json-structure.html#request-object */
export function requestOf({ request, place, query, rest }: Asked, database: DatabaseRow) {
  const { pathname, search, host } = new URL(request.url)
  const path = [place.name, ...rest]
  return {
    // How much there is that someone may not see is not theirs to be told, by whomever.
    info: channelsOf(place) === null ? describe(database) : { db_name: place.name },
    id: null,
    method: request.method,
    path,
    requested_path: path,
    raw_path: pathname + search,
    query: Object.fromEntries(query),
    headers: {
      Host: host,
      ...Object.fromEntries([...request.headers].filter(([header]) => !secret.test(header))),
    },
    body: 'undefined',
    peer: '',
    form: {},
    cookie: {},
    userCtx: contextOf(place),
    secObj: securityOf(database),
  }
}
