import type { Resource } from './expose.ts'
import type { Fn } from './function.ts'
import { type Parameters, parametersOf } from './function-names.ts'
import { rowResource } from './function-rows.ts'
import type { DescribedFunction } from './openapi.ts'
import type { Who } from './who.ts'

/** A function as calls use it: derived once, when the module is built. */
export interface Callable {
  /** In the URL and in messages. */
  readonly name: string
  readonly fn: Fn
  readonly readOnly: boolean
  readonly parameters: Parameters | undefined
  /** The table whose rows it returns, under the policy that holds for them. */
  readonly table: Resource | undefined
  /** The declared columns of its rows, as a table. */
  readonly rows: Resource | undefined
  readonly single: boolean
}

/**
 * The functions by their names. A Map, so that `constructor` and `__proto__` are names like any other: unknown ones.
 *
 * @throws {TypeError} if one is not made by `fn`, or returns rows of a table that is not exposed.
 */
export function callables(
  functions: Readonly<Record<string, Fn>>,
  resources: ReadonlyMap<string, Resource>,
): ReadonlyMap<string, Callable> {
  return new Map(
    Object.entries(functions).map(([name, fn]) => {
      if (typeof fn?.handler !== 'function')
        throw new TypeError(`data: \`functions.${name}\` must be made by fn(schema, handler)`)
      if (name === '' || name.includes('/'))
        throw new TypeError(`data: \`functions\` has a name that no URL can hold: "${name}"`)
      const { returns, readOnly = false, single = false } = fn.options
      const rows = typeof returns === 'object' ? rowResource(name, returns) : undefined
      const table = typeof returns === 'string' ? tableOf(name, fn, returns, resources) : undefined
      const parameters = parametersOf(fn.schema)
      return [name, { name, fn, readOnly, parameters, table, rows, single }]
    }),
  )
}

function tableOf(
  name: string,
  { options }: Fn,
  returns: string,
  resources: ReadonlyMap<string, Resource>,
): Resource {
  const resource = resources.get(returns)
  if (!resource)
    throw new TypeError(
      `data: \`functions.${name}\` returns ${JSON.stringify(returns)}, which is no table listed in \`tables\``,
    )
  if (!options.unsafeWithoutPolicy) return resource
  return Object.freeze({ ...resource, policies: { ...resource.policies, select: () => true } })
}

/** Whether someone may call it. `service` may call all. */
export const mayCall = ({ fn: { options } }: Callable, who: Who): boolean =>
  who.role === 'service' || options.allow?.(who) === true

/** The functions that someone may call, for the description of the API. */
export const describedFunctions = (
  functions: Iterable<Callable>,
  who: Who,
): Record<string, DescribedFunction> =>
  Object.fromEntries(
    [...functions]
      .filter((callable) => mayCall(callable, who))
      .map(({ name, readOnly, parameters }) => [
        name,
        { readOnly, schema: parameters?.schema ?? { type: 'object' } },
      ]),
  )
