import type { Context } from 'hono'
import * as v from 'valibot'
import { readText } from '../../../core/body.ts'
import { coreFaults, Fault } from '../../../core/fault.ts'
import { networkOf } from '../../../core/limit.ts'
import type { Route } from '../../../core/routes.ts'
import type { Scope } from '../../../core/scope.ts'
import { body, ok, refuse, text } from '../../body.ts'
import { requireOwn } from '../../own-pages.ts'
import type { Doors } from '../../part.ts'
import { redirectTo } from '../../redirect.ts'
import { readScope } from '../asked.ts'
import { grantTypesOf } from '../client.ts'
import { authenticateClient } from '../client-auth.ts'
import { oauthServerFaults } from '../faults.ts'
import { inProtocol, readForm, secretly } from '../form.ts'
import type { Server } from '../settings.ts'
import { answerDevice, claimDevice } from './answer.ts'
import { beginDevice, pageOf } from './begin.ts'
import { answeredPage, confirmPage, devicePath, enterPage, signInPage } from './page.ts'
import { placeOf } from './place.ts'
import type { DeviceSettings } from './settings.ts'
import { readUserCode, shownCode } from './user-code.ts'

type Handler = Route[2]

export const deviceGrantType = 'urn:ietf:params:oauth:grant-type:device_code'

/** What is mounted. */
interface Mounted {
  readonly doors: Doors
  readonly server: Server
  readonly devices: DeviceSettings
}

/** What the device asks, our page, and the same for the host's own. */
export const deviceRoutes = (mounted: Mounted): Route[] => [
  ['POST', '/oauth/device_authorization', deviceAuthorization(mounted)],
  ['GET', devicePath, page(mounted)],
  ['POST', devicePath, submitted(mounted)],
  ['POST', `${devicePath}/claim`, claim(mounted)],
  ['POST', `${devicePath}/consent`, consent(mounted)],
]

/** RFC 8628, 3.1. One trip for the client, one for what it asks. */
const deviceAuthorization = ({ server, devices }: Mounted): Handler =>
  inProtocol(async (scope, c) => {
    const request = c.req.raw
    const form = await readForm(request)
    const { client } = await authenticateClient(server.settings, scope, { request, form })
    if (!grantTypesOf(client).includes(deviceGrantType))
      throw oauthServerFaults.unauthorized_client()
    return secretly(
      await beginDevice(server, devices, scope, {
        client,
        scope: readScope(server, client, form.get('scope')),
        resources: form.getAll('resource'),
        network: networkOf(request),
        place: placeOf(request),
      }),
    )
  }, server)

/** The code of the address is shown and nothing more: to claim it, its user has to say so (RFC 8628, 3.3.1). */
const page =
  (mounted: Mounted): Handler =>
  async (scope, c) => {
    const shown = c.req.query('user_code') ?? ''
    const code = readUserCode(shown)
    try {
      await mounted.doors.callerOf(scope, c.req.raw)
    } catch (error) {
      return signInFirst(mounted, scope, { error, code })
    }
    return enterPage(mounted.server, scope, { shown: code === null ? shown : shownCode(code) })
  }

/** Leads to where one signs in; what is no fault, or ours, is thrown on. */
function signInFirst(
  { server, devices }: Mounted,
  scope: Scope,
  { error, code }: { error: unknown; code: string | null },
): Response | Promise<Response> {
  if (!(error instanceof Fault) || error.status >= 500 || error.code === 'bad_origin') throw error
  const query = code === null ? '' : `?user_code=${shownCode(code)}`
  const back = pageOf(server, devices, scope) + query
  if (!server.signInPage) return signInPage(server, scope, { back })
  const to = new URL(server.signInPage, server.settings.site(scope))
  to.searchParams.set('redirect_to', back)
  return redirectTo(to.href)
}

/** The forms of our pages, from them and no other (case 64). */
const submitted =
  (mounted: Mounted): Handler =>
  async (scope, c) => {
    const { doors, server, devices } = mounted
    const request = c.req.raw
    requireOwn(server.settings, scope, request)
    const form = await formOf(request)
    const userCode = form.get('user_code') ?? ''
    const network = networkOf(request)
    const answer = form.get('answer')
    try {
      const caller = await doors.callerOf(scope, request)
      if (answer === null) {
        const details = await claimDevice(server, devices, scope, { ...caller, userCode, network })
        return await confirmPage(server, scope, details)
      }
      const approved = answer === 'approve'
      const input = { ...caller, userCode, network, approved }
      const { client } = await answerDevice(server, scope, input)
      return await answeredPage(server, scope, { name: client.name || 'The app', approved })
    } catch (error) {
      return explained(mounted, scope, { error, userCode })
    }
  }

/** What the page says of a fault. */
function explained(
  mounted: Mounted,
  scope: Scope,
  { error, userCode }: { error: unknown; userCode: string },
): Response | Promise<Response> {
  if (!(error instanceof Fault) || error.status >= 500) throw error
  const { code, status, headers } = error
  const wrong: Readonly<Record<string, string>> = {
    oauth_device_not_found: 'No device shows this code now. Look again: a code ends after minutes.',
    validation_failed: 'A code has 8 letters, such as WDJB-MJHT.',
    rate_limited: 'Too many codes were wrong. Wait a few minutes, then try again.',
  }
  const says = wrong[code]
  if (says === undefined)
    return signInFirst(mounted, scope, { error, code: readUserCode(userCode) })
  return enterPage(mounted.server, scope, { shown: userCode, wrong: says, status, headers })
}

/** @throws {Fault} `unsupported_content` (415). */
async function formOf(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') throw coreFaults.unsupported_content()
  return new URLSearchParams(await readText(request, 4096))
}

const claimBody = v.object({ user_code: text })
const consentBody = v.object({ user_code: text, action: text })

const codeIn = (code: string | null | undefined): string => {
  if (!code) throw refuse('user_code is required')
  return code
}

const claim =
  ({ doors: { callerOf }, server, devices }: Mounted): Handler =>
  async (scope, c: Context) => {
    const caller = await callerOf(scope, c.req.raw)
    const userCode = codeIn((await body(c, claimBody)).user_code)
    const network = networkOf(c.req.raw)
    return ok(await claimDevice(server, devices, scope, { ...caller, userCode, network }))
  }

const consent =
  ({ doors: { callerOf }, server }: Mounted): Handler =>
  async (scope, c: Context) => {
    const caller = await callerOf(scope, c.req.raw)
    const { user_code, action } = await body(c, consentBody)
    const userCode = codeIn(user_code)
    if (action !== 'approve' && action !== 'deny') throw refuse('action must be approve or deny')
    const [network, approved] = [networkOf(c.req.raw), action === 'approve']
    return ok(await answerDevice(server, scope, { ...caller, userCode, network, approved }))
  }
