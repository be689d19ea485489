import type { Resource } from './expose.ts'
import { dataFaults } from './faults.ts'
import { likeliest } from './function-names.ts'
import { opens } from './openapi.ts'
import type { Who } from './who.ts'

/** PGRST205, with the likeliest table of those that are open to the caller. */
export function noTable(name: string, resources: Iterable<Resource>, who: Who) {
  const open = [...resources].filter((resource) => opens({ resource, who }))
  const like = likeliest(
    name,
    open.map((resource) => resource.name),
  )
  return dataFaults.PGRST205({
    message: `Could not find the table 'public.${name.slice(0, 100)}' in the schema cache`,
    ...(like === undefined ? {} : { hint: `Perhaps you meant the table 'public.${like}'` }),
  })
}
