import type { StandardSchemaV1 } from '@standard-schema/spec'
import { mustAllow, type View } from './compile.ts'
import { dataFaults } from './faults.ts'
import { type JsonObject, writableField } from './payload.ts'
import { schemaOf } from './writing-rules.ts'

// Of so many issues the client is told.
export const maxIssues = 20
const maxIssueLength = 300

export interface Checked {
  readonly rows: readonly JsonObject[]
  /** The keys that count, where the rows' own do not say. */
  readonly columns: readonly string[] | undefined
}

/**
 * A body's rows as the table's schema makes them. The schema sees them as they were sent: the columns that count, by
 * their SQL names, before any default is added. Without a schema they stay as they are.
 *
 * @param columns `columns=`: the keys that count.
 * @param fillMissing Whether a key that a row lacks gets the column's default, and so is not there; else it is null.
 * @throws {Fault} 42501 without a policy; 22023 with each issue's path; PGRST204 and its sisters for a column that may not be written, before
 * the schema could drop it.
 */
export async function checkedRows(
  view: View,
  operation: 'insert' | 'update',
  { rows, columns, fillMissing }: Checked & { fillMissing: boolean },
): Promise<Checked> {
  const { schema: given } = view.resource.policies
  const schema = given && schemaOf(given, operation)
  if (!schema) return { rows, columns }
  // Before the schema says anything: to whom nothing is open, it is not either.
  mustAllow(view, operation)
  const checked: JsonObject[] = []
  const issues: string[] = []
  for (const [i, row] of rows.entries()) {
    const counting = columns ? onlyColumns(row, columns, fillMissing) : row
    for (const name of Object.keys(counting)) writableField(view, name)
    const subject = view.earlier?.stoodIn(view, counting) ?? counting
    // Not awaited unless it must be: a schema that answers at once costs a bulk no turn of the event loop a row.
    const pending = schema['~standard'].validate(subject)
    const result = pending instanceof Promise ? await pending : pending
    if (result.issues) {
      issues.push(
        ...result.issues.map((issue) => issueText(issue, rows.length > 1 ? i : undefined)),
      )
      if (issues.length >= maxIssues) break
    } else checked.push({ ...(result.value as JsonObject), ...view.earlier?.referring(counting) })
  }
  if (issues.length > 0)
    throw dataFaults['22023']({
      message: `new row for relation "${view.resource.name}" is not valid: ${issues[0]}`,
      details: issues.slice(0, maxIssues).join('\n'),
    })
  return { rows: checked, columns: [...new Set(checked.flatMap((row) => Object.keys(row)))] }
}

const onlyColumns = (
  row: JsonObject,
  columns: readonly string[],
  fillMissing: boolean,
): JsonObject =>
  Object.fromEntries(
    columns.flatMap((name) => {
      if (Object.hasOwn(row, name)) return [[name, row[name]]]
      return fillMissing ? [] : [[name, null]]
    }),
  )

/** `2.tags.0: must be text`: of several rows, the row's index first. */
export function issueText({ path = [], message }: StandardSchemaV1.Issue, row?: number): string {
  const keys = path.map((part) => String(typeof part === 'object' ? part.key : part))
  const all = row === undefined ? keys : [String(row), ...keys]
  const text = all.length > 0 ? `${all.join('.')}: ${message}` : message
  return text.length > maxIssueLength ? `${text.slice(0, maxIssueLength)}…` : text
}
