import type { Statement } from '../../core/database.ts'
import { isUuid } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { equal, hash } from '../../core/secret.ts'
import type { Settings } from '../settings.ts'
import { type ClientRow, isPublic, selectClient } from './client.ts'
import { oauthServerFaults } from './faults.ts'
import { invalidRequest } from './form.ts'

/** What a client has shown of itself. */
interface Shown {
  readonly id: string
  readonly secret: string | null
  readonly basic: boolean
}

const refuse = (basic: boolean) =>
  oauthServerFaults.invalid_client(
    // Only who has tried it is asked for it (RFC 6749, 5.2).
    basic ? { headers: { 'www-authenticate': 'Basic realm="oauth", charset="UTF-8"' } } : {},
  )

/** RFC 6749, 2.3.1: each half is form-encoded before they are joined. */
function fromBasic(header: string): Shown {
  try {
    const pair = atob(header.slice(6).trim())
    const at = pair.indexOf(':')
    if (at < 0) throw refuse(true)
    const [id, secret] = [pair.slice(0, at), pair.slice(at + 1)].map((half) =>
      decodeURIComponent(half.replaceAll('+', ' ')),
    ) as [string, string]
    return { id, secret, basic: true }
  } catch {
    throw refuse(true)
  }
}

function shownBy(request: Request, form: URLSearchParams): Shown {
  const header = request.headers.get('authorization') ?? ''
  const [id, secret] = [form.get('client_id') || null, form.get('client_secret') || null]
  if (!/^basic /i.test(header)) return { id: id ?? '', secret, basic: false }
  if (secret !== null) throw invalidRequest('A client authenticates in one way only')
  const shown = fromBasic(header)
  if (id !== null && id !== shown.id) throw invalidRequest('client_id is another one')
  return shown
}

/**
 * Who asks: `client_secret_basic`, `client_secret_post`, or of a public client its `client_id` alone (RFC 6749, 2.3). A client
 * with a secret may show it in either way. One trip.
 *
 * @param more Statements for the same trip; what they answered comes back.
 * @throws {Fault} `invalid_client` (401), `invalid_request` (400).
 */
export async function authenticateClient(
  settings: Settings,
  scope: Scope,
  { request, form, more = [] }: { request: Request; form: URLSearchParams; more?: Statement[] },
) {
  const { id, secret, basic } = shownBy(request, form)
  if (!isUuid(id)) throw refuse(basic)
  const [found, ...results] = await settings.keys.batch(scope, [
    selectClient(scope, id.toLowerCase()),
    ...more,
  ])
  const client = found?.results[0] as ClientRow | undefined
  // Nobody's secret, so that no client and a wrong secret take the same time.
  const right = await equal(await hash(secret ?? ''), client?.secret ?? '')
  if (!client) throw refuse(basic)
  if (isPublic(client) ? secret !== null : !right) throw refuse(basic)
  return { client, results }
}
