import * as v from 'valibot'
import { isStorable, parseJson } from '../../core/body.ts'
import type { Scope } from '../../core/scope.ts'
import { validate } from '../../core/validate.ts'
import { requireEmail, requirePhone } from '../address.ts'
import { data, refuse, text } from '../body.ts'
import { checkMetadata } from '../metadata.ts'
import { idOf, time, uuid } from '../moved-rows.ts'
import type { Moved } from '../part.ts'
import { isVerifiable } from '../password.ts'
import { flag } from '../request.ts'
import type { Settings } from '../settings.ts'

/** A name of a provider or an account of it: short text without what would be read as something else. */
const word = v.pipe(
  v.string(),
  v.check((text) => isStorable(text) && /^\P{Cc}{1,255}$/u.test(text), 'must be plain text'),
)

const identity = v.object({
  id: uuid,
  provider: v.pipe(
    v.string(),
    v.check((name) => /^[\w:.-]{1,64}$/.test(name), 'must be a name'),
  ),
  /** Of `email` and `phone` it is the user's id, whatever stands here. */
  subject: v.nullish(word),
  email: text,
  data,
  last_sign_in_at: time,
  created_at: time,
  updated_at: time,
})

/** A user in a line, without what parts move along. */
const line = v.object({
  id: uuid,
  foreign_id: v.nullish(word),
  email: text,
  phone: text,
  password_hash: text,
  app_metadata: data,
  user_metadata: data,
  email_confirmed_at: time,
  phone_confirmed_at: time,
  is_anonymous: flag,
  invited_at: time,
  last_sign_in_at: time,
  banned_until: time,
  deleted_at: time,
  created_at: time,
  updated_at: time,
  identities: v.nullish(v.array(identity)),
})

type Identity = v.InferOutput<typeof identity>

/** What is stored of a user, by column. */
export interface Row {
  readonly id: string
  readonly email: string | null
  readonly phone: string | null
  readonly password: string | null
  readonly last_sign_in_at: number | null
  readonly banned_until: number | null
  readonly [column: string]: unknown
}

export interface IdentityRow {
  readonly id: string
  readonly provider: string
  readonly subject: string
  readonly user_id: string
  readonly [column: string]: unknown
}

/** A user who was read from a line, ready to be stored. */
export interface Arriving {
  readonly number: number
  readonly bytes: number
  readonly row: Row
  readonly identities: readonly IdentityRow[]
  /** By the field of the part. */
  readonly moved: Readonly<Record<string, readonly object[]>>
  /** What does not come along, in words of the form `factors_ignored`. */
  readonly notes: readonly string[]
}

export const isOwn = (provider: string): boolean => provider === 'email' || provider === 'phone'

/**
 * Reads a line as strictly as the admin API reads a user (case 72).
 *
 * @throws {Fault} `bad_json`, `bad_request`, `validation_failed`.
 */
export async function readUser(
  { password: { formats } }: Settings,
  scope: Scope,
  parts: readonly Moved[],
  { number, bytes, text }: { number: number; bytes: number; text: string },
): Promise<Arriving> {
  const json = parseJson(text)
  const { foreign_id, ...given } = await validate(line, json)
  const id = given.id ?? (foreign_id && (await idOf(foreign_id)))
  if (!id) throw refuse('id or foreign_id is required')
  const { password_hash: encoded } = given
  const notes: string[] = []
  const known = encoded ? isVerifiable(encoded, formats) : false
  if (encoded && !known) notes.push('password_unknown')
  const row = rowOf(scope, id, { ...given, password_hash: known ? encoded : null })
  const identities = await identitiesOf(row, given.identities ?? [], row.is_anonymous === 1)
  if (identities.length === 0 && row.is_anonymous === 0 && row.deleted_at === null)
    throw refuse('an email, a phone or an identity is required')
  const moved = await movedOf(parts, scope, {
    id,
    json: json as object,
    notes,
    proven: isProven(row, identities),
  })
  return {
    number,
    bytes,
    row: {
      ...row,
      app_metadata: JSON.stringify(withProviders(given.app_metadata ?? {}, identities)),
    },
    identities,
    moved,
    notes,
  }
}

function rowOf(
  scope: Scope,
  id: string,
  given: Omit<v.InferOutput<typeof line>, 'foreign_id'>,
): Row {
  const email = given.email ? requireEmail(given.email) : null
  const phone = given.phone ? requirePhone(given.phone) : null
  const created = given.created_at ?? scope.now()
  const anonymous = given.is_anonymous === true
  if (anonymous && (email || phone)) throw refuse('an anonymous user has no address')
  checkMetadata(given.app_metadata ?? {})
  return {
    id,
    email,
    phone,
    password: given.password_hash ?? null,
    user_metadata: JSON.stringify(checkMetadata(given.user_metadata ?? {})),
    email_confirmed_at: email && (given.email_confirmed_at ?? null),
    phone_confirmed_at: phone && (given.phone_confirmed_at ?? null),
    is_anonymous: Number(anonymous),
    invited_at: given.invited_at ?? null,
    last_sign_in_at: given.last_sign_in_at ?? null,
    banned_until: given.banned_until ?? null,
    deleted_at: given.deleted_at ?? null,
    created_at: created,
    updated_at: given.updated_at ?? created,
  }
}

/** As they were given; of who has none, those of the addresses. */
async function identitiesOf(
  row: Row,
  given: readonly Identity[],
  anonymous: boolean,
): Promise<IdentityRow[]> {
  const own = (['email', 'phone'] as const).filter((type) => row[type] !== null)
  const list: readonly Identity[] =
    given.length > 0 || anonymous ? given : own.map((provider) => ({ provider }) as Identity)
  if (list.length > 50) throw refuse('identities: too many')
  const seen = new Set<string>()
  const rows: IdentityRow[] = []
  for (const { provider, subject: named, ...one } of list) {
    if (isOwn(provider) && row[provider as 'email'] === null)
      throw refuse(`identities: ${provider} without one`)
    const subject = isOwn(provider) ? row.id : named
    if (!subject) throw refuse('identities: subject is required')
    const key = `${provider}:${subject}`
    if (seen.has(key)) throw refuse('identities: one is there twice')
    seen.add(key)
    // The first address has the user's id, as at a sign-up.
    const id = one.id ?? (isOwn(provider) && provider === own[0] ? row.id : await idOf(key))
    rows.push({
      id,
      provider,
      subject,
      user_id: row.id,
      email: provider === 'email' ? row.email : one.email ? requireEmail(one.email) : null,
      data: JSON.stringify(checkMetadata(one.data ?? {})),
      last_sign_in_at: one.last_sign_in_at ?? null,
      created_at: one.created_at ?? row.created_at,
      updated_at: one.updated_at ?? one.created_at ?? row.updated_at,
    })
  }
  return rows
}

function withProviders(app: object, identities: readonly IdentityRow[]): object {
  const providers = [...new Set(identities.map(({ provider }) => provider))]
  return checkMetadata(
    providers.length === 0 ? { ...app } : { provider: providers[0], providers, ...app },
  )
}

/** Whether anyone has ever shown that the account is theirs. */
const isProven = (row: Row, identities: readonly IdentityRow[]): boolean =>
  row.email_confirmed_at !== null ||
  row.phone_confirmed_at !== null ||
  identities.some(({ provider }) => !isOwn(provider))

const lists = (json: object) =>
  Object.entries(json).filter(
    (entry): entry is [string, unknown[]] => Array.isArray(entry[1]) && entry[1].length > 0,
  )

/** What the mounted parts take along. */
async function movedOf(
  parts: readonly Moved[],
  scope: Scope,
  { id, json, notes, proven }: { id: string; json: object; notes: string[]; proven: boolean },
): Promise<Record<string, readonly object[]>> {
  const found: [string, readonly object[]][] = []
  for (const [field, list] of lists(json)) {
    if (field === 'identities') continue
    const part = parts.find((one) => one.field === field)
    if (!part) notes.push(`${field.slice(0, 64)}_ignored`)
    // Someone else's second factor would keep out whoever proves the address in the end (case 3).
    else if (!proven) notes.push(`${field}_unproven`)
    else {
      const { rows, notes: more } = await part.imported(scope, id, list)
      found.push([field, rows])
      notes.push(...more)
    }
  }
  return Object.fromEntries(found)
}
