import { Fault } from '../core/fault.ts'
import { denied, fieldOf, type View } from './compile.ts'
import { dataFaults } from './faults.ts'
import { notSingle } from './rows.ts'

type Operation = 'insert' | 'update' | 'delete'

/**
 * Turns what D1 threw into the protocol's fault, with the constraint's name and without SQL or driver text. What is
 * not understood is given back as it is: a bug, or a failure of the database.
 */
export function dbFault(error: unknown, view: View, operation: Operation): unknown {
  if (error instanceof Fault || !(error instanceof Error)) return error
  const { message } = error
  const guarded = message.match(/bad JSON path: '+leanto:(\w+):(\d*)/)
  if (guarded) return guardFault(view, guarded[1] as string, guarded[2] as string, error)
  return (
    constraintFault(message, view, operation, error) ??
    limitFault(message, error) ??
    unavailable(error)
  )
}

function guardFault(view: View, code: string, count: string, cause: unknown): unknown {
  switch (code) {
    case 'PGRST116':
      return notSingle(count)
    case 'PGRST124':
      return dataFaults.PGRST124({ details: `The query affects ${count} rows` })
    case '42501':
      return denied(
        view.who,
        `new row violates row-level security policy for table "${view.resource.name}"`,
      )
    default:
      return cause
  }
}

function constraintFault(message: string, view: View, operation: Operation, cause: unknown) {
  const { name } = view.resource
  const [, kind, what = ''] =
    message.match(
      /(UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: ([^\n]*?))?(?:: SQLITE|$)/,
    ) ?? []
  switch (kind) {
    case 'UNIQUE': {
      const columns = columnsOf(what)
      const constraint = what.startsWith('index ')
        ? what.slice(6).replaceAll("'", '')
        : (view.resource.uniques.get(columns.join()) ?? `${name}_${columns.join('_')}_key`)
      const visible = columns.every((column) => fieldOf(view, column))
      return dataFaults['23505']({
        message: `duplicate key value violates unique constraint "${constraint}"`,
        ...(visible && columns.length > 0
          ? { details: `Key (${columns.join(', ')}) already exists.` }
          : {}),
        cause,
      })
    }
    case 'NOT NULL': {
      const [column = ''] = columnsOf(what)
      const shown = fieldOf(view, column) ? `in column "${column}" ` : ''
      return dataFaults['23502']({
        message: `null value ${shown}of relation "${name}" violates not-null constraint`,
        cause,
      })
    }
    case 'CHECK':
      return dataFaults['23514']({
        message: `new row for relation "${name}" violates check constraint${/^\w+$/.test(what) ? ` "${what}"` : ''}`,
        cause,
      })
    case 'FOREIGN KEY':
      return dataFaults['23503']({
        message: `${operation === 'delete' ? 'update or delete' : 'insert or update'} on table "${name}" violates foreign key constraint`,
        cause,
      })
  }
  if (message.includes('ON CONFLICT clause does not match')) return dataFaults['42P10']({ cause })
  if (message.includes('datatype mismatch')) return dataFaults['22P02']({ cause })
  return undefined
}

/** `notes.owner_id, notes.title` → the column names. */
const columnsOf = (what: string): string[] =>
  what.split(', ').map((column) => column.split('.').at(-1) ?? '')

function limitFault(message: string, cause: unknown) {
  if (
    /too big|too complex|too many|too large|too deep|expression tree|statement too long/i.test(
      message,
    )
  )
    return dataFaults['54000']({ status: 400, cause })
  return undefined
}

/** D1's passing failures are 503: clients may try again, supabase-js does so by itself. */
const unavailable = (error: Error): unknown =>
  /overloaded|network connection lost|storage operation exceeded|reset because|timed? ?out/i.test(
    error.message,
  )
    ? dataFaults.PGRST001({ cause: error })
    : error
