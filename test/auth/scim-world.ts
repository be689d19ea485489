import { scim } from 'leanto/auth/scim'
import { expect } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  call,
  ok,
  organizationsWorld,
  type Person,
  type Staffed,
  staffed,
  type World,
} from './organizations-world.ts'
import { expectStatus, type Json } from './world.ts'

export const urn = 'urn:ietf:params:scim:schemas:core:2.0'
export const patchOp = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'

export interface ScimWorld extends World, Staffed {
  /** Of the organisation's directory. */
  scimToken: string
  scim: (method: string, path: string, body?: unknown, token?: string) => Promise<Response>
}

export async function scimWorld(
  options: Parameters<typeof organizationsWorld>[0] = {},
  base: Parameters<typeof organizationsWorld>[2] = {},
): Promise<ScimWorld> {
  const world = await organizationsWorld(options, { with: [scim()] }, base)
  const staff = await staffed(world)
  await mayFor(world, staff.one, ['example.com'])
  const scimToken = await newToken(world, staff.owner, staff.one)
  const send: ScimWorld['scim'] = (method, path, body, token = scimToken) =>
    world.ask(`/auth/v1/scim/v2${path}`, {
      method,
      headers: { 'content-type': 'application/scim+json', authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body }),
    })
  return { ...world, ...staff, scimToken, scim: send }
}

/** What the server says of whose addresses are the organisation's. */
export const mayFor = (world: World, one: string, domains: unknown): Promise<Json> =>
  ok(
    call(
      world,
      undefined,
      'PATCH',
      `/admin${one}`,
      { app_metadata: { domains } },
      { key: 'secret' },
    ),
  )

export const newToken = async (world: World, by: Person, one: string): Promise<string> =>
  (await ok(call(world, by, 'POST', `${one}/scim-tokens`, { name: 'Entra' }))).token

export const person = (userName: string, more: object = {}) => ({
  schemas: [`${urn}:User`],
  userName,
  name: { givenName: 'A', familyName: 'B' },
  emails: [{ value: userName, type: 'work', primary: true }],
  ...more,
})

export const newPerson = async (
  world: ScimWorld,
  name: string,
  more: object = {},
): Promise<Json> => {
  // Ids sort by time.
  clock.advance(1)
  const made = await world.scim('POST', '/Users', person(`${name}@example.com`, more))
  return expectStatus(made, 201)
}

export const patch = (world: ScimWorld, path: string, ...Operations: object[]): Promise<Response> =>
  world.scim('PATCH', path, { schemas: [patchOp], Operations })

/** That SCIM refuses something, in its own words (RFC 7644, 3.12). */
export const refused = async (response: Response, status: number, scimType?: string) => {
  const body = await response.json<Json>()
  expect(response.headers.get('content-type')).toBe('application/scim+json')
  expect([response.status, body.schemas, body.status, body.scimType]).toEqual([
    status,
    ['urn:ietf:params:scim:api:messages:2.0:Error'],
    String(status),
    scimType,
  ])
}
