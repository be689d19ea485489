import { base64url } from '../../core/secret.ts'

/** A row of `leanto_auth_passkeys`. Times in milliseconds, binary values in base64url. */
export interface PasskeyRow {
  id: string
  user_id: string
  credential_id: string
  /** COSE (RFC 9052), as other servers of WebAuthn store it too. */
  public_key: string
  counter: number
  /** The make of the authenticator, as it says. */
  aaguid: string
  /** JSON list. */
  transports: string
  backup_eligible: number
  backed_up: number
  /** Blank for none. */
  name: string
  created_at: number
  last_used_at: number | null
}

/** A passkey as GoTrue shows one. Times are ISO 8601. */
export interface Passkey {
  id: string
  friendly_name: string | undefined
  created_at: string
  last_used_at: string | undefined
}

const iso = (time: number): string => new Date(time).toISOString()

export const toPasskey = (
  row: Pick<PasskeyRow, 'id' | 'name' | 'created_at' | 'last_used_at'>,
): Passkey => ({
  id: row.id,
  friendly_name: row.name || undefined,
  created_at: iso(row.created_at),
  last_used_at: row.last_used_at === null ? undefined : iso(row.last_used_at),
})

/** What an authenticator knows a user by, and tells us at a sign-in: no address, nothing that ever changes. */
export const userHandleOf = (userId: string): string => base64url(new TextEncoder().encode(userId))

/** What a browser is told of a credential. */
export const descriptorOf = ({
  credential_id: id,
  transports,
}: Pick<PasskeyRow, 'credential_id' | 'transports'>) => ({
  type: 'public-key',
  id,
  transports: JSON.parse(transports) as string[],
})
