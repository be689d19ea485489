import { dataFaults } from './faults.ts'
import type { Operand } from './operand.ts'
import type { Aggregate } from './query.ts'
import { sql } from './sql.ts'
import { numberType } from './wire.ts'

const whole = numberType('integer')
const real = numberType('double precision')

const numbers = new Set(['integer', 'double precision', 'bigint', 'numeric'])

/**
 * An aggregate function: https://docs.postgrest.org/en/v14/references/api/aggregate_functions.html
 *
 * @param operand What it is of; nothing for `count()` of rows.
 * @throws {Fault} 42883 for a type of which there is no sum, average or order.
 */
export function aggregated(name: Aggregate, operand: Operand | undefined): Operand {
  if (name === 'count')
    return { value: operand ? sql`count(${operand.value})` : sql`count(*)`, type: whole }
  if (!operand) throw noFunction(name, '')
  const { value, type } = operand
  if (name === 'min' || name === 'max') {
    if (!type.ordered || type.blob || type.name === 'boolean') throw noFunction(name, type.name)
    return { value: sql`${sql.raw(name)}(${value})`, type }
  }
  if (!numbers.has(type.name) || type.blob) throw noFunction(name, type.name)
  const result = sql`${sql.raw(name)}(${value})`
  return { value: result, type: name === 'sum' ? type : real }
}

const noFunction = (name: string, type: string) =>
  dataFaults['42883']({
    message: `function ${name}(${type}) does not exist`,
    hint: 'No function matches the given name and argument types. You might need to add explicit type casts.',
  })
