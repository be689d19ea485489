import type { Context } from 'hono'
import * as v from 'valibot'
import { readJson } from '../core/body.ts'
import { coreFaults } from '../core/fault.ts'
import { validate } from '../core/validate.ts'
import { authFaults } from './faults.ts'
import type { Client } from './session.ts'
import type { Metadata } from './wire.ts'

/** What the routes read and answer. As GoTrue: fields that are not named are ignored. */

export const ok = (body: unknown): Response => Response.json(body, { status: 200 })

const isPlain = (value: unknown) =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const text = v.nullish(v.string())
export const data = v.nullish(v.custom<Metadata>(isPlain, 'must be an object'))

/**
 * Reads a JSON object.
 *
 * @throws {Fault} 400 if it is none or does not fit, 413, 415.
 */
export async function body<Schema extends Parameters<typeof validate>[0]>(
  c: Context,
  schema: Schema,
) {
  const json = await readJson(c.req.raw)
  if (!isPlain(json)) throw coreFaults.bad_json({ message: 'Request body must be a JSON object' })
  return validate(schema, json)
}

export const refuse = (message: string) => authFaults.validation_failed({ message })

/** What `/token` is asked for. Read here alone: what guards it must not see another one than what answers it (case 54). */
export const grantOf = (request: Request): string =>
  new URL(request.url).searchParams.get('grant_type') ?? ''

/** What a session remembers of its device. */
export const clientOf = ({ headers }: Request): Client => ({
  userAgent: headers.get('user-agent'),
  ip: headers.get('cf-connecting-ip'),
})
