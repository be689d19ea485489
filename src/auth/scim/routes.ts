import type { Context as Request } from 'hono'
import * as v from 'valibot'
import { readJson } from '../../core/body.ts'
import { isUuid } from '../../core/id.ts'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { body, ok, text } from '../body.ts'
import type { Context as Organizations } from '../organizations/context.ts'
import { type AuthEvent, type Doors, happened } from '../part.ts'
import { idParam } from '../request.ts'
import { config, resourceTypes, schemas } from './about.ts'
import { type Directory, directoryOf } from './directory.ts'
import { changeGroup, createGroup, deleteGroup, listGroups, readGroup } from './groups.ts'
import { readOperations } from './patch.ts'
import { issueToken, listTokens, revokeToken } from './tokens.ts'
import { changePerson, createPerson, deletePerson, listPeople, readPerson } from './users.ts'
import { answer, listed, notFound, readList, refusal } from './wire.ts'

const tokenBody = v.object({ name: text, expires_in: v.nullish(v.number()) })

/** Tokens are the owners'; what is under `/scim/v2` is whoever's who has one. */
export function scimRoutes(
  doors: Doors,
  organizations: () => Organizations,
  role: string,
): Route[] {
  const { settings, admittedOf } = doors
  const owned =
    (
      answer: (
        scope: Scope,
        c: Request,
        by: Parameters<ReturnType<typeof listTokens>>[1],
      ) => Promise<Response>,
    ): Route[2] =>
    async (scope, c) => {
      const actor = await admittedOf(scope, c.req.raw)
      return answer(scope, c, { actor, organizationId: idParam(c, 'organization_id') })
    }
  /** By a directory's token, with answers and refusals as SCIM has them. */
  const scim =
    (serve: (scope: Scope, c: Request, directory: Directory) => Promise<Response>): Route[2] =>
    async (scope, c) => {
      try {
        const directory = await directoryOf(organizations(), scope, c.req.raw, role)
        return await serve(scope, c, directory)
      } catch (error) {
        return refusal(error)
      }
    }
  const told = (scope: Scope, directory: Directory, action: string, id: unknown) => {
    const { organizationId: organization_id, tokenId: token_id } = directory
    const event: AuthEvent = { action, data: { organization_id, token_id, id } }
    happened(settings, scope, event)
  }
  const one = (c: Request): string => {
    const id = c.req.param('id')
    if (isUuid(id)) return id.toLowerCase()
    throw notFound()
  }
  const list = (c: Request) => readList((name) => c.req.query(name))
  const withMembers = (c: Request) =>
    !(c.req.query('excludedAttributes') ?? '').toLowerCase().split(',').includes('members')
  const created = (resource: Record<string, unknown>) =>
    answer(resource, 201, { location: (resource.meta as { location: string }).location })
  const gone = () => new Response(null, { status: 204 })
  const discovery =
    (read: (url: string) => object, key?: (one: never) => string): Route[2] =>
    async (scope, c) => {
      const url = `${settings.issuer(scope)}/scim/v2`
      const found = read(url)
      if (!Array.isArray(found)) return answer(found)
      const id = c.req.param('id')
      if (id === undefined) return answer(listed(found, found.length, 1))
      const chosen = found.find((resource) => key?.(resource as never) === id)
      return chosen ? answer(chosen) : refusal(notFound())
    }
  const idOf = ({ id }: { id: string }) => id
  const tokens = '/organizations/:organization_id/scim-tokens'
  const changing = (
    change: typeof changePerson,
    action: string,
  ): [put: Route[2], patch: Route[2]] => [
    scim(async (scope, c, directory) => {
      const changed = await change(scope, directory, one(c), { put: await readJson(c.req.raw) })
      told(scope, directory, action, changed.id)
      return answer(changed)
    }),
    scim(async (scope, c, directory) => {
      const patch = readOperations(await readJson(c.req.raw))
      const changed = await change(scope, directory, one(c), { patch })
      told(scope, directory, action, changed.id)
      return answer(changed)
    }),
  ]
  const [putUser, patchUser] = changing(changePerson, 'scim_user_updated')
  const [putGroup, patchGroup] = changing(changeGroup, 'scim_group_updated')
  return [
    [
      'GET',
      tokens,
      owned(async (scope, _, by) => ok({ tokens: await listTokens(organizations())(scope, by) })),
    ],
    [
      'POST',
      tokens,
      owned(async (scope, c, by) => {
        const { name, expires_in: seconds } = await body(c, tokenBody)
        const input = { ...by, name: name ?? '', seconds: seconds ?? undefined }
        return ok(await issueToken(organizations())(scope, input))
      }),
    ],
    [
      'DELETE',
      `${tokens}/:token_id`,
      owned(async (scope, c, by) => {
        await revokeToken(organizations())(scope, { ...by, tokenId: idParam(c, 'token_id') })
        return gone()
      }),
    ],
    ['GET', '/scim/v2/ServiceProviderConfig', discovery(config)],
    ['GET', '/scim/v2/ResourceTypes', discovery(resourceTypes)],
    ['GET', '/scim/v2/ResourceTypes/:id', discovery(resourceTypes, idOf)],
    ['GET', '/scim/v2/Schemas', discovery(schemas)],
    ['GET', '/scim/v2/Schemas/:id', discovery(schemas, idOf)],
    [
      'GET',
      '/scim/v2/Users',
      scim(async (scope, c, of) => answer(await listPeople(scope, of, list(c)))),
    ],
    [
      'POST',
      '/scim/v2/Users',
      scim(async (scope, c, directory) => {
        const made = await createPerson(scope, directory, await readJson(c.req.raw))
        told(scope, directory, 'scim_user_created', made.id)
        return created(made)
      }),
    ],
    [
      'GET',
      '/scim/v2/Users/:id',
      scim(async (scope, c, of) => answer(await readPerson(scope, of, one(c)))),
    ],
    ['PUT', '/scim/v2/Users/:id', putUser],
    ['PATCH', '/scim/v2/Users/:id', patchUser],
    [
      'DELETE',
      '/scim/v2/Users/:id',
      scim(async (scope, c, directory) => {
        await deletePerson(scope, directory, one(c))
        told(scope, directory, 'scim_user_deleted', one(c))
        return gone()
      }),
    ],
    [
      'GET',
      '/scim/v2/Groups',
      scim(async (scope, c, of) =>
        answer(await listGroups(scope, of, { ...list(c), members: withMembers(c) })),
      ),
    ],
    [
      'POST',
      '/scim/v2/Groups',
      scim(async (scope, c, directory) => {
        const limit = organizations().most.teams
        const most = typeof limit === 'number' ? limit : Number.MAX_SAFE_INTEGER
        const made = await createGroup(scope, directory, await readJson(c.req.raw), most)
        told(scope, directory, 'scim_group_created', made.id)
        return created(made)
      }),
    ],
    [
      'GET',
      '/scim/v2/Groups/:id',
      scim(async (scope, c, of) => answer(await readGroup(scope, of, one(c), withMembers(c)))),
    ],
    ['PUT', '/scim/v2/Groups/:id', putGroup],
    ['PATCH', '/scim/v2/Groups/:id', patchGroup],
    [
      'DELETE',
      '/scim/v2/Groups/:id',
      scim(async (scope, c, directory) => {
        await deleteGroup(scope, directory, one(c))
        told(scope, directory, 'scim_group_deleted', one(c))
        return gone()
      }),
    ],
  ]
}
