import type { Membership, Principal } from '../../core/ports.ts'
import type { Scope } from '../../core/scope.ts'
import type { AuthPart } from '../part.ts'
import type { Settings } from '../settings.ts'

/*
 * What a token says of organisations: `orgs`, each id with `{ role, teams }`, and `org`, the active one with its id. It is read
 * with the session that the token is for, so it costs rows and no trip, and it ends with the membership at the next refresh.
 */

/** Teams that one token names at most, of all organisations together. */
const mostTeams = 100

interface Place {
  role: string
  teams?: string[]
}

const membership = (m: string) => `json_object('id', ${m}.organization_id, 'role', ${m}.role,
  'teams', json((SELECT json_group_array(t.team_id) FROM (
    SELECT team_id FROM leanto_auth_team_members WHERE user_id = ${m}.user_id
      AND organization_id = ${m}.organization_id ORDER BY team_id LIMIT ${mostTeams}) t)))`

/** One more than a token names, to know of more; and the active one, which is always named. */
export const membershipColumns = (user: string, session: string, most: number): string[] => [
  `(SELECT json_group_array(json(${membership('m')})) FROM (
      SELECT organization_id, user_id, role FROM leanto_auth_members WHERE user_id = ${user}
      ORDER BY organization_id LIMIT ${most + 1}) m) AS memberships`,
  `(SELECT ${membership('am')} FROM leanto_auth_active_organizations ao
      JOIN leanto_auth_members am ON am.organization_id = ao.organization_id AND am.user_id = ${user}
      WHERE ao.session_id = ${session}) AS active_membership`,
]

interface MembershipRow {
  memberships: string | null
  active_membership: string | null
}

/** The active one first, so that it is never what is left out. */
function placesOf(row: MembershipRow, most: number) {
  const all = JSON.parse(row.memberships ?? '[]') as Membership[]
  const active = row.active_membership ? (JSON.parse(row.active_membership) as Membership) : null
  const named = [...(active ? [active] : []), ...all.filter(({ id }) => id !== active?.id)]
  let room = mostTeams
  const places = named.slice(0, most).map(({ id, role, teams }) => {
    const kept = teams.slice(0, room)
    room -= kept.length
    return { id, role, teams: kept }
  })
  const cut =
    named.length > most ||
    places.some(({ teams }, i) => teams.length < (named[i]?.teams.length ?? 0))
  return { places, active: active ? places[0] : undefined, cut }
}

export const claimsOf =
  (most: number): NonNullable<AuthPart['claims']> =>
  (_user, session) => {
    const { places, active, cut } = placesOf(session as unknown as MembershipRow, most)
    const short = ({ role, teams }: Membership): Place => ({
      role,
      ...(teams.length > 0 ? { teams: [...teams] } : {}),
    })
    return {
      orgs: Object.fromEntries(places.map((place) => [place.id, short(place)])),
      org: active && { id: active.id, ...short(active) },
      ...(cut ? { orgs_cut: true } : {}),
    }
  }

const frozen = (id: string, { role, teams = [] }: Place): Membership =>
  Object.freeze({ id, role, teams: Object.freeze(teams) })

/** From a token of ours, whose claims nobody else can write. */
function fromClaims({ claims }: Principal): Pick<Principal, 'orgs' | 'org'> {
  const orgs = Object.entries((claims.orgs ?? {}) as Record<string, Place>)
  const list = Object.freeze(orgs.map(([id, place]) => frozen(id, place)))
  const active = (claims.org as { id: string } | undefined)?.id
  const org = list.find(({ id }) => id === active)
  return { orgs: list, ...(org ? { org } : {}) }
}

/** As the database has it now. One trip. */
async function fromDatabase(
  scope: Scope,
  { id, claims }: Principal,
  most: number,
): Promise<Pick<Principal, 'orgs' | 'org'>> {
  const row = await scope.db
    .prepare(`SELECT ${membershipColumns('?1', '?2', most).join(', ')}`)
    .bind(id.toLowerCase(), String(claims.session_id))
    .first<MembershipRow>()
  const { places, active } = placesOf(row as MembershipRow, most)
  const orgs = Object.freeze(places.map((place) => frozen(place.id, place)))
  const org = orgs.find(({ id: one }) => one === active?.id)
  return { orgs, ...(org ? { org } : {}) }
}

/**
 * Puts a user's organisations into the principal that other modules meet. The claims of another issuer's token are not ours,
 * whatever they are called, so its bearer is in no organisation unless the database is asked.
 */
export const identifiedBy =
  (most: number, fresh: boolean): NonNullable<AuthPart['identified']> =>
  async (settings: Settings, scope: Scope, principal: Principal) => {
    if (principal.role !== 'authenticated') return principal
    if (fresh)
      return Object.freeze({ ...principal, ...(await fromDatabase(scope, principal, most)) })
    if (principal.claims.iss !== settings.issuer(scope)) return principal
    return Object.freeze({ ...principal, ...fromClaims(principal) })
  }
