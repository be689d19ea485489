import { readFile } from 'node:fs/promises'
import { Refusal } from '../../refusal.ts'
import { type Fields, recordsOf } from '../records.ts'
import { auth0, auth0Id } from './auth0.ts'
import { betterAuth } from './better-auth.ts'
import { clerk } from './clerk.ts'
import { type Converted, textOf } from './fields.ts'
import { firebase, readHashConfig } from './firebase.ts'
import { supabase } from './supabase.ts'

/** What the command line says of a dump, beside the file itself. */
export interface Given {
  /** A file with Firebase's hash parameters. */
  readonly hashConfig?: string | undefined
  /** A file with hashes, where a place exports them apart. */
  readonly passwords?: string | undefined
  /** Files with tables of Supabase that are not in the rows themselves. */
  readonly identities?: string | undefined
  readonly factors?: string | undefined
  /** Of the app that used better-auth. */
  readonly betterAuthSecret?: string | undefined
  /** For what is proven, but not said when. ISO 8601. */
  readonly now: string
}

export type Convert = (fields: Fields) => Converted

export const formats = ['supabase', 'firebase', 'auth0', 'better-auth', 'clerk', 'leanto'] as const
export type Format = (typeof formats)[number]

/** What `leanto users export` wrote, or what was refused and put aside. */
const leanto: Convert = ({ _refused, ...line }) => ({ line, notes: [] })

/** @throws {Refusal} if a file beside it cannot be read. */
export async function converterOf(from: Format, given: Given): Promise<Convert> {
  if (from === 'firebase') return firebase(await hashConfigOf(given.hashConfig), given.now)
  if (from === 'better-auth') return betterAuth(given.betterAuthSecret, given.now)
  if (from === 'auth0') return auth0(await beside(given.passwords, auth0Id), given.now)
  if (from === 'clerk')
    return clerk(await beside(given.passwords, (row) => textOf(row, 'id')), given.now)
  if (from === 'leanto') return leanto
  const identities = await listsBeside(given.identities)
  const factors = await listsBeside(given.factors)
  if (!identities && !factors) return supabase
  return (row) => {
    const id = textOf(row, 'id') ?? ''
    return supabase({
      ...row,
      ...(identities ? { identities: identities.get(id) ?? [] } : {}),
      ...(factors ? { mfa_factors: factors.get(id) ?? [] } : {}),
    })
  }
}

async function hashConfigOf(file: string | undefined) {
  if (file === undefined) return undefined
  try {
    return readHashConfig(await readFile(file, 'utf8'))
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(`${file} cannot be read: ${(error as Error).message}`)
  }
}

/** Rows by their key; held in memory, some 300 bytes each. */
async function beside(file: string | undefined, keyOf: (row: Fields) => string | undefined) {
  const rows = new Map<string, Fields>()
  if (file !== undefined)
    for await (const found of recordsOf(file)) {
      const key = 'fields' in found ? keyOf(found.fields) : undefined
      if (key && 'fields' in found) rows.set(key, found.fields)
    }
  return (key: string) => rows.get(key)
}

async function listsBeside(file: string | undefined) {
  if (file === undefined) return undefined
  const lists = new Map<string, Fields[]>()
  for await (const found of recordsOf(file)) {
    if (!('fields' in found)) continue
    const id = textOf(found.fields, 'user_id') ?? ''
    const list = lists.get(id)
    if (list) list.push(found.fields)
    else lists.set(id, [found.fields])
  }
  return lists
}
