import { AuthAdminApi, AuthClient } from '@supabase/supabase-js'
import { apiKeys } from 'leanto'
import { testSecret } from '../kit/world.ts'
import { type Asker, issuer, type Json } from './world.ts'

/*
 * The stock clients, unmodified, with the app behind their fetch.
 */

export type StockClient = InstanceType<typeof AuthClient>
export type StockAdmin = InstanceType<typeof AuthAdminApi>

const through =
  (ask: Asker, answered?: (response: Response) => void) =>
  async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input as string, init)
    const { pathname, search } = new URL(request.url)
    const body = request.body ? await request.text() : undefined
    const { method, headers } = request
    const asked = { method, headers: Object.fromEntries(headers), body }
    const response = await ask(pathname + search, asked)
    answered?.(response.clone() as Response)
    return response
  }

/** @param options Over those of a page without storage. @param answered Sees each answer, as a browser's jar would. */
export async function stockClient(
  ask: Asker,
  options: Json = {},
  answered?: (response: Response) => void,
): Promise<StockClient> {
  const { publishable } = await apiKeys(testSecret)
  return new AuthClient({
    url: issuer,
    headers: { apikey: publishable, Authorization: `Bearer ${publishable}` },
    autoRefreshToken: false,
    persistSession: false,
    experimental: { recoveryCodes: true, passkey: true },
    ...options,
    fetch: through(ask, answered),
  })
}

/** @param headers In the place of the secret key's. */
export async function stockAdmin(
  ask: Asker,
  headers?: Record<string, string>,
): Promise<StockAdmin> {
  const { secret } = await apiKeys(testSecret)
  return new AuthAdminApi({
    url: issuer,
    headers: headers ?? { apikey: secret, Authorization: `Bearer ${secret}` },
    experimental: { passkey: true },
    fetch: through(ask),
  })
}
