import type { Context } from 'hono'
import * as v from 'valibot'
import type { Route } from '../../core/routes.ts'
import { adminOnly } from '../admin/access.ts'
import { body, ok, refuse, text } from '../body.ts'
import { readChallenge } from '../pkce.ts'
import { redirectTo } from '../redirect.ts'
import { flag } from '../request.ts'
import { configBody } from './input.ts'
import {
  createProvider,
  deleteProvider,
  getProvider,
  listProviders,
  type Managing,
  updateProvider,
} from './manage.ts'
import type { ProviderType } from './record.ts'
import { startSso } from './sso.ts'

type Handler = Route[2]

/** GoTrue's. Nothing of `/admin` is reached but through `only`. */
export function customProviderRoutes(managing: Managing): Route[] {
  const allow = adminOnly(managing.settings)
  const only =
    (handler: Handler): Handler =>
    async (scope, c) => {
      await allow(scope, c.req.raw)
      return handler(scope, c)
    }
  const one = '/admin/custom-providers/:identifier'
  return [
    ['GET', '/admin/custom-providers', only(list)],
    ['POST', '/admin/custom-providers', only(create(managing))],
    ['GET', one, only(find)],
    ['PUT', one, only(update(managing))],
    ['DELETE', one, only(remove(managing))],
    ['POST', '/sso', sso(managing)],
  ]
}

function typeOf(value: string | null | undefined, name: string): ProviderType {
  if (value === 'oauth2' || value === 'oidc') return value
  throw refuse(`${name} must be either 'oauth2' or 'oidc'`)
}

function identifierOf(c: Context): string {
  const identifier = c.req.param('identifier') ?? ''
  if (identifier.startsWith('custom:')) return identifier
  throw refuse("identifier must start with 'custom:' prefix")
}

const createBody = v.object({ ...configBody.entries, provider_type: text, identifier: text })

const list: Handler = async (scope, c) => {
  const type = c.req.query('type')
  return ok({
    providers: await listProviders(scope, { type: type ? typeOf(type, 'type') : undefined }),
  })
}

const create =
  (managing: Managing): Handler =>
  async (scope, c) => {
    const { provider_type, identifier, ...input } = await body(c, createBody)
    const type = typeOf(provider_type, 'provider_type')
    const made = await createProvider(managing, scope, {
      type,
      identifier: identifier ?? '',
      input,
    })
    return Response.json(made, { status: 201 })
  }

const find: Handler = async (scope, c) =>
  ok(await getProvider(scope, { identifier: identifierOf(c) }))

const update =
  (managing: Managing): Handler =>
  async (scope, c) => {
    const identifier = identifierOf(c)
    const input = await body(c, configBody)
    return ok(await updateProvider(managing, scope, { identifier, input }))
  }

const remove =
  (managing: Managing): Handler =>
  async (scope, c) => {
    await deleteProvider(managing, scope, { identifier: identifierOf(c) })
    return new Response(null, { status: 204 })
  }

const ssoBody = v.object({
  provider_id: text,
  domain: text,
  redirect_to: text,
  skip_http_redirect: flag,
  code_challenge: text,
  code_challenge_method: text,
})

const sso =
  ({ settings }: Managing): Handler =>
  async (scope, c) => {
    const input = await body(c, ssoBody)
    const found = await startSso(settings, scope, {
      domain: input.domain ?? undefined,
      providerId: input.provider_id ?? undefined,
      redirectTo: input.redirect_to ?? undefined,
      challenge: readChallenge(input.code_challenge, input.code_challenge_method),
    })
    return input.skip_http_redirect ? ok(found) : redirectTo(found.url)
  }
