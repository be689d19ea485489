import type { Context as Request } from 'hono'
import * as v from 'valibot'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { adminOnly } from '../admin/access.ts'
import { readPage } from '../admin/paging.ts'
import { body, ok, text } from '../body.ts'
import type { Doors } from '../part.ts'
import { idParam } from '../request.ts'
import type { Context } from './context.ts'
import { listMembers, putMember, removeMember } from './members.ts'
import {
  createOrganization,
  deleteOrganization,
  getOrganization,
  listOrganizations,
  updateOrganization,
} from './organization.ts'
import { attributesOf, createBody, done, pageOf, roleBody, uuid } from './routes.ts'

const ownedBody = v.object({ ...createBody.entries, owner_id: text })

/** Those of the server, where the part `admin` is. No handler is reached but through `only`. */
export function adminRoutes({ settings }: Doors, context: Context): Route[] {
  if (!settings.parts.some(({ name }) => name === 'admin')) return []
  const allow = adminOnly(settings)
  const only =
    (answer: (scope: Scope, c: Request) => Promise<Response>): Route[2] =>
    async (scope, c) => {
      await allow(scope, c.req.raw)
      return answer(scope, c)
    }
  const id = (c: Request) => ({ organizationId: idParam(c, 'organization_id') })
  const member = (c: Request) => ({ ...id(c), userId: idParam(c, 'user_id') })
  const one = '/admin/organizations/:organization_id'
  return [
    [
      'GET',
      '/admin/organizations',
      only(async (scope, c) => {
        const ownerless = c.req.query('ownerless') === 'true'
        const input = { ...readPage(c), ownerless }
        return pageOf(c, 'organizations', await listOrganizations(scope, input))
      }),
    ],
    [
      'POST',
      '/admin/organizations',
      only(async (scope, c) => {
        const input = await body(c, ownedBody)
        const ownerId = uuid('owner_id', input.owner_id)
        const attributes = { ...attributesOf(input), name: input.name ?? '' }
        const appMetadata = input.app_metadata ?? undefined
        const made = { ...attributes, appMetadata, ownerId }
        return ok(await createOrganization(context)(scope, made))
      }),
    ],
    ['GET', one, only(async (scope, c) => ok(await getOrganization(context)(scope, id(c))))],
    [
      'PATCH',
      one,
      only(async (scope, c) => {
        const organization = id(c)
        const input = await body(c, createBody)
        const appMetadata = input.app_metadata ?? undefined
        const changes = { ...organization, ...attributesOf(input), appMetadata }
        return ok(await updateOrganization(context)(scope, changes))
      }),
    ],
    ['DELETE', one, only((scope, c) => done(deleteOrganization(context)(scope, id(c))))],
    [
      'GET',
      `${one}/members`,
      only(async (scope, c) =>
        pageOf(c, 'members', await listMembers(context)(scope, { ...id(c), ...readPage(c) })),
      ),
    ],
    [
      'PUT',
      `${one}/members/:user_id`,
      only(async (scope, c) => {
        const whom = member(c)
        const { role } = await body(c, roleBody)
        return ok(await putMember(context)(scope, { ...whom, role: role ?? 'member' }))
      }),
    ],
    [
      'DELETE',
      `${one}/members/:user_id`,
      only((scope, c) => done(removeMember(context)(scope, member(c)))),
    ],
  ]
}
