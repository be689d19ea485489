import { faults } from '../../core/fault.ts'

export const impersonationFaults = faults({
  impersonation_not_allowed: [403, 'This user cannot be impersonated'],
  impersonation_read_only: [403, 'Whoever acts for this user may only read'],
})
