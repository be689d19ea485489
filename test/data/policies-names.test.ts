import { beforeEach, describe, expect, it } from 'vitest'
import { everything, seed } from './owners.ts'
import { full } from './preferences.ts'
import { alice, call, fresh } from './store.ts'

const q = encodeURIComponent

beforeEach(async () => {
  await fresh()
  await seed()
})

describe('names that mean something elsewhere (cases 38, 39, 46)', () => {
  const odd = [
    '*',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'prototype',
    'null',
    '',
    ' ',
  ]

  it('system tables, and tables that were not exposed, are not there', async () => {
    for (const table of [
      'sqlite_master',
      'sqlite_schema',
      'sqlite_sequence',
      'leanto_core_migrations',
      'leanto_core_limits',
      'd1_migrations',
      '_cf_KV',
      '_cf_METADATA',
      'json_each',
      'pragma_table_info',
      'main.notes',
      'notes as n',
      '"notes"',
      ...odd.filter((name) => name.trim() !== ''),
    ])
      for (const method of ['GET', 'POST', 'PATCH', 'PUT', 'DELETE'])
        for (const person of [{}, { key: 'secret' as const }]) {
          const body = method === 'GET' || method === 'DELETE' ? undefined : {}
          const answer = await call(`/${q(table)}`, { method, body, ...person })
          expect([table, answer.status, answer.body.code]).toEqual([table, 404, 'PGRST205'])
        }
  })

  it('a table that is not there is told with the likeliest one, of those that are open', async () => {
    const hint = async (path: string, as = {}) => {
      const { status, body } = await call(path, as)
      expect([status, body.code]).toEqual([404, 'PGRST205'])
      return body.hint
    }
    expect(await hint('/note')).toBe("Perhaps you meant the table 'public.notes'")
    expect(await hint('/commets')).toBe("Perhaps you meant the table 'public.comments'")
    expect(await hint('/zzz')).toBeNull()
    // Closed to all but the service: of it nobody else is told.
    expect(await hint('/closedd')).toBeNull()
    expect(await hint('/closedd', { key: 'secret' })).toBe(
      "Perhaps you meant the table 'public.closed'",
    )
    const body = { operations: [{ method: 'GET', path: '/note' }] }
    expect(await hint('/batch', { body })).toBe("Perhaps you meant the table 'public.notes'")
  })

  it('columns by those names are unknown ones', async () => {
    for (const name of odd) {
      const quoted = q(`"${name}"`)
      for (const query of [
        ...(name === '*' ? [] : [`select=${quoted}`]),
        `order=${quoted}`,
        `${quoted}=eq.1`,
        `or=(${quoted}.eq.1)`,
      ])
        expect((await call(`/notes?${query}`, { token: alice })).body.code).toBe('42703')
      const body = `{"title":"x",${JSON.stringify(name)}:"alice"}`
      for (const method of ['POST', 'PATCH'])
        expect((await call('/notes', { method, token: alice, body })).body.code).toBe('PGRST204')
    }
    expect(({} as Record<string, unknown>).alice).toBeUndefined()
  })

  it('a user by such a name owns what is theirs, and no more', async () => {
    for (const name of [
      '*',
      '__proto__',
      'constructor',
      'role:service',
      'service',
      'null',
      '%',
      'alice%00',
    ]) {
      const token = `user-${name}`
      const made = await call('/notes', { token, body: { title: name }, prefer: full })
      if (made.status === 401) continue
      expect(made.body[0].owner_id).toBe(name)
      expect((await call('/notes?select=title&public=is.false', { token })).body).toEqual([
        { title: name },
      ])
      await call('/notes', { method: 'DELETE', token })
    }
    expect(await everything()).toMatchObject({ notes: { length: 3 } })
  })

  it('values by those names are values', async () => {
    for (const name of odd) {
      await call('/tags', { body: { name } })
      expect((await call(`/tags?name=eq.${q(name)}`)).body).toEqual([{ name }])
      expect((await call(`/tags?name=in.(${q(`"${name}"`)})`)).body).toEqual([{ name }])
    }
  })
})
