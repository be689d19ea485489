import { isObject } from '../document.ts'
import { bad } from '../faults.ts'
import { type Node, parseSelector } from '../selector.ts'
import { findFaults, wrong } from './faults.ts'

type Body = Record<string, unknown>

/** A request to `_find`, taken apart. */
export interface FindInput {
  node: Node
  fields: readonly string[] | null
  sort: Sort
  limit: number
  skip: number
  /** Where the page before ended: sort key and id. */
  after: readonly [sort: string, id: string] | null
  use: readonly string[]
  /** Whether another index may answer than the one that `use` names. */
  fallback: boolean
  conflicts: boolean
  update: boolean
  stable: boolean
  stats: boolean
}

export interface Sort {
  fields: string[]
  descending: boolean
}

const findKeys = [
  'selector',
  'use_index',
  'allow_fallback',
  'bookmark',
  'limit',
  'skip',
  'sort',
  'fields',
  'partition',
  'r',
  'conflicts',
  'stale',
  'update',
  'stable',
  'execution_stats',
]

/** @throws {Fault} for a key that is missing, or that is none of these. */
export function checkKeys(body: Body, keys: readonly string[], required: string): void {
  if (body[required] === undefined)
    throw findFaults.missing_required_key({ message: `Missing required key: ${required}` })
  const other = Object.keys(body).find((key) => !keys.includes(key))
  if (other !== undefined)
    throw findFaults.invalid_key({ message: `Invalid key ${other} for this request.` })
}

/** @throws {Fault} those of Mango (400). */
export function parseFind(body: Body): FindInput {
  checkKeys(body, findKeys, 'selector')
  const node = parseSelector(body.selector)
  if (node.kind === 'field' && node.path.join('') === '') throw findFaults.invalid_selector()
  whole(body, 'r', 1, 1)
  return {
    node,
    limit: whole(body, 'limit', 25),
    skip: whole(body, 'skip', 0),
    sort: parseSort(body.sort),
    fields: parseFields(body.fields),
    after: parseBookmark(body.bookmark),
    use: parseUse(body.use_index),
    fallback: truth(body, 'allow_fallback', true),
    conflicts: truth(body, 'conflicts', false),
    update: truth(body, 'update', true) && body.stale !== 'ok',
    stable: truth(body, 'stable', false),
    stats: truth(body, 'execution_stats', false),
  }
}

function whole(body: Body, name: string, otherwise: number, least = 0): number {
  const { [name]: value = otherwise } = body
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number
  throw wrong(
    least > 0 ? 'invalid_pos_integer' : 'invalid_non_neg_integer',
    `${name} is not an integer of at least ${least}`,
    value,
  )
}

function truth(body: Body, name: string, otherwise: boolean): boolean {
  const { [name]: value = otherwise } = body
  if (typeof value === 'boolean') return value
  throw wrong('invalid_boolean', 'Invalid boolean value', value)
}

/** `"ddoc"`, `"_design/ddoc"`, `"ddoc/name"` or `["ddoc", "name"]`. */
export function parseUse(use: unknown): string[] {
  if (use === undefined || use === null) return []
  const parts = typeof use === 'string' ? use.replace(/^_design\//, '').split('/') : use
  if (
    !Array.isArray(parts) ||
    parts.length > 2 ||
    !parts.every((one) => typeof one === 'string' && one !== '')
  )
    throw wrong('invalid_index_name', 'Invalid index name', use)
  return parts
}

function parseBookmark(bookmark: unknown): FindInput['after'] {
  if (bookmark === undefined || bookmark === null || bookmark === 'nil' || bookmark === '')
    return null
  try {
    const parsed = JSON.parse(decodeURIComponent(atob(String(bookmark))))
    if (
      Array.isArray(parsed) &&
      parsed.length === 2 &&
      parsed.every((one) => typeof one === 'string')
    )
      return parsed as unknown as FindInput['after']
  } catch {}
  throw wrong('invalid_bookmark', 'Invalid bookmark value', bookmark)
}

function parseFields(fields: unknown): readonly string[] | null {
  if (fields === undefined || fields === 'all_fields') return null
  if (!Array.isArray(fields))
    throw wrong('invalid_fields', 'Fields must be an array of strings, not', fields)
  const other = fields.find((one) => typeof one !== 'string')
  if (other !== undefined) throw wrong('invalid_field', 'Invalid JSON for field spec', other)
  return fields.length > 0 ? fields : null
}

/** `sort`, taken apart. @throws {Fault} `invalid_sort_json`, `invalid_sort_field`, `unsupported_mixed_sort` (400). */
function parseSort(sort: unknown): Sort {
  if (sort === undefined) return { fields: [], descending: false }
  if (!Array.isArray(sort))
    throw wrong('invalid_sort_json', 'Sort must be an array of sort specs, not', sort)
  const parts = sort.map((one): [string, unknown] => {
    const [part = ['', ''], ...more] = isObject(one) ? Object.entries(one) : [[one, 'asc'] as const]
    const [field, way] = part
    if (
      typeof field !== 'string' ||
      field === '' ||
      more.length > 0 ||
      !/^(asc|desc)$/.test(`${way}`)
    )
      throw wrong('invalid_sort_field', 'Invalid sort field', one)
    return [field, way]
  })
  if (new Set(parts.map(([, way]) => way)).size > 1) throw findFaults.unsupported_mixed_sort()
  return { fields: parts.map(([field]) => field), descending: parts[0]?.[1] === 'desc' }
}

/** An index as `POST _index` asks for it. */
export interface IndexInput {
  fields: string[]
  way: 'asc' | 'desc'
  partial: Record<string, unknown>
  /** The list of fields as it was given. */
  given: unknown
  ddoc: string | undefined
  name: string | undefined
}

/** @throws {Fault} those of Mango (400). */
export function parseIndex(body: Body): IndexInput {
  checkKeys(body, ['index', 'type', 'name', 'ddoc', 'w', 'partitioned'], 'index')
  const { index, type = 'json' } = body
  if (typeof type !== 'string') throw wrong('invalid_string', 'Invalid string', type)
  if (type !== 'json')
    throw findFaults.invalid_index({ message: `Invalid type for index: ${type}` })
  const text = (value: unknown) => {
    if (value === undefined || (typeof value === 'string' && value !== '')) return value
    throw wrong('invalid_string', 'Invalid string', value)
  }
  const [ddoc, name] = [text(body.ddoc), text(body.name)]
  if (!isObject(index)) throw wrong('invalid_index', 'JSON indexes must be an object, not', index)
  checkKeys(index, ['fields', 'partial_filter_selector'], 'fields')
  const { fields: given, partial_filter_selector: partial = {} } = index
  const { fields, descending } = parseSort(given)
  if (fields.length === 0) throw bad('bad_request', 'An index has at least one field')
  parseSelector(partial)
  const way = descending ? 'desc' : 'asc'
  return { fields, way, partial: partial as Record<string, unknown>, given, ddoc, name }
}
