import type { StandardSchemaV1 } from '@standard-schema/spec'
import { parseJson, readBytes, textOf } from '../core/body.ts'
import { formPairs } from './body.ts'
import { issueText, maxIssues } from './checked-rows.ts'
import { parseCsv } from './csv.ts'
import { dataFaults } from './faults.ts'
import { parseTest } from './filter.ts'
import { readingsOf } from './function-readings.ts'

/** What a call gives its function. */
export type Given =
  /** Arguments by their names, each as often as it was given. */
  | { readonly texts: ReadonlyMap<string, readonly string[]> }
  /** A body's value. If it is an object, its keys are the arguments. */
  | { readonly value: unknown }

/** Whether the arguments have names. */
export const isNamed = (given: Given): boolean => 'texts' in given || isObject(given.value)

/** The names of the arguments; none of a body that is no object. */
export function namesOf(given: Given): string[] {
  if ('texts' in given) return [...given.texts.keys()]
  return isObject(given.value) ? Object.keys(given.value) : []
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Uint8Array)

const reserved = new Set('select columns on_conflict order limit offset and or cursor'.split(' '))

/**
 * The arguments of a query string, as PostgREST tells them from filters: what reads as a filter (`eq.5`) is one.
 *
 * @returns The rest beside them, which is for the rows.
 */
export function givenInQuery(params: URLSearchParams): { given: Given; rest: URLSearchParams } {
  const texts = new Map<string, string[]>()
  const rest = new URLSearchParams()
  for (const [name, value] of params)
    if (reserved.has(name) || /[.]|->/.test(name) || isTest(value)) rest.append(name, value)
    else texts.set(name, [...(texts.get(name) ?? []), value])
  return { given: { texts }, rest }
}

function isTest(value: string): boolean {
  try {
    parseTest('a', 'a', value)
    return true
  } catch {
    return false
  }
}

/**
 * What a body gives: JSON is taken as it is, a form and the one row of a CSV are texts, and a text or bytes are the one
 * argument of a function without names: https://docs.postgrest.org/en/v14/references/api/functions.html#function-single-unnamed
 *
 * @param limit In bytes.
 * @throws {Fault} PGRST102 for another media type, or a body that is not of its own; PT413 past the limit.
 */
export async function givenInBody(
  request: Request,
  limit: number,
): Promise<{ given: Given; bytes: Uint8Array }> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  const read = readers.get(type || 'application/json')
  if (!read) {
    await request.body?.cancel()
    throw dataFaults.PGRST102({ message: `Content-Type not acceptable: ${type?.slice(0, 100)}` })
  }
  const bytes = await readBytes(request, limit)
  return { given: read(bytes), bytes }
}

const text = (bytes: Uint8Array): Given => ({ value: textOf(bytes) })

const readers = new Map<string, (bytes: Uint8Array) => Given>([
  ['application/json', json],
  ['application/x-www-form-urlencoded', (bytes) => texts(formPairs(textOf(bytes)))],
  ['text/csv', csv],
  ['text/plain', text],
  ['text/xml', text],
  ['application/octet-stream', (bytes) => ({ value: bytes })],
])

/** Without a body there are no arguments. */
function json(bytes: Uint8Array): Given {
  const body = textOf(bytes)
  return { value: body.trim() === '' ? {} : parseJson(body) }
}

function csv(bytes: Uint8Array): Given {
  const rows = parseCsv(textOf(bytes))
  const [row] = rows
  // PostgREST calls the function with the first one, and lets the others fall.
  if (!row || rows.length > 1)
    throw dataFaults.PGRST102({ message: 'A function is called with one row of arguments' })
  return texts(Object.entries(row).map(([name, value]) => [name, value ?? 'null']))
}

function texts(pairs: readonly (readonly [name: string, value: string])[]): Given {
  const byName = new Map<string, string[]>()
  for (const [name, value] of pairs) byName.set(name, [...(byName.get(name) ?? []), value])
  return { texts: byName }
}

/** `columns=`: the keys of the body that count. */
export function onlyNamed(given: Given, names: readonly string[] | undefined): Given {
  if (!names || !('value' in given) || !isObject(given.value)) return given
  const kept = Object.entries(given.value).filter(([name]) => names.includes(name))
  return { value: Object.fromEntries(kept) }
}

// Postgres's own bound.
const maxArguments = 100

/**
 * The arguments as the function's schema makes them. Texts are read as it takes them: see `readingsOf`.
 *
 * @throws {Fault} 22023 with each issue's path.
 */
export async function validArgs(
  name: string,
  schema: StandardSchemaV1,
  given: Given,
): Promise<unknown> {
  if (namesOf(given).length > maxArguments)
    throw dataFaults['54000']({
      message: `cannot pass more than ${maxArguments} arguments to a function`,
    })
  const result =
    'texts' in given
      ? await readAs(schema, given.texts)
      : await schema['~standard'].validate(given.value)
  if (!result.issues) return result.value
  const issues = result.issues.slice(0, maxIssues).map((issue) => issueText(issue))
  throw dataFaults['22023']({
    message: `invalid arguments for function ${name}: ${issues[0]}`,
    details: issues.join('\n'),
  })
}

type Result = StandardSchemaV1.Result<unknown>

/** Reads each text anew for as long as the schema has something against it. */
async function readAs(
  schema: StandardSchemaV1,
  given: ReadonlyMap<string, readonly string[]>,
): Promise<Result> {
  const readings = new Map([...given].map(([name, values]) => [name, readingsOf(values)]))
  let best: StandardSchemaV1.FailureResult | undefined
  for (;;) {
    const args = Object.fromEntries([...readings].map(([name, [value]]) => [name, value]))
    const result = await schema['~standard'].validate(args)
    if (!result.issues) return result
    if (!best || saysMore(result, best)) best = result
    const blamed = blamedBy(result)
    // What is said of no argument at all may be due to any of them.
    const changed = [...readings].filter(
      ([name, left]) => left.length > 1 && (blamed.has(name) || blamed.has(undefined)),
    )
    if (changed.length === 0) return best
    for (const [, left] of changed) left.shift()
  }
}

/** The arguments that a schema has something against; `undefined` for an issue that names none. */
const blamedBy = ({ issues }: StandardSchemaV1.FailureResult): Set<string | undefined> =>
  new Set(
    issues.map(({ path: [part] = [] }) =>
      part === undefined ? undefined : String(typeof part === 'object' ? part.key : part),
    ),
  )

/** That of fewer arguments; of as many, that which looks into them (at a list's items, where a text was no list), or says less. */
function saysMore(one: StandardSchemaV1.FailureResult, other: StandardSchemaV1.FailureResult) {
  const fewer = blamedBy(other).size - blamedBy(one).size
  const deeper = depthOf(one) - depthOf(other)
  return (fewer || deeper || other.issues.length - one.issues.length) > 0
}

const depthOf = ({ issues }: StandardSchemaV1.FailureResult): number =>
  Math.max(...issues.map(({ path = [] }) => path.length))
