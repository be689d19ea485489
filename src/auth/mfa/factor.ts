import type { UserRow } from '../wire.ts'

export type FactorType = 'totp' | 'phone' | 'webauthn' | 'recovery_code'

/** A row of `leanto_auth_factors`. Times in milliseconds. */
export interface FactorRow {
  id: string
  user_id: string
  type: FactorType
  /** Blank for none. */
  name: string
  status: 'verified' | 'unverified'
  /** Of TOTP, sealed: base32. Of WebAuthn, what `SecurityKeys` keeps. */
  secret: string | null
  phone: string | null
  /** Of TOTP the newest step that was taken, of WebAuthn the newest count. None up to it is taken again. */
  last_step: number | null
  challenged_at: number | null
  /** Which batch has proven it last. */
  proof: string | null
  created_at: number
  updated_at: number
}

/** A factor as GoTrue shows one. Times are ISO 8601. */
export interface Factor {
  id: string
  friendly_name: string | undefined
  factor_type: FactorType
  status: 'verified' | 'unverified'
  phone: string | undefined
  created_at: string
  updated_at: string
  last_challenged_at: string | undefined
}

type Shown = Omit<FactorRow, 'user_id' | 'secret' | 'last_step' | 'proof'>

/** Names every column that may be seen: the secret is not among them. */
export const factorsColumn = `(SELECT json_group_array(json_object('id', f.id, 'type', f.type,
  'name', f.name, 'status', f.status, 'phone', f.phone, 'challenged_at', f.challenged_at,
  'created_at', f.created_at, 'updated_at', f.updated_at))
  FROM leanto_auth_factors f WHERE f.user_id = u.id) AS factors`

const iso = (time: number): string => new Date(time).toISOString()

const toFactor = (row: Shown): Factor => ({
  id: row.id,
  friendly_name: row.name || undefined,
  factor_type: row.type,
  status: row.status,
  phone: row.phone ?? undefined,
  created_at: iso(row.created_at),
  updated_at: iso(row.updated_at),
  last_challenged_at: row.challenged_at === null ? undefined : iso(row.challenged_at),
})

/** The factors of a user that was read with `factorsColumn`, the oldest first. */
export function factorsOf(row: UserRow & Record<string, unknown>): Factor[] {
  const rows = JSON.parse(String(row.factors ?? '[]')) as Shown[]
  return rows.sort((a, b) => (a.id < b.id ? -1 : 1)).map(toFactor)
}

/** Whether what is missing at `aal1` can be shown at all. */
export const hasVerified = (row: UserRow & Record<string, unknown>): boolean =>
  factorsOf(row).some(({ status }) => status === 'verified')
