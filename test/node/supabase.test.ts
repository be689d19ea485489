import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../examples/notes/page/api.ts'
import { type Running, startNotes } from '../kit/running.ts'

/* The stock client, unmodified, against the running example. */

type Client = SupabaseClient<Database>

const password = 'correct horse battery'
let app: Running
let people = 0

/** A client of its own, as on a device of its own. */
const client = (key = app.keys.publishable): Client =>
  createClient<Database>(app.url, key, { auth: { autoRefreshToken: false, persistSession: false } })

const newEmail = () => `person-${++people}@example.org`

async function person(): Promise<{ api: Client; id: string; email: string }> {
  const api = client()
  const email = newEmail()
  const { data, error } = await api.auth.signUp({ email, password })
  if (error || !data.user) throw error ?? new Error('no user')
  return { api, id: data.user.id, email }
}

beforeAll(async () => {
  app = await startNotes()
})
afterAll(() => app?.stop())

describe('auth', () => {
  it('signs up, in, and knows who is asking', async () => {
    const { api, id, email } = await person()
    const { data } = await api.auth.getUser()
    expect(data.user).toMatchObject({ id, email, aud: 'authenticated', role: 'authenticated' })
    const again = await client().auth.signInWithPassword({ email: email.toUpperCase(), password })
    expect(again.error).toBeNull()
    expect(again.data.user?.id).toBe(id)
    expect(again.data.session?.expires_in).toBe(3600)
    // Verified here, by the published keys and without asking the server.
    const claims = await api.auth.getClaims()
    expect(claims.error).toBeNull()
    expect(claims.data?.claims).toMatchObject({ sub: id, email, iss: `${app.url}/auth/v1` })
  })

  it('says what is wrong by code', async () => {
    const { email } = await person()
    const api = client()
    const code = async (work: Promise<{ error: { code?: string; status?: number } | null }>) => {
      const { error } = await work
      return [error?.status, error?.code]
    }
    const wrong = { email, password: 'not this one' }
    const nobody = { email: newEmail(), password }
    expect(await code(api.auth.signInWithPassword(wrong))).toEqual([400, 'invalid_credentials'])
    expect(await code(api.auth.signInWithPassword(nobody))).toEqual([400, 'invalid_credentials'])
    expect(await code(api.auth.signUp({ email, password }))).toEqual([422, 'user_already_exists'])
    expect(await code(api.auth.signUp({ email: newEmail(), password: 'short' }))).toEqual([
      422,
      'weak_password',
    ])
    expect(await code(api.auth.refreshSession({ refresh_token: 'made up' }))).toEqual([
      400,
      'refresh_token_not_found',
    ])
    expect((await api.auth.getUser('made.up.token')).error?.status).toBe(403)
  })

  it('refreshes a session', async () => {
    const { api, id } = await person()
    const before = (await api.auth.getSession()).data.session
    const { data, error } = await api.auth.refreshSession()
    expect(error).toBeNull()
    expect(data.user?.id).toBe(id)
    expect(data.session?.refresh_token).not.toBe(before?.refresh_token)
    expect((await api.auth.getUser()).error).toBeNull()
  })

  it('updates the user, mails a notice of a new password, and ends the other sessions', async () => {
    const { api, email } = await person()
    const other = client()
    await other.auth.signInWithPassword({ email, password })
    const named = await api.auth.updateUser({ data: { name: 'Ada' } })
    expect(named.data.user?.user_metadata).toMatchObject({ name: 'Ada' })
    expect((await api.auth.updateUser({ password })).error?.code).toBe('same_password')
    expect((await api.auth.updateUser({ password: 'another horse battery' })).error).toBeNull()
    expect((await other.auth.refreshSession()).error).not.toBeNull()
    expect((await api.auth.refreshSession()).error).toBeNull()
    const old = await client().auth.signInWithPassword({ email, password })
    expect(old.error?.code).toBe('invalid_credentials')
    await expect.poll(async () => (await fetch(`${app.url}/mail`)).text()).toContain(email)
  })

  it.each(['local', 'others', 'global'] as const)('signs out: %s', async (scope) => {
    const { api, email } = await person()
    const other = client()
    await other.auth.signInWithPassword({ email, password })
    const tokens = await Promise.all(
      [api, other].map(async ({ auth }) => (await auth.getSession()).data.session?.refresh_token),
    )
    expect((await api.auth.signOut({ scope })).error).toBeNull()
    const alive = await Promise.all(
      tokens.map(async (refresh_token = '') => {
        const { error } = await client().auth.refreshSession({ refresh_token })
        return error === null
      }),
    )
    expect(alive).toEqual(
      { local: [false, true], others: [true, false], global: [false, false] }[scope],
    )
  })
})

describe('data', () => {
  let ada: Awaited<ReturnType<typeof person>>
  beforeAll(async () => {
    ada = await person()
    const rows = Array.from({ length: 25 }, (_, i) => ({
      title: `Note ${String(i + 1).padStart(2, '0')}`,
      body: i % 5 === 0 ? 'Five, "fold"' : '',
      pinned: i < 3,
    }))
    const { error } = await ada.api.from('notes').insert(rows)
    if (error) throw error
  })

  const notes = () => ada.api.from('notes')

  it('inserts with defaults, and answers rows in their wire types', async () => {
    const { data, status } = await notes().insert({ title: 'One' }).select().single()
    expect(status).toBe(201)
    expect(data).toEqual({
      id: expect.any(Number),
      owner_id: ada.id,
      title: 'One',
      body: '',
      pinned: false,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)$/),
      updated_at: expect.any(String),
    })
    expect(Math.abs(Date.parse(data?.created_at ?? '') - Date.now())).toBeLessThan(60_000)
    expect((await notes().delete().eq('title', 'One')).status).toBe(204)
  })

  it('filters, orders, and counts', async () => {
    const titles = async (
      work: PromiseLike<{ data: { title: string }[] | null; error: unknown }>,
    ) => {
      const { data, error } = await work
      expect(error).toBeNull()
      return data?.map(({ title }) => title)
    }
    const some = () => notes().select('title').order('title')
    expect(await titles(some().eq('pinned', true))).toEqual(['Note 01', 'Note 02', 'Note 03'])
    expect(await titles(some().gt('title', 'Note 22').lte('title', 'Note 24'))).toEqual([
      'Note 23',
      'Note 24',
    ])
    expect(await titles(some().in('title', ['Note 05', 'Note 07', 'Nothing']))).toEqual([
      'Note 05',
      'Note 07',
    ])
    expect(await titles(some().ilike('title', 'NOTE 1%').neq('title', 'Note 10'))).toHaveLength(9)
    expect(await titles(some().or('title.eq.Note 04,and(pinned.is.true,title.like.%3)'))).toEqual([
      'Note 03',
      'Note 04',
    ])
    expect(await titles(some().not('body', 'eq', ''))).toHaveLength(5)
    expect(
      await titles(
        notes()
          .select('title')
          .order('pinned', { ascending: false })
          .order('title', { ascending: false })
          .limit(4),
      ),
    ).toEqual(['Note 03', 'Note 02', 'Note 01', 'Note 25'])
    const counted = await notes().select('*', { count: 'exact', head: true })
    expect([counted.count, counted.data]).toEqual([25, null])
  })

  it('pages by range', async () => {
    const { data, count, status } = await notes()
      .select('title', { count: 'exact' })
      .order('title')
      .range(10, 14)
    expect(status).toBe(206)
    expect([data?.[0]?.title, data?.length, count]).toEqual(['Note 11', 5, 25])
    const beyond = await notes().select('title', { count: 'exact' }).range(100, 110)
    expect([beyond.status, beyond.error?.code]).toEqual([416, 'PGRST103'])
  })

  it('answers one row, none, or says that it is not one', async () => {
    const one = await notes().select('name:title').eq('title', 'Note 01').single()
    expect(one.data).toEqual({ name: 'Note 01' })
    expect((await notes().select().eq('title', 'Nothing').maybeSingle()).data).toBeNull()
    const many = await notes().select().single()
    expect([many.status, many.error?.code]).toEqual([406, 'PGRST116'])
  })

  it('answers CSV', async () => {
    const { data } = await notes()
      .select('title,body')
      .in('title', ['Note 01', 'Note 02'])
      .order('title')
      .csv()
    expect(data).toBe('title,body\nNote 01,"Five, ""fold"""\nNote 02,""')
  })

  it('updates, upserts and deletes', async () => {
    const { data: row } = await notes().insert({ title: 'Draft' }).select().single()
    const id = row?.id ?? 0
    const updated = await notes().update({ title: 'Fair copy', pinned: true }).eq('id', id).select()
    expect(updated.data).toMatchObject([{ id, title: 'Fair copy', pinned: true }])
    const merged = await notes().upsert({ id, title: 'Fairer copy' }).select().single()
    expect(merged.data).toMatchObject({ id, title: 'Fairer copy', owner_id: ada.id })
    const ignored = await notes()
      .upsert({ id, title: 'Ignored' }, { ignoreDuplicates: true })
      .select()
    expect(ignored.data).toEqual([])
    expect((await notes().delete().eq('id', id).select('title')).data).toEqual([
      { title: 'Fairer copy' },
    ])
    expect((await notes().select('*', { count: 'exact', head: true })).count).toBe(25)
  })

  it("errs in the protocol's codes", async () => {
    const loose = ada.api as unknown as SupabaseClient
    const code = async (work: PromiseLike<{ status: number; error: { code: string } | null }>) => {
      const { status, error } = await work
      return [status, error?.code]
    }
    expect(await code(loose.from('nothing').select())).toEqual([404, 'PGRST205'])
    expect(await code(loose.from('mails').select())).toEqual([404, 'PGRST205'])
    expect(await code(loose.from('leanto_auth_users').select())).toEqual([404, 'PGRST205'])
    expect(await code(loose.from('notes').select('secret'))).toEqual([400, '42703'])
    expect(await code(loose.from('notes').insert({ secret: 1 }))).toEqual([400, 'PGRST204'])
    expect(await code(loose.from('notes').insert({ title: null }))).toEqual([400, '23502'])
    expect(await code(loose.from('notes').insert({ title: 'x'.repeat(201) }))).toEqual([
      400,
      '23514',
    ])
    expect(await code(loose.from('notes').select().eq('id', 'one'))).toEqual([400, '22P02'])
    const { data } = await notes().select('id').limit(1).single()
    expect(await code(loose.from('notes').insert({ id: data?.id, title: 'x' }))).toEqual([
      409,
      '23505',
    ])
  })

  it('keeps users apart', async () => {
    const bob = await person()
    const { data: mine } = await notes().select('id').eq('title', 'Note 01').single()
    const id = mine?.id ?? 0
    const his = () => bob.api.from('notes')
    expect((await his().select('*', { count: 'exact' })).count).toBe(0)
    expect((await his().select().eq('id', id)).data).toEqual([])
    expect((await his().update({ title: 'Taken' }).eq('id', id).select()).data).toEqual([])
    expect((await his().delete().eq('id', id).select()).data).toEqual([])
    expect((await his().insert({ title: 'For Ada', owner_id: ada.id })).error?.code).toBe('42501')
    const own = await his().insert({ title: 'His' }).select('id').single()
    const given = await his()
      .update({ owner_id: ada.id })
      .eq('id', own.data?.id ?? 0)
    expect(given.error?.code).toBe('42501')
    const upserted = await his().upsert({ id, title: 'Taken' })
    expect(upserted.error).not.toBeNull()
    expect((await notes().select('title').eq('id', id).single()).data).toEqual({ title: 'Note 01' })
  })

  it('shows guests nothing, and the service everything', async () => {
    const guest = client().from('notes')
    expect((await guest.select()).data).toEqual([])
    expect((await guest.insert({ title: 'x', owner_id: ada.id })).status).toBe(401)
    const service = client(app.keys.secret).from('notes')
    const owners = new Set((await service.select('owner_id')).data?.map((row) => row.owner_id))
    expect(owners.size).toBeGreaterThan(1)
    const wrong = await client('sb_publishable_wrong').from('notes').select()
    expect(wrong.status).toBe(401)
  })
})
