import type { Scope } from '../../core/scope.ts'
import { toIso } from '../moved-rows.ts'
import { happened, type Moved } from '../part.ts'
import type { Settings } from '../settings.ts'
import { type IdentityRow, type UserRow, userColumns } from '../wire.ts'

export interface ExportUsers {
  readonly parts: readonly Moved[]
  /** Only those whose id sorts after it. */
  readonly after: string
  /** Users, at most. */
  readonly limit: number
}

/** In users; one trip each. */
const page = 100

/**
 * Every user by id, with what they sign in by: hashes, identities, factors with their secrets, passkeys. One trip for 100.
 *
 * @returns NDJSON, a page at a time: lines as `importUsers` reads them.
 */
export async function* exportUsers(
  settings: Settings,
  scope: Scope,
  { parts, after, limit }: ExportUsers,
): AsyncGenerator<string> {
  const columns = [userColumns, ...parts.map(({ column, field }) => `${column} AS ${field}`)]
  const select = scope.db.prepare(
    `SELECT ${columns.join(', ')} FROM leanto_auth_users u WHERE u.id > ? ORDER BY u.id LIMIT ?`,
  )
  const lineOf = async (row: UserRow & Record<string, unknown>): Promise<string> => {
    const more = parts.map(async ({ field, exported }) => [
      field,
      await exported(scope, JSON.parse(String(row[field])) as never[]),
    ])
    return `${JSON.stringify({ ...toLine(row), ...Object.fromEntries(await Promise.all(more)) })}\n`
  }
  let from = after
  let count = 0
  try {
    while (count < limit) {
      const wanted = Math.min(page, limit - count)
      const { results } = await select.bind(from, wanted).all<UserRow & Record<string, unknown>>()
      count += results.length
      from = results.at(-1)?.id ?? from
      yield (await Promise.all(results.map(lineOf))).join('')
      if (results.length < wanted) return
    }
  } finally {
    if (count > 0) happened(settings, scope, { action: 'users_exported', data: { after, count } })
  }
}

/** Every column but those that speak of links and codes that were sent: they stay behind. */
const toLine = (row: UserRow) => ({
  id: row.id,
  email: row.email ?? undefined,
  phone: row.phone ?? undefined,
  password_hash: row.password ?? undefined,
  email_confirmed_at: toIso(row.email_confirmed_at),
  phone_confirmed_at: toIso(row.phone_confirmed_at),
  is_anonymous: row.is_anonymous === 1 || undefined,
  invited_at: toIso(row.invited_at),
  last_sign_in_at: toIso(row.last_sign_in_at),
  banned_until: toIso(row.banned_until),
  deleted_at: toIso(row.deleted_at),
  created_at: toIso(row.created_at),
  updated_at: toIso(row.updated_at),
  app_metadata: JSON.parse(row.app_metadata),
  user_metadata: JSON.parse(row.user_metadata),
  identities: (JSON.parse(row.identities) as IdentityRow[]).map((identity) => ({
    ...identity,
    email: identity.email ?? undefined,
    last_sign_in_at: toIso(identity.last_sign_in_at),
    created_at: toIso(identity.created_at),
    updated_at: toIso(identity.updated_at),
  })),
})
