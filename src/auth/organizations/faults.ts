import { faults } from '../../core/fault.ts'

/** What is not the caller's, or not there, is the same 404 (case 42). */
export const organizationFaults = faults({
  invitation_address: [403, 'Sign in with the address that was invited, and confirm it'],
  invitation_not_found: [404, 'Invitation not found, or used, or expired'],
  organization_forbidden: [403, 'Your role in the organization does not allow this'],
  organization_last_owner: [422, 'An organization needs an owner'],
  organization_limit: [422, 'The organization has as many of these as it may have'],
  organization_member_exists: [422, 'Already a member of the organization'],
  organization_member_not_found: [404, 'Member not found'],
  organization_not_found: [404, 'Organization not found'],
  organization_slug_taken: [422, 'Another organization has this slug'],
  organization_team_exists: [422, 'The organization has a team of this name'],
  organization_team_not_found: [404, 'Team not found'],
})
