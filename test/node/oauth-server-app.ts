import { oauthServerMigrations } from '../../src/auth/oauth-server/migrations.ts'
import { apiKeys } from '../../src/core/identity.ts'
import { type App, secret, startApp } from './oauth-app.ts'

/*
 * An app in workerd that is an OAuth server, with a user, and what a browser does for them.
 */

export const site = 'https://notes.example'
export const issuer = `${site}/auth/v1`
export const redirectUri = 'https://client.example/cb'

// biome-ignore lint/suspicious/noExplicitAny: a test looks at what came, whatever it is.
type Json = any

export interface ServerApp extends App {
  /** As `fetch`, for stock clients: of these origins alone, and over no network. */
  readonly ask: typeof fetch
  /** Of the user Ann. */
  readonly token: string
  /** Goes where a client leads its user, who agrees. @returns Where the browser comes out. */
  consent(url: string | URL): Promise<URL>
  makeClient(fields?: object): Promise<Json>
}

export async function startServerApp(name: string, routes = '', imports = ''): Promise<ServerApp> {
  const app = await startApp(name, {
    site,
    providers: 'provider',
    migrations: oauthServerMigrations,
    imports: `import { oauthServer } from 'leanto/auth/oauth-server'
${imports}
const provider = oauthServer({
  scopes: { notes: 'Read and change your notes' },
  resources: { '/mcp': { name: 'Notes for assistants' } },
  registration: true,
})`,
    routes: `app.route('/', provider.wellKnown)
${routes}`,
  })
  const ask = (async (input: string | URL | Request, init?: RequestInit) => {
    const request = new Request(input, init)
    const body = request.body ? await request.arrayBuffer() : undefined
    return app.fetch(request.url, {
      method: request.method,
      headers: [...request.headers] as never,
      ...(body ? { body } : {}),
    })
  }) as typeof fetch
  const json = async (path: string, body: object, headers: Record<string, string> = {}) => {
    const response = await app.fetch(`${issuer}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    })
    return (await response.json()) as Json
  }
  const password = 'correct horse battery staple'
  const { access_token: token } = await json('/signup', { email: 'ann@example.com', password })
  const authorization = `Bearer ${token}`
  return {
    ...app,
    ask,
    token,
    async consent(url) {
      const led = await app.fetch(String(url))
      const location = new URL(led.headers.get('location') ?? `none:${led.status}`)
      const id = location.searchParams.get('authorization_id')
      if (!id) return location
      const looked = await app.fetch(`${issuer}/oauth/authorizations/${id}`, {
        headers: { authorization },
      })
      const { redirect_url } = (await looked.json()) as Json
      if (redirect_url) return new URL(redirect_url)
      const path = `/oauth/authorizations/${id}/consent`
      return new URL((await json(path, { action: 'approve' }, { authorization })).redirect_url)
    },
    async makeClient(fields = {}) {
      const { secret: apikey } = await apiKeys(secret)
      const body = { client_name: 'Reader', redirect_uris: [redirectUri], ...fields }
      return json('/admin/oauth/clients', body, { apikey })
    },
  }
}
