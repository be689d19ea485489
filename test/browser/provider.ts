import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider from 'oidc-provider'

export const client = { id: 'the-client', secret: 'the-secret-of-the-client' }

/** A page of the provider's, as its users see it. */
const page = (body: string) =>
  `<!doctype html><html lang="en"><title>Provider</title><link rel="icon" href="data:,"><form method="post">${body}</form>`

const loginForm = page(
  '<label>User <input name="user" autofocus></label> <button name="do" value="login">Sign in</button>',
)
const consentForm = page(
  '<button name="do" value="consent">Allow</button> <button name="do" value="refuse">Refuse</button>',
)

async function formOf(request: IncomingMessage): Promise<URLSearchParams> {
  let body = ''
  for await (const chunk of request) body += chunk
  return new URLSearchParams(body)
}

/** A real OpenID provider with a login and a consent, that lets in whoever says a name. */
export async function startProvider(redirectUri: string) {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const provider = new Provider(issuer, {
    clients: [{ client_id: client.id, client_secret: client.secret, redirect_uris: [redirectUri] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    pkce: { required: () => true },
    cookies: { keys: ['only-for-a-test'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_ctx: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_ctx: unknown, id: string) => ({
      accountId: id,
      claims: async () => ({
        sub: id,
        email: `${id}@provider.example`,
        email_verified: true,
        name: `The ${id}`,
      }),
    }),
  })
  const handle = provider.callback()
  server.on('request', async (request, response) => {
    if (!request.url?.startsWith('/interaction/')) return handle(request, response)
    const { prompt, params, session } = await provider.interactionDetails(request, response)
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/html' })
      return response.end(prompt.name === 'login' ? loginForm : consentForm)
    }
    const form = await formOf(request)
    let result: object = { login: { accountId: form.get('user') } }
    if (form.get('do') === 'refuse')
      result = { error: 'access_denied', error_description: 'The user said no' }
    else if (form.get('do') === 'consent') {
      const accountId = session?.accountId as string
      const grant = new provider.Grant({ accountId, clientId: client.id })
      grant.addOIDCScope(String(params.scope))
      result = { consent: { grantId: await grant.save() } }
    }
    await provider.interactionFinished(request, response, result, {
      mergeWithLastSubmission: true,
    })
  })
  return {
    issuer,
    stop() {
      server.closeAllConnections()
      server.close()
    },
  }
}
