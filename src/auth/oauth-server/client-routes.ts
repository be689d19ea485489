import type { Context } from 'hono'
import { Fault } from '../../core/fault.ts'
import { isUuid } from '../../core/id.ts'
import { networkOf } from '../../core/limit.ts'
import type { Route } from '../../core/routes.ts'
import { adminOnly } from '../admin/access.ts'
import { pageHeaders, readPage } from '../admin/paging.ts'
import { body, ok, refuse } from '../body.ts'
import { audience } from '../wire.ts'
import { asGoTrue, metadataBody } from './client-metadata.ts'
import {
  createClient,
  deleteClient,
  getClient,
  listClients,
  regenerateSecret,
  updateClient,
} from './client-store.ts'
import { oauthServerFaults } from './faults.ts'
import { inProtocol, secretly } from './form.ts'
import type { Server } from './settings.ts'

type Handler = Route[2]

/** For the server, as GoTrue has it. No handler is reached but through `only`. */
export function clientRoutes(server: Server): Route[] {
  const allow = adminOnly(server.settings)
  const only =
    (handler: Handler): Handler =>
    async (scope, c) => {
      await allow(scope, c.req.raw)
      try {
        return await handler(scope, c)
      } catch (error) {
        throw asGoTrue(error)
      }
    }
  const [all, one] = ['/admin/oauth/clients', '/admin/oauth/clients/:client_id']
  return [
    ['GET', all, only(list)],
    ['POST', all, only(create(server))],
    ['GET', one, only(async (scope, c) => ok(await getClient(scope, idOf(c))))],
    ['PUT', one, only(update(server))],
    ['DELETE', one, only(remove(server))],
    ['POST', `${one}/regenerate_secret`, only(regenerate(server))],
  ]
}

function idOf(c: Context): string {
  const id = c.req.param('client_id')?.toLowerCase()
  if (!isUuid(id)) throw refuse('invalid client_id format')
  return id
}

const list: Handler = async (scope, c) => {
  const page = readPage(c)
  const { clients, total } = await listClients(scope, page)
  const headers = pageHeaders('/admin/oauth/clients', page, total)
  return Response.json({ clients, aud: audience }, { status: 200, headers })
}

const create =
  (server: Server): Handler =>
  async (scope, c) => {
    const metadata = await body(c, metadataBody)
    if (!metadata.client_name) throw refuse('client_name is required')
    return secretly(await createClient(server, scope, { metadata, dynamic: false }), 201)
  }

const update =
  (server: Server): Handler =>
  async (scope, c) => {
    const id = idOf(c)
    const metadata = await body(c, metadataBody)
    if (Object.values(metadata).every((value) => value === undefined || value === null))
      throw refuse('No fields provided for update')
    return secretly(await updateClient(server, scope, { id, metadata }))
  }

const remove =
  (server: Server): Handler =>
  async (scope, c) => {
    await deleteClient(server, scope, idOf(c))
    return new Response(null, { status: 204 })
  }

const regenerate =
  (server: Server): Handler =>
  async (scope, c) =>
    secretly(await regenerateSecret(server, scope, idOf(c)))

/** `POST /oauth/clients/register` (RFC 7591). */
export const register = (server: Server): Handler =>
  inProtocol(async (scope, c) => {
    if (!server.registration) throw oauthServerFaults.oauth_dynamic_client_registration_disabled()
    const metadata = await body(c, metadataBody).catch((error: unknown) => {
      if (!(error instanceof Fault) || error.code !== 'bad_request') throw error
      throw oauthServerFaults.invalid_client_metadata({ message: error.message })
    })
    const network = networkOf(c.req.raw)
    const client = await createClient(server, scope, { metadata, dynamic: true, network })
    const issued = Math.floor(Date.parse(client.created_at) / 1000)
    return secretly(
      {
        ...client,
        client_id_issued_at: issued,
        ...(client.client_secret === undefined ? {} : { client_secret_expires_at: 0 }),
      },
      201,
    )
  })
