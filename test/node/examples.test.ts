import { spawnSync } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { createClient } from '@supabase/supabase-js'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { quiet, type Running, root, startExample, wranglerBin } from '../kit/running.ts'

describe('wrangler deploy --dry-run', () => {
  it.each(['.', 'examples/auth-only', 'examples/data-only'])('bundles %s', (folder) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [wranglerBin, 'deploy', '--dry-run'],
      { cwd: join(root, folder), env: quiet, encoding: 'utf8', timeout: 55_000 },
    )
    expect(status, stderr).toBe(0)
    expect(stderr).not.toMatch(/WARNING|ERROR/)
    expect(stdout).toContain('Total Upload')
    expect(stdout).toContain('env.DB')
  })
})

describe('examples/auth-only', () => {
  let app: Running
  beforeAll(async () => {
    app = await startExample('auth-only', { SITE: 'http://localhost' })
  })
  afterAll(() => app?.stop())

  it("guards the app's own route", async () => {
    const diary = (headers: Record<string, string> = {}) => fetch(`${app.url}/diary`, { headers })
    const guest = await diary()
    expect(guest.status).toBe(401)
    expect(guest.headers.get('content-type')).toBe('application/problem+json')
    expect((await diary({ authorization: 'Bearer made.up.token' })).status).toBe(401)

    const { auth } = createClient(app.url, app.keys.publishable)
    const { data, error } = await auth.signUp({
      email: 'ada@example.org',
      password: 'a long enough password',
    })
    expect(error).toBeNull()
    const authorization = `Bearer ${data.session?.access_token}`
    const own = await diary({ authorization })
    expect([own.status, await own.json()]).toEqual([200, { diaryOf: data.user?.id }])

    const hello = async (headers = {}) => (await fetch(`${app.url}/hello`, { headers })).text()
    expect(await hello()).toBe('Hello, stranger.')
    expect(await hello({ authorization })).toBe('Hello again.')
    await auth.stopAutoRefresh()
  })

  it('has no data API', async () => {
    expect((await fetch(`${app.url}/rest/v1/notes`)).status).toBe(404)
  })
})

describe('examples/data-only', () => {
  const audience = 'tasks'
  let app: Running
  let issuer: Server
  let origin: string
  let asked = 0
  let sign: (claims: object, from?: string) => Promise<string>

  beforeAll(async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' }
    issuer = createServer((request, response) => {
      asked += 1
      response.setHeader('content-type', 'application/json')
      response.statusCode = request.url === '/jwks.json' ? 200 : 404
      response.end(JSON.stringify({ keys: [jwk] }))
    })
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve))
    const address = issuer.address()
    origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
    sign = (claims, from = origin) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
        .setIssuer(from)
        .setAudience(audience)
        .setExpirationTime('5m')
        .sign(privateKey)
    app = await startExample('data-only', {
      ISSUER: origin,
      JWKS_URL: `${origin}/jwks.json`,
      AUDIENCE: audience,
    })
  })
  afterAll(async () => {
    issuer?.close()
    await app?.stop()
  })

  const as = (token: string) =>
    createClient(app.url, app.keys.publishable, { accessToken: async () => token })

  it("serves a foreign issuer's users their own rows, and each other's never", async () => {
    const [ada, bob] = [as(await sign({ sub: 'ada' })), as(await sign({ sub: 'bob' }))]
    const made = await ada.from('tasks').insert({ title: 'Weed the beds' }).select().single()
    expect(made.error).toBeNull()
    expect(made.data).toMatchObject({ owner_id: 'ada', title: 'Weed the beds', done: false })
    expect((await ada.from('tasks').select()).data).toHaveLength(1)
    expect((await bob.from('tasks').select()).data).toEqual([])
    const stolen = await bob.from('tasks').insert({ title: 'x', owner_id: 'ada' })
    expect([stolen.status, stolen.error?.code]).toEqual([403, '42501'])
    await bob.from('tasks').update({ done: true }).eq('id', made.data?.id)
    await bob.from('tasks').delete().eq('id', made.data?.id)
    expect((await ada.from('tasks').select('done')).data).toEqual([{ done: false }])
    expect(asked).toBe(1)
  })

  it('lets in nobody else', async () => {
    const forged = as(await sign({ sub: 'ada' }, 'https://another.example'))
    expect((await forged.from('tasks').select()).status).toBe(401)
    const guest = createClient(app.url, app.keys.publishable)
    expect((await guest.from('tasks').select()).data).toEqual([])
    const me = await fetch(`${app.url}/me`)
    expect([me.status, me.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
  })

  it('goes on with the keys that it has when the issuer is down', async () => {
    issuer.closeAllConnections()
    await new Promise((resolve) => issuer.close(resolve))
    const token = await sign({ sub: 'ada' })
    const me = await fetch(`${app.url}/me`, { headers: { authorization: `Bearer ${token}` } })
    expect([me.status, await me.json()]).toEqual([200, { id: 'ada' }])
  })
})
