import { columnSql, needField, type View } from './compile.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import type { JsonStep } from './query.ts'
import { type Fragment, sql } from './sql.ts'
import { jsonPathType, textPathType, type WireType } from './wire.ts'

/** What a filter tests, `order` sorts by and `select` shows: a column, or what a path finds in its JSON. */
export interface Operand {
  readonly value: Fragment
  readonly type: WireType
  /** The column, where it is one and nothing less. */
  readonly field?: Field
  /** What sorts it, where that is not its value: JSON, of which Postgres holds an object for greater than any number. */
  readonly sortKeys?: readonly Fragment[]
}

/**
 * @throws {Fault} 42703 for an unknown column, 42883 for a path into what is no JSON.
 */
export function operandOf(
  view: View,
  { column, steps }: { column: string; steps: readonly JsonStep[] },
): Operand {
  const field = view.resource.computed.get(column) ?? needField(view, column)
  const value = columnSql(view, field)
  if (steps.length === 0 && field.type.name !== 'json') return { value, type: field.type, field }
  const text = steps.at(-1)?.text === true
  const wrong = field.type.name !== 'json' ? field.type.name : 'text'
  if (field.type.name !== 'json' || steps.slice(0, -1).some((step) => step.text))
    throw dataFaults['42883']({
      message: `operator does not exist: ${wrong} ${text ? '->>' : '->'} unknown`,
      hint: 'No operator matches the given name and argument types.',
    })
  const json = field.type.comparable?.(value) ?? value
  const path = pathOf(steps)
  if (!text) {
    const sortKeys = jsonSortKeys(json, path)
    if (steps.length === 0) return { value, type: field.type, field, sortKeys }
    return { value: sql`(${json} -> ${path})`, type: jsonPathType, sortKeys }
  }
  return {
    // SQLite's ->> gives 1 for true and the number itself; Postgres gives text.
    value: sql`case json_type(${json}, ${path}) when 'text' then ${json} ->> ${path} when 'null' then null else ${json} -> ${path} end`,
    type: textPathType,
  }
}

/** What JSON sorts by, of a value that is JSON text: null, text, number, boolean, array, object. */
export const jsonSortKeys = (json: Fragment, path = '$'): [rank: Fragment, atom: Fragment] => [
  rank(json, path),
  sql`json_extract(${json}, ${path})`,
]

const rank = (json: Fragment, path: string): Fragment =>
  sql`case json_type(${json}, ${path}) when 'null' then 0 when 'text' then 1 when 'integer' then 2 when 'real' then 2 when 'array' then 4 when 'object' then 5 when 'true' then 3 when 'false' then 3 end`

/** SQLite's JSON path: https://www.sqlite.org/json1.html#path_arguments */
const pathOf = (steps: readonly JsonStep[]): string =>
  steps.reduce((path, { key }) => {
    if (typeof key === 'string') return `${path}.${JSON.stringify(key)}`
    return path + (key < 0 ? `[#${key}]` : `[${key}]`)
  }, '$')
