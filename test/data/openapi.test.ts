import { beforeAll, describe, expect, it } from 'vitest'
import { ask, client, fresh } from './library.ts'
import { alice } from './store.ts'

beforeAll(fresh)

interface Description {
  swagger: string
  basePath: string
  host: string
  paths: Record<string, Record<string, unknown>>
  definitions: Record<string, { required: string[]; properties: Record<string, unknown> }>
  parameters: Record<string, unknown>
}

const describeApi = async (options: Parameters<typeof ask>[1] = {}) =>
  (await (await ask('/rest/v1/', options)).json()) as Description

describe('OpenAPI', () => {
  it('tells the stock client what there is', async () => {
    const { data, error } = await client(alice).getOpenApiSpec()
    expect(error).toBeNull()
    expect(data).toMatchObject({ swagger: '2.0', host: 'app.example', basePath: '/rest/v1' })
    const both = await Promise.all(
      ['/rest/v1', '/rest/v1/'].map(async (path) => (await ask(path)).json()),
    )
    expect(both[0]).toEqual(both[1])
  })

  it('names tables, verbs, columns, types and keys', async () => {
    const { paths, definitions, parameters } = await describeApi()
    expect(Object.keys(paths['/books'] ?? {})).toEqual(['get', 'post', 'patch', 'delete'])
    expect(Object.keys(paths['/short_books'] ?? {})).toEqual(['get'])
    expect(definitions.books?.required).toEqual(['title', 'author_id'])
    expect(definitions.books?.properties).toMatchObject({
      id: { type: 'integer', description: 'Note:\nThis is a Primary Key.<pk/>' },
      author_id: {
        description:
          "Note:\nThis is a Foreign Key to `members.id`.<fk table='members' column='id'/>",
      },
      public: { type: 'boolean' },
      price: { type: 'number', format: 'double precision' },
      meta: { format: 'json' },
    })
    // Every reference leads somewhere.
    const all = { paths, definitions, parameters } as Record<string, unknown>
    const refs = [...JSON.stringify(all).matchAll(/"#\/(\w+)\/([^"]+)"/g)]
    expect(refs.length).toBeGreaterThan(100)
    for (const [, kind, name] of refs) expect(all[kind as string]).toHaveProperty([name as string])
  })

  it('35, 38: shows no closed table and no hidden column, but to service', async () => {
    const { paths, definitions } = await describeApi({ token: alice })
    const text = JSON.stringify({ paths, definitions })
    for (const hidden of ['closed', 'tastes', 'secret']) expect(text).not.toContain(hidden)
    expect(definitions.books?.properties).not.toHaveProperty('hidden_member_id')
    const service = await describeApi({ key: 'secret' })
    expect(Object.keys(service.paths)).toEqual(expect.arrayContaining(['/closed', '/tastes']))
    expect(service.definitions.members?.properties).toHaveProperty('secret')
  })

  it('takes GET and HEAD, and says what it cannot be', async () => {
    expect((await ask('/rest/v1/', { method: 'HEAD' })).status).toBe(200)
    expect((await ask('/rest/v1/', { headers: { accept: 'text/csv' } })).status).toBe(406)
    expect((await ask('/rest/v1/', { headers: { 'accept-profile': 'other' } })).status).toBe(406)
    expect((await ask('/rest/v1/', { method: 'POST', body: {} })).status).toBe(404)
  })
})
