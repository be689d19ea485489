import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ServerApp, site, startServerApp } from './oauth-server-app.ts'

/* The stock client of MCP signs in to a server of MCP that the app has: registration, consent, tokens for that resource. */

let app: ServerApp

beforeAll(async () => {
  app = await startServerApp(
    'oauth-server-mcp-test',
    `app.all('/mcp', provider.protects('/mcp', { scopes: ['notes'] }), async (c) => {
  const server = new McpServer({ name: 'notes', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who is signed in' }, () => ({
    content: [{ type: 'text', text: JSON.stringify([c.var.principal.id, c.var.principal.claims.client_id]) }],
  }))
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true })
  await server.connect(transport)
  return transport.handleRequest(c.req.raw)
})
app.get('/me', users.signedIn, (c) => c.json({}))`,
    `import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'`,
  )
}, 120_000)
afterAll(() => app?.stop())

const callback = 'http://localhost:3334/oauth/callback'

/** What an assistant keeps, and where it would open a browser. */
function assistant() {
  // biome-ignore lint/suspicious/noExplicitAny: what the client keeps is its own.
  const kept: Record<string, any> = {}
  const provider = {
    redirectUrl: callback,
    clientMetadata: {
      client_name: 'An assistant',
      redirect_uris: [callback],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
    state: () => 'the-state',
    clientInformation: () => kept.client,
    saveClientInformation: (client: unknown) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens: unknown) => void (kept.tokens = tokens),
    redirectToAuthorization: (url: URL) => void (kept.url = url),
    saveCodeVerifier: (verifier: string) => void (kept.verifier = verifier),
    codeVerifier: () => kept.verifier,
  }
  const connect = async () => {
    const transport = new StreamableHTTPClientTransport(new URL(`${site}/mcp`), {
      authProvider: provider as never,
      fetch: app.ask as never,
    })
    const client = new Client({ name: 'assistant', version: '1.0.0' })
    return { client, transport, connected: client.connect(transport as never) }
  }
  return { kept, connect }
}

describe('a client of MCP', () => {
  it('registers, asks, signs in and goes on, knowing the server’s address alone', async () => {
    const { kept, connect } = assistant()
    const first = await connect()
    await expect(first.connected).rejects.toThrow(UnauthorizedError)
    expect(kept.client.client_id).toMatch(/^[\da-f-]{36}$/)
    const asked = kept.url as URL
    expect(Object.fromEntries(asked.searchParams)).toMatchObject({
      resource: `${site}/mcp`,
      scope: 'notes',
      code_challenge_method: 'S256',
      state: 'the-state',
    })
    const back = await app.consent(asked)
    expect(back.origin + back.pathname).toBe(callback)
    await first.transport.finishAuth(back.searchParams.get('code') as string)

    const { client, connected } = await connect()
    await connected
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['whoami'])
    const { content } = await client.callTool({ name: 'whoami' })
    const [{ text }] = content as [{ text: string }]
    const claims = JSON.parse(atob(app.token.split('.')[1] as string))
    expect(JSON.parse(text)).toEqual([claims.sub, kept.client.client_id])

    // Good there, and nowhere else.
    const headers = { authorization: `Bearer ${kept.tokens.access_token}` }
    expect((await app.fetch(`${site}/me`, { headers })).status).toBe(401)
    expect((await app.fetch(`${site}/auth/v1/user`, { headers })).status).toBe(403)

    // With a token that is over it refreshes by itself.
    const before = kept.tokens.refresh_token
    kept.tokens = { ...kept.tokens, access_token: 'over' }
    const again = await connect()
    await again.connected
    expect((await again.client.listTools()).tools).toHaveLength(1)
    expect(kept.tokens.refresh_token).not.toBe(before)

    // Until the user takes it back.
    const path = `${site}/auth/v1/user/oauth/grants?client_id=${kept.client.client_id}`
    const revoked = await app.fetch(path, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${app.token}` },
    })
    expect(revoked.status).toBe(204)
    kept.tokens = { ...kept.tokens, access_token: 'over' }
    kept.url = undefined
    await expect((await connect()).connected).rejects.toThrow(UnauthorizedError)
    expect(kept.url).toBeInstanceOf(URL)
  })
})
