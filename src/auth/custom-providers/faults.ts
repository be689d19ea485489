import { faults } from '../../core/fault.ts'

/** GoTrue's, with its statuses and words. */
export const customProviderFaults = faults({
  custom_provider_not_found: [404, 'Custom OAuth provider not found'],
  over_custom_provider_quota: [400, 'Maximum number of custom OAuth/OIDC providers reached'],
  sso_domain_already_exists: [400, 'SSO domain is already assigned to another provider'],
  sso_provider_not_found: [404, 'No such SSO provider'],
})
