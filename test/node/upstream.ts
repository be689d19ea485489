import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  base64url,
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
} from 'jose'

/** What the token endpoint answers next. */
export interface Next {
  /** Over the claims of a good ID token; `undefined` takes one away. */
  claims?: Record<string, unknown>
  sub?: string
  sign?: 'none' | 'hs256' | 'secret' | 'embedded' | 'stranger' | 'forged'
  /** Over the members of a good answer. */
  answer?: Record<string, unknown>
  body?: string
  status?: number
}

export interface Upstream {
  issuer: string
  next: Next
  /** What the client did wrong at the token endpoint. */
  complaints: string[]
  keysRead: number
  /** Tells it of an authorisation request that has reached it. */
  asked(url: URL): void
  idToken(next: Next): Promise<string>
  stop(): Promise<void>
}

/** An OpenID provider that misbehaves as it is told to. */
export async function makeUpstream(client: { id: string; secret: string }): Promise<Upstream> {
  const ours = await generateKeyPair('RS256', { extractable: true })
  const other = await generateKeyPair('RS256', { extractable: true })
  const publicKey = { ...(await exportJWK(ours.publicKey)), kid: 'k1', use: 'sig', alg: 'RS256' }
  const pem = new TextEncoder().encode(await exportSPKI(ours.publicKey))
  let request = new URLSearchParams()

  const sign = async (claims: JWTPayload, how: Next['sign']): Promise<string> => {
    const encode = (value: unknown) => base64url.encode(JSON.stringify(value))
    if (how === 'none') return `${encode({ alg: 'none' })}.${encode(claims)}.`
    const jwt = (header: object, key: CryptoKey | Uint8Array) =>
      new SignJWT(claims).setProtectedHeader(header as never).sign(key)
    if (how === 'hs256') return jwt({ alg: 'HS256', kid: 'k1' }, pem)
    if (how === 'secret') return jwt({ alg: 'HS256' }, new TextEncoder().encode(client.secret))
    if (how === 'embedded') {
      const jwk = await exportJWK(other.publicKey)
      return jwt({ alg: 'RS256', kid: 'k9', jwk, jku: `${issuer}/evil` }, other.privateKey)
    }
    if (how === 'stranger') return jwt({ alg: 'RS256', kid: 'k9' }, other.privateKey)
    if (how === 'forged') return jwt({ alg: 'RS256', kid: 'k1' }, other.privateKey)
    return jwt({ alg: 'RS256', kid: 'k1' }, ours.privateKey)
  }
  const idToken = ({ claims, sub = 'subject', sign: how, answer }: Next, nonce?: string) => {
    if (typeof answer?.id_token === 'string') return Promise.resolve(answer.id_token)
    const now = Math.floor(Date.now() / 1000)
    const good = { iss: issuer, sub, aud: client.id, iat: now, exp: now + 300 }
    const person = { email: `${sub}@upstream.example`, email_verified: true, name: 'Someone' }
    return sign({ ...good, ...person, ...(nonce ? { nonce } : {}), ...claims } as JWTPayload, how)
  }

  const check = (form: URLSearchParams, authorization: string) => {
    const complaints: string[] = []
    const wanted = `Basic ${btoa(`${client.id}:${client.secret}`)}`
    if (authorization !== wanted) complaints.push(`authorization ${authorization}`)
    if (form.get('redirect_uri') !== request.get('redirect_uri')) complaints.push('redirect_uri')
    const verifier = form.get('code_verifier') ?? ''
    const challenge = createHash('sha256').update(verifier).digest('base64url')
    if (challenge !== request.get('code_challenge')) complaints.push('code_verifier')
    return complaints
  }

  const server = createServer(async (incoming, response) => {
    const json = (value: unknown, status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(typeof value === 'string' ? value : JSON.stringify(value))
    }
    const path = incoming.url?.split('?')[0]
    if (path === '/.well-known/openid-configuration')
      return json({
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`,
        authorization_response_iss_parameter_supported: true,
      })
    if (path === '/jwks') {
      upstream.keysRead++
      return json({ keys: [publicKey] })
    }
    if (path !== '/token') return json({}, 404)
    let body = ''
    for await (const chunk of incoming) body += chunk
    upstream.complaints = check(new URLSearchParams(body), incoming.headers.authorization ?? '')
    const { next } = upstream
    if (next.status === 302) {
      response.writeHead(302, { location: `${issuer}/jwks` })
      return response.end()
    }
    if (next.body !== undefined) return json(next.body, next.status)
    const nonce = request.get('nonce') ?? undefined
    const good = { access_token: 'upstream-at', token_type: 'Bearer', expires_in: 60 }
    json({ ...good, id_token: await idToken(next, nonce), ...next.answer })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const upstream: Upstream = {
    issuer,
    next: {},
    complaints: [],
    keysRead: 0,
    asked: (url) => {
      request = url.searchParams
    },
    idToken,
    stop: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
  return upstream
}
