import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import { base32 } from '../../../auth/mfa/base32.ts'
import type { Fields } from '../records.ts'
import {
  type Converted,
  forever,
  isSet,
  listOf,
  textOf,
  timeOf,
  toBase64url,
  trimmed,
  withOwn,
} from './fields.ts'

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Where the account ids are others, by tenant or by the kind of client. */
const unmapped = ['microsoft', 'linkedin']

/**
 * A row of `user` with its rows of `account`, `twoFactor` and `passkey` as lists in it, in camel or snake case.
 *
 * Source: https://www.better-auth.com/docs/concepts/database
 *
 * @param secret `BETTER_AUTH_SECRET` of that app, which its second factors are encrypted by.
 */
export const betterAuth =
  (secret: string | undefined, now: string) =>
  (user: Fields): Converted => {
    const notes: string[] = []
    const id = textOf(user, 'id')
    const email = textOf(user, 'email')
    const created = timeOf(user, 'createdAt', 'created_at')
    const phone = textOf(user, 'phoneNumber', 'phone_number')
    const verified = isSet(user, 'emailVerified', 'email_verified')
    const accounts = listOf(user, 'accounts', 'account')
    let hash: string | undefined
    const identities = accounts.flatMap((account) => {
      const provider = textOf(account, 'providerId', 'provider_id') ?? ''
      const subject = textOf(account, 'accountId', 'account_id')
      if (provider === 'credential') {
        hash = textOf(account, 'password')
        return []
      }
      if (!subject || unmapped.includes(provider)) {
        notes.push(`identity_unmapped: ${provider}`)
        return []
      }
      return [
        trimmed({
          provider,
          subject,
          // better-auth keeps no address of an account.
          data: { sub: subject },
          created_at: timeOf(account, 'createdAt', 'created_at'),
          updated_at: timeOf(account, 'updatedAt', 'updated_at'),
        }),
      ]
    })
    const known = id && uuid.test(id)
    const anonymous = isSet(user, 'isAnonymous', 'is_anonymous')
    const banned = isSet(user, 'banned')
    return {
      line: trimmed({
        id: known ? id : undefined,
        foreign_id: known || !id ? undefined : `better-auth:${id}`,
        // A made-up one.
        email: anonymous ? undefined : email,
        phone: anonymous ? undefined : phone,
        is_anonymous: anonymous || undefined,
        password_hash: hash && /^[\da-f]+:[\da-f]+$/i.test(hash) ? hash.toLowerCase() : hash,
        email_confirmed_at: verified ? (created ?? now) : undefined,
        phone_confirmed_at: isSet(user, 'phoneNumberVerified', 'phone_number_verified')
          ? (created ?? now)
          : undefined,
        banned_until: banned ? (timeOf(user, 'banExpires', 'ban_expires') ?? forever) : undefined,
        created_at: created,
        updated_at: timeOf(user, 'updatedAt', 'updated_at'),
        app_metadata: trimmed({ old_id: known ? undefined : id, role: textOf(user, 'role') }),
        user_metadata: trimmed({
          name: textOf(user, 'name'),
          user_name: textOf(user, 'username'),
          avatar_url: textOf(user, 'image'),
        }),
        identities: anonymous
          ? undefined
          : withOwn(identities, { email: email && (hash || identities.length === 0), phone }),
        factors: isSet(user, 'twoFactorEnabled', 'two_factor_enabled')
          ? listOf(user, 'twoFactor', 'two_factor').flatMap((row) => totp(row, secret, notes))
          : undefined,
        passkeys: listOf(user, 'passkeys', 'passkey').map(passkey),
      }),
      notes,
    }
  }

/** Codes of recovery are not moved: they are too short to be kept as leanto keeps its own. */
function totp(row: Fields, secret: string | undefined, notes: string[]): Fields[] {
  const sealed = textOf(row, 'secret')
  if (!sealed) return []
  if (textOf(row, 'backupCodes', 'backup_codes')) notes.push('recovery_codes_left')
  const opened = secret === undefined ? undefined : openBetterAuth(sealed, secret)
  if (opened === undefined) {
    notes.push(secret === undefined ? 'factor_encrypted' : 'factor_secret_wrong')
    return []
  }
  // Its text is the key, and apps were shown that in base32.
  return [{ factor_type: 'totp', secret: base32(Buffer.from(opened)) }]
}

const passkey = (row: Fields): Fields =>
  trimmed({
    credential_id: toBase64url(textOf(row, 'credentialID', 'credentialId', 'credential_id') ?? ''),
    public_key: toBase64url(textOf(row, 'publicKey', 'public_key') ?? ''),
    counter: Number(textOf(row, 'counter') ?? 0),
    aaguid: textOf(row, 'aaguid'),
    transports: (textOf(row, 'transports') ?? '').split(',').filter((one) => /^[a-z-]+$/.test(one)),
    backup_eligible: textOf(row, 'deviceType', 'device_type') === 'multiDevice',
    backed_up: isSet(row, 'backedUp', 'backed_up'),
    friendly_name: textOf(row, 'name'),
    created_at: timeOf(row, 'createdAt', 'created_at'),
  })

/**
 * Opens what better-auth encrypts: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under SHA-256 of the secret, hex of nonce
 * and ciphertext; since 1.5 with `$ba$<version>$` before it.
 *
 * @returns `undefined` if it is none, or was encrypted by another secret.
 */
export function openBetterAuth(sealed: string, secret: string): string | undefined {
  const hex = sealed.replace(/^\$ba\$\d+\$/, '')
  if (!/^(?:[\da-f]{2}){41,}$/i.test(hex)) return undefined
  const bytes = Buffer.from(hex, 'hex')
  const key = hchacha20(createHash('sha256').update(secret).digest(), bytes.subarray(0, 16))
  const nonce = Buffer.concat([Buffer.alloc(4), bytes.subarray(16, 24)])
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
  decipher.setAuthTag(bytes.subarray(-16))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(24, -16)), decipher.final()]).toString()
  } catch {
    return undefined
  }
}

const constants = Buffer.from('expand 32-byte k')

/** The block of ChaCha20 without its last addition (2.2 of the draft): OpenSSL's first block, less what was added. */
function hchacha20(key: Buffer, nonce: Buffer): Buffer {
  const block = createCipheriv('chacha20', key, nonce).update(Buffer.alloc(64))
  const made = Buffer.alloc(32)
  for (let i = 0; i < 4; i++) {
    const less = (at: number, input: Buffer) =>
      (block.readUInt32LE(at + 4 * i) - input.readUInt32LE(4 * i)) >>> 0
    made.writeUInt32LE(less(0, constants), 4 * i)
    made.writeUInt32LE(less(48, nonce), 16 + 4 * i)
  }
  return made
}
