import type { AuthPart, Doors, Moved } from '../part.ts'
import { movingRoutes } from './routes.ts'

export type { Moved } from '../part.ts'

export interface MovingOptions {
  /** What goes along of each mounted part that says so: `movedFactors` of `leanto/auth/mfa`, `movedPasskeys` of `leanto/auth/passkeys`. */
  parts?: readonly Moved[]
  /** Whether users may be brought: `POST /admin/users/import`. @default true */
  import?: boolean
  /**
   * Whether users may be taken along: `GET /admin/users/export`, which shows the secret API key what nothing else does, hashes
   * of passwords and secrets of factors. @default true
   */
  export?: boolean
}

const wrong = (option: string, fix: string) => new TypeError(`moving: \`${option}\` ${fix}`)

/**
 * Users in and out by NDJSON, with their hashes, identities, factors and passkeys, for the secret API key alone. Needed for
 * the time of a move; `npx leanto users` is its client.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function moving(options: MovingOptions = {}): AuthPart {
  const given = { import: options.import ?? true, export: options.export ?? true }
  for (const [name, value] of Object.entries(given))
    if (typeof value !== 'boolean') throw wrong(name, 'must be true or false')
  if (!given.import && !given.export) throw wrong('export', 'or `import` must be true')
  const { parts = [] } = options
  if (!Array.isArray(parts) || !parts.every((part) => typeof part?.field === 'string'))
    throw wrong('parts', 'must list what goes along, such as movedFactors')
  return Object.freeze({
    name: 'moving',
    routes(doors) {
      checkAll(doors, parts)
      return movingRoutes(doors, { ...given, parts })
    },
  } satisfies AuthPart)
}

/** What was forgotten would be lost without a word. */
function checkAll({ settings }: Doors, parts: readonly Moved[]): void {
  const fields = parts.map(({ field }) => field)
  for (const { name, moves } of settings.parts)
    if (moves && !fields.includes(moves))
      throw wrong('parts', `must list what moves the ${moves} of ${name}`)
  const mounted = settings.parts.map(({ moves }) => moves)
  const stray = fields.find((field) => !mounted.includes(field))
  if (stray) throw wrong('parts', `lists what moves ${stray}, whose part is not mounted`)
}
