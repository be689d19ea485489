import type { Context } from 'hono'
import { readJson } from '../../core/body.ts'
import type { Statement } from '../../core/database.ts'
import type { Principal } from '../../core/ports.ts'
import type { Scope } from '../../core/scope.ts'
import { type Counts, countStatement } from '../all-docs.ts'
import { type DatabaseRow, describe, type Place, placed, runAll } from '../database.ts'
import { isObject } from '../document.ts'
import { bad } from '../faults.ts'
import { channelsOf } from '../permission.ts'
import { placeOf } from '../request.ts'
import type { Server } from '../routes.ts'

/** As CouchDB has it: `max_db_number_for_dbs_info_req`. */
const most = 100

/** What is asked of the server as a whole. */
export const serverRoutes = (server: Server) =>
  [
    [
      'GET',
      '/_dbs_info',
      async (scope, c) => infos(scope, await server.who(scope, c), server),
    ] as const,
    [
      'POST',
      '/_dbs_info',
      async (scope, c) => infos(scope, await server.who(scope, c), server, await keysOf(c)),
    ] as const,
    // There are none: whatever is done is done before it is answered.
    ['GET', '/_active_tasks', () => Response.json([], { status: 200 })] as const,
  ] satisfies readonly (readonly [string, string, (scope: Scope, c: Context) => unknown])[]

async function keysOf(c: Context): Promise<string[]> {
  const body = await readJson(c.req.raw)
  if (!isObject(body)) throw bad('bad_request', 'Request body must be a JSON object')
  if (body.keys === undefined) throw bad('bad_request', '`keys` member must exist.')
  if (!Array.isArray(body.keys)) throw bad('bad_request', '`keys` member must be an array.')
  if (body.keys.length > most) throw bad('bad_request', 'too_many_keys')
  return body.keys.map(String)
}

/**
 * Several databases as `GET /{db}` has each. One trip, one more for who sees a part of them. What someone may not read is not there.
 *
 * @param keys Their names. @default all that are listed, those alone that are there
 * @see https://docs.couchdb.org/en/stable/api/server/common.html#dbs-info
 */
async function infos(
  scope: Scope,
  who: Principal,
  { find, names }: Server,
  keys?: readonly string[],
): Promise<Response> {
  const asked = keys ?? [...names].sort().slice(0, most)
  const places = new Map(asked.flatMap((name) => readable(find, name, who) ?? []))
  const [rows, counts] = await Promise.all([
    read<DatabaseRow>(scope, [...places.values()], (place) =>
      placed(
        scope,
        place,
        'SELECT * FROM leanto_sync_databases WHERE name = ?1 AND owner = ?2',
        [],
      ),
    ),
    // What the database's row counts is all of it: for those who see a part it is counted.
    read<Counts>(
      scope,
      [...places.values()].filter((place) => channelsOf(place) !== null),
      (place) => countStatement(scope, place),
    ),
  ])
  const infoOf = (name: string) => {
    const place = places.get(name)
    const row = place && rows.get(place)
    const mine = place && counts.get(place)
    return (
      row &&
      describe(
        mine ? { ...row, doc_count: mine.living, del_count: mine.dead, bytes: mine.bytes } : row,
      )
    )
  }
  const lines = asked.map((key) => {
    const info = infoOf(key)
    return info ? { key, info } : { key, error: 'not_found' }
  })
  return Response.json(keys ? lines : lines.filter(({ info }) => info), { status: 200 })
}

/** The first row of a statement for each place. */
async function read<Row>(
  scope: Scope,
  places: readonly Place[],
  statement: (place: Place) => Statement,
): Promise<Map<Place, Row | undefined>> {
  const results = places.length > 0 ? await runAll(scope, places.map(statement)) : []
  return new Map(places.map((place, i) => [place, results[i]?.results[0] as Row | undefined]))
}

function readable(
  find: Server['find'],
  name: string,
  who: Principal,
): [[string, Place]] | undefined {
  try {
    const place = placeOf(find, name, who)
    return place.definition.read(who) ? [[name, place]] : undefined
  } catch {
    return undefined
  }
}
