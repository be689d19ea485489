import type { Route } from '../../core/routes.ts'
import type { Doors } from '../part.ts'
import { authorizationRoutes } from './authorization-routes.ts'
import { authorize } from './authorize.ts'
import { clientRoutes, register } from './client-routes.ts'
import { consentRoutes } from './consent-page.ts'
import { grantRoutes } from './grants.ts'
import { introspect, revoke } from './introspect.ts'
import { published, serverMetadata } from './metadata.ts'
import { pushed } from './pushed.ts'
import type { Server } from './settings.ts'
import { token } from './token.ts'
import { userinfo } from './userinfo.ts'

/** Every route, as GoTrue has it, and beside them the standards' own. */
export const oauthServerRoutes = (doors: Doors, server: Server): Route[] => [
  ['GET', '/oauth/authorize', authorize(doors, server)],
  ['POST', '/oauth/authorize', authorize(doors, server)],
  ['POST', '/oauth/par', pushed(server)],
  ...consentRoutes(doors, server),
  ...authorizationRoutes(doors, server),
  ['POST', '/oauth/token', token(server)],
  ['POST', '/oauth/revoke', revoke(server)],
  ['POST', '/oauth/introspect', introspect(server)],
  ['GET', '/oauth/userinfo', userinfo(doors, server)],
  ['POST', '/oauth/userinfo', userinfo(doors, server)],
  ...grantRoutes(doors),
  ['POST', '/oauth/clients/register', register(server)],
  ...clientRoutes(server),
  [
    'GET',
    '/.well-known/oauth-authorization-server',
    (scope) => published(serverMetadata(server, server.settings.issuer(scope))),
  ],
  ...server.extensions.flatMap(({ routes }) => routes?.(doors, server) ?? []),
]
