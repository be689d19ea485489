import * as v from 'valibot'
import type { Scope } from '../../core/scope.ts'
import { validate } from '../../core/validate.ts'
import { fromBase64url } from '../base64url.ts'
import { idOf, insertRows, removeOf, time, toIso, uuid } from '../moved-rows.ts'
import type { Moved } from '../part.ts'
import { isUsable, type PublicKey, storedKey } from './cose.ts'
import type { PasskeyRow } from './passkey.ts'

const flag = v.nullish(v.boolean(), false)

/** A passkey in a user's line. Binary values in base64url, times ISO 8601. */
const passkey = v.object({
  id: uuid,
  credential_id: v.pipe(v.string(), v.regex(/^[\w-]{1,1364}$/)),
  /** COSE (RFC 9052). */
  public_key: v.pipe(v.string(), v.regex(/^[\w-]{1,4096}$/)),
  counter: v.nullish(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), 0),
  aaguid: v.nullish(
    v.pipe(v.string(), v.regex(/^[\da-f-]{0,36}$/i)),
    '00000000-0000-0000-0000-000000000000',
  ),
  transports: v.nullish(
    v.pipe(v.array(v.pipe(v.string(), v.regex(/^[a-z-]{1,20}$/))), v.maxLength(8)),
    [],
  ),
  backup_eligible: flag,
  backed_up: flag,
  friendly_name: v.nullish(v.pipe(v.string(), v.maxLength(255)), ''),
  created_at: time,
  last_used_at: time,
})

const lists = v.object({ passkeys: v.array(passkey) })

const column = `(SELECT json_group_array(json_object('id', p.id, 'credential_id', p.credential_id,
  'public_key', p.public_key, 'counter', p.counter, 'aaguid', p.aaguid, 'transports', p.transports,
  'backup_eligible', p.backup_eligible, 'backed_up', p.backed_up, 'name', p.name,
  'created_at', p.created_at, 'last_used_at', p.last_used_at) ORDER BY p.id)
  FROM leanto_auth_passkeys p WHERE p.user_id = u.id)`

const exported = async (_: Scope, kept: readonly PasskeyRow[]) =>
  kept.map(({ name, transports, ...row }) => ({
    ...row,
    transports: JSON.parse(transports),
    backup_eligible: row.backup_eligible === 1,
    backed_up: row.backed_up === 1,
    friendly_name: name,
    created_at: toIso(row.created_at),
    last_used_at: toIso(row.last_used_at),
  }))

async function imported(scope: Scope, userId: string, given: readonly unknown[]) {
  const { passkeys } = await validate(lists, { passkeys: given })
  const notes: string[] = []
  const rows: object[] = []
  for (const { friendly_name: name, transports, ...one } of passkeys) {
    const key = keyOf(one.public_key)
    if (!key || !fromBase64url(one.credential_id) || !(await isUsable(key))) {
      notes.push('passkey_unusable')
      continue
    }
    rows.push({
      ...one,
      id: one.id ?? (await idOf(`passkey:${one.credential_id}`)),
      user_id: userId,
      transports: JSON.stringify(transports),
      backup_eligible: Number(one.backup_eligible),
      backed_up: Number(one.backed_up),
      name: name ?? '',
      created_at: one.created_at ?? scope.now(),
      last_used_at: one.last_used_at ?? null,
    })
  }
  return { rows, notes }
}

function keyOf(text: string): PublicKey | null {
  try {
    const bytes = fromBase64url(text)
    return bytes && storedKey(bytes)
  } catch {
    return null
  }
}

/** For `moving`. Passkeys go on only where the relying party's id stays the same: authenticators know nothing else. */
export const movedPasskeys: Moved = {
  field: 'passkeys',
  column,
  exported: exported as Moved['exported'],
  imported,
  store: (scope, rows, replaced) => [
    ...(replaced === null ? [] : [removeOf(scope, 'passkeys', replaced)]),
    ...insertRows(scope, 'passkeys', rows),
  ],
}
