import type { Statement } from '../../core/database.ts'
import { type Fault, faults } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { byId } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { fromJson, insertRows, removeOf } from '../moved-rows.ts'
import { endElsewhere, type Moved } from '../part.ts'
import type { Settings } from '../settings.ts'
import { type Arriving, isOwn } from './user-line.ts'

export interface Storing {
  /** Whether those who are here already, and have not signed in here since, become what their line says. */
  readonly update: boolean
  /** Whether nothing is written. */
  readonly dryRun: boolean
  readonly parts: readonly Moved[]
}

/** Codes of lines, and of no answer as a whole. */
const taken = faults({
  phone_exists: [422, 'Phone number already registered by another user'],
  identity_already_exists: [422, 'Identity is already linked to another user'],
})

export type Outcome = 'created' | 'updated' | 'exists' | Fault

/** What is here already of a user who arrives. */
interface Here {
  /** `null` if nobody has the id. */
  id: string | null
  password: string | null
  last_sign_in_at: number | null
  deleted_at: number | null
  email_taken: number
  phone_taken: number
  identity_taken: number
}

/**
 * Stores users, each whole or not at all. Two trips; where someone else was faster, or two users want the same, the list is
 * halved until it is known who: two more for each half.
 *
 * @param users No two of them have an id, an address or an identity in common.
 */
export async function store(
  settings: Settings,
  scope: Scope,
  users: readonly Arriving[],
  options: Storing,
  tries = 0,
): Promise<Outcome[]> {
  if (users.length === 0) return []
  const { results } = await look(scope, users).all<Here>()
  const outcomes = users.map((user, i) => verdict(user, results[i] as Here, options))
  const created = users.filter((_, i) => outcomes[i] === 'created')
  const updated = users.flatMap((user, i) =>
    outcomes[i] === 'updated' ? [{ user, here: results[i] as Here }] : [],
  )
  if (options.dryRun || created.length + updated.length === 0) return outcomes
  try {
    await scope.db.batch(write(settings, scope, options.parts, { created, updated }))
    return outcomes
  } catch (error) {
    if (!/malformed JSON|UNIQUE constraint failed/.test(String(error))) throw error
    if (users.length === 1) {
      if (tries > 0) return [authFaults.conflict({ cause: error })]
      return store(settings, scope, users, options, 1)
    }
    const half = Math.ceil(users.length / 2)
    const first = await store(settings, scope, users.slice(0, half), options)
    return [...first, ...(await store(settings, scope, users.slice(half), options))]
  }
}

function look(scope: Scope, users: readonly Arriving[]): Statement {
  const sought = users.map(({ row, identities }) => ({
    id: row.id,
    email: row.email,
    phone: row.phone,
    ways: identities
      .filter(({ provider }) => !isOwn(provider))
      .map(({ provider, subject }) => [provider, subject]),
  }))
  const id = fromJson('id')
  const has = (type: string) =>
    `EXISTS (SELECT 1 FROM leanto_auth_users o
       WHERE o.${type} = ${fromJson(type)} AND o.id <> ${id}) AS ${type}_taken`
  return scope.db
    .prepare(
      `SELECT u.id, u.password, u.last_sign_in_at, u.deleted_at, ${has('email')}, ${has('phone')},
         EXISTS (SELECT 1 FROM json_each(j.value, '$.ways') w CROSS JOIN leanto_auth_identities i
           ON i.provider = w.value ->> 0 AND i.subject = w.value ->> 1
           WHERE i.user_id <> ${id}) AS identity_taken
       FROM json_each(?) j LEFT JOIN leanto_auth_users u ON u.id = ${id} ORDER BY j.key`,
    )
    .bind(JSON.stringify(sought))
}

function verdict({ row }: Arriving, here: Here, { update }: Storing): Outcome {
  if (here.id !== null) {
    // Whoever has signed in here has begun to live here: what an older place says of them is old. Who is deleted stays so.
    const since = (here.last_sign_in_at ?? 0) > (row.last_sign_in_at ?? 0)
    if (!update || since || here.deleted_at !== null) return 'exists'
  }
  if (here.email_taken) return authFaults.email_exists()
  if (here.phone_taken) return taken.phone_exists()
  if (here.identity_taken) return taken.identity_already_exists()
  return here.id === null ? 'created' : 'updated'
}

interface Replaced {
  readonly user: Arriving
  readonly here: Here
}

function write(
  settings: Settings,
  scope: Scope,
  parts: readonly Moved[],
  { created, updated }: { created: readonly Arriving[]; updated: readonly Replaced[] },
): Statement[] {
  const all = [...created, ...updated.map(({ user }) => user)]
  const replaced =
    updated.length > 0 ? JSON.stringify(updated.map(({ user }) => user.row.id)) : null
  return [
    ...(replaced === null ? [] : replace(settings, scope, updated, replaced)),
    ...insertRows(
      scope,
      'users',
      created.map(({ row }) => row),
    ),
    ...insertRows(
      scope,
      'identities',
      all.flatMap(({ identities }) => identities),
    ),
    ...parts.flatMap(({ field, store }) =>
      store(
        scope,
        all.flatMap((user) => user.moved[field] ?? []),
        replaced,
      ),
    ),
  ]
}

/** The batch fails if one of them has changed since they were looked at. */
function replace(
  settings: Settings,
  scope: Scope,
  updated: readonly Replaced[],
  ids: string,
): Statement[] {
  const rows = updated.map(({ user: { row }, here }) => ({
    ...row,
    seen: { password: here.password, at: here.last_sign_in_at },
  }))
  // A new password and a ban end sessions, whoever says so (cases 11 and 12).
  const ended = updated
    .filter(
      ({ user: { row }, here }) =>
        row.password !== here.password || (row.banned_until ?? 0) > scope.now() || row.deleted_at,
    )
    .map(({ user }) => user.row.id)
  const columns = Object.keys(updated[0]?.user.row ?? {}).filter((column) => column !== 'id')
  return [
    scope.db
      .prepare(
        `SELECT CASE WHEN ${rows.length} = (
           SELECT count(*) FROM json_each(?) j JOIN leanto_auth_users u ON u.id = ${fromJson('id')}
           WHERE u.password IS ${fromJson('seen.password')}
             AND u.last_sign_in_at IS ${fromJson('seen.at')} AND u.deleted_at IS NULL
         ) THEN 1 ELSE json('changed') END`,
      )
      .bind(JSON.stringify(rows)),
    removeOf(scope, 'tokens', ids),
    ...(ended.length > 0 ? [removeOf(scope, 'sessions', JSON.stringify(ended))] : []),
    ...ended.flatMap((id) => endElsewhere(settings, scope, { user: byId(id) })),
    scope.db
      .prepare(
        `UPDATE leanto_auth_users AS u
         SET ${columns.map((column) => `${column} = ${fromJson(column)}`).join(', ')}
         FROM json_each(?) j WHERE u.id = ${fromJson('id')}`,
      )
      .bind(JSON.stringify(rows)),
    removeOf(scope, 'identities', ids),
  ]
}
