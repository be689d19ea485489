import type { StandardSchemaV1 } from '@standard-schema/spec'
import { coreFaults } from './fault.ts'

/**
 * Checks a value by any Standard Schema (valibot, zod, arktype, …).
 *
 * @throws {Fault} `bad_request` (400); its message names the first wrong field, its details list all of them as
 * `{ path, message }`.
 */
export async function validate<Schema extends StandardSchemaV1>(
  schema: Schema,
  value: unknown,
): Promise<StandardSchemaV1.InferOutput<Schema>> {
  const result = await schema['~standard'].validate(value)
  if (!result.issues) return result.value as StandardSchemaV1.InferOutput<Schema>
  const issues = result.issues.map((issue) => ({ path: pathOf(issue), message: issue.message }))
  const [first] = issues
  throw coreFaults.bad_request({
    message: first?.path
      ? `${first.path}: ${first.message}`
      : (first?.message ?? 'Request is not valid'),
    details: issues,
  })
}

const pathOf = (issue: StandardSchemaV1.Issue): string =>
  (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
