import { invalid, plain, urn } from './wire.ts'

/** One operation of RFC 7644, 3.5.2. Entra ID writes `Add`, and `Replace` where nothing is yet. */
export interface Operation {
  op: 'add' | 'replace' | 'remove'
  path: string | undefined
  value: unknown
}

const mostOperations = 100

/** @throws {ScimError} `invalidSyntax` (400). */
export function readOperations(body: unknown): Operation[] {
  const { schemas, Operations } = plain(body)
  if (!Array.isArray(schemas) || !schemas.includes(urn.patch))
    throw invalid('schemas must name PatchOp', 'invalidSyntax')
  if (!Array.isArray(Operations) || Operations.length === 0 || Operations.length > mostOperations)
    throw invalid(`Operations must be a list of at most ${mostOperations}`, 'invalidSyntax')
  return Operations.map((one) => {
    const { op, path, value } = plain(one)
    const name = String(op).toLowerCase()
    if (name !== 'add' && name !== 'replace' && name !== 'remove')
      throw invalid('op must be add, replace or remove', 'invalidSyntax')
    if (path !== undefined && (typeof path !== 'string' || path.length > 500))
      throw invalid('path must be a text', 'invalidPath')
    if (name === 'remove' && !path) throw invalid('remove needs a path', 'noTarget')
    return { op: name, path: path || undefined, value }
  })
}

interface Path {
  attribute: string
  /** `[type eq "work"]`: which entries. */
  where: { name: string; value: string } | undefined
  sub: string | undefined
}

const pathShape =
  /^(?:(urn:[\w:.]+?:(?:2\.0|1\.0):\w+)(?::|$))?(?:([a-z$][\w$-]*))?(?:\[\s*(\w+)\s+eq\s+"((?:[^"\\]|\\.)*)"\s*\])?(?:\.([a-z$][\w$-]*))?$/i

const unsafe = /^(?:__proto__|constructor|prototype)$/

/** @throws {ScimError} `invalidPath` (400). */
export function readPath(path: string): Path {
  const [, schema, attribute, name, value, sub] = path.match(pathShape) ?? []
  const extension = schema && schema !== urn.user && schema !== urn.group ? schema : undefined
  const parts = [attribute, sub].filter((part) => part !== undefined)
  if (parts.some((part) => unsafe.test(part)) || (!attribute && !extension))
    throw invalid('path cannot be read', 'invalidPath')
  if (extension) return { attribute: extension, where: undefined, sub: attribute }
  const where = name === undefined ? undefined : { name, value: JSON.parse(`"${value}"`) as string }
  return { attribute: attribute as string, where, sub }
}

type Resource = Record<string, unknown>

/** Names are read whatever their case (RFC 7643, 2.1). */
const keyOf = (resource: Resource, name: string): string =>
  Object.keys(resource).find((key) => key.toLowerCase() === name.toLowerCase()) ?? name

/** A resource after operations; the one before stays as it is. @throws {ScimError} 400. */
export function patched(resource: Resource, operations: readonly Operation[]): Resource {
  const made = structuredClone(resource)
  for (const { op, path, value } of operations) {
    if (path !== undefined) apply(made, op, readPath(path), value)
    else
      for (const [name, one] of Object.entries(plain(value))) apply(made, op, readPath(name), one)
  }
  return made
}

function apply(resource: Resource, op: Operation['op'], path: Path, value: unknown): void {
  const key = keyOf(resource, path.attribute)
  if (path.where) {
    applyEntries(resource, op, key, path, value)
    return
  }
  const target = path.sub === undefined ? resource : child(resource, key)
  const name = path.sub === undefined ? key : keyOf(target, path.sub)
  const before = target[name]
  if (op === 'remove') delete target[name]
  else if (op === 'add' && Array.isArray(before))
    target[name] = [...before, ...(Array.isArray(value) ? value : [value])]
  else if (isObject(value) && isObject(before)) target[name] = { ...before, ...plain(value) }
  else target[name] = value
}

const isObject = (value: unknown): value is Resource =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function child(resource: Resource, key: string): Resource {
  const found = resource[key]
  if (isObject(found)) return found
  const made: Resource = {}
  resource[key] = made
  return made
}

function applyEntries(
  resource: Resource,
  op: Operation['op'],
  key: string,
  { where, sub }: Path,
  value: unknown,
): void {
  const { name, value: wanted } = where as { name: string; value: string }
  const list = Array.isArray(resource[key]) ? (resource[key] as unknown[]) : []
  const entries = list.filter(isObject)
  const fits = (entry: Resource) =>
    String(entry[keyOf(entry, name)]).toLowerCase() === wanted.toLowerCase()
  if (op === 'remove' && sub === undefined) {
    resource[key] = entries.filter((entry) => !fits(entry))
    return
  }
  // Entra ID sets the value of an entry that is not there yet by its type.
  if (op !== 'remove' && !entries.some(fits)) entries.push({ [name]: wanted })
  for (const entry of entries.filter(fits)) {
    if (op === 'remove') delete entry[sub as string]
    else if (sub === undefined) Object.assign(entry, plain(value))
    else entry[sub] = value
  }
  resource[key] = entries
}
