import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT } from 'jose'

/** What the project answers to whoever comes with a refresh token, in the place of what it should. */
export type Trouble = (response: ServerResponse) => void

interface Family {
  sub: string
  session: string
  claims: object
  /** The newest token, and the one that it was exchanged for. */
  active: string
  parent: string | undefined
}

/**
 * A project that is left: it exchanges refresh tokens as GoTrue does. A used one is refused, unless it is the parent of the
 * newest, which is then answered again.
 */
export async function startOldProject(secret: string, key: string) {
  const families: Family[] = []
  const asked: { url: string; key: string; body: string }[] = []
  let trouble: Trouble | undefined
  let strict = false
  let minted = 0

  const bodyOf = async (request: IncomingMessage) => {
    let text = ''
    for await (const chunk of request) text += chunk
    return text
  }
  const json = (response: ServerResponse, status: number, body: object) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }
  const now = () => Math.floor(Date.now() / 1000)

  const server = createServer(async (request, response) => {
    const body = await bodyOf(request)
    asked.push({
      url: `${request.method} ${request.url}`,
      key: String(request.headers.apikey ?? ''),
      body,
    })
    if (trouble) return trouble(response)
    if (request.headers.apikey !== key) return json(response, 401, { message: 'Invalid API key' })
    if (request.url !== '/auth/v1/token?grant_type=refresh_token')
      return json(response, 404, { msg: 'no' })
    const { refresh_token: shown } = JSON.parse(body)
    const family = families.find(
      ({ active, parent }) => active === shown || (!strict && parent === shown),
    )
    if (!family)
      return json(response, 400, {
        code: 400,
        error_code: 'refresh_token_not_found',
        msg: 'Invalid Refresh Token: Refresh Token Not Found',
      })
    if (family.active === shown) {
      family.parent = shown
      family.active = `next${String(++minted).padStart(8, '0')}`
    }
    json(response, 200, {
      access_token: await sign(family),
      token_type: 'bearer',
      expires_in: 3600,
      refresh_token: family.active,
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/auth/v1`

  const sign = ({ sub, session, claims }: Pick<Family, 'sub' | 'session' | 'claims'>) =>
    new SignJWT({
      iss: url,
      aud: 'authenticated',
      sub,
      role: 'authenticated',
      aal: 'aal1',
      amr: [{ method: 'password', timestamp: now() - 600 }],
      session_id: session,
      iat: now(),
      exp: now() + 3600,
      ...claims,
    })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(secret))

  return {
    url,
    asked,
    /** Someone who is signed in there. */
    signedIn(active: string, sub: string, claims: object = {}) {
      const session = crypto.randomUUID()
      families.push({ sub, session, claims, active, parent: undefined })
      return session
    },
    sign,
    /** From now on every request is answered so; `undefined` for as it should be. */
    fail(how: Trouble | undefined) {
      trouble = how
    },
    /** Whether a used token is refused whatever it is the parent of. */
    beStrict(yes: boolean) {
      strict = yes
    },
    clear() {
      families.length = 0
      asked.length = 0
      trouble = undefined
      strict = false
    },
    stop() {
      server.closeAllConnections()
      server.close()
    },
  }
}
