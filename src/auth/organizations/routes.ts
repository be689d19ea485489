import type { Context as Request } from 'hono'
import * as v from 'valibot'
import { isUuid } from '../../core/id.ts'
import { networkOf } from '../../core/limit.ts'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { pageHeaders, readPage } from '../admin/paging.ts'
import { body, data, ok, refuse, text } from '../body.ts'
import { authFaults } from '../faults.ts'
import type { Doors } from '../part.ts'
import { idParam, maybeBody } from '../request.ts'
import type { Caller } from '../session.ts'
import { acceptInvitation, declineInvitation, ownInvitations } from './accept.ts'
import { setActive } from './active.ts'
import type { Context } from './context.ts'
import { invite, listInvitations, resendInvitation, revokeInvitation } from './invitations.ts'
import { listMembers, removeMember, transferOrganization, updateMember } from './members.ts'
import {
  createOrganization,
  deleteOrganization,
  getOrganization,
  listOrganizations,
  type Paged,
  updateOrganization,
} from './organization.ts'
import {
  changeTeamMember,
  createTeam,
  deleteTeam,
  listTeamMembers,
  listTeams,
  updateTeam,
} from './teams.ts'

/** Who asks, and about which organisation; as every verb takes it. */
interface Asked {
  scope: Scope
  c: Request
  by: { actor: Caller; network: string | null }
  /** The same, with the organisation of the path. */
  of: () => { actor: Caller; network: string | null; organizationId: string }
}

/** Every route of users. Who acts is whoever's token is shown, and nothing that is sent (case 41). */
export function organizationRoutes({ admittedOf, reply }: Doors, context: Context): Route[] {
  const as =
    (answer: (asked: Asked) => Promise<Response>): Route[2] =>
    async (scope, c) => {
      const by = { actor: await admittedOf(scope, c.req.raw), network: networkOf(c.req.raw) }
      const of = () => ({ ...by, organizationId: idParam(c, 'organization_id') })
      return answer({ scope, c, by, of })
    }
  const one = '/organizations/:organization_id'
  const invitation = `${one}/invitations/:invitation_id`
  const team = `${one}/teams/:team_id`
  return [
    ['GET', '/organizations', as(list)],
    ['POST', '/organizations', as(create(context))],
    [
      'POST',
      '/organizations/active',
      as(async ({ scope, c, by: { actor } }) => {
        const { organization_id: id } = await body(c, activeBody)
        const organizationId = id === null ? null : uuid('organization_id', id)
        return reply(scope, c.req.raw, await setActive(context)(scope, { actor, organizationId }))
      }),
    ],
    ['GET', one, as(async ({ scope, of }) => ok(await getOrganization(context)(scope, of())))],
    ['PATCH', one, as(update(context))],
    ['DELETE', one, as(({ scope, of }) => done(deleteOrganization(context)(scope, of())))],
    ['POST', `${one}/leave`, as(leave(context))],
    ['POST', `${one}/transfer`, as(transfer(context))],
    ['GET', `${one}/members`, as(paged('members', listMembers(context)))],
    ['PATCH', `${one}/members/:user_id`, as(setRole(context))],
    ['DELETE', `${one}/members/:user_id`, as(remove(context))],
    ['GET', `${one}/invitations`, as(paged('invitations', listInvitations(context)))],
    ['POST', `${one}/invitations`, as(inviteOne(context))],
    ['POST', `${invitation}/resend`, as(resend(context))],
    ['DELETE', invitation, as(revoke(context))],
    ['GET', `${one}/teams`, as(paged('teams', listTeams(context)))],
    ['POST', `${one}/teams`, as(addTeam(context))],
    ['PATCH', team, as(renameTeam(context))],
    ['DELETE', team, as(removeTeam(context))],
    ['GET', `${team}/members`, as(teamMembers(context))],
    ['POST', `${team}/members`, as(joinTeam(context))],
    ['DELETE', `${team}/members/:user_id`, as(leaveTeam(context))],
    ['GET', '/invitations', as(mine(context))],
    ['POST', '/invitations/accept', as(accept(context))],
    ['POST', '/invitations/decline', as(decline(context))],
    ['POST', '/invitations/:invitation_id/accept', as(accept(context))],
    ['POST', '/invitations/:invitation_id/decline', as(decline(context))],
  ]
}

type Answer = (context: Context) => (asked: Asked) => Promise<Response>

export const createBody = v.object({ name: text, slug: text, metadata: data, app_metadata: data })
const activeBody = v.object({ organization_id: v.nullable(v.string()) })
export const roleBody = v.object({ role: text })
const userBody = v.object({ user_id: text })
const nameBody = v.object({ name: text })
const inviteBody = v.object({
  email: text,
  role: text,
  team_ids: v.nullish(v.pipe(v.array(v.string()), v.maxLength(100))),
})
const tokenBody = v.object({ token: text })

export const done = async (work: Promise<unknown>): Promise<Response> => {
  await work
  return new Response(null, { status: 204 })
}

/** An id in a body. @throws {Fault} `validation_failed` (400). */
export function uuid(name: string, id: unknown): string {
  if (isUuid(id)) return id.toLowerCase()
  throw refuse(`${name} must be an UUID`)
}

/** A page as GoTrue answers one: the list under its name, the rest in `link` and `x-total-count`. */
export function pageOf(c: Request, name: string, { items, total }: Paged<unknown>): Response {
  const path = new URL(c.req.url).pathname
  return Response.json(
    { [name]: items },
    { status: 200, headers: pageHeaders(path, readPage(c), total) },
  )
}

const paged =
  <Item>(
    name: string,
    read: (
      scope: Scope,
      input: ReturnType<Asked['of']> & ReturnType<typeof readPage>,
    ) => Promise<Paged<Item>>,
  ) =>
  async ({ scope, c, of }: Asked): Promise<Response> =>
    pageOf(c, name, await read(scope, { ...of(), ...readPage(c) }))

const list = async ({ scope, c, by }: Asked) =>
  pageOf(c, 'organizations', await listOrganizations(scope, { ...by, ...readPage(c) }))

/** `app_metadata` is the server's: who sends it is told, as by `PUT /user`. */
export function attributesOf({ name, slug, metadata }: v.InferOutput<typeof createBody>) {
  return { name: name ?? undefined, slug, metadata: metadata ?? undefined }
}

const noAppMetadata = ({ app_metadata }: v.InferOutput<typeof createBody>) => {
  if (app_metadata != null) throw authFaults.not_admin()
}

const create: Answer =
  (context) =>
  async ({ scope, c, by }) => {
    const input = await body(c, createBody)
    noAppMetadata(input)
    const attributes = { ...attributesOf(input), name: input.name ?? '' }
    return ok(await createOrganization(context)(scope, { ...by, ...attributes }))
  }

const update: Answer =
  (context) =>
  async ({ scope, c, of }) => {
    const asked = of()
    const input = await body(c, createBody)
    noAppMetadata(input)
    return ok(await updateOrganization(context)(scope, { ...asked, ...attributesOf(input) }))
  }

const leave: Answer =
  (context) =>
  ({ scope, by: { actor }, of }) =>
    done(removeMember(context)(scope, { ...of(), userId: actor.userId }))

const transfer: Answer =
  (context) =>
  async ({ scope, c, of }) => {
    const asked = of()
    const userId = uuid('user_id', (await body(c, userBody)).user_id)
    return ok(await transferOrganization(context)(scope, { ...asked, userId }))
  }

const setRole: Answer =
  (context) =>
  async ({ scope, c, of }) => {
    const asked = { ...of(), userId: idParam(c, 'user_id') }
    const { role } = await body(c, roleBody)
    return ok(await updateMember(context)(scope, { ...asked, role: role ?? '' }))
  }

const remove: Answer =
  (context) =>
  ({ scope, c, of }) =>
    done(removeMember(context)(scope, { ...of(), userId: idParam(c, 'user_id') }))

const inviteOne: Answer =
  (context) =>
  async ({ scope, c, of }) => {
    const asked = of()
    const { email, role, team_ids } = await body(c, inviteBody)
    const teamIds = team_ids?.map((id) => uuid('team_ids', id))
    const redirectTo = c.req.query('redirect_to')
    const input = { ...asked, email: email ?? '', role: role ?? undefined, teamIds, redirectTo }
    return ok(await invite(context)(scope, input))
  }

const invitationOf = ({ c, of }: Asked) => ({ ...of(), invitationId: idParam(c, 'invitation_id') })

const resend: Answer = (context) => async (asked) => {
  const redirectTo = asked.c.req.query('redirect_to')
  return ok(await resendInvitation(context)(asked.scope, { ...invitationOf(asked), redirectTo }))
}

const revoke: Answer = (context) => async (asked) =>
  done(revokeInvitation(context)(asked.scope, invitationOf(asked)))

const teamOf = ({ c, of }: Asked) => ({ ...of(), teamId: idParam(c, 'team_id') })

const addTeam: Answer =
  (context) =>
  async ({ scope, c, of }) => {
    const asked = of()
    const { name } = await body(c, nameBody)
    return ok(await createTeam(context)(scope, { ...asked, name: name ?? '' }))
  }

const renameTeam: Answer = (context) => async (asked) => {
  const team = teamOf(asked)
  const { name } = await body(asked.c, nameBody)
  return ok(await updateTeam(context)(asked.scope, { ...team, name: name ?? '' }))
}

const removeTeam: Answer = (context) => async (asked) =>
  done(deleteTeam(context)(asked.scope, teamOf(asked)))

const teamMembers: Answer = (context) => async (asked) => {
  const page = readPage(asked.c)
  const members = await listTeamMembers(context)(asked.scope, { ...teamOf(asked), ...page })
  return pageOf(asked.c, 'members', members)
}

const joinTeam: Answer = (context) => async (asked) => {
  const team = teamOf(asked)
  const userId = uuid('user_id', (await body(asked.c, userBody)).user_id)
  return ok(await changeTeamMember(context)(asked.scope, { ...team, userId, there: true }))
}

const leaveTeam: Answer = (context) => async (asked) => {
  const input = { ...teamOf(asked), userId: idParam(asked.c, 'user_id'), there: false }
  return done(changeTeamMember(context)(asked.scope, input))
}

const mine: Answer =
  (context) =>
  async ({ scope, by: { actor } }) =>
    ok({ invitations: await ownInvitations(context)(scope, actor) })

/** By the id in the path, or else by the token, which is a secret and so in no URL (case 74). */
async function shownBy({ c, by }: Asked) {
  if (c.req.param('invitation_id') !== undefined)
    return { ...by, invitationId: idParam(c, 'invitation_id') }
  const { token } = await maybeBody(c, tokenBody)
  if (!token) throw refuse('token is required')
  return { ...by, token }
}

const accept: Answer = (context) => async (asked) =>
  ok(await acceptInvitation(context)(asked.scope, await shownBy(asked)))

const decline: Answer = (context) => async (asked) =>
  done(declineInvitation(context)(asked.scope, await shownBy(asked)))
