import type { Route } from '../../core/routes.ts'
import type { Doors } from '../part.ts'
import type { Server } from './settings.ts'
import { token } from './token.ts'

/** Every route, as GoTrue has it, and beside them the standards' own. */
export const oauthServerRoutes = (doors: Doors, server: Server): Route[] => [
  ['POST', '/oauth/token', token(server)],
  ...server.extensions.flatMap(({ routes }) => routes?.(doors, server) ?? []),
]
