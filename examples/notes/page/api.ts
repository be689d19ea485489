import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import type { DatabaseOf } from 'leanto/data'
import type { store } from '../backend.ts'

/** The tables as the server has them: from its drizzle schema, by types alone. */
export type Database = DatabaseOf<typeof store>
export type Api = SupabaseClient<Database>
export type Note = Database['public']['Tables']['notes']['Row']

/** The stock client, pointed at the server that this page came from. */
export async function connect(): Promise<Api> {
  const response = await fetch('/config.json')
  if (!response.ok) throw Object.assign(new Error('no configuration'), { status: response.status })
  const { key } = (await response.json()) as { key: string }
  return createClient<Database>(location.origin, key)
}
