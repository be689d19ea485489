import type { View } from './compile.ts'
import type { Resource } from './expose.ts'
import { dataFaults } from './faults.ts'
import type { ForeignKey } from './foreign-keys.ts'
import type { Fragment } from './sql.ts'

/** Pairs of columns (SQL names) that must be equal. */
type Pairs = readonly (readonly [own: string, other: string])[]

/** A way from one table to another, as `select` may take it. */
export interface Relation {
  readonly cardinality: 'many-to-one' | 'one-to-many' | 'one-to-one' | 'many-to-many'
  readonly origin: Resource
  readonly target: Resource
  /** The constraint's names, the one of messages first. None for many-to-many. */
  readonly constraints: readonly string[]
  /** Whether the foreign key is in the origin. */
  readonly refers: boolean
  /** Own columns with the target's, or with the join table's. */
  readonly columns: Pairs
  readonly junction?: {
    readonly resource: Resource
    readonly constraints: readonly [string, string]
    /** The join table's columns with the target's. */
    readonly columns: Pairs
  }
  /** Where the host says it, and no foreign key: under which name, and when a row belongs to the parent's. */
  readonly computed?: {
    readonly name: string
    readonly on: (parent: View, view: View) => Fragment
  }
}

export const isToOne = ({ cardinality }: Relation): boolean => cardinality.endsWith('to-one')

/** Every relation of every table, by the URL name of its origin: both ways of each foreign key, and through join tables. */
export function relationsOf(
  resources: ReadonlyMap<string, Resource>,
  keys: readonly ForeignKey[],
): Map<string, Relation[]> {
  const relations = new Map<string, Relation[]>([...resources.keys()].map((name) => [name, []]))
  const add = (relation: Relation) => relations.get(relation.origin.name)?.push(relation)
  const at = (name: string) => resources.get(name) as Resource
  for (const key of keys) {
    const constraints = [key.name, ...key.aliases]
    const pairs = key.columns.map((own, i) => [own, key.referencedColumns[i] as string] as const)
    const [from, to] = [at(key.table), at(key.referencedTable)]
    const one = key.unique ? 'one-to-one' : undefined
    add({
      cardinality: one ?? 'many-to-one',
      origin: from,
      target: to,
      constraints,
      refers: true,
      columns: pairs,
    })
    add({
      cardinality: one ?? 'one-to-many',
      origin: to,
      target: from,
      constraints,
      refers: false,
      columns: pairs.map(([own, other]) => [other, own]),
    })
  }
  for (const left of keys)
    for (const right of keys)
      if (isJunction(at(left.table), left, right)) add(through(at, left, right))
  return relations
}

/** As PostgREST has it: a table whose primary key holds the columns of two foreign keys joins what they name. */
function isJunction(table: Resource, left: ForeignKey, right: ForeignKey): boolean {
  if (left === right || left.table !== right.table) return false
  const key = table.primaryKey.map(({ name }) => name)
  return [...left.columns, ...right.columns].every((column) => key.includes(column))
}

const through = (
  at: (name: string) => Resource,
  left: ForeignKey,
  right: ForeignKey,
): Relation => ({
  cardinality: 'many-to-many',
  origin: at(left.referencedTable),
  target: at(right.referencedTable),
  constraints: [],
  refers: false,
  columns: left.referencedColumns.map((own, i) => [own, left.columns[i] as string]),
  junction: {
    resource: at(left.table),
    constraints: [left.name, right.name],
    columns: right.columns.map((own, i) => [own, right.referencedColumns[i] as string]),
  },
})

/**
 * The one relation that a name, and perhaps a hint, mean:
 * https://docs.postgrest.org/en/v14/references/api/resource_embedding.html#foreign-key-joins-on-multiple-foreign-key-relationships
 *
 * @throws {Fault} PGRST200 if there is none, PGRST201 (300) if there are several.
 */
export function findRelation(
  relations: readonly Relation[],
  { origin, target, hint }: { origin: string; target: string; hint?: string },
): Relation {
  const declared = relations.find(({ computed }) => computed?.name === target)
  if (declared && hint === undefined) return declared
  const found = relations.filter(
    (relation) => !relation.computed && matches(relation, target, hint),
  )
  const [only] = found
  if (!only) throw noRelation(origin, target, hint)
  if (found.length > 1) throw ambiguous(origin, target, found)
  return only
}

function matches(relation: Relation, target: string, hint: string | undefined): boolean {
  const { cardinality, origin, constraints, columns, junction } = relation
  const named = relation.target.name === target
  const single = junction || columns.length !== 1 ? undefined : columns[0]
  if (relation.target === origin && !junction) {
    // One foreign key, seen from both of its ends: the table's name means the many, the column's the one.
    const many = cardinality === 'one-to-many'
    if (hint === undefined)
      return (named && many) || (!many && (single?.[0] === target || constraints.includes(target)))
    return named && many && (single?.[1] === hint || constraints.includes(hint))
  }
  if (hint === undefined) return named || constraints.includes(target) || single?.[0] === target
  const hinted =
    constraints.includes(hint) || single?.includes(hint) || junction?.resource.name === hint
  return named && hinted === true
}

export const noRelation = (origin: string, target: string, hint?: string) => {
  const [from, to] = [origin.slice(0, 100), target.slice(0, 100)]
  const by = hint === undefined ? '' : ` using the hint '${hint.slice(0, 100)}'`
  return dataFaults.PGRST200({
    message: `Could not find a relationship between '${from}' and '${to}' in the schema cache`,
    details: `Searched for a foreign key relationship between '${from}' and '${to}'${by} in the schema 'public', but no matches were found.`,
  })
}

function ambiguous(origin: string, target: string, found: readonly Relation[]) {
  const hints = found.map(
    ({ target: { name }, junction, constraints }) =>
      `'${name}!${junction ? junction.resource.name : constraints[0]}'`,
  )
  return dataFaults.PGRST201({
    message: `Could not embed because more than one relationship was found for '${origin}' and '${target.slice(0, 100)}'`,
    details: found.map((relation) => ({
      cardinality: relation.cardinality,
      embedding: `${origin} with ${relation.target.name}`,
      relationship: describe(relation),
    })),
    hint: `Try changing '${target.slice(0, 100)}' to one of the following: ${hints.join(', ')}. Find the desired relationship in the 'details' key.`,
  })
}

function describe({ origin, target, constraints, columns, junction }: Relation): string {
  const list = (names: readonly string[]) => `(${names.join(', ')})`
  const [own, other] = [columns.map(([name]) => name), columns.map(([, name]) => name)]
  if (!junction)
    return `${constraints[0]} using ${origin.name}${list(own)} and ${target.name}${list(other)}`
  const [left, right] = junction.constraints
  return `${junction.resource.name} using ${left}${list(other)} and ${right}${list(junction.columns.map(([name]) => name))}`
}
