import { env } from 'cloudflare:workers'
import { webhooks } from 'leanto/jobs/webhooks'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { clock, freshDatabase } from '../kit/world.ts'
import { all, type HooksWorld, hooksWorld, type Received, verified } from './webhooks-world.ts'
import { counts, stored } from './world.ts'

let world: HooksWorld

beforeEach(async () => {
  world = hooksWorld()
  vi.spyOn(console, 'warn').mockImplementation(() => {})
  await freshDatabase([world.work])
})

const url = 'https://hooks.example/in'
const register = (more = {}) => world.hooks.register(world.scope(), { url, ...more })
const send = (more = {}) =>
  world.hooks.send(world.scope(), { type: 'note.created', data: { id: 7 }, ...more })
const only = (): Received => {
  expect(world.received).toHaveLength(1)
  return world.received[0] as Received
}

describe('case 61: where an endpoint is', () => {
  it.each([
    'http://hooks.example/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0177.0.0.1/',
    'https://[::ffff:169.254.169.254]/',
    'https://localhost/',
    'https://user:pass@hooks.example/',
    'https://metadata.google.internal/',
    'javascript:alert(1)',
    '/relative',
    '',
    `https://hooks.example/${'x'.repeat(2000)}`,
    { url: 'https://hooks.example/' },
    ['https://hooks.example/'],
    null,
  ])('%s is refused at registration', async (wrong) => {
    await expect(register({ url: wrong })).rejects.toMatchObject({ code: 'bad_request' })
    expect(await world.hooks.list(world.scope())).toEqual([])
  })

  it('is refused at registration if its name leads inside, or nowhere', async () => {
    for (const addresses of [['127.0.0.1'], ['1.1.1.1', '::1'], [], new Error('no resolver')]) {
      world.addresses = addresses
      await expect(register()).rejects.toMatchObject({ code: 'bad_request' })
    }
  })

  it('is checked again at each delivery: a name that was moved gets nothing', async () => {
    const { id } = await register()
    world.addresses = ['169.254.169.254']
    await send()
    await world.drain()
    expect(world.received).toEqual([])
    expect(await counts()).toEqual({ dead: 1 })
    const [log] = await world.hooks.deliveries(world.scope(), id)
    expect(log).toMatchObject({
      status: null,
      error: 'The address leads to an address that is not public',
    })
    // Moved between two attempts, too.
    world.addresses = ['1.1.1.1']
    world.answer = () => {
      world.addresses = ['10.0.0.1']
      return new Response(null, { status: 500 })
    }
    await send()
    await world.drain()
    clock.advance(10)
    await world.drain()
    expect(world.received).toHaveLength(1)
  })

  it('is tried again later if its name cannot be resolved now', async () => {
    await register()
    for (const addresses of [[], new Error('no resolver')]) {
      world.addresses = addresses
      await send()
    }
    await world.drain()
    expect(world.received).toEqual([])
    expect(await counts()).toEqual({ waiting: 2 })
  })

  it('is checked also if it was written into the table by hand', async () => {
    const { id } = await register()
    await env.DB.prepare(`UPDATE leanto_jobs_endpoints SET url = 'http://127.0.0.1:8080/'`).run()
    await send()
    await world.drain()
    expect(world.received).toEqual([])
    expect((await world.hooks.deliveries(world.scope(), id))[0]?.error).toContain('https://')
  })

  it('asks Cloudflare’s resolver unless told otherwise', async () => {
    const asked: string[] = []
    const answers: Record<string, object> = {
      A: {
        Status: 0,
        Answer: [
          { type: 5, data: 'other.example.' },
          { type: 1, data: '1.1.1.1' },
        ],
      },
      AAAA: { Status: 0, Answer: [{ type: 28, data: 'fd00::1' }] },
    }
    const fetching = vi.spyOn(globalThis, 'fetch').mockImplementation(async (input) => {
      const { searchParams, origin } = new URL(String(input))
      asked.push(`${origin} ${searchParams.get('name')} ${searchParams.get('type')}`)
      return Response.json(answers[searchParams.get('type') ?? ''])
    })
    const hooks = webhooks()
    await expect(hooks.register(world.scope(), { url })).rejects.toMatchObject({
      message: 'url: leads to an address that is not public',
    })
    answers.AAAA = { Status: 0 }
    await hooks.register(world.scope(), { url })
    fetching.mockResolvedValue(new Response(null, { status: 500 }))
    await expect(hooks.register(world.scope(), { url })).rejects.toMatchObject({
      code: 'bad_request',
    })
    fetching.mockRestore()
    const dns = 'https://cloudflare-dns.com hooks.example'
    expect(asked.slice(0, 2).sort()).toEqual([`${dns} A`, `${dns} AAAA`])
  })
})

describe('a secret', () => {
  it('is told once and sealed: nothing that is stored shows it', async () => {
    const { secret } = await register()
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    const rows = JSON.stringify(await all('SELECT * FROM leanto_jobs_endpoints'))
    expect(rows).not.toContain(secret.slice(6))
    expect(JSON.stringify(await world.hooks.list(world.scope()))).not.toContain('secret')
  })

  it('is rotated with an overlap in which both hold, and after which the old one does not', async () => {
    const { id, secret: old } = await register()
    const rotated = await world.hooks.rotate(world.scope(), id, { overlap: 3600 })
    const fresh = rotated?.secret ?? ''
    const deliver = async () => {
      world.received.length = 0
      await send()
      await world.drain()
      return only()
    }
    const during = await deliver()
    expect(during.headers['webhook-signature']?.split(' ')).toHaveLength(2)
    expect(verified(fresh, during)).toBeDefined()
    expect(verified(old, during)).toBeDefined()
    clock.advance(3600)
    const after = await deliver()
    expect(verified(fresh, after)).toBeDefined()
    expect(() => verified(old, after)).toThrow()
    expect(await world.hooks.rotate(world.scope(), 'nothing')).toBeNull()
  })

  it('may be brought along, if it is one', async () => {
    const mine = `whsec_${btoa('0123456789abcdef01234567')}`
    expect((await register({ secret: mine })).secret).toBe(mine)
    for (const secret of ['', 'whsec_', 'secret', `whsec_${btoa('short')}`, 'whsec_!!!', 1])
      await expect(register({ secret })).rejects.toMatchObject({ code: 'bad_request' })
  })

  it('that was sealed for another endpoint opens nothing', async () => {
    const { id } = await register()
    await register()
    await env.DB.prepare(
      `UPDATE leanto_jobs_endpoints SET secret = (SELECT secret FROM leanto_jobs_endpoints WHERE id <> ?1) WHERE id = ?1`,
    )
      .bind(id)
      .run()
    await send()
    await world.drain()
    expect(world.received).toHaveLength(1)
    expect(await counts()).toEqual({ dead: 1, done: 1 })
  })
})

describe('an owner', () => {
  it('case 42: reaches its own endpoints and no others', async () => {
    const { id } = await register({ owner: 'acme' })
    const scope = world.scope()
    const bolt = { owner: 'bolt' }
    expect(await world.hooks.list(scope, bolt)).toEqual([])
    expect(await world.hooks.rotate(scope, id, bolt)).toBeNull()
    expect(await world.hooks.enable(scope, id, bolt)).toBe(false)
    expect(await world.hooks.remove(scope, id, bolt)).toBe(false)
    await send({ owner: 'acme' })
    await world.drain()
    expect(await world.hooks.deliveries(scope, id, bolt)).toEqual([])
    const acme = { owner: 'acme' }
    expect(await world.hooks.deliveries(scope, id, acme)).toHaveLength(1)
    expect(await world.hooks.list(scope, acme)).toHaveLength(1)
    expect(await world.hooks.rotate(scope, id, acme)).not.toBeNull()
    expect(await world.hooks.enable(scope, id, acme)).toBe(true)
    expect(await world.hooks.remove(scope, id, acme)).toBe(true)
  })

  it('who removes an endpoint stops what is under way to it', async () => {
    const { id } = await register()
    await send()
    await world.hooks.remove(world.scope(), id)
    await world.drain()
    expect(world.received).toEqual([])
    expect((await stored())[0]).toMatchObject({ state: 'done', result: '{"status":null}' })
  })
})
