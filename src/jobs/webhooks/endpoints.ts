import { closedTarget, closedUrl, type Resolve } from '../../core/address.ts'
import { isStorable } from '../../core/body.ts'
import { Fault } from '../../core/fault.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { seal } from '../../core/secret.ts'
import { isSecret, newSecret } from './signature.ts'

/** Where messages go. */
export interface Endpoint {
  readonly id: string
  readonly url: string
  /** The types that it gets; `null` for all. */
  readonly types: readonly string[] | null
  readonly owner: string | null
  /** Why nothing is sent there any more, or `null`. */
  readonly disabled: string | null
  /** Unix milliseconds. */
  readonly createdAt: number
}

/** What decides whether an address may be called. */
export interface Targets {
  readonly resolve: Resolve
  readonly unsafeAllow: (url: URL) => boolean
}

/** Under what a secret is sealed: its own endpoint's. */
export const purposeOf = (id: string): string => `jobs:webhook:${id}`

const refused = (message: string) =>
  new Fault('bad_request', { status: 400, message: 'Request is not valid' }, { message })

/**
 * @throws {Fault} `bad_request` (400), which says why: it is no public `https:` address, or its name leads to none.
 */
async function checkedUrl(text: unknown, targets: Targets): Promise<string> {
  const url = typeof text === 'string' && text.length <= 2000 ? URL.parse(text) : null
  if (!url) throw refused('url: must be an address of up to 2000 characters')
  // What comes after # is never sent.
  url.hash = ''
  if (targets.unsafeAllow(url)) return url.href
  const closed =
    closedUrl(url) ??
    (await closedTarget(url, targets.resolve).catch(() => 'has a name that leads nowhere'))
  if (closed) throw refused(`url: ${closed}`)
  return url.href
}

export interface RegisterInput {
  url: string
  /** Which messages it gets. @default all */
  types?: readonly string[] | null
  /** Whose it is: it gets the messages of this owner, and no others. @default nobody's: the messages without an owner */
  owner?: string | null
  /** `whsec_` and base64 of 24 to 64 bytes, for an endpoint that is moved here. @default a new one */
  secret?: string
}

/** @throws {Fault} `bad_request` (400). */
export async function register(
  scope: Scope,
  targets: Targets,
  { url, types = null, owner = null, secret = newSecret() }: RegisterInput,
): Promise<{ id: string; secret: string }> {
  const isText = (text: unknown) =>
    typeof text === 'string' && text !== '' && text.length <= 512 && isStorable(text)
  if (types !== null && !(Array.isArray(types) && types.length <= 100 && types.every(isText)))
    throw refused('types: must be a list of up to 100 texts, or null')
  if (owner !== null && !isText(owner)) throw refused('owner: must be a text')
  if (!isSecret(secret)) throw refused('secret: must be whsec_ and base64 of 24 to 64 bytes')
  const id = uuidv7(scope.now())
  await scope.db
    .prepare(
      `INSERT INTO leanto_jobs_endpoints (id, url, types, owner_id, secret, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
    )
    .bind(
      id,
      await checkedUrl(url, targets),
      types && JSON.stringify(types),
      owner,
      await seal(scope, purposeOf(id), secret),
      scope.now(),
    )
    .run()
  return { id, secret }
}

/** Whose endpoints: only this owner's, or with `undefined` anyone's. */
export interface Whose {
  readonly owner?: string
}

const mine = '(?2 IS NULL OR owner_id = ?2)'

/**
 * Gives an endpoint a new secret. For so many seconds what it gets is signed with both.
 *
 * @returns `null` if there is no such endpoint.
 */
export async function rotate(
  scope: Scope,
  { id, owner, overlap }: Whose & { id: string; overlap: number },
): Promise<{ secret: string } | null> {
  const secret = newSecret()
  const row = await scope.db
    .prepare(
      `UPDATE leanto_jobs_endpoints SET old_secret = secret, old_until = ?3, secret = ?4
       WHERE id = ?1 AND ${mine} RETURNING id`,
    )
    .bind(id, owner ?? null, scope.now() + overlap * 1000, await seal(scope, purposeOf(id), secret))
    .first()
  return row && { secret }
}

/** @returns Whether there was one. */
export const remove = async (
  { db }: Scope,
  { id, owner }: Whose & { id: string },
): Promise<boolean> =>
  (await db
    .prepare(`DELETE FROM leanto_jobs_endpoints WHERE id = ?1 AND ${mine} RETURNING id`)
    .bind(id, owner ?? null)
    .first()) !== null

/** Sends to an endpoint again that had been disabled. @returns Whether there was one. */
export const enable = async (
  { db }: Scope,
  { id, owner }: Whose & { id: string },
): Promise<boolean> =>
  (await db
    .prepare(
      `UPDATE leanto_jobs_endpoints SET disabled = NULL WHERE id = ?1 AND ${mine} RETURNING id`,
    )
    .bind(id, owner ?? null)
    .first()) !== null

export async function list({ db }: Scope, { owner }: Whose): Promise<Endpoint[]> {
  const { results } = await db
    .prepare(
      `SELECT id, url, types, owner_id, disabled, created_at FROM leanto_jobs_endpoints
       ${owner === undefined ? 'WHERE ?1 IS NULL' : 'WHERE owner_id = ?1'} ORDER BY id`,
    )
    .bind(owner ?? null)
    .all<{
      id: string
      url: string
      types: string | null
      owner_id: string | null
      disabled: string | null
      created_at: number
    }>()
  return results.map(({ types, owner_id, created_at, ...row }) => ({
    ...row,
    types: types === null ? null : JSON.parse(types),
    owner: owner_id,
    createdAt: created_at,
  }))
}
