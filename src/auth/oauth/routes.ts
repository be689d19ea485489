import type { Context } from 'hono'
import * as v from 'valibot'
import { readText } from '../../core/body.ts'
import { coreFaults } from '../../core/fault.ts'
import { networkOf } from '../../core/limit.ts'
import type { Route } from '../../core/routes.ts'
import { body, clientOf, text } from '../body.ts'
import { mayChangeIdentities } from '../identities.ts'
import { requireOwn } from '../own-pages.ts'
import type { Doors } from '../part.ts'
import { redirectTo } from '../redirect.ts'
import { answerLink, callback } from './callback.ts'
import { depart } from './depart.ts'
import { signInWithIdToken } from './id-token.ts'
import { linkPage, linkPath } from './link-page.ts'

type Handler = Route[2]

/** What the mounted providers add; the first of them brings it. */
export const oauthRoutes = (doors: Doors): Route[] => [
  ['GET', '/authorize', authorize(doors)],
  ['GET', '/callback', answered(doors)],
  ['POST', '/callback', answered(doors)],
  ['POST', linkPath, confirmed(doors)],
  ['GET', '/user/identities/authorize', linkIdentity(doors)],
]

const queryOf = (c: Context) => new URL(c.req.url).searchParams

const authorize =
  ({ settings }: Doors): Handler =>
  async (scope, c) => {
    // A GET also answers HEAD, which begins and ends nothing.
    if (c.req.method === 'HEAD') return new Response(null, { status: 200 })
    const network = networkOf(c.req.raw)
    const { url, cookie } = await depart(settings, scope, { query: queryOf(c), network })
    const response = redirectTo(url)
    response.headers.append('set-cookie', cookie)
    return response
  }

const answered =
  ({ settings, reply }: Doors): Handler =>
  async (scope, c) => {
    const request = c.req.raw
    if (request.method === 'HEAD') return new Response(null, { status: 200 })
    const parameters = request.method === 'POST' ? await readForm(request) : queryOf(c)
    const { url, cookies, session, page } = await callback(settings, scope, {
      request,
      parameters,
      client: clientOf(request),
      network: networkOf(request),
    })
    if (page) return linkPage(settings, scope, page)
    const back = redirectTo(url)
    const response = session ? reply(scope, request, session, back) : back
    for (const cookie of cookies) response.headers.append('set-cookie', cookie)
    return response
  }

/** The form of `linkPage`, from that page and no other. */
const confirmed =
  ({ settings, reply }: Doors): Handler =>
  async (scope, c) => {
    const request = c.req.raw
    requireOwn(settings, scope, request)
    const form = await readForm(request)
    const { url, session } = await answerLink(settings, scope, {
      token: form.get('token') ?? '',
      link: form.get('answer') === 'link',
      client: clientOf(request),
      network: networkOf(request),
    })
    const back = redirectTo(url)
    return session ? reply(scope, request, session, back) : back
  }

/** @throws {Fault} `unsupported_content` (415). */
async function readForm(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') throw coreFaults.unsupported_content()
  return new URLSearchParams(await readText(request, 64 * 1024))
}

const linkIdentity =
  ({ settings, callerOf }: Doors): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const query = queryOf(c)
    await mayChangeIdentities(settings, scope, caller, query.get('provider') ?? '')
    const network = networkOf(c.req.raw)
    const { url, cookie } = await depart(settings, scope, { query, caller, network })
    const response =
      query.get('skip_http_redirect') === 'true'
        ? Response.json({ url }, { status: 200 })
        : redirectTo(url)
    response.headers.append('set-cookie', cookie)
    return response
  }

const tokenBody = v.object({
  provider: text,
  issuer: text,
  id_token: text,
  access_token: text,
  nonce: text,
  link_identity: v.nullish(v.boolean()),
})

/** `POST /token?grant_type=id_token`. */
export const idTokenGrant =
  ({ settings, callerOf, reply }: Doors): Handler =>
  async (scope, c) => {
    const request = c.req.raw
    const shown = await body(c, tokenBody)
    const caller = shown.link_identity ? await callerOf(scope, request) : undefined
    if (caller) await mayChangeIdentities(settings, scope, caller, shown.provider ?? '')
    const session = await signInWithIdToken(settings, scope, {
      ...(shown.provider ? { provider: shown.provider } : {}),
      ...(shown.issuer ? { issuer: shown.issuer } : {}),
      idToken: shown.id_token ?? '',
      ...(shown.access_token ? { accessToken: shown.access_token } : {}),
      ...(shown.nonce ? { nonce: shown.nonce } : {}),
      ...(caller ? { caller } : {}),
      client: clientOf(request),
      network: networkOf(request),
    })
    return reply(scope, request, session)
  }
