import type { Context } from 'hono'
import * as v from 'valibot'
import { parseJson, readText } from '../core/body.ts'
import { coreFaults } from '../core/fault.ts'
import { isUuid } from '../core/id.ts'
import { validate } from '../core/validate.ts'
import { authFaults } from './faults.ts'

/** What the parts' routes read, beside `body.ts`. */

export const flag = v.nullish(v.boolean())

/** As `body`, of whatever content type, and no body at all is an empty object. */
export async function maybeBody<Schema extends Parameters<typeof validate>[0]>(
  c: Context,
  schema: Schema,
) {
  const text = await readText(c.req.raw)
  const json = text === '' ? {} : parseJson(text)
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw coreFaults.bad_json({ message: 'Request body must be a JSON object' })
  return validate(schema, json)
}

/** A part of the path that must be a UUID. @throws {Fault} `validation_failed` (404, as GoTrue has it). */
export function idParam(c: Context, name: string): string {
  const id = c.req.param(name)
  if (isUuid(id)) return id.toLowerCase()
  throw authFaults.validation_failed({ message: `${name} must be an UUID`, status: 404 })
}
