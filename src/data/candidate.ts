import { allows, every, guard, type View } from './compile.ts'
import type { Field } from './expose.ts'
import { type Fragment, sql } from './sql.ts'
import { affinityOf } from './stored.ts'

/** The policies that a new row must pass, in one condition. */
export const policyOf = (
  { resource, who }: View,
  operations: readonly ('select' | 'insert' | 'update')[],
): Fragment => every(operations.map((operation) => allows(resource.policies[operation], who)))

export const isTrue = (condition: Fragment): boolean => condition === every([])

/**
 * Asks a policy of a row that is not there yet. The row is put together in a subquery under the table's own name, so
 * that the policy reads it as it reads any row. It is asked before a constraint is: otherwise "already exists" would
 * tell about rows that the caller may not see.
 *
 * @param valueFor The row's value of each column that is not generated.
 */
export function candidate(
  { resource }: View,
  policy: Fragment,
  valueFor: (field: Field) => Fragment,
): Fragment {
  const fields = [...resource.fields.values()]
  const plain = fields
    .filter((field) => !field.generated)
    .map((field) => sql`${valueFor(field)} as ${sql.identifier(field.name)}`)
  const row = sql`(select ${sql.join(plain, ', ')}) as ${resource.table}`
  const generated = fields
    .filter((field) => field.generated)
    .map((field) => sql`(${generatedSql(field)}) as ${sql.identifier(field.name)}`)
  if (generated.length === 0) return sql`(select ${policy} from ${row})`
  const whole = sql`(select *, ${sql.join(generated, ', ')} from ${row}) as ${resource.table}`
  return sql`(select ${policy} from ${whole})`
}

/** Asks a policy of a row as it will be once some of its columns are changed. */
export const changed = (
  view: View,
  policy: Fragment,
  changes: ReadonlyMap<Field, Fragment>,
): Fragment =>
  candidate(view, policy, (field) => {
    const change = changes.get(field)
    return change ? typed(field, change) : sql`${field.column}`
  })

/**
 * A new value with its column's affinity: as text, '9' is greater than '10', and a policy must not find the new row
 * other than it will find it in the table.
 */
export function typed({ column }: Field, value: Fragment): Fragment {
  const affinity = affinityOf(column)
  return affinity === 'blob' ? value : sql`cast(${value} as ${sql.raw(affinity)})`
}

function generatedSql({ column }: Field): Fragment {
  const as: unknown = column.generated?.as
  return sql`${typeof as === 'function' ? as() : as}`
}

/**
 * The assignments of an update, the first of which carries the checks: SQLite evaluates them for each row that it is
 * about to change, and what they raise undoes the whole statement.
 *
 * @param checks Made by `guard`.
 */
export function guardedSet(
  assignments: readonly (readonly [field: Field, value: Fragment])[],
  checks: readonly Fragment[],
): Fragment {
  const set = assignments.map(([field, value], i) => {
    const guarded =
      i === 0 && checks.length > 0
        ? sql`case when ${sql.join(checks, ' and ')} then ${value} end`
        : value
    return sql`${sql.identifier(field.name)} = ${guarded}`
  })
  return sql.join(set, ', ')
}

/** A policy as a check; none where it lets everything through. */
export const checksOf = (policy: Fragment, asked: Fragment): Fragment[] =>
  isTrue(policy) ? [] : [guard(asked, '42501')]
