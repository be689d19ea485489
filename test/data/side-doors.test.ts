import { beforeEach, describe, expect, it } from 'vitest'
import { people, seed } from './owners.ts'
import { full, merge, one } from './preferences.ts'
import { call, fresh } from './store.ts'

/*
 * Case 44: what a row is shown by beside a plain read. Each is asked by the owner of notes 1 and 2, of which one column is
 * hidden and one is read-only; note 3 is another one's.
 */

beforeEach(async () => {
  await fresh()
  await seed('hush-hush')
})

type Options = Parameters<typeof call>[1]

const row = { id: 1, owner_id: 'alice', title: 'private', body: 'new' }
const key = { 'idempotency-key': 'b8a4d1f0-6d1e-4a52-9b0e-3f0a4c5d6e7f' }
const doors: Record<string, [path: string, options?: Options]> = {
  'a read': ['/notes'],
  'a read of *': ['/notes?select=*&order=id'],
  'one object': ['/notes?id=eq.1', { headers: one }],
  CSV: ['/notes', { headers: { accept: 'text/csv' } }],
  'without nulls': [
    '/notes',
    { headers: { accept: 'application/vnd.pgrst.array+json;nulls=stripped' } },
  ],
  'a page by cursor': ['/notes?cursor=&limit=1&order=title.desc'],
  groups: ['/notes?select=title,count()'],
  'an embed': ['/comments?select=*,notes(*)'],
  'a spread': ['/comments?select=id,...notes(*)'],
  'a function': ['/rpc/mine'],
  'a function by POST': ['/rpc/mine', { body: {} }],
  'an insert': ['/notes', { body: { title: 'x' }, prefer: full }],
  'an insert’s location': ['/notes', { body: { title: 'x' }, prefer: 'return=headers-only' }],
  'an upsert': ['/notes', { body: [row], prefer: `${full},${merge}` }],
  'a PUT': ['/notes?id=eq.1', { method: 'PUT', body: row, prefer: full }],
  'an update': ['/notes?select=*', { method: 'PATCH', body: { body: 'x' }, prefer: full }],
  'an update that is limited': [
    '/notes?order=title&limit=1',
    { method: 'PATCH', body: { body: 'x' }, prefer: full },
  ],
  'a delete': ['/notes?id=eq.2', { method: 'DELETE', prefer: full }],
  'a dry run': ['/notes?id=eq.2', { method: 'DELETE', prefer: `${full},tx=rollback` }],
  'what a key repeats': [
    '/notes?id=eq.1',
    { method: 'PATCH', body: { body: 'x' }, prefer: full, headers: key },
  ],
  'a batch': [
    '/batch',
    {
      body: {
        operations: [
          { method: 'GET', path: '/notes' },
          {
            method: 'PATCH',
            path: '/notes',
            body: { body: 'x' },
            headers: { prefer: full },
          },
          { method: 'DELETE', path: '/notes?id=eq.2', headers: { prefer: full } },
        ],
      },
    },
  ],
  'the description': ['/'],
  'a broken constraint': ['/notes', { body: { title: 'private' }, prefer: full }],
  'a refused row': ['/notes', { body: { title: 'x', owner_id: 'bob' }, prefer: full }],
}

/** All that an answer tells, with what its cursor holds. */
const told = ({ text, headers }: Awaited<ReturnType<typeof call>>) => {
  const cursor = headers.get('next-cursor')
  return [
    text,
    ...[...headers].map((header) => header.join(': ')),
    cursor ? atob(cursor.replaceAll('-', '+').replaceAll('_', '/')) : '',
  ].join('\n')
}

describe('side doors apply the rules of the front door (case 44)', () => {
  beforeEach(() =>
    call('/comments', {
      key: 'secret',
      body: [1, 3].map((note_id) => ({ id: note_id, note_id, text: `of ${note_id}` })),
    }),
  )

  it.each(Object.entries(doors))('%s', async (_, [path, options]) => {
    const asked = { ...people.owner, ...options }
    for (const answer of [await call(path, asked), await call(path, asked)]) {
      expect(answer.status).toBeLessThan(410)
      expect(told(answer)).not.toMatch(/hush|secret|bobs/)
    }
  })

  it('nothing of what is written there is what only the server writes', async () => {
    for (const [path, options] of [
      ['/notes', { body: { title: 'x', score: 9 } }],
      ['/notes', { body: [{ ...row, score: 9 }], prefer: merge }],
      ['/notes?columns=title,score', { body: { title: 'x', score: 9 } }],
      ['/notes?id=eq.1', { method: 'PUT', body: { ...row, score: 9 } }],
      ['/notes?id=eq.1', { method: 'PATCH', body: { score: 9 } }],
      ['/notes?id=eq.1', { method: 'PATCH', body: { score: 9 }, prefer: 'tx=rollback' }],
      ['/notes', { body: 'title,score\nx,9', headers: { 'content-type': 'text/csv' } }],
      [
        '/notes',
        {
          body: 'title=x&score=9',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        },
      ],
      [
        '/batch',
        {
          body: {
            operations: [{ method: 'PATCH', path: '/notes?id=eq.1', body: { score: 9 } }],
          },
        },
      ],
    ] as [string, Options][]) {
      const { status, body } = await call(path, { ...people.owner, ...options })
      expect([path, status, body.code]).toEqual([path, 403, '42501'])
    }
  })

  it('and the service, which may see it all, does', async () => {
    const seen = ['a read', 'CSV', 'an embed', 'an update', 'a delete', 'a dry run', 'a batch']
    for (const door of seen) {
      const [path, options] = doors[door] as (typeof doors)[string]
      const answer = await call(path, {
        ...people.service,
        ...options,
        prefer: `${options?.prefer ?? full},tx=rollback`,
      })
      expect([door, told(answer).includes('hush-hush')]).toEqual([door, true])
    }
  })
})
