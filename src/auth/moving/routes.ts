import type { Context } from 'hono'
import { Fault } from '../../core/fault.ts'
import { isUuid } from '../../core/id.ts'
import type { Route } from '../../core/routes.ts'
import { adminOnly } from '../admin/access.ts'
import { refuse } from '../body.ts'
import type { Doors, Moved } from '../part.ts'
import { renderBug, renderFault } from '../wire.ts'
import { exportUsers } from './export-users.ts'
import { importUsers } from './import-users.ts'

type Handler = Route[2]

/** Users of one answer: as many trips as D1's free plan allows one request, and some to spare. */
const mostExported = 4000

export function movingRoutes(
  { settings }: Doors,
  given: { import: boolean; export: boolean; parts: readonly Moved[] },
): Route[] {
  const allow = adminOnly(settings)
  const only =
    (handler: Handler): Handler =>
    async (scope, c) => {
      await allow(scope, c.req.raw)
      return handler(scope, c)
    }
  const receive: Handler = (scope, c) => {
    const input = {
      parts: given.parts,
      body: c.req.raw.body,
      first: whole(c, 'line', 1),
      update: oneOf(c, 'existing', ['keep', 'update']) === 'update',
      dryRun: oneOf(c, 'dry_run', ['false', 'true']) === 'true',
    }
    return stream(importUsers(settings, scope, input), (error) => failure(error, c.req.raw))
  }
  const send: Handler = (scope, c) => {
    const after = c.req.query('after') ?? ''
    if (after !== '' && !isUuid(after)) throw refuse('after must be an id')
    const limit = Math.min(whole(c, 'limit', mostExported), mostExported)
    const input = { parts: given.parts, after: after.toLowerCase(), limit }
    return stream(exportUsers(settings, scope, input))
  }
  return [
    ...(given.import ? [['POST', '/admin/users/import', only(receive)] as const] : []),
    ...(given.export ? [['GET', '/admin/users/export', only(send)] as const] : []),
  ]
}

function whole(c: Context, name: string, otherwise: number): number {
  const text = c.req.query(name)
  if (text === undefined) return otherwise
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text)
  throw refuse(`${name} must be a whole number from 1`)
}

function oneOf(c: Context, name: string, values: readonly [string, string]): string {
  const value = c.req.query(name) ?? values[0]
  if (values.includes(value)) return value
  throw refuse(`${name} must be ${values.join(' or ')}`)
}

/** The last line of an answer that has begun and cannot go on. */
async function failure(error: unknown, request: Request): Promise<string> {
  const known = error instanceof Fault
  if (!known) console.error('leanto: an import broke off', error)
  const body = await (known ? renderFault(error, request) : renderBug(request)).json()
  return `${JSON.stringify({ error: body })}\n`
}

/**
 * Answers once there is something to answer, so that what fails at once has a status of its own.
 *
 * @param last What to end with if it fails later; without it the connection is cut, so that nobody takes a part for all.
 */
async function stream(
  texts: AsyncGenerator<string>,
  last?: (error: unknown) => Promise<string>,
): Promise<Response> {
  const encoder = new TextEncoder()
  const first = await texts.next()
  let next: typeof first | undefined = first
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = next ?? (await texts.next())
          next = undefined
          if (done) controller.close()
          else controller.enqueue(encoder.encode(value))
        } catch (error) {
          if (!last) throw error
          controller.enqueue(encoder.encode(await last(error)))
          controller.close()
        }
      },
      async cancel() {
        await texts.return(undefined)
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, {
    status: 200,
    headers: { 'content-type': 'application/x-ndjson; charset=utf-8' },
  })
}
