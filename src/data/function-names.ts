import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'

type Json = Record<string, unknown>

/** What is known of a function's arguments. */
export interface Parameters {
  readonly schema: Json
  readonly names: readonly string[]
  readonly required: readonly string[]
}

/**
 * A function's arguments as its schema tells them, if it speaks Standard JSON Schema (https://standardschema.dev/json-schema):
 * valibot's do by `toStandardJsonSchema`, zod's and arktype's by themselves. Otherwise only the schema knows.
 */
export function parametersOf(schema: StandardSchemaV1): Parameters | undefined {
  const { jsonSchema } = schema['~standard'] as Partial<StandardJSONSchemaV1.Props>
  let json: Json | undefined
  try {
    json = jsonSchema?.input({ target: 'draft-2020-12' })
  } catch {
    // It has no form in JSON Schema.
  }
  const { type, properties, additionalProperties, required = [] } = json ?? {}
  // An object of whatever keys has no names.
  if (!json || type !== 'object' || (additionalProperties ?? false) !== false) return undefined
  return {
    schema: json,
    names: Object.keys((properties as Json | undefined) ?? {}),
    required: required as string[],
  }
}

/** Whether a call's arguments are those of the function: none that it lacks, and all that it must have. */
export const areNamed = ({ names, required }: Parameters, given: readonly string[]): boolean =>
  given.every((name) => names.includes(name)) && required.every((name) => given.includes(name))

/** The name that is most like another, if it is like it at all: PostgREST's hint. */
export function likeliest(name: string, names: Iterable<string>): string | undefined {
  let best: string | undefined
  let most = 0.33
  for (const one of names) {
    const likeness = likenessOf(name, one)
    if (likeness > most) [best, most] = [one, likeness]
  }
  return best
}

/** How many pairs of letters two words share, from 0 to 1. */
function likenessOf(one: string, other: string): number {
  const [left, right] = [pairsOf(one), pairsOf(other)]
  const shared = [...left].filter((pair) => right.has(pair)).length
  return (2 * shared) / (left.size + right.size)
}

const pairsOf = (word: string): Set<string> => {
  const text = `-${word.slice(0, 100).toLowerCase()}-`
  return new Set(Array.from({ length: text.length - 1 }, (_, i) => text.slice(i, i + 2)))
}
