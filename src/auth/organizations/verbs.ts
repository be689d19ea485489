import type { Scope } from '../../core/scope.ts'
import type { Page } from '../admin/paging.ts'
import type { Context } from './context.ts'
import {
  type Invitation,
  type Invite,
  invite,
  listInvitations,
  type OneInvitation,
  resendInvitation,
  revokeInvitation,
} from './invitations.ts'
import {
  type Joining,
  listMembers,
  type Member,
  type OneMember,
  putMember,
  removeMember,
} from './members.ts'
import {
  createOrganization,
  deleteOrganization,
  getOrganization,
  listOrganizations,
  type Organization,
  type OrganizationAttributes,
  type Paged,
  updateOrganization,
} from './organization.ts'
import {
  changeTeamMember,
  createTeam,
  deleteTeam,
  listTeams,
  type OneTeam,
  type Team,
} from './teams.ts'

type Server<Input> = Omit<Input, 'actor' | 'network'>
type One = { organizationId: string }

/** What the host's own code can do, past roles: scope first, one object second. The last owner stays all the same. */
export interface OrganizationVerbs {
  createOrganization(
    scope: Scope,
    input: OrganizationAttributes & { name: string; ownerId: string },
  ): Promise<Organization>
  getOrganization(scope: Scope, input: One): Promise<Organization>
  /** @param input.page From 1. @param input.ownerless Only those without an owner. */
  listOrganizations(
    scope: Scope,
    input: Page & { ownerless?: boolean },
  ): Promise<Paged<Organization>>
  updateOrganization(scope: Scope, input: One & OrganizationAttributes): Promise<Organization>
  deleteOrganization(scope: Scope, input: One): Promise<void>
  listMembers(scope: Scope, input: One & Page): Promise<Paged<Member>>
  /** Adds a user without an invitation, or changes their role. */
  putMember(scope: Scope, input: Joining): Promise<Member>
  removeMember(scope: Scope, input: Server<OneMember>): Promise<void>
  listInvitations(scope: Scope, input: One & Page): Promise<Paged<Invitation>>
  invite(scope: Scope, input: Server<Invite>): Promise<Invitation>
  resendInvitation(
    scope: Scope,
    input: Server<OneInvitation> & { redirectTo?: string | undefined },
  ): Promise<Invitation>
  revokeInvitation(scope: Scope, input: Server<OneInvitation>): Promise<void>
  listTeams(scope: Scope, input: One & Page): Promise<Paged<Team>>
  createTeam(scope: Scope, input: One & { name: string }): Promise<Team>
  deleteTeam(scope: Scope, input: Server<OneTeam>): Promise<void>
  /** @param input.there Whether they are to be in it. */
  changeTeamMember(
    scope: Scope,
    input: Server<OneTeam> & { userId: string; there: boolean },
  ): Promise<Member | undefined>
}

export function verbsOf(context: () => Context): OrganizationVerbs {
  // What a host's code passes on by mistake makes nobody the actor, and no actor is the server.
  const verb =
    <Input extends object, Output>(
      make: (context: Context) => (scope: Scope, input: Input) => Promise<Output>,
    ) =>
    (scope: Scope, input: Input): Promise<Output> =>
      make(context())(scope, { ...input, actor: undefined })
  return {
    createOrganization: verb(createOrganization),
    getOrganization: verb(getOrganization),
    listOrganizations: verb(() => listOrganizations),
    updateOrganization: verb(updateOrganization),
    deleteOrganization: verb(deleteOrganization),
    listMembers: verb(listMembers),
    putMember: verb(putMember),
    removeMember: verb(removeMember),
    listInvitations: verb(listInvitations),
    invite: verb(invite),
    resendInvitation: verb(resendInvitation),
    revokeInvitation: verb(revokeInvitation),
    listTeams: verb(listTeams),
    createTeam: verb(createTeam),
    deleteTeam: verb(deleteTeam),
    changeTeamMember: verb(changeTeamMember),
  }
}
