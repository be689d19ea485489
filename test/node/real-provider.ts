import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AuthClient } from '@supabase/supabase-js'
import Provider from 'oidc-provider'
import { type App, local } from './oauth-app.ts'

/* A real OpenID provider, a browser that goes to it, and the stock client. */

export const client = { id: 'the-client', secret: 'the-secret-of-the-client' }
const listen = async (server: Server) => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export interface RealProvider {
  issuer: string
  server: Server
}

/**
 * A real OpenID provider, which signs in whoever `login_hint` names.
 *
 * @param claimsOf More of someone's claims, by what they are called.
 */
export async function realProvider(
  claimsOf: (id: string) => Record<string, unknown> = () => ({}),
): Promise<RealProvider> {
  const server = createServer()
  const issuer = await listen(server)
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        redirect_uris: [`${local}/auth/v1/callback`],
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    pkce: { required: () => true },
    cookies: { keys: ['only-for-a-test'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_ctx: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_ctx: unknown, id: string) => ({
      accountId: id,
      claims: async () => ({
        sub: id,
        email: `${id}@example.com`,
        email_verified: id !== 'unverified',
        name: `The ${id}`,
        ...claimsOf(id),
      }),
    }),
  })
  const handle = provider.callback()
  server.on('request', async (request, response) => {
    if (!request.url?.startsWith('/interaction/')) return handle(request, response)
    const { prompt, params, session } = await provider.interactionDetails(request, response)
    const hint = String(params.login_hint)
    let result: object = { login: { accountId: hint } }
    if (hint === 'refuses') result = { error: 'access_denied', error_description: 'No thanks' }
    else if (prompt.name === 'consent') {
      const accountId = session?.accountId as string
      const grant = new provider.Grant({ accountId, clientId: client.id })
      grant.addOIDCScope(String(params.scope))
      result = { consent: { grantId: await grant.save() } }
    }
    await provider.interactionFinished(request, response, result, {
      mergeWithLastSubmission: true,
    })
  })
  return { issuer, server }
}

/** A browser: follows redirects, keeps cookies for each host, and stops at the page that it is led to. */
export function browser(app: App) {
  const jars = new Map<string, Map<string, string>>()
  return async (start: string): Promise<URL> => {
    let url = new URL(start)
    for (let hops = 0; hops < 20; hops++) {
      const jar = jars.get(url.host) ?? new Map<string, string>()
      jars.set(url.host, jar)
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
      const go = url.origin === local ? app.fetch : fetch
      const response = await go(url.href, { headers: { cookie }, redirect: 'manual' })
      for (const line of response.headers.getSetCookie()) {
        const [name = '', value = ''] = (line.split(';')[0] ?? '').split(/=(.*)/s)
        jar.set(name, value)
      }
      const location = response.headers.get('location')
      if (!location) throw new Error(`${url}: ${response.status} ${await response.text()}`)
      url = new URL(location, url)
      if (url.origin === local && url.pathname === '/') return url
    }
    throw new Error('too many redirects')
  }
}

export const supabase = (app: App, flowType: 'implicit' | 'pkce') => {
  const store = new Map<string, string>()
  return new AuthClient({
    url: `${local}/auth/v1`,
    flowType,
    fetch: (url, init) => app.fetch(String(url), init),
    autoRefreshToken: false,
    storage: {
      getItem: (key) => store.get(key) ?? null,
      setItem: (key, value) => void store.set(key, value),
      removeItem: (key) => void store.delete(key),
    },
  })
}
