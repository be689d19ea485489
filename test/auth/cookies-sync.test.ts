import { cookies } from 'leanto/auth/parts'
import { owned, sync } from 'leanto/sync'
import { beforeEach, expect, it } from 'vitest'
import { type Ask, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { makeAuth, password } from './world.ts'

const users = makeAuth({ with: [cookies()] })
const docs = sync(makeBase(), { identity: users, databases: { notes: owned() } })
const ask = mount({ '/auth/v1': users, '/sync': docs })
const own = { 'sec-fetch-site': 'same-origin' }

beforeEach(() => freshDatabase([users, docs]))

/** Signs up, into cookies. */
async function come(email: string): Promise<string> {
  const response = await ask('/auth/v1/signup', {
    key: 'publishable',
    headers: { ...own, prefer: 'session=cookie' },
    body: { email, password },
  })
  expect(response.status, await response.clone().text()).toBe(200)
  return response.headers
    .getSetCookie()
    .map((one) => one.split(';')[0])
    .join('; ')
}

it('lets a page replicate by its cookies, and no other page', async () => {
  const [ann, bob] = [await come('ann@example.com'), await come('bob@example.com')]
  const asked = async (cookie: string, path: string, options: Ask = {}) => {
    const headers = { cookie, ...own, ...options.headers }
    return ask(`/sync${path}`, { ...options, headers })
  }
  const body = { docs: [{ _id: 'mine' }] }
  expect((await asked(ann, '/notes/_bulk_docs', { body })).status).toBe(201)
  expect((await asked(ann, '/notes/mine')).status).toBe(200)
  expect((await asked(bob, '/notes/mine')).status).toBe(404)
  expect(await (await asked(ann, '/_session')).json()).toMatchObject({
    userCtx: { roles: ['authenticated'] },
  })

  for (const from of ['cross-site', 'same-site']) {
    const headers = { 'sec-fetch-site': from, 'content-type': 'text/plain' }
    const stolen = { docs: [{ _id: 'forged' }] }
    const response = await asked(ann, '/notes/_bulk_docs', { body: stolen, headers })
    expect([response.status, ((await response.json()) as { error: string }).error]).toEqual([
      403,
      'bad_origin',
    ])
    expect((await asked(ann, '/notes/mine', { method: 'DELETE', headers })).status).toBe(403)
  }
  expect((await asked(ann, '/notes/forged')).status).toBe(404)
  expect((await asked(ann, '/notes/mine')).status).toBe(200)
})
