import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import type { Policies, RowSchema } from './expose.ts'

const counters = ['SQLiteInteger', 'SQLiteTimestamp']

/**
 * Checks what `expose` is told about writes.
 *
 * @throws {TypeError} naming the option and the fix.
 */
export function checkWriting(
  table: string,
  rules: Pick<Policies, 'set' | 'defaults' | 'hidden' | 'version' | 'schema'>,
  columns: Record<string, SQLiteColumn>,
) {
  const { set = {}, defaults = {}, hidden, version, schema } = rules
  const refuse = (why: string) => new TypeError(`expose(${table}): ${why}`)
  for (const key of Object.keys(set)) {
    if (typeof set[key] !== 'function')
      throw refuse(`\`set.${key}\` must be a function (who) => value`)
    if (Object.hasOwn(defaults, key) || key === version)
      throw refuse(
        `\`set.${key}\` is set by \`${key === version ? 'version' : 'defaults'}\` as well`,
      )
  }
  if (version !== undefined) {
    if (!counters.includes(columns[version]?.columnType ?? ''))
      throw refuse('`version` must name an integer or timestamp column')
    // An ETag would tell of it.
    if (hidden?.includes(version)) throw refuse('`version` must not be hidden')
  }
  for (const operation of ['insert', 'update'] as const)
    if (schema && typeof schemaOf(schema, operation)?.['~standard']?.validate !== 'function')
      throw refuse('`schema` must be a Standard Schema, or { insert: schema, update: schema }')
}

/** Which schema checks the rows of an operation. */
export const schemaOf = (
  schema: NonNullable<Policies['schema']>,
  operation: 'insert' | 'update',
): RowSchema | undefined => ('~standard' in schema ? schema : schema[operation])
