import type { Limit } from '../../core/limit.ts'
import type { Scope } from '../../core/scope.ts'
import { happened } from '../part.ts'
import type { Caller } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { Organization } from './organization.ts'
import type { Roles } from './roles.ts'

/** Something about an organisation that is about to be done, or is. */
export interface OrganizationChange {
  readonly action:
    | 'organization_created'
    | 'organization_updated'
    | 'organization_deleted'
    | 'organization_member_added'
    | 'organization_member_updated'
    | 'organization_member_removed'
    | 'organization_transferred'
    | 'organization_invitation_created'
    | 'organization_invitation_revoked'
    | 'organization_invitation_declined'
    | 'organization_team_created'
    | 'organization_team_updated'
    | 'organization_team_deleted'
    | 'organization_team_member_added'
    | 'organization_team_member_removed'
  readonly organizationId: string
  /** Who does it; `null` for the server. */
  readonly actorId: string | null
  /** Whom it is about. */
  readonly userId?: string | undefined
  readonly role?: string | undefined
  /** Whose invitation. */
  readonly email?: string | undefined
  readonly teamId?: string | undefined
  /** Where the call comes from. */
  readonly network?: string | null | undefined
}

/** How many there may be at most; `false` for any number. */
export type Most =
  | number
  | false
  | ((scope: Scope, organization: Organization) => number | false | Promise<number | false>)

export type Counted = 'members' | 'invitations' | 'teams'

/** What the verbs work by. */
export interface Context {
  readonly settings: Settings
  readonly roles: Roles
  readonly mayCreate: (scope: Scope, who: { userId: string }) => boolean | Promise<boolean>
  /** How many a user may own. */
  readonly owned: number
  readonly most: Readonly<Record<Counted, Most>>
  readonly mails: Limit | false
  /** Seconds that an invitation lives. */
  readonly invitationSeconds: number
  readonly before: ((scope: Scope, change: OrganizationChange) => unknown) | undefined
  readonly after: ((scope: Scope, change: OrganizationChange) => unknown) | undefined
}

/** Who does it: a user by their session, or the server, to whom no role's limit applies. */
export interface Acting {
  readonly actor?: Caller | undefined
  readonly network?: string | null | undefined
}

/** Tells of what is stored, after the answer. */
export function tell({ settings, after }: Context, scope: Scope, change: OrganizationChange): void {
  const { action, actorId, network, ...about } = change
  const said: readonly (readonly [string, string | undefined])[] = [
    ['organization_id', about.organizationId],
    ['user_id', about.userId],
    ['role', about.role],
    ['team_id', about.teamId],
  ]
  const data = Object.fromEntries(said.filter(([, value]) => value !== undefined))
  happened(settings, scope, { action, userId: actorId ?? undefined, network, data })
  if (after) scope.waitUntil(Promise.resolve().then(() => after(scope, change)))
}
