import type { Statement } from '../core/database.ts'
import { changed, checksOf, guardedSet, isTrue, policyOf } from './candidate.ts'
import { close, keptAt, listOf, open, packedRow, type Slot } from './capture.ts'
import { every, guard, mustAllow, prepare, type View } from './compile.ts'
import type { Field } from './expose.ts'
import { identityOf, type KeyPart } from './identity.ts'
import { reached } from './limited.ts'
import {
  type JsonObject,
  serverValue,
  updatedValue,
  writableField,
  writtenValue,
} from './payload.ts'
import type { Plan, Planning, Told } from './plan.ts'
import { allOf, checkOf, nothingShown, type Returned, returnedBy, returning } from './returning.ts'
import { hexOf, notSingle } from './rows.ts'
import { type Fragment, sql } from './sql.ts'
import { hasVersion, nextVersion } from './version.ts'
import { orderBy } from './where.ts'
import {
  countGuards,
  idle,
  tallied,
  toldBy,
  type WriteInput,
  type WriteResult,
  writeResult,
} from './write.ts'

/**
 * Updates the rows that the filters and the policy select; the new rows must pass it too, or none is changed. As in
 * Postgres, rows that the caller may not read are not reached, and must not come out unreadable.
 *
 * @param body The changes; none of them, and nothing is done.
 */
export function planUpdate(
  scope: Planning,
  view: View,
  { query, body, ...answering }: WriteInput & { body: JsonObject },
): Plan<WriteResult> {
  mustAllow(view, 'update')
  mustAllow(view, 'select')
  const returned = returnedBy(view, query, { prefer: answering.prefer, versioned: true })
  const where = reached(view, query, 'update')
  const changes = changesOf(scope, view, query.columns, body)
  const about = {
    view,
    operation: 'update' as const,
    finish: (told: Told) => writeResult(told, returned),
  }
  if (Object.keys(body).length === 0) {
    if (answering.single) throw notSingle(0)
    return { ...about, ...idle(returned, () => unchanged(scope, view, where, answering)) }
  }
  const policy = policyOf(view, ['select', 'update'])
  const statement = (shown: Returned | undefined) =>
    prepare(
      scope.db,
      sql`update ${view.resource.table} set ${setSql(view, changes, policy, answering)} where ${where}${returning(shown, checkOf(policy))}`,
    )
  const guards = () => countGuards(scope, answering)
  const returns = returned !== undefined || !isTrue(policy)
  return {
    ...about,
    written: [...changes.keys()],
    statements: () => [
      ...tallied(scope, statement(returned), { returns, matters: true }),
      ...guards(),
    ],
    told: (results) => toldBy(results.slice(0, returns ? 1 : 2), returned),
    capture(slot) {
      const rows = returned ?? (slot.referred.length > 0 ? nothingShown(view, query) : undefined)
      if (!rows) return [open(slot, 0, {}), statement(undefined), ...guards(), close(slot, 0)]
      const key = identityOf(view)
      return [
        open(slot, 0, { kept: keysSql(view, key, where) }),
        statement(undefined),
        ...guards(),
        close(slot, 0, rowsByKey(view, slot, { key, changes, returned: rows })),
      ]
    },
    outputs: returned ? allOf(returned) : [],
  }
}

/** Of an update that changes nothing, what its precondition says of the rows is asked all the same. */
function unchanged(
  { db }: Planning,
  view: View,
  where: Fragment,
  { precondition: { match } }: Pick<WriteInput, 'precondition'>,
): Statement[] {
  if (match === undefined) return []
  const matching = match === '*' ? sql.raw('1') : hasVersion(view, match)
  const rows = sql`(select count(*) > 0 and min(${matching}) from ${view.resource.table} where ${where})`
  return [prepare(db, sql`select ${guard(rows, 'PT412')}`)]
}

/** What the body changes, and what changes by itself with it. */
export function changesOf(
  scope: Planning,
  view: View,
  columns: readonly string[] | undefined,
  body: JsonObject,
): Map<Field, Fragment> {
  const changes = new Map<Field, Fragment>()
  // As in PostgREST, a column that `columns=` names and the body lacks becomes null.
  for (const name of columns ?? Object.keys(body)) {
    const field = writableField(view, name)
    changes.set(field, writtenValue(view, field, Object.hasOwn(body, name) ? body[name] : null))
  }
  for (const field of view.resource.fields.values()) {
    const set = changes.has(field) ? undefined : serverValue(view, field)
    if (set) changes.set(field, set)
    else if (field.version) changes.set(field, nextVersion(field, scope))
    else if (field.column.onUpdateFn && !field.generated && !changes.has(field))
      changes.set(field, updatedValue(field))
  }
  return changes
}

function setSql(
  view: View,
  changes: ReadonlyMap<Field, Fragment>,
  policy: Fragment,
  { precondition: { match } }: Pick<WriteInput, 'precondition'>,
): Fragment {
  const checks = checksOf(policy, isTrue(policy) ? policy : changed(view, policy, changes))
  if (Array.isArray(match)) checks.unshift(guard(hasVersion(view, match), 'PT412'))
  return guardedSet([...changes], checks)
}

/** The keys of the rows that are about to be updated, as a JSON list. */
function keysSql({ resource }: View, key: readonly KeyPart[], where: Fragment): Fragment {
  const values = key.map(({ value, blob }) => (blob ? hexOf(value) : value))
  return listOf(
    sql`select json_array(${sql.join(values, ', ')}) as v from ${resource.table} where ${where}`,
  )
}

/** The rows of these keys, which the update itself may have changed. */
function rowsByKey(
  view: View,
  slot: Slot,
  {
    key,
    changes,
    returned,
  }: { key: readonly KeyPart[]; changes: ReadonlyMap<Field, Fragment>; returned: Returned },
): Fragment {
  const same = key.map(({ value, blob, field }, i) => {
    const kept = sql`json_extract(leanto_kept.value, ${sql.raw(`'$[${i}]'`)})`
    const before = blob ? sql`unhex(${kept})` : kept
    return sql`${value} is ${(field && changes.get(field)) ?? before}`
  })
  const where = every([sql.join(same, ' and '), policyOf(view, ['select'])])
  const order = [
    ...returned.terms,
    { value: sql.raw('leanto_kept.key'), how: sql.empty, descending: false },
  ]
  return listOf(
    sql`select ${packedRow(slot, allOf(returned))} as v from json_each(${keptAt(slot, 0)}) as leanto_kept cross join ${view.resource.table} where ${where}${orderBy(order)}`,
  )
}
