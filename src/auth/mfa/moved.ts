import * as v from 'valibot'
import type { Scope } from '../../core/scope.ts'
import { open, seal } from '../../core/secret.ts'
import { validate } from '../../core/validate.ts'
import { authFaults } from '../faults.ts'
import { idOf, insertRows, removeOf, time, toIso, uuid } from '../moved-rows.ts'
import type { Moved } from '../part.ts'
import { fromBase32 } from './base32.ts'
import { sealedFor } from './enroll.ts'
import type { FactorRow } from './factor.ts'

type Kept = Omit<FactorRow, 'user_id' | 'proof'> & { codes: string[] }

/** A factor in a user's line. Times are ISO 8601. */
const factor = v.object({
  id: uuid,
  factor_type: v.picklist(['totp', 'phone', 'webauthn', 'recovery_code']),
  friendly_name: v.nullish(v.pipe(v.string(), v.maxLength(255)), ''),
  status: v.nullish(v.picklist(['verified', 'unverified']), 'verified'),
  /** Of TOTP: base32. Of WebAuthn: what leanto keeps of a security key. */
  secret: v.nullish(v.pipe(v.string(), v.maxLength(4096))),
  phone: v.nullish(v.pipe(v.string(), v.regex(/^[1-9]\d{5,14}$/))),
  last_step: v.nullish(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  /** SHA-256 of each recovery code that is left, base64url. */
  codes: v.nullish(v.pipe(v.array(v.pipe(v.string(), v.regex(/^[\w-]{43}$/))), v.maxLength(100))),
  last_challenged_at: time,
  created_at: time,
  updated_at: time,
})

const lists = v.object({ factors: v.array(factor) })

const column = `(SELECT json_group_array(json_object('id', f.id, 'type', f.type, 'name', f.name,
  'status', f.status, 'secret', f.secret, 'phone', f.phone, 'last_step', f.last_step,
  'challenged_at', f.challenged_at, 'created_at', f.created_at, 'updated_at', f.updated_at,
  'codes', (SELECT json_group_array(c.hash) FROM leanto_auth_recovery_codes c WHERE c.factor_id = f.id)
  ) ORDER BY f.id) FROM leanto_auth_factors f WHERE f.user_id = u.id)`

const exported = (scope: Scope, kept: readonly Kept[]) =>
  Promise.all(
    kept.map(async ({ id, type, name, secret, codes, ...row }) => ({
      id,
      factor_type: type,
      friendly_name: name,
      status: row.status,
      secret: secret && type === 'totp' ? await open(scope, sealedFor(id), secret) : secret,
      phone: row.phone,
      last_step: row.last_step,
      ...(type === 'recovery_code' ? { codes } : {}),
      last_challenged_at: toIso(row.challenged_at),
      created_at: toIso(row.created_at),
      updated_at: toIso(row.updated_at),
    })),
  )

async function imported(scope: Scope, userId: string, given: readonly unknown[]) {
  const { factors } = await validate(lists, { factors: given })
  const notes: string[] = []
  const rows: object[] = []
  const names = new Set<string>()
  for (const { factor_type: type, friendly_name, secret, ...one } of factors) {
    if (!isWhole(type, secret, one)) {
      notes.push(`factor_unusable: ${type}`)
      continue
    }
    const name = friendly_name ?? ''
    if (name !== '' && names.has(name))
      throw authFaults.validation_failed({ message: 'factors: a name is there twice' })
    names.add(name)
    const now = scope.now()
    const id = one.id ?? (await idOf(`${userId}:${type}:${secret ?? one.phone}`))
    rows.push({
      id,
      user_id: userId,
      type,
      name,
      status: one.status ?? 'verified',
      secret:
        secret && type === 'totp' ? await seal(scope, sealedFor(id), secret) : (secret ?? null),
      phone: one.phone ?? null,
      last_step: one.last_step ?? null,
      challenged_at: one.last_challenged_at ?? null,
      created_at: one.created_at ?? now,
      updated_at: one.updated_at ?? one.created_at ?? now,
      codes: type === 'recovery_code' ? (one.codes ?? []) : [],
    })
  }
  return { rows, notes }
}

/** Whether it can ever be shown: a factor that cannot would lock its user out. */
function isWhole(
  type: FactorRow['type'],
  secret: string | null | undefined,
  { phone, status, codes }: { phone?: unknown; status?: unknown; codes?: unknown },
): boolean {
  if (type === 'totp') return secret != null && (fromBase32(secret)?.length ?? 0) >= 10
  if (type === 'phone') return phone != null
  if (type === 'recovery_code') return codes != null
  return secret == null ? status === 'unverified' : isKept(secret)
}

function isKept(secret: string): boolean {
  try {
    const { credentialId, publicKey, transports } = JSON.parse(secret)
    return [credentialId, publicKey].every((one) => typeof one === 'string') && !!transports?.map
  } catch {
    return false
  }
}

/** For `moving`: factors with their secrets, and the hashes of recovery codes. */
export const movedFactors: Moved = {
  field: 'factors',
  column,
  exported: exported as Moved['exported'],
  imported,
  store: (scope, rows, replaced) => [
    ...(replaced === null
      ? []
      : [
          scope.db
            .prepare(
              `DELETE FROM leanto_auth_recovery_codes WHERE factor_id IN (
                 SELECT f.id FROM json_each(?) j JOIN leanto_auth_factors f ON f.user_id = j.value)`,
            )
            .bind(replaced),
          removeOf(scope, 'factors', replaced),
        ]),
    ...insertRows(
      scope,
      'factors',
      rows.map(({ codes: _, ...row }: { codes?: unknown }) => row),
    ),
    ...insertRows(scope, 'recovery_codes', rows.flatMap(codesOf)),
  ],
}

const codesOf = (row: object) => {
  const { id, codes } = row as { id: string; codes: string[] }
  return codes.map((hash) => ({ hash, factor_id: id }))
}
