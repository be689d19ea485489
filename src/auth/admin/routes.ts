import type { Context } from 'hono'
import * as v from 'valibot'
import { networkOf } from '../../core/limit.ts'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { readAudit } from '../audit.ts'
import { body, data, ok, text } from '../body.ts'
import { authFaults } from '../faults.ts'
import type { Doors } from '../part.ts'
import { flag, idParam, maybeBody } from '../request.ts'
import { audience } from '../wire.ts'
import { adminOnly } from './access.ts'
import { deleteFactor, hasFactors, listFactors } from './factors.ts'
import { generateLink, invite, type LinkType } from './links.ts'
import { pageHeaders, readPage } from './paging.ts'
import {
  createUser,
  deleteUser,
  findUser,
  listUsers,
  signOutUser,
  type UserAttributes,
  updateUser,
} from './users.ts'

type Handler = Route[2]

/** Every route, as GoTrue has it, but for `…/logout`, which it lacks. No handler is reached but through `only`. */
export function adminRoutes(doors: Doors, { audit }: { audit: boolean }): Route[] {
  const allow = adminOnly(doors.settings)
  const only =
    (handler: Handler): Handler =>
    async (scope, c) => {
      await allow(scope, c.req.raw)
      return handler(scope, c)
    }
  const user = '/admin/users/:user_id'
  const routes: Route[] = [
    ['GET', '/admin/users', list(doors)],
    ['POST', '/admin/users', create(doors)],
    ['GET', user, find(doors)],
    ['PUT', user, update(doors)],
    ['DELETE', user, remove(doors)],
    ['POST', `${user}/logout`, logout(doors)],
    ['POST', '/invite', inviteUser(doors)],
    ['POST', '/admin/generate_link', link(doors)],
    ...(audit ? [['GET', '/admin/audit', log] as const] : []),
    ...(hasFactors(doors.settings)
      ? [
          ['GET', `${user}/factors`, factors(doors)] as const,
          ['DELETE', `${user}/factors/:factor_id`, removeFactor(doors)] as const,
        ]
      : []),
  ]
  return routes.map(([method, path, handler]) => [method, path, only(handler)])
}

const attributes = {
  email: text,
  phone: text,
  password: text,
  password_hash: text,
  user_metadata: data,
  app_metadata: data,
  email_confirm: flag,
  phone_confirm: flag,
  ban_duration: text,
  role: text,
}
const updateBody = v.object(attributes)
const createBody = v.object({ ...attributes, id: text })
const deleteBody = v.object({ should_soft_delete: flag })
const inviteBody = v.object({ email: text, data })
const linkBody = v.object({
  type: text,
  email: text,
  new_email: text,
  password: text,
  data,
  redirect_to: text,
})

function readAttributes(input: v.InferOutput<typeof updateBody>): UserAttributes {
  // There is one role; another one's tokens would be nobody's (case 40).
  if (input.role && input.role !== audience)
    throw authFaults.validation_failed({
      message: 'role must be authenticated; use app_metadata for roles of your own',
    })
  return {
    email: input.email || undefined,
    phone: input.phone || undefined,
    password: input.password || undefined,
    passwordHash: input.password_hash || undefined,
    userMetadata: input.user_metadata ?? undefined,
    appMetadata: input.app_metadata ?? undefined,
    emailConfirm: input.email_confirm ?? undefined,
    phoneConfirm: input.phone_confirm ?? undefined,
    banDuration: input.ban_duration || undefined,
  }
}

const list =
  ({ settings }: Doors): Handler =>
  async (scope, c) => {
    const page = readPage(c)
    const { users, total } = await listUsers(settings)(scope, page)
    const headers = pageHeaders('/admin/users', page, total)
    return Response.json({ users, aud: audience }, { status: 200, headers })
  }

const create =
  ({ settings }: Doors): Handler =>
  async (scope, c) => {
    const input = await body(c, createBody)
    const id = input.id || undefined
    return ok(await createUser(settings)(scope, { ...readAttributes(input), id }))
  }

const userId = (c: Context) => idParam(c, 'user_id')

const find =
  ({ settings }: Doors): Handler =>
  async (scope, c) =>
    ok(await findUser(settings)(scope, { userId: userId(c) }))

const update =
  ({ settings }: Doors): Handler =>
  async (scope, c) => {
    const input = await body(c, updateBody)
    return ok(await updateUser(settings)(scope, { ...readAttributes(input), userId: userId(c) }))
  }

const remove =
  ({ settings }: Doors): Handler =>
  async (scope, c) => {
    const { should_soft_delete } = await maybeBody(c, deleteBody)
    await deleteUser(settings)(scope, { userId: userId(c), soft: should_soft_delete === true })
    return ok({})
  }

const logout =
  ({ settings }: Doors): Handler =>
  async (scope, c) => {
    await signOutUser(settings)(scope, { userId: userId(c) })
    return new Response(null, { status: 204 })
  }

const inviteUser =
  ({ settings }: Doors): Handler =>
  async (scope, c) => {
    const { email, data } = await body(c, inviteBody)
    const redirectTo = c.req.query('redirect_to')
    const network = networkOf(c.req.raw)
    const input = { email: email ?? '', data: data ?? undefined, redirectTo, network }
    return ok(await invite(settings)(scope, input))
  }

const linkTypes: readonly string[] = [
  'signup',
  'magiclink',
  'recovery',
  'invite',
  'email_change_current',
  'email_change_new',
] satisfies LinkType[]

const link =
  ({ settings }: Doors): Handler =>
  async (scope, c) => {
    const input = await body(c, linkBody)
    if (!linkTypes.includes(input.type ?? ''))
      throw authFaults.validation_failed({ message: 'Invalid email action link type requested' })
    return ok(
      await generateLink(settings)(scope, {
        type: input.type as LinkType,
        email: input.email ?? '',
        newEmail: input.new_email ?? undefined,
        password: input.password || undefined,
        data: input.data ?? undefined,
        redirectTo: c.req.query('redirect_to') ?? input.redirect_to ?? undefined,
      }),
    )
  }

const factors =
  ({ settings }: Doors): Handler =>
  async (scope, c) =>
    ok(await listFactors(settings)(scope, { userId: userId(c) }))

const removeFactor =
  ({ settings }: Doors): Handler =>
  async (scope, c) =>
    ok(
      await deleteFactor(settings)(scope, {
        userId: userId(c),
        factorId: idParam(c, 'factor_id'),
      }),
    )

const log = async (scope: Scope, c: Context): Promise<Response> => {
  const page = readPage(c)
  const { entries, total } = await readAudit(scope, page)
  return Response.json(entries, {
    status: 200,
    headers: pageHeaders('/admin/audit', page, total),
  })
}
