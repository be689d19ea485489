import type { Scope } from '../core/scope.ts'
import type { Accepted } from './accept.ts'
import type { Body } from './body.ts'
import { type Checked, checkedRows } from './checked-rows.ts'
import type { View } from './compile.ts'
import { dataFaults } from './faults.ts'
import { planInsert } from './insert.ts'
import { type JsonObject, rowsOf } from './payload.ts'
import type { Plan, Planning } from './plan.ts'
import { narrow, type Preferences, withoutResolution } from './prefer.ts'
import { putTarget } from './put.ts'
import type { Query } from './query.ts'
import type { ReadResult } from './read.ts'
import { planReadStep } from './read-step.ts'
import { planRemove } from './remove.ts'
import { readAnswer, writeAnswer } from './respond.ts'
import { planUpdate } from './update.ts'
import { preconditionOf } from './version.ts'
import type { WriteResult } from './write.ts'

/** A request, understood as far as one can without the database. */
export interface Asked {
  readonly scope: Scope
  readonly request: Request
  readonly view: View
  readonly query: Query
  readonly prefer: Preferences
  readonly accepted: Accepted
  /** Absent where the method takes none. */
  readonly body?: Body
}

/** What a request comes to: a plan, which may be made more than once, and the answer to what it results in. */
export interface Job<Result> {
  plan(scope: Planning): Plan<Result>
  respond(result: Result): Response | Promise<Response>
  /** Of an insert: the rows that it was given. */
  readonly rows?: readonly JsonObject[]
}

/** A read's job, as a step of a transaction. */
export function readJob({ request, view, query, prefer, accepted }: Asked): Job<ReadResult> {
  const window = narrow(query, request)
  return {
    plan: (scope) =>
      planReadStep(scope, view, {
        query,
        window,
        count: countOf(request, prefer, accepted),
        single: accepted.format === 'object',
      }),
    respond: (result) =>
      readAnswer(request, view, { result, offset: window.offset, prefer, accepted }),
  }
}

/** Whether a read counts. One object is 406 unless there is one row: to know, it must be read. */
export const countOf = (request: Request, prefer: Preferences, accepted: Accepted) =>
  prefer.count !== undefined &&
  (request.method === 'HEAD' && accepted.format !== 'object' ? 'only' : true)

/** A write's job. @throws {Fault} what bodies, preconditions and schemas may. */
export async function writeJob(asked: Asked): Promise<Job<WriteResult>> {
  switch (asked.request.method) {
    case 'POST':
      return insertJob(asked)
    case 'PATCH':
      return updateJob(asked)
    case 'PUT':
      return putJob(asked)
    default:
      return removeJob(asked)
  }
}

async function insertJob({
  request,
  view,
  query,
  accepted,
  ...asked
}: Asked): Promise<Job<WriteResult>> {
  const keyed = query.onConflict !== undefined || view.resource.primaryKey.length > 0
  const prefer = keyed ? asked.prefer : withoutResolution(asked.prefer)
  const precondition = preconditionOf(request)
  const given = await checkedRows(view, 'insert', {
    rows: rowsOf(asked.body?.parsed()),
    columns: query.columns,
    fillMissing: prefer.missing === 'default',
  })
  return {
    rows: given.rows,
    plan: (scope) =>
      planInsert(scope, view, {
        query: counting(query, given),
        rows: given.rows,
        precondition,
        ...answering(prefer, accepted),
      }),
    respond(result) {
      const created = prefer.resolution !== 'merge-duplicates' || result.affected > result.found
      const status = created ? 201 : 200
      return writeAnswer(request, view, {
        result,
        status: { full: status, empty: status },
        range: '*',
        prefer,
        accepted,
      })
    },
  }
}

async function updateJob({
  request,
  view,
  query,
  prefer,
  accepted,
  body,
}: Asked): Promise<Job<WriteResult>> {
  const precondition = preconditionOf(request)
  const parsed = body?.parsed()
  // As in PostgREST, an empty list changes nothing.
  const row = Array.isArray(parsed) && parsed.length === 0 ? {} : oneRow(parsed)
  const isIdle = Object.keys(row).length === 0
  const given: Checked = isIdle
    ? { rows: [row], columns: query.columns }
    : await checkedRows(view, 'update', { rows: [row], columns: query.columns, fillMissing: false })
  return {
    plan: (scope) =>
      planUpdate(scope, view, {
        query: counting(query, given),
        body: given.rows[0] as JsonObject,
        precondition,
        ...answering(prefer, accepted),
      }),
    respond: (result) =>
      writeAnswer(request, view, {
        result,
        status: unlessEmpty(200),
        range: result.affected === 0 ? '*' : `0-${result.affected - 1}`,
        prefer,
        accepted,
      }),
  }
}

async function putJob({
  request,
  view,
  query,
  prefer,
  accepted,
  body,
}: Asked): Promise<Job<WriteResult>> {
  const precondition = preconditionOf(request)
  const row = oneRow(body?.parsed())
  const given = await checkedRows(view, 'insert', {
    rows: [row],
    columns: undefined,
    fillMissing: true,
  })
  const target = putTarget(view, query, given.rows[0] as JsonObject)
  // `If-None-Match: *`: a row that is there is not to be touched.
  const resolution = precondition.absent ? 'ignore-duplicates' : 'merge-duplicates'
  const upsert = { ...prefer, resolution, missing: 'default' } as const
  return {
    rows: given.rows,
    plan: (scope) =>
      planInsert(scope, view, {
        query: target,
        rows: given.rows,
        versioned: true,
        precondition,
        ...answering(upsert, accepted),
      }),
    respond: (result) =>
      writeAnswer(request, view, {
        result,
        status: unlessEmpty(result.affected > result.found ? 201 : 200),
        range: undefined,
        prefer,
        accepted,
      }),
  }
}

function removeJob({ request, view, query, prefer, accepted }: Asked): Job<WriteResult> {
  const precondition = preconditionOf(request)
  return {
    plan: (scope) =>
      planRemove(scope, view, { query, precondition, ...answering(prefer, accepted) }),
    respond: (result) =>
      writeAnswer(request, view, {
        result,
        status: unlessEmpty(200),
        range: '*',
        prefer,
        accepted,
      }),
  }
}

const unlessEmpty = (full: 200 | 201) => ({ full, empty: 204 as const })

const counting = (query: Query, { columns }: Checked): Query =>
  columns ? { ...query, columns } : query

const answering = (prefer: Preferences, accepted: Accepted) => ({
  prefer,
  single: accepted.format === 'object',
})

function oneRow(body: unknown): JsonObject {
  const rows = rowsOf(body)
  const [row] = rows
  if (rows.length !== 1 || !row)
    throw dataFaults.PGRST102({ message: 'Payload must be one object' })
  return row
}
